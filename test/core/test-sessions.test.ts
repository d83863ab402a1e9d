import { describe, expect, it } from 'vitest'
import { memoryStore, type Store } from '../../src/index.ts'
import { codeOf, hour, minute, second, type User, worldOf } from '../support/core-world.ts'

type World = ReturnType<typeof sandboxWorld>

/** `root` may open test sessions, `sup` may start only. */
function sandboxWorld(
  changes: Partial<NonNullable<Parameters<typeof worldOf>[0]>['sandbox']> = {},
  store: Store = memoryStore(),
) {
  const disposed: string[] = []
  const asked: string[] = []
  const fault: { next: Error | null } = { next: null }
  const world = worldOf(
    {
      sandbox: {
        provision(role, actor) {
          asked.push(`${role} for ${actor.id}`)
          const user: User = { id: `test-${asked.length}`, role, orgId: 'sandbox' }
          world.users.set(user.id, user)
          return user
        },
        async dispose({ id }) {
          if (fault.next) throw fault.next
          disposed.push(id)
          world.users.delete(id)
        },
        ...changes,
      },
    },
    store,
  )
  world.change('root', { may: ['start', 'list', 'revoke', 'test_session'] })
  return { ...world, disposed, asked, fault }
}

const begin = ({ engine, caller }: World, who = 'root', role = 'member') =>
  engine.testSessions.start(caller(who), { role, reason: 'what do they see?' })

/** Until nothing is due any more. */
async function deliver({ engine }: World): Promise<void> {
  while ((await engine.outbox.deliver()) > 0);
}

describe('a test session', () => {
  it('runs as a user made for it, at the level full, and disposes of them at its end', async () => {
    const world = sandboxWorld()
    const { session, targetProfile } = await begin(world)
    expect(targetProfile).toMatchObject({ id: 'test-1', role: 'member', orgId: 'sandbox' })
    expect(session).toMatchObject({ actorId: 'root', targetUserId: 'test-1', accessLevel: 'full' })
    expect(world.asked).toEqual(['member for root'])
    expect((await world.send('root', { method: 'POST' })).line).toBe('test-1')
    await deliver(world)
    expect(world.disposed).toEqual([])

    await world.engine.sessions.stop(world.caller('root'))
    await deliver(world)
    expect(world.disposed).toEqual(['test-1'])
    expect((await world.send('root', { method: 'POST' })).line).toBe('root')
  })

  it('says in its event that it was one', async () => {
    const world = sandboxWorld()
    await begin(world)
    const [event] = await world.store.listEvents({ action: 'impersonation.started' }, { limit: 9 })
    expect(event?.details).toMatchObject({ test_session: true, role: 'member' })
  })

  it.each(['expired', 'revoked', 'replaced'])(
    'disposes of its user when it was %s',
    async (how) => {
      const world = sandboxWorld()
      const { session } = await begin(world)
      if (how === 'expired') {
        world.clock.tick(hour)
        await world.engine.reap()
      }
      if (how === 'revoked') await world.engine.sessions.revoke(world.caller('boss'), session.id)
      if (how === 'replaced') await world.start('root', 'alice')
      await deliver(world)
      expect(world.disposed).toEqual(['test-1'])
    },
  )

  it('disposes of its user once it is over, also where another process ended it', async () => {
    const world = sandboxWorld()
    await begin(world)
    const other = world.another({ sandbox: undefined as never })
    await other.sessions.stop(other.caller(world.users.get('root') as User))
    await deliver(world)
    world.clock.tick(30 * minute + second)
    await deliver(world)
    expect(world.disposed).toEqual(['test-1'])
  })

  it('waits for a session that was extended', async () => {
    const world = sandboxWorld()
    await begin(world)
    await world.engine.sessions.extend(world.caller('root'), 20 * minute)
    world.clock.tick(31 * minute)
    await deliver(world)
    expect(world.disposed).toEqual([])
    world.clock.tick(20 * minute)
    await deliver(world)
    expect(world.disposed).toEqual(['test-1'])
  })

  it('disposes again where that fails', async () => {
    const world = sandboxWorld()
    await begin(world)
    world.fault.next = new Error('the sandbox is down')
    await world.engine.sessions.stop(world.caller('root'))
    await deliver(world)
    expect(world.disposed).toEqual([])
    const [waiting] = await world.engine.outbox.list({ status: 'pending' }, { limit: 9 })
    expect(waiting).toMatchObject({ topic: 'disposal', userId: 'test-1' })
    expect(waiting?.error).toContain('the sandbox is down')
    world.fault.next = null
    world.clock.tick(hour)
    await deliver(world)
    expect(world.disposed).toEqual(['test-1'])
  })
})

describe('a test session is refused', () => {
  it('to who may not, without making anybody', async () => {
    const world = sandboxWorld()
    expect(await codeOf(begin(world, 'sup'))).toBe('not_allowed')
    expect(await codeOf(begin(world, 'mallory'))).toBe('not_allowed')
    world.change('mallory', { may: ['test_session'] })
    expect(await codeOf(begin(world, 'mallory'))).toBe('not_allowed')
    const nested = world.engine.caller({ ...world.users.get('root'), act: {} } as unknown as User)
    const ask = { role: 'member', reason: 'x' }
    expect(await codeOf(world.engine.testSessions.start(nested, ask))).toBe('nested_impersonation')
    expect(world.asked).toEqual([])
    const refused = { action: 'impersonation.refused' }
    const codes = async () =>
      (await world.store.listEvents(refused, { limit: 9 })).map(({ code }) => code).sort()
    await expect
      .poll(codes)
      .toEqual(['nested_impersonation', 'not_allowed', 'not_allowed', 'not_allowed'])
  })

  it('without a reason or with an odd role, without making anybody', async () => {
    const world = sandboxWorld()
    const start = (ask: object) =>
      codeOf(world.engine.testSessions.start(world.caller('root'), ask as never))
    for (const ask of [
      ...[{ role: 'member' }, { role: 'member', reason: ' ' }, { reason: 'x' }],
      ...[
        { role: '', reason: 'x' },
        { role: 'm'.repeat(65), reason: 'x' },
      ],
      { role: { $ne: '' }, reason: 'x' },
    ])
      expect(await start(ask), JSON.stringify(ask)).toBe('invalid_request')
    expect(world.asked).toEqual([])
  })

  it('where the option is left out', async () => {
    const world = worldOf()
    const ask = { role: 'member', reason: 'x' }
    const start = world.engine.testSessions.start(world.caller('root'), ask)
    expect(await codeOf(start)).toBe('route_not_found')
  })

  it('to an old login, and to a page that believes something else', async () => {
    const world = sandboxWorld()
    const authTime = () => world.clock.wall - hour
    const strict = world.another({ freshAuth: { maxAgeMs: minute, authTime } })
    const root = strict.caller(world.users.get('root') as User)
    const ask = { role: 'member', reason: 'x' }
    expect(await codeOf(strict.testSessions.start(root, ask))).toBe(
      'insufficient_user_authentication',
    )
    const stale = { ...world.caller('root'), pin: 'another' }
    expect(await codeOf(world.engine.testSessions.start(stale, ask))).toBe(
      'impersonation_state_changed',
    )
    expect(world.asked).toEqual([])
  })

  it('as often as starts are', async () => {
    const world = sandboxWorld()
    const limited = world.another({ rateLimit: { starts: 1, perMs: hour } })
    const root = limited.caller(world.users.get('root') as User)
    await limited.testSessions.start(root, { role: 'member', reason: 'x' })
    const again = limited.testSessions.start(root, { role: 'member', reason: 'x' })
    expect(await codeOf(again)).toBe('rate_limited')
    expect(world.asked).toHaveLength(1)
  })
})

describe('a user who may be real is neither entered nor disposed of:', () => {
  const alice = (world: World) => world.users.get('alice') as User
  const cases: Record<string, (world: World) => User> = {
    'who asked': (world) => world.users.get('root') as User,
    'who is privileged': (world) => world.users.get('boss') as User,
    'whom findUser does not find': () => ({ id: 'nobody', orgId: 'sandbox' }),
    'who is inactive': (world) => {
      world.change('alice', { active: false, orgId: 'sandbox' })
      return alice(world)
    },
    'who lives outside the sandbox': alice,
    'who has no id': () => ({ name: 'Nobody' }) as unknown as User,
  }

  it.each(Object.entries(cases))('%s', async (_, pick) => {
    const world: World = sandboxWorld({ provision: () => pick(world), orgId: 'sandbox' })
    expect(await codeOf(begin(world))).toBe('impersonation_unavailable')
    await deliver(world)
    expect(world.disposed).toEqual([])
    expect(await world.active()).toEqual([])
  })

  it.each(['a target', 'an actor'])('who was %s before', async (side) => {
    const world: World = sandboxWorld({ provision: () => world.users.get('alice') as User })
    if (side === 'a target') await world.start('root', 'alice')
    else {
      world.change('alice', { may: ['start'] })
      await world.start('alice', 'bob')
      world.change('alice', { may: [] })
    }
    await world.engine.endFor(side === 'a target' ? 'root' : 'alice')
    expect(await codeOf(begin(world))).toBe('impersonation_unavailable')
    await deliver(world)
    expect(world.disposed).toEqual([])
  })
})

describe('a test session that does not come to be', () => {
  it('leaves no user behind where the actor is busy', async () => {
    const world = sandboxWorld()
    const engine = world.another({ onConflict: 'reject' })
    const root = engine.caller(world.users.get('root') as User)
    await world.start('root', 'alice')
    const start = engine.testSessions.start(root, { role: 'member', reason: 'x' })
    expect(await codeOf(start)).toBe('impersonation_already_active')
    await deliver(world)
    expect(world.disposed).toEqual(['test-1'])
  })

  it('tells the host why no user could be made', async () => {
    const world = sandboxWorld({
      provision: () => {
        throw new Error('no more seats')
      },
    })
    const error = await begin(world).catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'impersonation_unavailable', status: 503 })
    expect(error.message).toContain('No test user could be made')
    expect(error.cause.message).toBe('no more seats')
  })

  it('leaves no user behind where its claim fails, and none alive where its answer was lost', async () => {
    for (const when of ['before', 'after'] as const) {
      const inner = memoryStore()
      const store: Store = {
        ...inner,
        async claimSession(claim) {
          if (when === 'after') await inner.claimSession(claim)
          throw new Error('connection lost')
        },
        readSession: async () => {
          throw new Error('connection lost')
        },
      }
      const world = sandboxWorld({}, store)
      expect(await codeOf(begin(world)), when).toBe('impersonation_unavailable')
      const healed = world.another({ store: inner })
      while ((await healed.outbox.deliver()) > 0);
      expect(world.disposed, when).toEqual(['test-1'])
      // Its user gone, a session that was committed all the same is judged and ends.
      await healed.reap()
      expect(await inner.listSessions({ status: 'active' }, { limit: 9 }), when).toEqual([])
    }
  })
})
