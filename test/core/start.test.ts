import { describe, expect, it } from 'vitest'
import { memoryStore, type StartRequest } from '../../src/index.ts'
import { codeOf, hour, minute, noon, second, type User, worldOf } from '../support/core-world.ts'

type World = ReturnType<typeof worldOf>

/** What a query builder gives: to be awaited, and no Promise. */
function thenable(answer: unknown): unknown {
  return Object.fromEntries([['then', (done: (value: unknown) => void) => done(answer)]])
}

/** Tries to start, and gives the code of the refusal; no refusal may leave a row or an unnamed event. */
async function attempt(
  world: World,
  who: string | User,
  target: string,
  more: Partial<StartRequest> = {},
): Promise<string> {
  const { store, engine } = world
  const count = async () => (await store.listSessions({}, { limit: 1000 })).length
  const before = await count()
  const refusals = async () =>
    store.listEvents({ action: 'impersonation.refused' }, { limit: 1000 })
  const told = (await refusals()).length
  const code = await codeOf(
    engine.sessions.start(world.caller(who), { targetUserId: target, reason: 'why', ...more }),
  )
  if (code === 'done') return code
  expect(await count(), 'a refusal leaves no row').toBe(before)
  const after = await refusals()
  // An answer that is the store's or the host's fault is no refusal.
  const isRefusal = code !== 'impersonation_unavailable' && !code.includes(' ')
  expect(after.length, `refusals told after ${code}`).toBe(told + (isRefusal ? 1 : 0))
  if (isRefusal) {
    expect(after).toContainEqual(
      expect.objectContaining({
        code,
        outcome: 'refused',
        actorId: world.caller(who).profile.id,
        targetUserId: target,
        sessionId: null,
      }),
    )
  }
  return code
}

describe('a start that is right', () => {
  it('opens a session that names both people, with one event', async () => {
    const world = worldOf()
    const { session, target, targetProfile } = await world.engine.sessions.start(
      world.caller('root'),
      { targetUserId: 'alice', reason: 'ticket 7', ticket: 'T-7', clientId: 'cli' },
    )
    expect(session).toMatchObject({
      actorId: 'root',
      targetUserId: 'alice',
      targetRole: 'customer',
      accessLevel: 'view',
      reason: 'ticket 7',
      ticket: 'T-7',
      clientId: 'cli',
      createdAt: noon,
      expiresAt: noon + 30 * minute,
      status: 'active',
      endedAt: null,
      transport: 'session',
    })
    expect(target).toBe(world.users.get('alice'))
    expect(targetProfile.email).toBe('alice@example.com')
    expect(await world.actions(session.id)).toEqual(['started'])
    expect((await world.send('root')).line).toBe('alice')
  })

  it('gives every session an id of its own', async () => {
    const world = worldOf()
    const ids = new Set<string>()
    for (let n = 0; n < 50; n++) ids.add((await world.start('root', n % 2 ? 'alice' : 'bob')).id)
    expect(ids.size).toBe(50)
  })
})

describe('who may start', () => {
  it('a user with the right, and nobody else', async () => {
    const world = worldOf()
    expect(await attempt(world, 'sup', 'alice')).toBe('done')
    expect(await attempt(world, 'mallory', 'bob')).toBe('not_allowed')
    expect(await attempt(world, 'alice', 'bob')).toBe('not_allowed')
  })

  it('by the route: nobody 401, a user 403', async () => {
    const world = worldOf()
    const start = {
      method: 'POST',
      path: '/impersonation/start',
      body: { target_user_id: 'alice', reason: 'why' },
    }
    expect((await world.send(null, start)).line).toBe('401 unauthenticated')
    expect((await world.send('mallory', start)).line).toBe('403 not_allowed')
    expect(await world.active()).toEqual([])
    expect((await world.send('root', start)).status).toBe(201)
  })

  it.each([false, 0, null, 'no', 2])('an inactive actor may not: active %s', async (active) => {
    const world = worldOf()
    const root = { ...world.users.get('root'), id: 'root', active } as User
    expect(await attempt(world, root, 'alice')).toBe('not_allowed')
  })

  it.each<[string, () => unknown, string]>([
    ['true', () => true, 'done'],
    ['a promise of true', async () => true, 'done'],
    ['a thenable of true', () => thenable(true), 'done'],
    ['1', () => 1, 'not_allowed'],
    ["'yes'", () => 'yes', 'not_allowed'],
    ['{}', () => ({}), 'not_allowed'],
    ['undefined', () => undefined, 'not_allowed'],
    ['a promise of 1', async () => 1, 'not_allowed'],
    ['a thenable of yes', () => thenable('yes'), 'not_allowed'],
    [
      'a throw',
      () => {
        throw new Error('no')
      },
      'not_allowed',
    ],
    ['a rejection', () => Promise.reject(new Error('no')), 'not_allowed'],
  ])('can answers %s', async (_, answer, expected) => {
    const world = worldOf({ can: (user) => (user.id === 'root' ? (answer() as boolean) : false) })
    expect(await attempt(world, 'root', 'alice')).toBe(expected)
  })

  it.each<[string, boolean | Promise<boolean>, string]>([
    ['yes', true, 'done'],
    ['no', false, 'not_allowed'],
    ['later no', Promise.resolve(false), 'not_allowed'],
  ])('can is asked about the very target: %s', async (_, answer, expected) => {
    const seen: unknown[] = []
    const world = worldOf({
      can: (user, action, target) => {
        if (target === undefined) return user.id === 'root'
        seen.push([user.id, action, target.id])
        return answer
      },
    })
    expect(await attempt(world, 'root', 'alice')).toBe(expected)
    expect(seen).toEqual([['root', 'start', 'alice']])
  })

  it.each([
    { act: { sub: 'boss' } },
    { impersonatedBy: 'boss' },
    { impersonated_by: 'boss' },
    { act: '', impersonatedBy: 'boss' },
    { act: null, impersonatedBy: undefined, impersonated_by: 'boss' },
  ])('not with a login that is itself an impersonation: %o', async (mark) => {
    const world = worldOf()
    const root = { ...(world.users.get('root') as User), ...mark }
    expect(await attempt(world, root, 'alice')).toBe('nested_impersonation')
  })

  it('a login whose marks are empty is an ordinary one', async () => {
    const world = worldOf()
    const root = { ...(world.users.get('root') as User), act: null, impersonatedBy: null }
    expect(await attempt(world, root, 'alice')).toBe('done')
  })
})

describe('whom', () => {
  it.each([
    'root',
    ' root',
    'root ',
    'ro\u200bot',
    '\u{feff}root',
    'root\u{2060}',
    'ｒｏｏｔ',
    'ro\u00adot',
    '\troot\n',
    'root\u{e0041}',
  ])('not oneself, however it is written: %j', async (target) => {
    const users = worldOf()
    if (!users.users.has(target)) users.users.set(target, { id: target })
    expect(await attempt(users, 'root', target)).toBe('self_impersonation')
  })

  it('ids that differ by case are two people', async () => {
    const world = worldOf()
    world.users.set('Root', { id: 'Root' })
    expect(await attempt(world, 'root', 'Root')).toBe('done')
  })

  it('not a privileged user', async () => {
    const world = worldOf()
    expect(await attempt(world, 'root', 'boss')).toBe('target_protected')
    expect(await attempt(world, 'root', 'sup')).toBe('target_protected')
  })

  it('not a user of whom can cannot tell whether they are privileged', async () => {
    const world = worldOf({
      can: (user) => {
        if (user.id === 'alice') throw new Error('the roles service is down')
        return user.id === 'root'
      },
    })
    expect(await attempt(world, 'root', 'alice')).toBe('target_protected')
  })

  it.each(['nobody', 'Alice', 'alice ', '__proto__', '../alice'])(
    'not %j, who is unknown',
    async (target) => {
      expect(await attempt(worldOf(), 'root', target)).toBe('target_not_found')
    },
  )

  it.each([false, 0, null])('not an inactive one: active %s', async (active) => {
    const world = worldOf()
    world.change('alice', { active })
    expect(await attempt(world, 'root', 'alice')).toBe('target_inactive')
  })

  it.each([undefined, true, 1])('active may be %s', async (active) => {
    const world = worldOf()
    world.users.set('alice', { id: 'alice', ...(active !== undefined && { active }) })
    expect(await attempt(world, 'root', 'alice')).toBe('done')
  })

  it('a lookup that gives somebody else has found nobody', async () => {
    const world = worldOf({ findUser: () => ({ id: 'bob' }) })
    expect(await attempt(world, 'root', 'alice')).toBe('target_not_found')
  })

  it.each([null, undefined])('a lookup may say %s', async (nobody) => {
    const world = worldOf({ findUser: async () => nobody })
    expect(await attempt(world, 'root', 'alice')).toBe('target_not_found')
  })

  it('a lookup that fails is 503, no refusal', async () => {
    const thrown = worldOf({
      findUser: () => {
        throw new Error('the user database is down')
      },
    })
    expect(await attempt(thrown, 'root', 'alice')).toBe('impersonation_unavailable')
    const rejected = worldOf({ findUser: () => Promise.reject(new Error('down')) })
    expect(await attempt(rejected, 'root', 'alice')).toBe('impersonation_unavailable')
  })

  it.each(['', 'x'.repeat(256), undefined, null, 7, ['alice'], { id: 'alice' }])(
    'a target must be an id: %j',
    async (target) => {
      const world = worldOf()
      const start = world.engine.sessions.start(world.caller('root'), {
        targetUserId: target as string,
        reason: 'why',
      })
      expect(await codeOf(start)).toBe('invalid_request')
      expect(await world.active()).toEqual([])
    },
  )
})

describe('describe', () => {
  it('that throws of the actor is a fault of the wiring, and runs nothing', async () => {
    const world = worldOf({
      describe: () => {
        throw new Error('no such column')
      },
    })
    await expect(world.send('root')).rejects.toThrow('no such column')
    expect(() => world.caller('root')).toThrow('no such column')
  })

  it('that throws of the target opens nothing', async () => {
    const world = worldOf({
      describe: (user) => {
        if (user.id === 'alice') throw new Error('no such column')
        return { id: user.id }
      },
    })
    expect(await attempt(world, 'root', 'alice')).toContain('no such column')
    expect(await world.active()).toEqual([])
  })

  it.each([7, 7n, undefined, null, '', 'a\0b', 'x'.repeat(256), ['root'], {}])(
    'ids are strings, never coerced: %s',
    async (id) => {
      const world = worldOf({ can: () => true })
      const root = { ...world.users.get('root'), id } as unknown as User
      expect(() => world.engine.caller(root)).toThrow(TypeError)
      await expect(world.send(root)).rejects.toThrow(TypeError)
    },
  )

  it('of a user who may not start is not needed', async () => {
    const world = worldOf({ can: () => false })
    const guest = { id: 7 } as unknown as User
    const outcome = await world.send(guest)
    expect(outcome).toMatchObject({ status: 200, context: null })
  })

  it('may keep two tables apart by a prefix', async () => {
    const customers = new Map([['1', { id: '1' }]])
    const world = worldOf({
      findUser: (id) => customers.get(id.replace(/^c:/, '')) ?? null,
      describe: (user) => ({ id: user.may ? `s:${user.id}` : `c:${user.id}` }),
    })
    const staff: User = { id: '1', may: ['start'] }
    const { session } = await world.engine.sessions.start(world.engine.caller(staff), {
      targetUserId: 'c:1',
      reason: 'why',
    })
    expect(session).toMatchObject({ actorId: 's:1', targetUserId: 'c:1' })
    expect((await world.send(staff)).user).toBe(customers.get('1'))
  })
})

describe('organisations', () => {
  function orgWorld() {
    const homes: Record<string, readonly string[]> = { alice: ['acme', 'globex'], bob: ['acme'] }
    const world = worldOf({
      findUser(id, scope) {
        const user = world.users.get(id)
        const orgs = homes[id]
        if (!user || !orgs) return null
        if (scope && !orgs.includes(scope.orgId)) return null
        return { ...user, orgId: scope?.orgId ?? orgs[0] ?? null }
      },
    })
    return { world, homes }
  }

  it('a member, in that organisation', async () => {
    const { world } = orgWorld()
    const session = await world.start('root', 'alice', { targetOrgId: 'globex' })
    expect(session.targetOrgId).toBe('globex')
    const outcome = await world.send('root')
    expect(outcome.user?.orgId).toBe('globex')
  })

  it('without a word of it, their own', async () => {
    const { world } = orgWorld()
    expect((await world.start('root', 'alice')).targetOrgId).toBe('acme')
  })

  it('not a member: refused', async () => {
    const { world } = orgWorld()
    expect(await attempt(world, 'root', 'bob', { targetOrgId: 'globex' })).toBe('not_allowed')
    expect(await attempt(world, 'root', 'bob', { targetOrgId: 'made up' })).toBe('not_allowed')
  })

  it('a lookup that ignores the organisation does not open another one', async () => {
    const world = worldOf()
    world.change('alice', { orgId: 'acme' })
    expect(await attempt(world, 'root', 'alice', { targetOrgId: 'globex' })).toBe('not_allowed')
  })

  it('somebody who left is not impersonated in it any more', async () => {
    const { world, homes } = orgWorld()
    const session = await world.start('root', 'alice', { targetOrgId: 'globex' })
    homes.alice = ['acme']
    world.clock.tick(2 * second)
    expect((await world.send('root', { method: 'POST' })).line).toBe('401 impersonation_revoked')
    expect(await world.actions(session.id)).toEqual(['revoked', 'started'])
  })

  it('nor where the lookup ignores the organisation and tells of another one', async () => {
    const world = worldOf()
    world.change('alice', { orgId: 'acme' })
    const session = await world.start('root', 'alice')
    world.change('alice', { orgId: 'globex' })
    world.clock.tick(2 * second)
    const outcome = await world.send('root', { pin: session.id })
    expect(outcome.ran).toBeNull()
    expect(outcome.code).toBe('impersonation_revoked')
  })
})

describe('levels, durations, reasons', () => {
  it.each(['view', 'interactive', 'full'] as const)('%s', async (accessLevel) => {
    const world = worldOf()
    expect((await world.start('root', 'alice', { accessLevel })).accessLevel).toBe(accessLevel)
  })

  it.each(['View', 'admin', '', null, 1])('no level is called %j', async (accessLevel) => {
    expect(await attempt(worldOf(), 'root', 'alice', { accessLevel } as never)).toBe(
      'invalid_request',
    )
  })

  it('the default level is the one that the options say', async () => {
    const world = worldOf({ defaultAccessLevel: 'interactive', defaultDurationMs: 5 * minute })
    const session = await world.start('root', 'alice')
    expect(session).toMatchObject({ accessLevel: 'interactive', expiresAt: noon + 5 * minute })
  })

  it.each([1, 60_000, hour])('lasts %d ms when told so', async (durationMs) => {
    const session = await worldOf().start('root', 'alice', { durationMs })
    expect(session.expiresAt).toBe(noon + durationMs)
  })

  it.each([0, -1, 0.5, hour + 1, 1e308, Number.NaN, Number.POSITIVE_INFINITY, '60', null, {}])(
    'does not last %s',
    async (durationMs) => {
      expect(await attempt(worldOf(), 'root', 'alice', { durationMs } as never)).toBe(
        'invalid_request',
      )
    },
  )

  it.each([
    ['a word', 'x'],
    ['500 letters', 'x'.repeat(500)],
    ['500 emoji', '😀'.repeat(500)],
    ['500 letters and as many zero-width ones', 'x\u200b'.repeat(500)],
    ['two lines', 'one\ntwo'],
    ['right to left', 'סיבה'],
  ])('a reason may be %s, and is kept whole', async (_, reason) => {
    expect((await worldOf().start('root', 'alice', { reason })).reason).toBe(reason)
  })

  it.each([
    ['missing', undefined],
    ['empty', ''],
    ['blank', ' \t\n'],
    ['of zero-width characters', '\u200b\u2060\ufeff'],
    ['of no-break and ideographic spaces', '\u00a0\u3000\u2003'],
    ['an empty braille cell', '\u2800'],
    ['of control characters', '\u0001\u0002'],
    ['501 letters', 'x'.repeat(501)],
    ['501 emoji', '😀'.repeat(501)],
    ['with a NUL', 'a\0b'],
  ])('a reason may not be %s', async (_, reason) => {
    expect(await attempt(worldOf(), 'root', 'alice', { reason })).toBe('invalid_request')
  })

  it('half a surrogate pair is mended', async () => {
    const session = await worldOf().start('root', 'alice', { reason: 'x\ud83d', ticket: '\udc00' })
    expect(session).toMatchObject({ reason: 'x\ufffd', ticket: '\ufffd' })
  })

  it('a reason may be missing where none is required, but not be blank', async () => {
    const world = worldOf({ requireReason: false })
    expect(await attempt(world, 'root', 'alice', { reason: undefined })).toBe('done')
    expect(await attempt(world, 'root', 'alice', { reason: ' ' })).toBe('invalid_request')
  })
})

describe('freshAuth', () => {
  it.each<[string, number | undefined, string]>([
    ['just now', noon, 'done'],
    ['five minutes ago', noon - 5 * minute, 'done'],
    ['a millisecond longer ago', noon - 5 * minute - 1, 'insufficient_user_authentication'],
    ['in the future', noon + 1, 'insufficient_user_authentication'],
    ['at no time', Number.NaN, 'insufficient_user_authentication'],
    ['before all time', Number.NEGATIVE_INFINITY, 'insufficient_user_authentication'],
    ['after all time', Number.POSITIVE_INFINITY, 'insufficient_user_authentication'],
    ['unknown', undefined, 'insufficient_user_authentication'],
    ['a date', new Date(noon) as never, 'insufficient_user_authentication'],
    ['a text', String(noon) as never, 'insufficient_user_authentication'],
    ['null', null as never, 'insufficient_user_authentication'],
  ])('logged in %s', async (_, at, expected) => {
    const world = worldOf({ freshAuth: { maxAgeMs: 5 * minute, authTime: () => at } })
    expect(await attempt(world, 'root', 'alice')).toBe(expected)
  })

  it('tells by RFC 9470 how fresh it has to be, and sees the request', async () => {
    const seen: unknown[] = []
    const world = worldOf({
      freshAuth: {
        maxAgeMs: 5 * minute,
        authTime: (request, user) => {
          seen.push((request as { target: string }).target, user.id)
          return 0
        },
      },
    })
    const outcome = await world.send('root', {
      method: 'POST',
      path: '/impersonation',
      body: { target_user_id: 'alice', reason: 'why' },
    })
    expect(outcome.line).toBe('401 insufficient_user_authentication')
    expect(outcome.answer?.headers.get('www-authenticate')).toMatch(
      /error="insufficient_user_authentication".*max_age="300"/,
    )
    expect(seen).toEqual(['/impersonation', 'root'])
  })
})

describe('rateLimit', () => {
  it('counts across engines, and frees with time', async () => {
    const world = worldOf({ rateLimit: { starts: 3, perMs: hour } })
    const other = world.another()
    await world.start('root', 'alice')
    world.clock.tick(minute)
    await world.start('root', 'bob', {}, other)
    await world.start('root', 'alice')
    world.clock.tick(minute)
    expect(await attempt(world, 'root', 'bob')).toBe('rate_limited')
    expect(await codeOf(world.start('root', 'bob', {}, other))).toBe('rate_limited')
    // Others are not held to it.
    expect(await attempt(world, 'sup', 'carol')).toBe('done')
    world.clock.wall = noon + hour
    expect(await attempt(world, 'root', 'bob')).toBe('rate_limited')
    world.clock.wall = noon + hour + 1
    expect(await attempt(world, 'root', 'bob')).toBe('done')
  })

  it('answers 429 and says when to come again', async () => {
    const world = worldOf({ rateLimit: { starts: 1, perMs: hour } })
    await world.start('root', 'alice')
    world.clock.tick(10 * minute + 1)
    const outcome = await world.send('root', {
      method: 'POST',
      path: '/impersonation/start',
      body: { target_user_id: 'bob', reason: 'why' },
    })
    expect(outcome.line).toBe('429 rate_limited')
    expect(outcome.answer?.headers.get('retry-after')).toBe(String(50 * 60))
  })

  it('tells once in a window of one operator in many accounts', async () => {
    const world = worldOf({ rateLimit: { starts: 3, perMs: hour } })
    for (const target of ['alice', 'bob', 'alice']) await world.start('root', target)
    for (let n = 0; n < 3; n++) expect(await attempt(world, 'root', 'carol')).toBe('rate_limited')
    const bursts = () => world.store.listEvents({ action: 'impersonation.burst' }, { limit: 10 })
    const [burst, ...more] = await bursts()
    expect(more).toEqual([])
    expect(burst).toMatchObject({
      outcome: 'refused',
      code: 'rate_limited',
      actorId: 'root',
      targetUserId: null,
      at: noon,
      details: { starts: 3, targets: 2, per_ms: hour },
    })
    world.clock.tick(hour + 1)
    for (const target of ['alice', 'bob', 'alice']) await world.start('root', target)
    expect(await attempt(world, 'root', 'carol')).toBe('rate_limited')
    expect(await bursts()).toHaveLength(2)
  })

  it('counts starts that come all at once', async () => {
    const world = worldOf({ rateLimit: { starts: 3, perMs: hour } })
    const codes = await Promise.all(
      Array.from({ length: 20 }, (_, n) => codeOf(world.start('root', n % 2 ? 'alice' : 'bob'))),
    )
    expect(codes.filter((code) => code === 'done')).toHaveLength(3)
    expect(codes.filter((code) => code === 'rate_limited')).toHaveLength(17)
  })

  it('is 30 an hour unless told otherwise, and endless when false', async () => {
    const limited = worldOf({ rateLimit: undefined } as never)
    for (let n = 0; n < 30; n++) await limited.start('root', n % 2 ? 'alice' : 'bob')
    expect(await attempt(limited, 'root', 'alice')).toBe('rate_limited')
    const free = worldOf({ rateLimit: false })
    for (let n = 0; n < 40; n++) await free.start('root', n % 2 ? 'alice' : 'bob')
    expect(await attempt(free, 'root', 'alice')).toBe('done')
  })
})

describe('what is open already', () => {
  it('replace: the old session ends, its event names the ending, no lapse stays', async () => {
    const world = worldOf()
    const first = await world.start('root', 'alice')
    const second = await world.start('root', 'bob')
    expect((await world.active()).map(({ id }) => id)).toEqual([second.id])
    expect(await world.actions(first.id)).toEqual(['replaced', 'started'])
    expect((await world.send('root')).line).toBe('bob')
    expect((await world.send('root', { pin: second.id })).line).toBe('bob')
    expect((await world.send('root', { pin: first.id })).line).toBe(
      '409 impersonation_state_changed',
    )
    expect((await world.store.readStanding('root')).lapse).toBeNull()
  })

  it('replace also for the same target', async () => {
    const world = worldOf()
    const first = await world.start('root', 'alice')
    await world.start('root', 'alice', { accessLevel: 'full' })
    expect(await world.actions(first.id)).toEqual(['replaced', 'started'])
  })

  it('reject: 409, and the old session goes on', async () => {
    const world = worldOf({ onConflict: 'reject' })
    const first = await world.start('root', 'alice')
    expect(await attempt(world, 'root', 'bob')).toBe('impersonation_already_active')
    expect((await world.send('root', { pin: first.id })).line).toBe('alice')
  })

  it('exclusiveTarget: one at a time, whoever was first', async () => {
    const world = worldOf()
    await world.start('sup', 'alice')
    const own = await world.start('root', 'bob')
    expect(await attempt(world, 'root', 'alice')).toBe('target_already_impersonated')
    expect((await world.send('root', { pin: own.id })).line).toBe('bob')
    const shared = worldOf({ exclusiveTarget: false })
    await shared.start('sup', 'alice')
    expect(await attempt(shared, 'root', 'alice')).toBe('done')
  })

  it('expired rows stand in nobody’s way: the next start closes them', async () => {
    const world = worldOf({ onConflict: 'reject' })
    const own = await world.start('root', 'alice', { durationMs: minute })
    const other = await world.start('sup', 'bob', { durationMs: minute })
    world.clock.tick(minute)
    expect(await attempt(world, 'root', 'bob')).toBe('done')
    expect(await world.store.readSession(own.id)).toMatchObject({
      status: 'expired',
      endedAt: noon + minute,
    })
    expect(await world.actions(own.id)).toEqual(['expired', 'started'])
    expect(await world.actions(other.id)).toEqual(['expired', 'started'])
  })

  it.each(['replace', 'reject'] as const)(
    'a hundred at once, %s: one is left',
    async (onConflict) => {
      const store = memoryStore()
      const world = worldOf({ onConflict }, store)
      const engines = [world.engine, world.another(), world.another()]
      const targets = ['alice', 'bob', 'carol', 'mallory']
      const codes = await Promise.all(
        Array.from({ length: 100 }, (_, n) =>
          codeOf(world.start('root', targets[n % 4] as string, {}, engines[n % 3])),
        ),
      )
      const done = codes.filter((code) => code === 'done').length
      expect(done).toBe(onConflict === 'replace' ? 100 : 1)
      expect(await world.active()).toHaveLength(1)
    },
  )
})

it('start with a pin that disagrees is 409, one that agrees goes on', async () => {
  const world = worldOf()
  const pinned = (pin: string) =>
    codeOf(
      world.engine.sessions.start(
        { ...world.caller('root'), pin },
        { targetUserId: 'alice', reason: 'why' },
      ),
    )
  expect(await pinned('made-up')).toBe('impersonation_state_changed')
  expect(await pinned('none')).toBe('done')
  expect(await pinned('none')).toBe('impersonation_state_changed')
  const [live] = await world.active()
  expect(await pinned(live?.id ?? '')).toBe('done')
})
