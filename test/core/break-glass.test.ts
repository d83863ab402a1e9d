import { describe, expect, it, vi } from 'vitest'
import {
  type AccessRequest,
  type BreakGlassOptions,
  type BreakGlassRequest,
  memoryStore,
  type Store,
} from '../../src/index.ts'
import { requestVerbs } from '../../src/stores/requests.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { type FaultyStore, faultyStore } from '../../src/testing/faulty-store.ts'
import { codeFor, confirm, open, scene, stored, type Verify } from '../support/break-glass-world.ts'
import {
  codeOf,
  day,
  type Engine,
  hour,
  minute,
  noon,
  type User,
  type World,
  worldOf,
} from '../support/core-world.ts'

/** Marks are slow on purpose; what is tested here is what happens around them. */
vi.mock(import('../../src/lifecycle/one-time-code.ts'), async (original) => ({
  ...(await original()),
  markOf: async (userId, code) => JSON.stringify([userId, code.normalize('NFKC').toLowerCase()]),
}))

const requests = async ({ store }: World) =>
  (await store.requests?.listRequests({}, { limit: 1000 })) as AccessRequest[]
const events = (world: World, action: string) => world.store.listEvents({ action }, { limit: 1000 })
const refusals = async (world: World) => {
  await new Promise((done) => setImmediate(done))
  return events(world, 'impersonation.refused')
}
const lastRefusal = async (world: World) => (await refusals(world))[0]
const ended = async (promise: Promise<unknown>) =>
  promise.then(
    () => ({ code: 'done', details: undefined }),
    (error) => ({ code: error.code as string, details: error.details }),
  )

describe('asking', () => {
  it('waits for another person, five minutes, and opens nothing', async () => {
    const world = scene()
    const request = await open(world, { ticket: 'T-1', accessLevel: 'full' })
    expect(request).toMatchObject({
      kind: 'break_glass',
      actorId: 'root',
      actorOrgId: 'hq',
      targetUserId: 'alice',
      accessLevel: 'full',
      reason: 'the shop is down',
      ticket: 'T-1',
      status: 'pending',
      approvedBy: [],
      attempts: 1,
      createdAt: noon,
      expiresAt: noon + 5 * minute,
      sessionId: null,
    })
    expect(await stored(world, request)).toEqual(request)
    expect(await world.active()).toEqual([])
    const [event] = await events(world, 'break_glass.opened')
    expect(event).toMatchObject({ actorId: 'root', targetUserId: 'alice', outcome: 'success' })
    expect(event?.details).toMatchObject({ access_request_id: request.id, access_level: 'full' })
    expect(world.asked).toEqual([expect.stringMatching(/^root r\d+$/)])
  })

  it.each<[string, string, Partial<BreakGlassRequest>, (string | User)?]>([
    ['by a user', 'not_allowed', {}, 'mallory'],
    ['by who may start, but not this', 'not_allowed', {}, 'sup'],
    ['by who may do this, but not start', 'not_allowed', {}, { id: 'x', may: ['break_glass'] }],
    [
      'with a login that is an impersonation',
      'nested_impersonation',
      {},
      { id: 'root', may: ['start', 'break_glass'], act: { sub: 'boss' } } as never,
    ],
    ['for oneself', 'self_impersonation', { targetUserId: ' root' }],
    ['for somebody privileged', 'target_protected', { targetUserId: 'boss' }],
    ['for nobody', 'target_not_found', { targetUserId: 'nobody' }],
    ['for somebody inactive', 'target_inactive', { targetUserId: 'bob' }],
    ['without a reason', 'invalid_request', { reason: undefined as never }],
    ['with a blank one', 'invalid_request', { reason: ' \u200b' }],
    ['at no level', 'invalid_request', { accessLevel: 'root' as never }],
    ['without a code', 'invalid_request', { totp: undefined as never }],
    ['with a blank one', 'invalid_request', { totp: ' - ' }],
    ['with a long one', 'invalid_request', { totp: 'r'.repeat(65) }],
  ])('%s is refused: %s', async (_what, code, more, who = 'root') => {
    const world = scene({ requireReason: false })
    world.change('bob', { active: false })
    expect(await codeOf(open(world, more, who))).toBe(code)
    expect(await requests(world)).toEqual([])
    expect(world.asked).toEqual([])
    expect(await lastRefusal(world)).toMatchObject({
      code,
      actorId: typeof who === 'string' ? who : who.id,
      targetUserId: more.targetUserId ?? 'alice',
      details: { break_glass: true },
    })
  })

  it.each(['start', 'break_glass'])('is asked of `can` with the target: %s', async (denied) => {
    const world = scene({
      can: (user, action, target) =>
        (user.may?.includes(action) ?? false) && !(action === denied && target?.id === 'alice'),
    })
    expect(await codeOf(open(world))).toBe('not_allowed')
    expect(await codeOf(open(world, { targetUserId: 'bob' }))).toBe('done')
  })

  it.each(['break_glass', 'confirm_break_glass'])(
    'is asked of `can` without a target as well: %s',
    async (denied) => {
      const world = scene({
        can: (user, action, target) =>
          (user.may?.includes(action) ?? false) && !(action === denied && target === undefined),
      })
      const opened = open(world)
      if (denied === 'break_glass') expect(await codeOf(opened)).toBe('not_allowed')
      else expect(await codeOf(confirm(world, await opened))).toBe('not_allowed')
    },
  )

  it('wants a fresh login where one is wanted', async () => {
    let loggedIn = noon - minute - 1
    const world = scene({ freshAuth: { maxAgeMs: minute, authTime: () => loggedIn } })
    expect(await codeOf(open(world))).toBe('insufficient_user_authentication')
    loggedIn = noon
    const request = await open(world)
    loggedIn = noon - minute - 1
    expect(await codeOf(confirm(world, request))).toBe('insufficient_user_authentication')
    expect((await stored(world, request)).attempts).toBe(1)
  })

  it('is limited as starts are, and by itself', async () => {
    const world = scene({ rateLimit: { starts: 2, perMs: hour } })
    await open(world)
    await open(world)
    expect(await codeOf(open(world))).toBe('rate_limited')
    world.clock.tick(hour)
    expect(await codeOf(open(world))).toBe('done')
    world.clock.tick(hour)
    const codes = await Promise.all([...Array(6)].map(() => codeOf(open(world))))
    expect(codes.filter((code) => code === 'done')).toHaveLength(2)
    const busy = scene({ rateLimit: { starts: 1, perMs: hour } })
    await busy.start('root', 'bob')
    expect(await codeOf(open(busy))).toBe('rate_limited')
  })

  it('needs no consent, but goes nowhere where it is forbidden', async () => {
    let rule: () => boolean | 'forbidden' = () => true
    const world = scene({ consent: () => rule() })
    const request = await open(world)
    rule = () => 'forbidden'
    expect(await codeOf(open(world))).toBe('not_allowed')
    expect(await codeOf(confirm(world, request))).toBe('not_allowed')
    rule = () => {
      throw new Error('the contract can’t be read')
    }
    expect(await codeOf(open(world))).toBe('impersonation_unavailable')
    rule = () => true
    expect(await codeOf(confirm(world, request))).toBe('done')
  })

  it('is not there where it is off', async () => {
    const world = worldOf()
    const { breakGlass } = world.engine
    const root = world.caller('root')
    const page = { limit: 1 }
    for (const verb of [
      open(world),
      confirm(world, { id: 'x' }),
      breakGlass.list(root, page),
      breakGlass.waiting(root, page),
    ])
      expect(await codeOf(verb)).toBe('route_not_found')
  })
})

describe('the code of whoever asks', () => {
  it.each<[string, Verify]>([
    ['is wrong', () => false],
    ['is answered with anything but true', () => 'yes' as never],
    ['is answered late and wrong', async () => false],
    [
      'can’t be checked',
      () => {
        throw new Error('r-secret')
      },
    ],
    ['fails later', () => Promise.reject(new Error('r-secret'))],
  ])('that %s is refused, and nothing is pending', async (_what, say) => {
    const world = scene()
    world.verdict.say = say
    expect(await ended(open(world))).toEqual({ code: 'second_factor_invalid', details: undefined })
    expect((await requests(world)).map(({ status }) => status)).toEqual(['unproven'])
    expect(await lastRefusal(world)).toMatchObject({
      code: 'second_factor_invalid',
      actorId: 'root',
      targetUserId: 'alice',
    })
    expect(await events(world, 'break_glass.*')).toEqual([])
    const [failed] = await requests(world)
    expect(await codeOf(confirm(world, failed as AccessRequest))).toBe('request_not_found')
  })

  it('is good once: not again, not for another target, not in other dress, not later', async () => {
    const world = scene()
    await open(world, { totp: 'r77' })
    for (const totp of ['r77', 'R77', ' r-7\u20107 ', 'ｒ77'])
      expect(await codeOf(open(world, { totp, targetUserId: 'bob' }))).toBe('second_factor_invalid')
    world.clock.tick(day)
    expect(await codeOf(open(world, { totp: 'r77' }, 'root', world.another()))).toBe(
      'second_factor_invalid',
    )
    expect(world.asked).toEqual(['root r77'])
  })

  it('of many at once is good for one', async () => {
    const world = scene()
    const other = world.another()
    const all = [...Array(20)].map((_, n) =>
      codeOf(open(world, { totp: 'r88' }, 'root', n % 2 ? other : world.engine)),
    )
    const codes = await Promise.all(all)
    expect(codes.filter((code) => code === 'done')).toHaveLength(1)
    expect(world.asked).toHaveLength(1)
  })

  it('is each person’s own: the same digits of two are two', async () => {
    const world = scene()
    world.verdict.say = () => true
    await open(world, { totp: '123456' })
    expect(await codeOf(open(world, { totp: '123456' }, 'boss'))).toBe('done')
  })

  it('can be guessed five times in 15 minutes, then nobody is asked', async () => {
    const world = scene()
    world.verdict.say = () => false
    for (let n = 0; n < 5; n++)
      expect(await ended(open(world))).toEqual({
        code: 'second_factor_invalid',
        details: undefined,
      })
    world.verdict.say = () => true
    const locked = { code: 'second_factor_invalid', details: { locked: true } }
    expect(await ended(open(world))).toEqual(locked)
    world.clock.tick(6 * minute)
    await world.engine.reap()
    expect(await ended(open(world, {}, 'root', world.another()))).toEqual(locked)
    expect(world.asked).toHaveLength(5)
    expect(await codeOf(open(world, {}, 'boss'))).toBe('done')
    world.clock.tick(15 * minute)
    expect(await codeOf(open(world))).toBe('done')
  })

  it('can’t be guessed by a crowd either, on however many processes', async () => {
    const world = scene({ rateLimit: false })
    world.verdict.say = async () => false
    const engines = [world.engine, world.another(), world.another()]
    await Promise.all(
      [...Array(60)].map((_, n) => ended(open(world, {}, 'root', engines[n % 3] as Engine))),
    )
    expect(world.asked.length).toBeLessThanOrEqual(5)
    expect(await events(world, 'break_glass.*')).toEqual([])
  })
})

describe('confirming', () => {
  it('opens the session of whoever asked, flagged everywhere, for 15 minutes', async () => {
    const world = scene()
    const request = await open(world, { accessLevel: 'interactive', ticket: 'T-1' })
    world.clock.tick(minute)
    const { session, targetProfile } = await confirm(world, request)
    expect(targetProfile.id).toBe('alice')
    expect(session).toMatchObject({
      actorId: 'root',
      actorOrgId: 'hq',
      targetUserId: 'alice',
      accessLevel: 'interactive',
      reason: 'the shop is down',
      ticket: 'T-1',
      breakGlass: true,
      grantId: null,
      ipAddress: null,
      userAgent: null,
      createdAt: noon + minute,
      expiresAt: noon + 16 * minute,
    })
    const used = { status: 'used', approvedBy: ['boss'], sessionId: session.id, attempts: 2 }
    expect(await stored(world, request)).toMatchObject(used)
    const [event] = await events(world, 'break_glass.confirmed')
    expect(event).toMatchObject({ actorId: 'root', targetUserId: 'alice', sessionId: session.id })
    expect(event?.details).toMatchObject({ confirmed_by: 'boss', access_request_id: request.id })
    const [start] = await events(world, 'impersonation.started')
    expect(start?.details).toMatchObject({ break_glass: true, confirmed_by: 'boss' })

    const seen = await world.send('root', { method: 'POST' })
    expect([seen.line, seen.context?.session.breakGlass]).toEqual(['alice', true])
    expect((await world.send('boss')).line).toBe('boss')
    const status = await world.engine.sessions.status(world.caller('root'))
    expect(status.session?.breakGlass).toBe(true)
    const [past] = await world.engine.history(world.caller('alice'), { limit: 1 })
    expect(past?.session.breakGlass).toBe(true)
  })

  it('lasts no longer than any session may, and can’t be extended', async () => {
    const world = scene({ maxDurationMs: 10 * minute, defaultDurationMs: minute })
    const { session } = await confirm(world, await open(world))
    expect(session.expiresAt).toBe(noon + 10 * minute)
    const long = scene()
    const { session: capped } = await confirm(long, await open(long))
    long.clock.tick(minute)
    const same = await long.engine.sessions.extend(long.caller('root'), hour)
    expect(same.expiresAt).toBe(capped.expiresAt)
    expect(await events(long, 'impersonation.extended')).toEqual([])
    long.clock.tick(14 * minute)
    expect((await long.send('root', { method: 'POST' })).line).toBe('401 impersonation_expired')
  })

  it('is for who may confirm, before anything is said of the request', async () => {
    const world = scene()
    const request = await open(world)
    for (const who of ['mallory', 'sup', 'alice', 'root'])
      for (const id of [request.id, 'made-up'])
        expect(await codeOf(confirm(world, { id }, who))).toBe('not_allowed')
    expect(await codeOf(confirm(world, { id: 'made-up' }))).toBe('request_not_found')
    const nested = { id: 'boss', may: ['confirm_break_glass'], impersonatedBy: 'root' } as never
    expect(await codeOf(confirm(world, request, nested))).toBe('nested_impersonation')
    expect(await stored(world, request)).toEqual(request)
    expect(await codeOf(confirm(world, request, 'guard'))).toBe('done')
  })

  it('is not for whoever asked, by whatever name, nor for the target', async () => {
    const world = scene()
    const may = ['start', 'break_glass', 'confirm_break_glass']
    world.change('root', { may })
    const request = await open(world)
    for (const id of ['root', 'root ', 'r\u200boot', 'ｒoot', 'alice', 'alice\u00ad'])
      expect(await codeOf(confirm(world, request, { id, may }))).toBe('second_admin_required')
    expect(await stored(world, request)).toEqual(request)
    expect(world.asked).toHaveLength(1)
    expect(await lastRefusal(world)).toMatchObject({
      code: 'second_admin_required',
      targetUserId: 'alice',
      reason: 'the shop is down',
      details: { break_glass: true, access_request_id: request.id },
    })
  })

  it.each<[string, BreakGlassOptions<User>['samePerson']]>([
    ['says so', () => true],
    ['says anything but false', () => undefined as never],
    ['says so later', async () => true],
    [
      'can’t tell',
      () => {
        throw new Error('no')
      },
    ],
    ['fails later', () => Promise.reject(new Error('no'))],
  ])('is not for a second account of theirs: samePerson %s', async (_what, samePerson) => {
    const world = scene({}, { samePerson: samePerson as never })
    const request = await open(world)
    expect(await codeOf(confirm(world, request))).toBe('second_admin_required')
    expect((await stored(world, request)).attempts).toBe(1)
  })

  it('asks samePerson about the two as they are now', async () => {
    const pairs: string[] = []
    const samePerson = (a: User, b: User) => pairs.push(`${a.name} ${b.id}`) === 0
    const world = scene({}, { samePerson })
    const request = await open(world)
    world.change('root', { name: 'Newname' })
    expect(await codeOf(confirm(world, request))).toBe('done')
    expect(new Set(pairs)).toEqual(new Set(['Newname boss']))
  })

  it('is asked of `can` with the target', async () => {
    const world = scene({
      can: (user, action, target) =>
        (user.may?.includes(action) ?? false) &&
        !(action === 'confirm_break_glass' && target?.id === 'alice'),
    })
    const request = await open(world)
    expect(await codeOf(confirm(world, request))).toBe('not_allowed')
    expect((await stored(world, request)).attempts).toBe(1)
  })

  it.each<[string, string, (world: World) => void]>([
    ['is gone', 'not_allowed', (world) => world.users.delete('root')],
    ['is inactive', 'not_allowed', (world) => world.change('root', { active: false })],
    ['may not start any more', 'not_allowed', (w) => w.change('root', { may: ['break_glass'] })],
    ['may not break glass any more', 'not_allowed', (w) => w.change('root', { may: ['start'] })],
  ])('nothing opens when whoever asked %s: %s', async (_what, code, change) => {
    const world = scene()
    const request = await open(world)
    change(world)
    expect(await codeOf(confirm(world, request))).toBe(code)
    expect(await world.active()).toEqual([])
    expect(world.asked).toHaveLength(1)
  })

  it.each(['start', 'break_glass'])(
    'nothing opens when whoever asked may not any more, for whomever: %s',
    async (action) => {
      let denied = ''
      const world = scene({
        can: (user, asked, target) =>
          (user.may?.includes(asked) ?? false) && !(asked === denied && target === undefined),
      })
      const request = await open(world)
      denied = action
      expect(await codeOf(confirm(world, request))).toBe('not_allowed')
    },
  )

  it.each<[string, string, (world: World) => void]>([
    ['is gone', 'target_not_found', (world) => world.users.delete('alice')],
    ['is inactive', 'target_inactive', (world) => world.change('alice', { active: false })],
    ['is privileged', 'target_protected', (world) => world.change('alice', { may: ['start'] })],
    ['is elsewhere', 'not_allowed', (world) => world.change('alice', { orgId: 'other' })],
  ])('nothing opens when the target %s by now: %s', async (_what, code, change) => {
    const world = scene()
    const request = await open(world)
    change(world)
    expect(await codeOf(confirm(world, request))).toBe(code)
    expect(await world.active()).toEqual([])
  })

  it.each<[string, string, (world: World) => void]>([
    ['whoever asked was demoted', 'not_allowed', (w) => w.change('root', { may: [] })],
    ['whoever confirms was', 'not_allowed', (world) => world.change('boss', { may: [] })],
    ['the target left', 'target_not_found', (world) => world.users.delete('alice')],
    ['the time ran out', 'request_expired', (world) => world.clock.tick(5 * minute)],
  ])('looks again after the code: %s', async (_what, code, change) => {
    const world = scene({ can: (user, action) => world.users.get(user.id)?.may?.includes(action) })
    const request = await open(world)
    world.verdict.say = () => {
      change(world)
      return true
    }
    expect(await codeOf(confirm(world, request))).toBe(code)
    expect(await world.active()).toEqual([])
  })

  it('comes too late after five minutes, which is written down', async () => {
    const world = scene()
    const request = await open(world)
    world.clock.tick(5 * minute)
    expect(await codeOf(confirm(world, request))).toBe('request_expired')
    expect((await stored(world, request)).status).toBe('expired')
    const [event] = await events(world, 'break_glass.expired')
    expect(event).toMatchObject({ at: noon + 5 * minute, actorId: 'root', targetUserId: 'alice' })
    expect(await codeOf(confirm(world, request))).toBe('request_expired')
    expect(world.asked).toHaveLength(1)
    const again = scene()
    const other = await open(again)
    again.clock.tick(5 * minute - 1)
    expect(await codeOf(confirm(again, other))).toBe('done')
  })

  it('is written down as too late by the reaper', async () => {
    const world = scene()
    const request = await open(world)
    world.clock.tick(5 * minute - 1)
    await world.engine.reap()
    expect((await stored(world, request)).status).toBe('pending')
    world.clock.tick(1)
    await Promise.all([world.engine.reap(), world.another().reap()])
    expect((await stored(world, request)).status).toBe('expired')
    expect(await events(world, 'break_glass.expired')).toHaveLength(1)
  })

  it('opens one session, once', async () => {
    const world = scene()
    const request = await open(world)
    await confirm(world, request)
    expect(await codeOf(confirm(world, request))).toBe('request_not_pending')
    await world.engine.sessions.stop(world.caller('root'))
    expect(await codeOf(confirm(world, request, 'guard'))).toBe('request_not_pending')
    expect(world.asked).toHaveLength(2)
  })

  it('ends no session that is there, and stays pending for another code', async () => {
    const world = scene()
    const request = await open(world)
    const own = await world.start('root', 'bob')
    expect(await codeOf(confirm(world, request))).toBe('impersonation_already_active')
    expect((await stored(world, request)).status).toBe('pending')
    expect((await world.active()).map(({ id }) => id)).toEqual([own.id])
    await world.engine.sessions.stop(world.caller('root'))
    await world.start('sup', 'alice')
    expect(await codeOf(confirm(world, request))).toBe('target_already_impersonated')
    await world.engine.sessions.stop(world.caller('sup'))
    expect(await codeOf(confirm(world, request))).toBe('done')
  })

  it('by many at once opens one session', async () => {
    const world = scene()
    const request = await open(world)
    for (let n = 0; n < 4; n++)
      world.users.set(`guard${n}`, { id: `guard${n}`, may: ['confirm_break_glass'] })
    const other = world.another()
    const codes = await Promise.all(
      ['guard0', 'guard1', 'guard2', 'guard3'].map((who, n) =>
        codeOf(confirm(world, request, who, codeFor(who), n % 2 ? other : world.engine)),
      ),
    )
    expect(codes.toSorted()).toEqual(['done', ...Array(3).fill('request_not_pending')])
    expect(await world.active()).toHaveLength(1)
    expect(await events(world, 'break_glass.confirmed')).toHaveLength(1)
  })
})

describe('two who confirm in the same moment', () => {
  it('are told apart by the store, and the one who lost is told that it is done', async () => {
    const inner = memoryStore()
    const arrived: (() => void)[] = []
    const world = scene({}, {}, {
      ...inner,
      async claimSession(claim) {
        await new Promise<void>((goOn) => {
          if (arrived.push(goOn) === 2) for (const each of arrived) each()
        })
        return inner.claimSession(claim)
      },
    } as Store)
    const request = await open(world)
    const codes = await Promise.all([
      codeOf(confirm(world, request, 'boss')),
      codeOf(confirm(world, request, 'guard')),
    ])
    expect(codes).toEqual(['done', 'request_not_pending'])
    expect(await world.active()).toHaveLength(1)
    expect((await stored(world, request)).approvedBy).toEqual(['boss'])
  })
})

describe('the code of whoever confirms', () => {
  it('is good once, for whatever it was tried on', async () => {
    const world = scene()
    world.change('root', { may: ['start', 'break_glass', 'confirm_break_glass'] })
    await open(world, { totp: 'b5', targetUserId: 'bob' }, 'boss')
    const request = await open(world)
    expect(await codeOf(confirm(world, request, 'boss', 'b5'))).toBe('second_factor_invalid')
    expect(await codeOf(confirm(world, request, 'boss', 'B-5'))).toBe('second_factor_invalid')
    expect((await stored(world, request)).attempts).toBe(3)
    expect(world.asked).toHaveLength(2)
    await confirm(world, request, 'boss', 'b6')
    const next = await open(world, { targetUserId: 'carol' }, 'root')
    expect(await codeOf(confirm(world, next, 'boss', 'b6'))).toBe('second_factor_invalid')
  })

  it('is refused when wrong, and the fifth wrong one locks the request', async () => {
    const world = scene()
    const request = await open(world)
    const wrong = { code: 'second_factor_invalid', details: undefined }
    for (let n = 0; n < 3; n++)
      expect(await ended(confirm(world, request, 'boss', `x${n}`))).toEqual(wrong)
    expect(await ended(confirm(world, request, 'boss', 'x2'))).toEqual({
      code: 'second_factor_invalid',
      details: { locked: true },
    })
    expect(await stored(world, request)).toMatchObject({ status: 'locked', attempts: 5 })
    const [event] = await events(world, 'break_glass.locked')
    expect(event).toMatchObject({ actorId: 'root', targetUserId: 'alice' })
    expect(event?.details).toMatchObject({ locked_by: 'boss', attempts: 5 })
    expect(await codeOf(confirm(world, request))).toBe('request_not_pending')
    expect(world.asked).toHaveLength(4)
    expect(await world.active()).toEqual([])
  })

  it.each<[string, Verify]>([
    ['is answered with anything but true', () => 1 as never],
    [
      'can’t be checked',
      () => {
        throw new Error('no')
      },
    ],
    ['fails later', () => Promise.reject(new Error('no'))],
  ])('that %s is wrong', async (_what, say) => {
    const world = scene()
    const request = await open(world)
    world.verdict.say = say
    expect(await codeOf(confirm(world, request))).toBe('second_factor_invalid')
    expect(await world.active()).toEqual([])
    expect((await stored(world, request)).attempts).toBe(2)
  })

  it('can’t be guessed by 200 at once: few are looked at, and none after that', async () => {
    const world = scene({ storeTimeoutMs: 30_000 })
    const request = await open(world)
    world.verdict.say = async (_user, code) => {
      await new Promise((done) => setTimeout(done, 5))
      return code === 'x199'
    }
    const engines = [world.engine, world.another()]
    const answers = await Promise.all(
      [...Array(200)].map((_, n) =>
        codeOf(confirm(world, request, 'boss', `x${n}`, engines[n % 2] as Engine)),
      ),
    )
    // The one of whoever asked, and four.
    expect(world.asked.length).toBeLessThanOrEqual(5)
    expect(new Set(answers)).not.toContain('impersonation_unavailable')
    const after = await stored(world, request)
    expect(after.attempts).toBe(5)
    const opened = answers.filter((code) => code === 'done').length
    expect(await world.active()).toHaveLength(opened)
    if (!opened) expect(after.status).toBe('locked')
  }, 60_000)

  it('of others counts on the same request', async () => {
    const world = scene()
    const request = await open(world)
    for (const who of ['boss', 'guard', 'boss', 'guard'])
      expect(await codeOf(confirm(world, request, who, `x${codeFor(who)}`))).toBe(
        'second_factor_invalid',
      )
    expect((await stored(world, request)).status).toBe('locked')
  })

  it('that is right is worth nothing once another has locked it', async () => {
    const world = scene()
    const request = await open(world)
    let goOn = () => {}
    world.verdict.say = (_user, code) =>
      code === 'slow' ? new Promise<boolean>((done) => (goOn = () => done(true))) : false
    const slow = codeOf(confirm(world, request, 'guard', 'slow'))
    await expect.poll(() => world.asked.length).toBe(2)
    for (let n = 0; n < 3; n++) await codeOf(confirm(world, request, 'boss', `y${n}`))
    goOn()
    expect(await slow).toBe('request_not_pending')
    expect(await world.active()).toEqual([])
  })
})

describe('on a database', () => {
  it('crowds get no further than in memory', async () => {
    const store = sqliteStore({ file: ':memory:' })
    const world = scene({ storeTimeoutMs: 30_000, rateLimit: false }, {}, store)
    const other = world.another()
    const on = (n: number) => (n % 2 ? other : world.engine)
    const request = await open(world)
    const many = [...Array(40)]
    await Promise.all(many.map((_, n) => codeOf(confirm(world, request, 'boss', `x${n}`, on(n)))))
    expect(world.asked).toHaveLength(5)
    expect(await stored(world, request)).toMatchObject({ status: 'locked', attempts: 5 })

    const next = await open(world)
    const confirmed = await Promise.all(
      ['boss', 'guard'].map((who, n) => codeOf(confirm(world, next, who, codeFor(who), on(n)))),
    )
    expect(confirmed.toSorted()).toEqual(['done', 'request_not_pending'])
    expect(await world.active()).toHaveLength(1)

    world.verdict.say = () => false
    const before = world.asked.length
    await Promise.all(many.map((_, n) => codeOf(open(world, {}, 'root', on(n)))))
    expect(world.asked.length - before).toBeLessThanOrEqual(5)
    await world.engine.close()
  })
})

describe('lists', () => {
  it('give whoever asked their own, and whoever may confirm what waits for them', async () => {
    const world = scene()
    const { breakGlass } = world.engine
    const page = { limit: 10 }
    const first = await open(world)
    world.clock.tick(minute)
    const second = await open(world, { targetUserId: 'bob' }, 'boss')
    world.verdict.say = () => false
    await codeOf(open(world))
    const ids = async (list: Promise<AccessRequest[]>) => (await list).map(({ id }) => id)
    expect(await ids(breakGlass.list(world.caller('root'), page))).toEqual([first.id])
    expect(await ids(breakGlass.list(world.caller('boss'), page))).toEqual([second.id])
    expect(await ids(breakGlass.waiting(world.caller('boss'), page))).toEqual([first.id])
    expect(await ids(breakGlass.waiting(world.caller('guard'), page))).toEqual([
      second.id,
      first.id,
    ])
    expect(await ids(breakGlass.waiting(world.caller('guard'), { limit: 1 }))).toEqual([second.id])
    const before = { at: second.createdAt, id: second.id }
    expect(await ids(breakGlass.waiting(world.caller('guard'), { limit: 9, before }))).toEqual([
      first.id,
    ])
    world.clock.tick(4 * minute)
    expect(await ids(breakGlass.waiting(world.caller('guard'), page))).toEqual([second.id])
    expect(await codeOf(breakGlass.waiting(world.caller('root'), page))).toBe('not_allowed')
    for (const who of ['sup', 'guard', 'mallory'])
      expect(await codeOf(breakGlass.list(world.caller(who), page))).toBe('not_allowed')
  })

  it('are full pages, however much lies between that is not to be seen', async () => {
    const world = scene({ rateLimit: false })
    const made = await open(world)
    const store = world.store.requests
    for (let n = 0; n < 230; n++) {
      const createdAt = noon + 1 + n
      const more = n % 115 ? { actorId: 'guard' } : { actorId: 'sup', reason: `n ${n}` }
      const request = { ...made, id: `r${n}`, ...more, createdAt }
      await store?.createRequest(request, [], null)
    }
    const seen = await world.engine.breakGlass.waiting(world.caller('guard'), { limit: 2 })
    expect(seen.map(({ reason }) => reason)).toEqual(['n 115', 'n 0'])
    const [, last] = seen
    const before = { at: last?.createdAt as number, id: last?.id as string }
    const rest = await world.engine.breakGlass.waiting(world.caller('guard'), { limit: 2, before })
    expect(rest.map(({ id }) => id)).toEqual([made.id])
  })
})

describe('a store that fails', () => {
  const page = { limit: 1000 }

  /** Whatever happened: a session stands on a request that was used for it, by two people, once. */
  async function check(inner: Store): Promise<void> {
    const all = (await inner.requests?.listRequests({}, page)) ?? []
    for (const session of await inner.listSessions({}, page)) {
      const own = all.filter(({ sessionId }) => sessionId === session.id)
      expect(own).toMatchObject([{ status: 'used', actorId: 'root', approvedBy: ['boss'] }])
      const confirmed = await inner.listEvents({ action: 'break_glass.confirmed' }, page)
      expect(confirmed.map(({ sessionId }) => sessionId)).toContain(session.id)
    }
    for (const { status, sessionId } of all) expect(status === 'used').toBe(sessionId !== null)
  }

  const verbs = [...requestVerbs, 'claimSession', 'listSessions'] as const
  const faults = ['before', 'after', 'garbage', 'hang'] as const
  const cases = verbs.flatMap((verb) =>
    faults.flatMap((fault) => [1, 2, 3].map((nth) => [verb, fault, nth] as const)),
  )

  it.each(cases)('at %s (%s, call %i) opens nothing that was not confirmed', async (...plan) => {
    const [verb, fault, nth] = plan
    const inner = memoryStore()
    const store: FaultyStore = faultyStore(inner)
    const world = scene({ storeTimeoutMs: 5 }, {}, store)
    store.plan({ [verb]: { [nth]: fault } })
    const opened = await open(world).catch((error) => error)
    expect(opened.code ?? 'impersonation_unavailable').toBe('impersonation_unavailable')
    await check(inner)
    const request = opened.id ? opened : (await inner.requests?.listRequests({}, page))?.[0]
    if (request) await codeOf(confirm(world, request))
    await check(inner)
    store.plan({})
    store.release()
    await new Promise((done) => setTimeout(done, 1))
    await check(inner)
    // Whatever was lost, another code does it, or it is done.
    const again = opened.id ? await codeOf(confirm(world, request)) : 'done'
    expect(['done', 'request_not_pending']).toContain(again)
    await check(inner)
  })
})
