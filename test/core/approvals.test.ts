import { describe, expect, it } from 'vitest'
import {
  type AccessRequest,
  type ApprovalOptions,
  type ApprovalRequest,
  type ImpersonationOptions,
  memoryStore,
  type StartRequest,
  type Store,
} from '../../src/index.ts'
import { requestVerbs } from '../../src/stores/requests.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import {
  codeOf,
  type Engine,
  hour,
  minute,
  noon,
  type User,
  type World,
  worldOf,
} from '../support/core-world.ts'

type Options = Partial<ImpersonationOptions<User>>

/** `sup` asks; `root`, `boss` and `lead` may start and approve, `eye` may approve and nothing else. */
function scene(group: ApprovalOptions = {}, options: Options = {}, store?: Store): World {
  const world = worldOf({ approvals: group, ...options }, store)
  for (const id of ['root', 'boss', 'lead'])
    world.users.set(id, { id, role: 'admin', may: ['start', 'approve'] })
  world.users.set('eye', { id: 'eye', role: 'auditor', may: ['approve'] })
  return world
}

const ask = ({ engine, caller }: World, more: Partial<ApprovalRequest> = {}, who = 'sup') =>
  engine.approvals.request(caller(who), { targetUserId: 'alice', reason: 'ticket 7', ...more })
type Answer = 'approve' | 'deny' | 'withdraw'
const answer = (
  { engine, caller }: World,
  verb: Answer,
  { id }: Pick<AccessRequest, 'id'>,
  who: string | User,
  on: Engine = engine,
) => on.approvals[verb](caller(who, on), id)
const approve = (world: World, request: Pick<AccessRequest, 'id'>, who: string | User = 'boss') =>
  answer(world, 'approve', request, who)
const enter = (world: World, { id }: Pick<AccessRequest, 'id'>, more: Partial<StartRequest> = {}) =>
  world.start('sup', 'alice', { approvalId: id, ...more })
const given = async (world: World, more: Partial<ApprovalRequest> = {}) =>
  approve(world, await ask(world, more))

const stored = async ({ store }: World, { id }: Pick<AccessRequest, 'id'>) =>
  (await store.requests?.readRequest(id)) as AccessRequest
const events = (world: World, action: string) => world.store.listEvents({ action }, { limit: 1000 })
const actionsOf = async (world: World) =>
  (await events(world, 'approval.*')).map(({ action }) => action.replace('approval.', '')).sort()
const lastRefusal = async (world: World) => {
  await new Promise((done) => setImmediate(done))
  return (await events(world, 'impersonation.refused'))[0]
}

describe('asking', () => {
  it('makes a pending request, with its event, and opens nothing', async () => {
    const world = scene({ quorum: 2 })
    const request = await ask(world, { ticket: 'T-1', accessLevel: 'full' })
    expect(request).toMatchObject({
      kind: 'approval',
      actorId: 'sup',
      targetUserId: 'alice',
      accessLevel: 'full',
      reason: 'ticket 7',
      ticket: 'T-1',
      status: 'pending',
      approvedBy: [],
      deniedBy: null,
      attempts: 0,
      createdAt: noon,
      expiresAt: noon + 12 * hour,
      sessionId: null,
    })
    expect(await stored(world, request)).toEqual(request)
    const [event] = await events(world, 'approval.requested')
    expect(event).toMatchObject({ actorId: 'sup', targetUserId: 'alice', reason: 'ticket 7' })
    expect(event?.details).toMatchObject({ access_request_id: request.id, quorum: 2 })
    expect(await world.active()).toEqual([])
  })

  it.each<[string, string, Partial<ApprovalRequest>, string?]>([
    ['by who may not start', 'not_allowed', {}, 'eye'],
    ['for oneself', 'self_impersonation', { targetUserId: 'sup\u200b' }],
    ['for somebody privileged', 'target_protected', { targetUserId: 'boss' }],
    ['for nobody', 'target_not_found', { targetUserId: 'nobody' }],
    ['without a reason', 'invalid_request', { reason: undefined }],
    ['at no level', 'invalid_request', { accessLevel: 'root' as never }],
  ])('%s is refused as a start would be: %s', async (_what, code, more, who) => {
    const world = scene()
    expect(await codeOf(ask(world, more, who))).toBe(code)
    expect(await world.store.requests?.listRequests({}, { limit: 9 })).toEqual([])
    expect(await lastRefusal(world)).toMatchObject({ code, actorId: who ?? 'sup' })
  })

  it('with a login that is an impersonation is refused', async () => {
    const world = scene()
    const nested = world.engine.caller({ id: 'sup', may: ['start'], act: { sub: 'x' } } as never)
    const asked = world.engine.approvals.request(nested, { targetUserId: 'alice', reason: 'why' })
    expect(await codeOf(asked)).toBe('nested_impersonation')
  })

  it('may be done as often as one may start, also all at once', async () => {
    const world = scene({}, { rateLimit: { starts: 2, perMs: hour } })
    const codes = await Promise.all([...Array(5)].map(() => codeOf(ask(world))))
    expect(codes.filter((code) => code === 'done')).toHaveLength(2)
    expect(codes).toContain('rate_limited')
    world.clock.tick(hour)
    expect(await codeOf(ask(world))).toBe('done')
  })

  it('is not there where it is off', async () => {
    const world = worldOf()
    const { approvals } = world.engine
    for (const verb of [
      ask(world),
      approve(world, { id: 'x' }),
      answer(world, 'deny', { id: 'x' }, 'boss'),
      answer(world, 'withdraw', { id: 'x' }, 'sup'),
      approvals.list(world.caller('sup'), { limit: 1 }),
      approvals.waiting(world.caller('sup'), { limit: 1 }),
    ])
      expect(await codeOf(verb)).toBe('route_not_found')
    expect(await codeOf(world.start('sup', 'alice', { approvalId: 'x' }))).toBe('request_not_found')
  })
})

describe('a yes', () => {
  it('is enough where one is asked for, and holds for an hour', async () => {
    const world = scene()
    const request = await ask(world)
    world.clock.tick(minute)
    const yes = await approve(world, request)
    expect(yes).toMatchObject({
      status: 'approved',
      approvedBy: ['boss'],
      expiresAt: noon + minute + hour,
    })
    expect(await stored(world, request)).toEqual(yes)
    const [event] = await events(world, 'approval.approved')
    expect(event?.details).toMatchObject({ decided_by: 'boss', approvals: 1, quorum: 1 })
  })

  it('counts once for each person', async () => {
    const world = scene({ quorum: 2 })
    const request = await ask(world)
    const one = await approve(world, request, 'boss')
    expect([one.status, one.expiresAt]).toEqual(['pending', request.expiresAt])
    expect(await approve(world, request, 'boss')).toEqual(one)
    expect(await codeOf(enter(world, request))).toBe('second_admin_required')
    const two = await approve(world, request, 'lead')
    expect([two.status, two.approvedBy]).toEqual(['approved', ['boss', 'lead']])
    expect(await approve(world, request, 'boss')).toEqual(two)
    expect(await actionsOf(world)).toEqual(['approved', 'approved', 'requested'])
  })

  it('of many at once counts once each, on two processes', async () => {
    const world = scene({ quorum: 3 })
    const other = world.another()
    const request = await ask(world)
    const all = ['root', 'boss', 'lead', 'root', 'boss', 'lead', 'eye'].map((who, n) =>
      codeOf(answer(world, 'approve', request, who, n % 2 ? other : world.engine)),
    )
    const codes = await Promise.all(all)
    const after = await stored(world, request)
    expect([after.status, new Set(after.approvedBy).size, after.approvedBy.length]).toEqual([
      'approved',
      3,
      3,
    ])
    expect(new Set(codes)).toEqual(new Set(['done', 'request_not_pending']))
  })

  it('is for who may approve, before anything is said of the request', async () => {
    const world = scene()
    const request = await ask(world)
    for (const verb of ['approve', 'deny'] as const) {
      for (const who of ['sup', 'alice', 'mallory'])
        for (const id of [request.id, 'made-up'])
          expect(await codeOf(answer(world, verb, { id }, who))).toBe('not_allowed')
      expect(await codeOf(answer(world, verb, { id: 'made-up' }, 'boss'))).toBe('request_not_found')
      const nested = { id: 'boss', may: ['approve'], act: { sub: 'x' } } as never
      expect(await codeOf(answer(world, verb, request, nested))).toBe('nested_impersonation')
    }
    expect(await stored(world, request)).toEqual(request)
    expect(await codeOf(approve(world, request, 'eye'))).toBe('done')
  })

  it('is not for whoever asked, by whatever name, nor for the target', async () => {
    const world = scene()
    const request = await ask(world)
    for (const id of ['sup', ' sup', 'ｓup', 'alice', 'alice\u200b'])
      for (const verb of ['approve', 'deny'] as const) {
        const code = await codeOf(answer(world, verb, request, { id, may: ['approve'] }))
        expect(code).toBe('second_admin_required')
      }
    expect(await stored(world, request)).toEqual(request)
    expect(await lastRefusal(world)).toMatchObject({
      targetUserId: 'alice',
      details: { access_request_id: request.id },
    })
  })

  it('of two accounts of one person is one', async () => {
    const groups: string[][] = [['boss', 'lead']]
    const samePerson = (a: User, b: User) =>
      groups.some((group) => group.includes(a.id) && group.includes(b.id))
    const world = scene(
      { quorum: 2 },
      { breakGlass: { verifySecondFactor: () => true, samePerson } },
    )
    const request = await ask(world)
    await approve(world, request, 'boss')
    expect(await codeOf(approve(world, request, 'lead'))).toBe('second_admin_required')
    const twin = { id: 'boss\u200b', may: ['approve'] }
    expect(await codeOf(approve(world, request, twin))).toBe('second_admin_required')
    groups.push(['sup', 'root'])
    expect(await codeOf(approve(world, request, 'root'))).toBe('second_admin_required')
    expect((await approve(world, request, 'eye')).status).toBe('approved')
  })

  it('is for certain roles, where they are named', async () => {
    const world = scene({ roles: ['auditor', 'owner'] })
    const request = await ask(world)
    expect(await codeOf(approve(world, request, 'boss'))).toBe('not_allowed')
    const nobody = { id: 'norole', may: ['approve'] }
    expect(await codeOf(approve(world, request, nobody))).toBe('not_allowed')
    expect(await codeOf(approve(world, request, 'eye'))).toBe('done')
  })

  it('is asked of `can` with the target', async () => {
    const world = scene(
      {},
      {
        can: (user, action, target) =>
          (user.may?.includes(action) ?? false) &&
          !(action === 'approve' && target?.id === 'alice'),
      },
    )
    expect(await codeOf(approve(world, await ask(world)))).toBe('not_allowed')
    expect(await codeOf(approve(world, await ask(world, { targetUserId: 'bob' })))).toBe('done')
  })

  it('is asked of `can` without a target as well', async () => {
    const world = scene(
      {},
      {
        can: (user, action, target) =>
          (user.may?.includes(action) ?? false) && !(action === 'approve' && target === undefined),
      },
    )
    expect(await codeOf(approve(world, await ask(world)))).toBe('not_allowed')
  })

  it('wants a fresh login where one is wanted, taking back does not', async () => {
    let loggedIn = noon
    const world = scene({}, { freshAuth: { maxAgeMs: minute, authTime: () => loggedIn } })
    const request = await ask(world)
    loggedIn = noon - minute - 1
    for (const verb of ['approve', 'deny'] as const)
      expect(await codeOf(answer(world, verb, request, 'boss'))).toBe(
        'insufficient_user_authentication',
      )
    expect((await answer(world, 'withdraw', request, 'sup')).status).toBe('withdrawn')
  })

  it.each<[string, string, (world: World) => void]>([
    ['whoever asked is gone', 'not_allowed', (world) => world.users.delete('sup')],
    ['they may not start any more', 'not_allowed', (world) => world.change('sup', { may: [] })],
    ['the target is gone', 'target_not_found', (world) => world.users.delete('alice')],
    ['the target is privileged', 'target_protected', (w) => w.change('alice', { may: ['start'] })],
  ])('is refused when %s: %s', async (_what, code, change) => {
    const world = scene()
    const request = await ask(world)
    change(world)
    expect(await codeOf(approve(world, request))).toBe(code)
  })

  it('comes too late after the time to answer, which is written down', async () => {
    const world = scene({}, { grantRequestMs: minute })
    const request = await ask(world)
    world.clock.tick(minute)
    expect(await codeOf(approve(world, request))).toBe('request_expired')
    expect((await stored(world, request)).status).toBe('expired')
    expect(await actionsOf(world)).toEqual(['expired', 'requested'])
  })
})

describe('a no', () => {
  it('ends it at once, however many have said yes, until it is used', async () => {
    const world = scene({ quorum: 2 })
    const request = await ask(world)
    await approve(world, request, 'boss')
    const no = await answer(world, 'deny', request, 'lead')
    expect([no.status, no.deniedBy]).toEqual(['denied', 'lead'])
    expect(await answer(world, 'deny', request, 'root')).toEqual(no)
    expect(await codeOf(approve(world, request, 'root'))).toBe('request_not_pending')
    expect(await codeOf(approve(world, request, 'boss'))).toBe('request_not_pending')
    expect(await codeOf(enter(world, request))).toBe('request_not_pending')
    const late = scene()
    const yes = await given(late)
    expect((await answer(late, 'deny', yes, 'lead')).status).toBe('denied')
    expect(await codeOf(enter(late, yes))).toBe('request_not_pending')
    const used = await given(late)
    await enter(late, used)
    expect(await codeOf(answer(late, 'deny', used, 'lead'))).toBe('request_not_pending')
  })
})

describe('taking it back', () => {
  it('is for who asked, before and after the yes, again without harm', async () => {
    const world = scene()
    const request = await ask(world)
    for (const who of ['boss', 'alice', 'mallory'])
      expect(await codeOf(answer(world, 'withdraw', request, who))).toBe('request_not_found')
    const gone = await answer(world, 'withdraw', request, 'sup')
    expect(gone.status).toBe('withdrawn')
    expect(await answer(world, 'withdraw', request, 'sup')).toEqual(gone)
    expect(await codeOf(approve(world, request))).toBe('request_not_pending')
    const yes = await given(world)
    await answer(world, 'withdraw', yes, 'sup')
    expect(await codeOf(enter(world, yes))).toBe('request_not_pending')
    const used = await given(world)
    await enter(world, used)
    expect((await answer(world, 'withdraw', used, 'sup')).status).toBe('used')
    expect(await world.active()).toHaveLength(1)
  })
})

describe('a start', () => {
  it('on an approval uses it up, in the one change', async () => {
    const world = scene()
    const request = await given(world, { accessLevel: 'interactive' })
    const session = await enter(world, request, { accessLevel: 'interactive' })
    expect(session).toMatchObject({ breakGlass: false, grantId: null, accessLevel: 'interactive' })
    expect(await stored(world, request)).toMatchObject({ status: 'used', sessionId: session.id })
    const [event] = await events(world, 'approval.used')
    expect(event).toMatchObject({ actorId: 'sup', targetUserId: 'alice', sessionId: session.id })
    const [start] = await events(world, 'impersonation.started')
    expect(start?.details).toMatchObject({ access_request_id: request.id })
    expect(await codeOf(enter(world, request))).toBe('request_not_pending')
    await world.engine.sessions.stop(world.caller('sup'))
    expect(await codeOf(enter(world, request))).toBe('request_not_pending')
  })

  it('of many at once on one approval is one', async () => {
    const world = scene()
    const request = await given(world)
    const other = world.another()
    const codes = await Promise.all(
      [...Array(10)].map((_, n) =>
        codeOf(
          world.start('sup', 'alice', { approvalId: request.id }, n % 2 ? other : world.engine),
        ),
      ),
    )
    expect(codes.toSorted()).toEqual(['done', ...Array(9).fill('request_not_pending')])
    expect(await world.active()).toHaveLength(1)
  })

  it('needs one at the levels that are named, and no other', async () => {
    const world = scene({ levels: ['full'] })
    await world.start('sup', 'alice', { accessLevel: 'interactive' })
    expect(await codeOf(world.start('sup', 'alice', { accessLevel: 'full' }))).toBe(
      'second_admin_required',
    )
    expect(await lastRefusal(world)).toMatchObject({ code: 'second_admin_required' })
    const every = scene()
    for (const accessLevel of ['view', 'interactive', 'full'] as const)
      expect(await codeOf(every.start('sup', 'alice', { accessLevel }))).toBe(
        'second_admin_required',
      )
    expect(await every.active()).toEqual([])
    const byDefault = scene({ levels: ['interactive'] }, { defaultAccessLevel: 'interactive' })
    expect(await codeOf(byDefault.start('sup', 'alice'))).toBe('second_admin_required')
  })

  it('on one that it does not need uses it up all the same', async () => {
    const world = scene({ levels: ['full'] })
    const request = await given(world)
    await enter(world, request)
    expect((await stored(world, request)).status).toBe('used')
  })

  it('goes on no other: another’s, another target’s, a lower level’s, another organisation’s', async () => {
    const world = scene()
    for (const id of ['alice', 'bob']) world.change(id, { orgId: 'acme' })
    const request = await given(world, { accessLevel: 'interactive' })
    const foreign = world.start('root', 'alice', { approvalId: request.id })
    expect(await codeOf(foreign)).toBe('request_not_found')
    expect(await codeOf(enter(world, { id: 'made-up' }))).toBe('request_not_found')
    expect(await codeOf(world.start('sup', 'bob', { approvalId: request.id }))).toBe('not_allowed')
    expect(await codeOf(enter(world, request, { accessLevel: 'full' }))).toBe(
      'access_level_exceeds_grant',
    )
    world.change('alice', { orgId: 'other' })
    expect(await codeOf(enter(world, request))).toBe('not_allowed')
    world.change('alice', { orgId: 'acme' })
    expect(await codeOf(enter(world, request))).toBe('done')
  })

  it('on one that waits, or has waited too long, is refused', async () => {
    const world = scene()
    const request = await ask(world)
    await expect(enter(world, request)).rejects.toMatchObject({
      code: 'second_admin_required',
      details: { request_status: 'pending', approvals: 0 },
    })
    await approve(world, request)
    world.clock.tick(hour)
    expect(await codeOf(enter(world, request))).toBe('request_expired')
    expect((await stored(world, request)).status).toBe('expired')
    const other = await given(world)
    world.clock.tick(hour)
    await world.engine.reap()
    expect((await stored(world, other)).status).toBe('expired')
    expect(await codeOf(enter(world, other))).toBe('request_expired')
    expect(await events(world, 'approval.expired')).toHaveLength(2)
    const intime = await given(world)
    world.clock.tick(hour - 1)
    expect(await codeOf(enter(world, intime))).toBe('done')
  })

  it.each<[string, (world: World) => void]>([
    ['was demoted', (world) => world.change('boss', { may: ['start'] })],
    ['left', (world) => world.users.delete('boss')],
    ['was locked', (world) => world.change('boss', { active: false })],
    ['has another role', (world) => world.change('boss', { role: 'intern' })],
  ])('is refused when one of those who said yes %s', async (_what, change) => {
    const world = scene({ quorum: 2, roles: ['admin'] })
    const request = await ask(world)
    await approve(world, request, 'boss')
    await approve(world, request, 'lead')
    const boss = world.users.get('boss') as User
    change(world)
    expect(await codeOf(enter(world, request))).toBe('second_admin_required')
    expect(await world.active()).toEqual([])
    world.users.set('boss', boss)
    expect(await codeOf(enter(world, request))).toBe('done')
  })

  it('is refused when one of them may not for this target any more', async () => {
    let denied = false
    const world = scene(
      {},
      {
        can: (user, action, target) =>
          (user.may?.includes(action) ?? false) &&
          !(denied && action === 'approve' && target !== undefined),
      },
    )
    const request = await given(world)
    denied = true
    expect(await codeOf(enter(world, request))).toBe('second_admin_required')
  })

  it('is refused where more are asked for by now', async () => {
    const world = scene()
    const request = await given(world)
    const stricter = world.another({ approvals: { quorum: 2 } })
    const start = world.start('sup', 'alice', { approvalId: request.id }, stricter)
    expect(await codeOf(start)).toBe('second_admin_required')
  })

  it('stands beside consent: where both are asked for, both are needed', async () => {
    const world = scene({}, { consent: 'required' })
    const request = await given(world)
    expect(await codeOf(enter(world, request))).toBe('grant_required')
    const { grants } = world.engine
    const asked = await grants.request(world.caller('sup'), { targetUserId: 'alice', reason: 'x' })
    await grants.approve(world.caller('alice'), asked.id)
    const consented = world.start('sup', 'alice', { grantId: asked.id })
    expect(await codeOf(consented)).toBe('second_admin_required')
    const session = await enter(world, request, { grantId: asked.id })
    expect(session.grantId).toBe(asked.id)
    expect((await stored(world, request)).status).toBe('used')
  })

  it('that finds somebody else there leaves the approval as it was', async () => {
    const world = scene({ levels: ['full'] })
    const request = await given(world)
    await world.start('root', 'alice')
    expect(await codeOf(enter(world, request))).toBe('target_already_impersonated')
    expect((await stored(world, request)).status).toBe('approved')
  })

  it('by break-glass needs none, and no request of one kind is good for the other', async () => {
    const may = ['start', 'break_glass', 'confirm_break_glass', 'approve']
    const world = scene({}, { breakGlass: { verifySecondFactor: () => true } })
    for (const id of ['sup', 'boss']) world.change(id, { may })
    const { breakGlass, approvals } = world.engine
    const about = { targetUserId: 'alice', reason: 'why', totp: '1' }
    const glass = await breakGlass.open(world.caller('sup'), about)
    const approval = await ask(world)
    expect(await codeOf(approve(world, glass))).toBe('request_not_found')
    expect(await codeOf(answer(world, 'withdraw', glass, 'sup'))).toBe('request_not_found')
    expect(await codeOf(enter(world, glass))).toBe('request_not_found')
    expect(await codeOf(breakGlass.confirm(world.caller('boss'), approval.id, '2'))).toBe(
      'request_not_found',
    )
    const page = { limit: 9 }
    expect(await approvals.list(world.caller('sup'), page)).toEqual([approval])
    expect(await breakGlass.list(world.caller('sup'), page)).toEqual([glass])
    const started = await breakGlass.confirm(world.caller('boss'), glass.id, '3')
    expect(started.session).toMatchObject({ actorId: 'sup', breakGlass: true })
  })
})

describe('lists', () => {
  it('give whoever asked their own, and colleagues what waits for them', async () => {
    const world = scene({ quorum: 2 })
    const first = await ask(world)
    world.clock.tick(minute)
    const second = await ask(world, { targetUserId: 'bob' }, 'boss')
    const { approvals } = world.engine
    const ids = async (verb: 'list' | 'waiting', who: string) =>
      (await approvals[verb](world.caller(who), { limit: 9 })).map(({ id }) => id)
    expect(await ids('list', 'sup')).toEqual([first.id])
    expect(await ids('list', 'boss')).toEqual([second.id])
    expect(await ids('waiting', 'boss')).toEqual([first.id])
    expect(await ids('waiting', 'eye')).toEqual([second.id, first.id])
    await approve(world, second, 'eye')
    expect(await ids('waiting', 'eye')).toEqual([first.id])
    expect(await ids('waiting', 'lead')).toEqual([second.id, first.id])
    for (const who of ['sup', 'mallory'])
      expect(await codeOf(approvals.waiting(world.caller(who), { limit: 1 }))).toBe('not_allowed')
    for (const who of ['eye', 'mallory'])
      expect(await codeOf(approvals.list(world.caller(who), { limit: 1 }))).toBe('not_allowed')
  })
})

describe('a store that fails', () => {
  const page = { limit: 1000 }
  const verbs = [...requestVerbs, 'claimSession'] as const
  const faults = ['before', 'after', 'garbage', 'hang'] as const
  const cases = verbs.flatMap((verb) =>
    faults.flatMap((fault) => [1, 2, 3].map((nth) => [verb, fault, nth] as const)),
  )

  async function check(inner: Store): Promise<void> {
    const all = (await inner.requests?.listRequests({}, page)) ?? []
    for (const session of await inner.listSessions({}, page)) {
      const own = all.filter(({ sessionId }) => sessionId === session.id)
      expect(own).toMatchObject([{ status: 'used', actorId: 'sup', approvedBy: ['boss'] }])
    }
    for (const { status, sessionId } of all) expect(status === 'used').toBe(sessionId !== null)
  }

  it.each(cases)('at %s (%s, call %i) opens nothing that was not approved', async (...plan) => {
    const [verb, fault, nth] = plan
    const inner = memoryStore()
    const store = faultyStore(inner)
    const world = scene({}, { storeTimeoutMs: 5 }, store)
    store.plan({ [verb]: { [nth]: fault } })
    await codeOf(ask(world))
    const [request] = (await inner.requests?.listRequests({}, page)) ?? []
    if (request) {
      await codeOf(approve(world, request))
      await codeOf(enter(world, request))
      await check(inner)
      store.plan({})
      store.release()
      await codeOf(approve(world, request))
      const last = await codeOf(enter(world, request))
      expect(['done', 'request_not_pending']).toContain(last)
      await check(inner)
    }
  })
})
