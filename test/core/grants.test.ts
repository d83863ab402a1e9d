import { describe, expect, it } from 'vitest'
import {
  type AccessLevel,
  type Grant,
  type ImpersonationOptions,
  memoryStore,
  type Store,
} from '../../src/index.ts'
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

type Options = Partial<ImpersonationOptions<User>>
const consenting = (options: Options = {}) => worldOf({ consent: 'required', ...options })

const ask = (world: World, more: object = {}, who = 'root', on: Engine = world.engine) =>
  on.grants.request(world.caller(who, on), {
    targetUserId: 'alice',
    reason: 'ticket 7',
    accessLevel: 'interactive',
    durationMs: 2 * hour,
    ...more,
  })
const approve = (world: World, grant: Grant, lower = {}, who: string | User = 'alice') =>
  world.engine.grants.approve(world.caller(who), grant.id, lower)
const enter = (world: World, grant: Grant, more: object = {}, who = 'root') =>
  world.start(who, grant.targetUserId, { grantId: grant.id, ...more })

async function given(world: World, more: object = {}, lower = {}): Promise<Grant> {
  return approve(world, await ask(world, more), lower)
}
const statusOf = async (world: World, { id }: Grant) =>
  (await world.store.grants?.readGrant(id))?.status
const grantEvents = async (world: World, { id }: Grant) =>
  (await world.store.listEvents({ action: 'grant.*' }, { limit: 100 }))
    .filter(({ grantId }) => grantId === id)
    .map(({ action }) => action.replace('grant.', ''))
    .sort()

describe('asking', () => {
  it('makes a pending grant, with its event, and opens nothing', async () => {
    const world = consenting()
    const grant = await ask(world, { ticket: 'T-1' })
    expect(grant).toMatchObject({
      actorId: 'root',
      targetUserId: 'alice',
      accessLevel: 'interactive',
      requestedAccessLevel: 'interactive',
      reason: 'ticket 7',
      ticket: 'T-1',
      status: 'pending',
      createdAt: noon,
      decidedAt: null,
      expiresAt: noon + 12 * hour,
      durationMs: 2 * hour,
      revision: 1,
    })
    expect(await world.store.grants?.readGrant(grant.id)).toEqual(grant)
    expect(await grantEvents(world, grant)).toEqual(['requested'])
    expect(await world.active()).toEqual([])
  })

  it('has defaults: the default level, a day', async () => {
    const world = consenting({ defaultAccessLevel: 'full', grantRequestMs: minute })
    const grant = await ask(world, { accessLevel: undefined, durationMs: undefined })
    expect([grant.accessLevel, grant.durationMs, grant.expiresAt]).toEqual([
      'full',
      day,
      noon + minute,
    ])
  })

  it.each<[string, string, object, string?]>([
    ['by somebody who may not start', 'not_allowed', {}, 'mallory'],
    ['for oneself', 'self_impersonation', { targetUserId: ' root' }],
    ['for somebody privileged', 'target_protected', { targetUserId: 'boss' }],
    ['for nobody', 'target_not_found', { targetUserId: 'nobody' }],
    ['without a reason', 'invalid_request', { reason: undefined }],
    ['with a blank one', 'invalid_request', { reason: ' \u200b' }],
    ['for no time', 'invalid_request', { durationMs: 0 }],
    ['for more than 30 days', 'invalid_request', { durationMs: 30 * day + 1 }],
    ['at no level', 'invalid_request', { accessLevel: 'root' }],
  ])('%s is refused as a start would be: %s', async (_what, code, more, who) => {
    const world = consenting()
    expect(await codeOf(ask(world, more, who))).toBe(code)
    expect(await world.store.grants?.listGrants({}, { limit: 9 })).toEqual([])
    const [refusal] = await world.store.listEvents(
      { action: 'impersonation.refused' },
      { limit: 9 },
    )
    expect(refusal?.code).toBe(code)
  })

  it('with a login that is an impersonation is refused', async () => {
    const world = consenting()
    const nested = world.engine.caller({ id: 'root', may: ['start'], act: { sub: 'x' } } as never)
    const asked = world.engine.grants.request(nested, { targetUserId: 'alice', reason: 'why' })
    expect(await codeOf(asked)).toBe('nested_impersonation')
  })

  it('may be done as often as one may start', async () => {
    const world = consenting({ rateLimit: { starts: 2, perMs: hour } })
    await ask(world)
    await ask(world)
    expect(await codeOf(ask(world))).toBe('rate_limited')
    world.clock.tick(hour)
    expect(await codeOf(ask(world))).toBe('done')
  })

  it('is not there while consent is off', async () => {
    const world = worldOf()
    expect(await codeOf(ask(world))).toBe('route_not_found')
  })
})

describe('answering', () => {
  it('yes grants it from then on', async () => {
    const world = consenting()
    const grant = await ask(world)
    world.clock.tick(hour)
    const yes = await approve(world, grant)
    expect(yes).toEqual({
      ...grant,
      status: 'granted',
      decidedAt: noon + hour,
      expiresAt: noon + 3 * hour,
      revision: 2,
    })
    expect(await grantEvents(world, grant)).toEqual(['granted', 'requested'])
    expect(await approve(world, grant)).toEqual(yes)
    expect(await grantEvents(world, grant)).toEqual(['granted', 'requested'])
  })

  it('yes may be to less, not to more', async () => {
    const world = consenting()
    const grant = await ask(world)
    for (const more of [
      { accessLevel: 'full' },
      { accessLevel: 'root' },
      { durationMs: 2 * hour + 1 },
      { durationMs: 0 },
    ])
      expect(await codeOf(approve(world, grant, more))).toBe('invalid_request')
    const less = await approve(world, grant, { accessLevel: 'view', durationMs: minute })
    expect(less).toMatchObject({
      accessLevel: 'view',
      requestedAccessLevel: 'interactive',
      expiresAt: noon + minute,
    })
  })

  it('is for the target alone: not the operator, nor strangers, nor other admins', async () => {
    const world = consenting()
    const grant = await ask(world)
    for (const who of ['root', 'boss', 'bob', 'mallory']) {
      expect(await codeOf(approve(world, grant, {}, who))).toBe('grant_not_found')
      const caller = world.caller(who)
      expect(await codeOf(world.engine.grants.deny(caller, grant.id))).toBe('grant_not_found')
      expect(await codeOf(world.engine.grants.revoke(caller, grant.id))).toBe('grant_not_found')
    }
    expect(await codeOf(world.engine.grants.approve(world.caller('alice'), 'nothing'))).toBe(
      'grant_not_found',
    )
    expect(await statusOf(world, grant)).toBe('pending')
  })

  it('can’t be done while impersonated, whatever says so', async () => {
    const world = consenting()
    const grant = await ask(world)
    for (const nested of [{ act: { sub: 'root' } }, { impersonatedBy: 'root' }]) {
      const caller = world.engine.caller({ id: 'alice', ...nested } as never)
      for (const verb of ['approve', 'deny', 'revoke'] as const)
        expect(await codeOf(world.engine.grants[verb](caller, grant.id))).toBe(
          'nested_impersonation',
        )
    }
    expect(await statusOf(world, grant)).toBe('pending')
  })

  it('wants a fresh login where one is wanted, taking back does not', async () => {
    let loggedIn = noon
    const world = consenting({ freshAuth: { maxAgeMs: minute, authTime: () => loggedIn } })
    const grant = await ask(world)
    loggedIn = noon - minute - 1
    expect(await codeOf(approve(world, grant))).toBe('insufficient_user_authentication')
    const { deny, revoke } = world.engine.grants
    expect(await codeOf(deny(world.caller('alice'), grant.id))).toBe(
      'insufficient_user_authentication',
    )
    expect((await revoke(world.caller('alice'), grant.id)).status).toBe('revoked')
  })

  it.each<[string, (world: World, grant: Grant) => unknown, string, string]>([
    [
      'denied',
      (w, g) => w.engine.grants.deny(w.caller('alice'), g.id),
      'grant_not_granted',
      'denied',
    ],
    [
      'withdrawn',
      (w, g) => w.engine.grants.withdraw(w.caller('root'), g.id),
      'grant_not_granted',
      'revoked',
    ],
    [
      'revoked',
      (w, g) => w.engine.grants.revoke(w.caller('alice'), g.id),
      'grant_not_granted',
      'revoked',
    ],
    ['unanswered for 12 h', (w) => w.clock.tick(12 * hour), 'grant_expired', 'expired'],
  ])('%s stays so: no yes to it any more', async (_what, change, code, status) => {
    const world = consenting()
    const grant = await ask(world)
    await change(world, grant)
    expect(await codeOf(approve(world, grant))).toBe(code)
    expect(await codeOf(enter(world, grant))).toBe(code)
    expect(await statusOf(world, grant)).toBe(status)
    expect((await grantEvents(world, grant)).filter((name) => name !== 'requested')).toEqual([
      status,
    ])
  })

  it('no is no, also said twice', async () => {
    const world = consenting()
    const grant = await ask(world)
    const { deny } = world.engine.grants
    const no = await deny(world.caller('alice'), grant.id)
    expect(no).toMatchObject({ status: 'denied', decidedAt: noon })
    expect(await deny(world.caller('alice'), grant.id)).toEqual(no)
    expect(await grantEvents(world, grant)).toEqual(['denied', 'requested'])
    const yes = await given(world)
    expect(await codeOf(deny(world.caller('alice'), yes.id))).toBe('grant_not_granted')
  })

  it('one moment before it lapses it may be answered, at that moment not', async () => {
    const world = consenting()
    const [early, late] = [await ask(world), await ask(world)]
    world.clock.tick(12 * hour - 1)
    expect((await approve(world, early)).status).toBe('granted')
    world.clock.tick(1)
    expect(await codeOf(approve(world, late))).toBe('grant_expired')
  })
})

describe('entering', () => {
  it('wants a grant where the target has to consent', async () => {
    const world = consenting()
    expect(await codeOf(world.start('root', 'alice'))).toBe('grant_required')
    const grant = await given(world)
    const session = await enter(world, grant)
    expect(session).toMatchObject({ grantId: grant.id, accessLevel: 'view', reason: 'ticket 7' })
    expect((await world.send('root')).line).toBe('alice')
  })

  it.each<[string, string, (world: World) => Promise<unknown>]>([
    ['of another actor', 'grant_not_found', async (w) => enter(w, await given(w), {}, 'boss')],
    ['that is not there', 'grant_not_found', (w) => w.start('root', 'alice', { grantId: 'none' })],
    [
      'of another target',
      'not_allowed',
      async (w) => w.start('root', 'bob', { grantId: (await given(w)).id }),
    ],
    ['that nobody answered', 'grant_not_granted', async (w) => enter(w, await ask(w))],
    [
      'that has expired this moment',
      'grant_expired',
      async (w) => {
        const grant = await given(w)
        w.clock.tick(2 * hour)
        return enter(w, grant)
      },
    ],
    [
      'for less',
      'access_level_exceeds_grant',
      async (w) =>
        enter(w, await given(w, {}, { accessLevel: 'view' }), { accessLevel: 'interactive' }),
    ],
    [
      'for longer than half an hour',
      'invalid_request',
      async (w) => enter(w, await given(w), { durationMs: 30 * minute + 1 }),
    ],
  ])('a grant %s opens nothing: %s', async (_what, code, attempt) => {
    const world = consenting()
    expect(await codeOf(attempt(world))).toBe(code)
    expect(await world.active()).toEqual([])
    const [refusal] = await world.store.listEvents(
      { action: 'impersonation.refused' },
      { limit: 9 },
    )
    expect(refusal?.code).toBe(code)
  })

  it('goes up to the level that was given', async () => {
    const allowed: Record<AccessLevel, AccessLevel[]> = {
      view: ['view'],
      interactive: ['view', 'interactive'],
      full: ['view', 'interactive', 'full'],
    }
    for (const level of ['view', 'interactive', 'full'] as const)
      for (const asked of ['view', 'interactive', 'full'] as const) {
        const world = consenting()
        const grant = await given(world, { accessLevel: level })
        expect(await codeOf(enter(world, grant, { accessLevel: asked }))).toBe(
          allowed[level].includes(asked) ? 'done' : 'access_level_exceeds_grant',
        )
      }
  })

  it('ends with the grant or after half an hour, whichever is first, extensions included', async () => {
    const world = consenting({ defaultDurationMs: 45 * minute })
    const long = await enter(world, await given(world))
    expect(long.expiresAt).toBe(noon + 30 * minute)
    const caller = world.caller('root')
    expect((await world.engine.sessions.extend(caller, hour)).expiresAt).toBe(noon + 30 * minute)
    await world.engine.sessions.stop(caller)
    const short = await enter(world, await given(world, { durationMs: 20 * minute }), {
      durationMs: 10 * minute,
    })
    expect(short.expiresAt).toBe(noon + 10 * minute)
    expect((await world.engine.sessions.extend(caller, hour)).expiresAt).toBe(noon + 20 * minute)
    await world.engine.sessions.stop(caller)
    const shorter = await enter(world, await given(world, { durationMs: 5 * minute }))
    expect(shorter.expiresAt).toBe(noon + 5 * minute)
  })

  it('is for once: the first exit uses it up', async () => {
    for (const exit of [
      (world: World) => world.engine.sessions.stop(world.caller('root')),
      (world: World) => {
        world.clock.tick(30 * minute)
        return world.engine.reap()
      },
      async (world: World) => {
        const [session] = await world.active()
        await world.engine.sessions.revoke(world.caller('boss'), session?.id ?? '')
      },
    ]) {
      const world = consenting()
      const grant = await given(world)
      await enter(world, grant)
      await exit(world)
      expect(await statusOf(world, grant)).toBe('used')
      expect(await grantEvents(world, grant)).toEqual(['granted', 'requested', 'used'])
      expect(await codeOf(enter(world, grant))).toBe('grant_already_in_use')
      expect(await codeOf(approve(world, grant))).toBe('grant_already_in_use')
      // What is over can't be taken back; saying so again changes nothing.
      expect((await world.engine.grants.revoke(world.caller('alice'), grant.id)).status).toBe(
        'used',
      )
    }
  })

  it('replaces nothing: one at a time, with the three codes', async () => {
    const world = consenting({ consent: (_actor, target) => target.id === 'alice' })
    await world.start('root', 'bob')
    const grant = await given(world)
    expect(await codeOf(enter(world, grant))).toBe('impersonation_already_active')
    await world.engine.sessions.stop(world.caller('root'))
    await enter(world, grant)
    expect(await codeOf(enter(world, grant))).toBe('impersonation_already_active')
    const theirs = await approve(world, await ask(world, {}, 'boss'))
    expect(await codeOf(enter(world, theirs, {}, 'boss'))).toBe('target_already_impersonated')
    const free = consenting({ exclusiveTarget: false })
    const one = await given(free)
    await enter(free, one)
    expect(await codeOf(enter(free, one))).toBe('impersonation_already_active')
  })

  it('a grant that is revoked ends its session at once, and the actor is told why', async () => {
    const world = consenting()
    const grant = await given(world)
    const session = await enter(world, grant)
    expect((await world.send('root')).line).toBe('alice')
    const revoked = await world.engine.grants.revoke(world.caller('alice'), grant.id)
    expect(revoked.status).toBe('revoked')
    expect((await world.send('root', { method: 'POST', pin: session.id })).line).toBe(
      '401 grant_revoked',
    )
    expect((await world.send('root', { method: 'POST' })).line).toBe('401 grant_revoked')
    expect(await world.store.readSession(session.id)).toMatchObject({
      status: 'revoked',
      endedReason: 'grant_revoked',
      endedBy: 'alice',
    })
    expect(await grantEvents(world, grant)).toEqual(['granted', 'requested', 'revoked'])
    expect(await world.actions(session.id)).toEqual(['revoked', 'started'])
  })

  it('on another process within two seconds, an operator who takes it back ends their own', async () => {
    const world = consenting()
    const other = world.another()
    const grant = await given(world)
    await world.start('root', 'alice', { grantId: grant.id }, other)
    expect((await world.send('root', {}, other)).line).toBe('alice')
    await world.engine.grants.withdraw(world.caller('root'), grant.id)
    world.clock.tick(2000)
    expect((await world.send('root', { method: 'POST' }, other)).line).toBe('401 grant_revoked')
  })
})

describe('the rule of consent', () => {
  const attempt = (options: Options) => codeOf(consenting(options).start('root', 'alice'))

  it.each<[unknown, string]>([
    ['off', 'done'],
    ['required', 'grant_required'],
    [() => false, 'done'],
    [() => 'off', 'done'],
    [async () => false, 'done'],
    [() => true, 'grant_required'],
    [() => 'required', 'grant_required'],
    [() => undefined, 'grant_required'],
    [() => null, 'grant_required'],
    [() => 0, 'grant_required'],
    [() => 'forbidden', 'not_allowed'],
    [async () => 'forbidden', 'not_allowed'],
    [() => Promise.reject(new Error('down')), 'grant_required'],
    [
      () => {
        throw new Error('broken')
      },
      'grant_required',
    ],
  ])('%s: %s', async (consent, answer) => {
    expect(await attempt({ consent: consent as never })).toBe(answer)
  })

  it('sees both people, and a grant opens where none is needed, too', async () => {
    const seen: string[] = []
    const world = consenting({
      consent: (actor, target) => {
        seen.push(`${actor.id} ${target.id}`)
        return target.id !== 'bob'
      },
    })
    await world.start('root', 'bob')
    await world.engine.sessions.stop(world.caller('root'))
    expect(await codeOf(world.start('root', 'alice'))).toBe('grant_required')
    expect(seen).toEqual(['root bob', 'root alice'])
    const unneeded = await world.engine.grants.request(world.caller('root'), {
      targetUserId: 'bob',
      reason: 'why',
    })
    await approve(world, unneeded, {}, 'bob')
    expect((await enter(world, unneeded)).grantId).toBe(unneeded.id)
  })

  it('forbids also with a grant', async () => {
    let rule: 'required' | 'forbidden' = 'required'
    const world = consenting({ consent: () => rule })
    const grant = await given(world)
    rule = 'forbidden'
    expect(await codeOf(enter(world, grant))).toBe('not_allowed')
  })

  it('needs a store with grants, said when the engine is made', () => {
    const { grants: _, ...bare } = memoryStore()
    const store = bare as Store
    expect(() => worldOf({ consent: 'required' }, store)).toThrow(
      'option "consent" must be left out with this store: its section "grants" lacks createGrant, readGrant, listGrants, changeGrant',
    )
    expect(() => worldOf({ consent: () => true }, { ...store, grants: {} as never })).toThrow(
      'lacks',
    )
    expect(() => worldOf({ consent: 'off' }, store)).not.toThrow()
    expect(() => worldOf({ consent: 'maybe' as never })).toThrow('option "consent"')
  })
})

describe('lists', () => {
  it('show each side their own', async () => {
    const world = consenting()
    const grant = await ask(world)
    world.clock.tick(1)
    const other = await ask(world, { targetUserId: 'bob' }, 'boss')
    const page = { limit: 10 }
    const { list, mine } = world.engine.grants
    const ids = (grants: Grant[]) => grants.map(({ id }) => id)
    expect(ids(await list(world.caller('root'), page))).toEqual([grant.id])
    expect(ids(await list(world.caller('boss'), page))).toEqual([other.id])
    expect(ids(await mine(world.caller('alice'), page))).toEqual([grant.id])
    expect(ids(await mine(world.caller('bob'), page))).toEqual([other.id])
    expect(await mine(world.caller('mallory'), page)).toEqual([])
    expect(await codeOf(list(world.caller('alice'), page))).toBe('not_allowed')
  })
})

describe('the reaper', () => {
  it('closes what nobody answered and what nobody used, each with its event', async () => {
    const world = consenting()
    const [asked, unused] = [await ask(world), await given(world)]
    world.clock.tick(2 * hour)
    await world.engine.reap()
    expect(await statusOf(world, unused)).toBe('expired')
    expect(await statusOf(world, asked)).toBe('pending')
    world.clock.tick(10 * hour)
    await world.engine.reap()
    expect(await statusOf(world, asked)).toBe('expired')
    expect(await grantEvents(world, asked)).toEqual(['expired', 'requested'])
    expect(await grantEvents(world, unused)).toEqual(['expired', 'granted', 'requested'])
  })

  it('a grant whose session runs out with it was used', async () => {
    const world = consenting()
    const grant = await given(world, { durationMs: 10 * minute })
    await enter(world, grant)
    world.clock.tick(10 * minute)
    await world.engine.reap()
    expect(await statusOf(world, grant)).toBe('used')
  })
})

describe('what happens between', () => {
  it('a grant that runs out with its session was used, whoever notices first', async () => {
    const world = consenting()
    const grant = await given(world, { durationMs: 10 * minute })
    const session = await enter(world, grant)
    world.clock.tick(10 * minute)
    // The target comes before anybody has noticed that the session is over.
    const back = await world.engine.grants.revoke(world.caller('alice'), grant.id)
    expect(back.status).toBe('used')
    expect(await grantEvents(world, grant)).toEqual(['granted', 'requested', 'used'])
    expect(await world.actions(session.id)).toEqual(['expired', 'started', 'grant.used'].sort())
  })

  it('a revocation whose answer is lost lets nobody on, in the same process', async () => {
    const store = memoryStore()
    let lost = false
    const grants = store.grants as NonNullable<Store['grants']>
    const flaky: Store = {
      ...store,
      grants: {
        ...grants,
        async changeGrant(...args) {
          const result = await grants.changeGrant(...args)
          if (lost) throw new Error('the connection was cut after the commit')
          return result
        },
      },
    }
    const world = worldOf({ consent: 'required' }, flaky)
    const grant = await given(world)
    await enter(world, grant)
    expect((await world.send('root')).line).toBe('alice')
    lost = true
    const revoking = world.engine.grants.revoke(world.caller('alice'), grant.id)
    expect(await codeOf(revoking)).toBe('impersonation_unavailable')
    expect((await world.send('root', { method: 'POST' })).line).toBe('401 grant_revoked')
  })

  it('a yes, a no and a revocation at the same moment: one of them stands', async () => {
    for (let round = 0; round < 30; round++) {
      const world = consenting()
      const grant = await ask(world)
      const { approve: yes, deny, revoke, withdraw } = world.engine.grants
      const [alice, root] = [world.caller('alice'), world.caller('root')]
      await Promise.allSettled([
        yes(alice, grant.id),
        deny(alice, grant.id),
        withdraw(root, grant.id),
        revoke(alice, grant.id),
        enter(world, grant),
      ])
      const status = await statusOf(world, grant)
      expect(['denied', 'revoked']).toContain(status)
      const live = await world.active()
      expect(live).toEqual([])
    }
  })
})

describe('history', () => {
  it('tells of every time, by whom and why, to the target alone', async () => {
    const world = worldOf()
    const first = await world.start('root', 'alice', { ticket: 'T-1' })
    world.clock.tick(minute)
    await world.engine.sessions.stop(world.caller('root'))
    await world.start('boss', 'alice', { accessLevel: 'full' })
    const page = { limit: 10 }
    const [newest, oldest, ...more] = await world.engine.history(world.caller('alice'), page)
    expect(more).toEqual([])
    expect(newest).toMatchObject({ actor: { name: null, role: null } })
    expect(oldest).toEqual({
      actions: {},
      actor: { name: 'Rooty', role: 'admin' },
      session: expect.objectContaining({ id: first.id, status: 'stopped', ticket: 'T-1' }),
    })
    for (const who of ['root', 'bob', 'mallory'])
      expect(await world.engine.history(world.caller(who), page)).toEqual([])
  })

  it('shows of the operator what displayActor says, also when they are gone', async () => {
    const world = worldOf({
      displayActor: (actor, target) => ({ who: actor ? 'support' : 'somebody', for: target.id }),
    })
    await world.start('root', 'alice')
    const of = async () =>
      (await world.engine.history(world.caller('alice'), { limit: 1 }))[0]?.actor
    expect(await of()).toEqual({ who: 'support', for: 'alice' })
    world.users.delete('root')
    expect(await of()).toEqual({ who: 'somebody', for: 'alice' })
  })
})

describe('admins of an organisation', () => {
  /** `chief` may list and revoke what concerns members of their own organisation. */
  function tenants() {
    const world = worldOf({
      can: (user, action, target) =>
        user.may?.includes(action) ||
        (user.id === 'chief' &&
          target !== undefined &&
          action !== 'start' &&
          target.orgId === 'acme'),
    })
    world.users.set('chief', { id: 'chief', orgId: 'acme' })
    world.users.set('member', { id: 'member', orgId: 'acme' })
    world.users.set('stray', { id: 'stray', orgId: 'other' })
    world.change('alice', { orgId: 'acme' })
    world.change('bob', { orgId: 'other' })
    return world
  }

  it('see and end the sessions into it, and no others', async () => {
    const world = tenants()
    const { list, get, revoke } = world.engine.sessions
    const inside = await world.start('root', 'alice')
    const outside = await world.start('boss', 'bob')
    const chief = world.caller('chief')
    expect((await list(chief, {}, { limit: 9 })).map(({ id }) => id)).toEqual([inside.id])
    expect(await list(chief, { orgId: 'other' }, { limit: 9 })).toEqual([])
    expect(await list(chief, { actorId: 'boss' }, { limit: 9 })).toEqual([])
    expect((await get(chief, inside.id)).id).toBe(inside.id)
    expect(await codeOf(get(chief, outside.id))).toBe('session_not_found')
    expect(await codeOf(revoke(chief, outside.id))).toBe('session_not_found')
    expect(await codeOf(revoke(chief, 'nothing'))).toBe('session_not_found')
    expect(await revoke(chief, inside.id, 'no')).toMatchObject({
      status: 'revoked',
      endedBy: 'chief',
    })
    expect((await world.active()).map(({ id }) => id)).toEqual([outside.id])
  })

  it('are who `can` says they are', async () => {
    const world = tenants()
    const { id } = await world.start('root', 'alice')
    for (const who of ['member', 'alice', 'stray', 'mallory']) {
      const caller = world.caller(who)
      expect(await codeOf(world.engine.sessions.list(caller, {}, { limit: 9 }))).toBe('not_allowed')
      expect(await codeOf(world.engine.sessions.get(caller, id))).toBe('not_allowed')
      expect(await codeOf(world.engine.sessions.revoke(caller, id))).toBe('not_allowed')
    }
  })

  it('reach no other organisation, however much `can` allows with a target', async () => {
    const world = worldOf({
      can: (user, action, target) =>
        user.may?.includes(action) ||
        (user.id === 'chief' && target !== undefined && action !== 'start'),
    })
    world.users.set('chief', { id: 'chief', orgId: 'acme' })
    world.change('alice', { orgId: 'other' })
    for (const target of ['alice', 'bob']) {
      const { id } = await world.start('root', target)
      const chief = world.caller('chief')
      expect(await codeOf(world.engine.sessions.get(chief, id))).toBe('session_not_found')
      expect(await codeOf(world.engine.sessions.revoke(chief, id))).toBe('session_not_found')
      expect(await world.engine.sessions.list(chief, {}, { limit: 9 })).toEqual([])
    }
  })

  it('keep what they saw of accounts that are gone', async () => {
    const world = tenants()
    const { id } = await world.start('root', 'alice')
    await world.engine.sessions.stop(world.caller('root'))
    world.users.delete('alice')
    expect((await world.engine.sessions.get(world.caller('chief'), id)).id).toBe(id)
  })
})
