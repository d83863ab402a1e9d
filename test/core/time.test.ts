import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  codeOf,
  hour,
  minute,
  noon,
  second,
  type User,
  type World,
  worldOf,
} from '../support/core-world.ts'

const post = { method: 'POST' }

/** The one event of a session's end. */
async function endingOf(world: World, sessionId: string): Promise<readonly string[]> {
  const actions = await world.actions(sessionId)
  return actions.filter((action) => action !== 'started' && action !== 'extended')
}

describe('expiry', () => {
  it.each([
    ['one millisecond before', -1, 'alice', 'alice'],
    ['exactly at', 0, 'root, told expired', '401 impersonation_expired'],
    ['one millisecond after', 1, 'root, told expired', '401 impersonation_expired'],
  ])('%s: GET and POST', async (_, offset, safe, unsafe) => {
    for (const warm of [true, false]) {
      const world = worldOf()
      const { id, expiresAt } = await world.start('root', 'alice', { accessLevel: 'full' })
      if (warm) await world.send('root')
      world.clock.wall = expiresAt + offset
      expect((await world.send('root', post)).line).toBe(unsafe)
      expect((await world.send('root')).line).toBe(safe)
      expect((await world.send('root', { pin: id })).line).toBe(
        offset < 0 ? 'alice' : '401 impersonation_expired',
      )
      expect(await endingOf(world, id)).toEqual(offset < 0 ? [] : ['expired'])
      const { status, endedAt } = (await world.store.readSession(id)) ?? {}
      if (offset >= 0)
        expect({ status, endedAt }).toEqual({ status: 'expired', endedAt: expiresAt })
    }
  })

  it('is noticed once by any number of requests on any number of engines', async () => {
    const world = worldOf()
    const engines = [world.engine, world.another(), world.another()]
    const { id } = await world.start('root', 'alice', { durationMs: minute })
    for (const engine of engines) await world.send('root', {}, engine)
    world.clock.tick(minute)
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, n) => world.send('root', post, engines[n % 3])),
    )
    expect(new Set(outcomes.map(({ line }) => line))).toEqual(
      new Set(['401 impersonation_expired']),
    )
    expect(await endingOf(world, id)).toEqual(['expired'])
  })

  it('is told by stop, status and extend', async () => {
    const world = worldOf()
    const { engine } = world
    const { id } = await world.start('root', 'alice', { durationMs: minute })
    world.clock.tick(minute)
    expect(await engine.sessions.status(world.caller('root'))).toMatchObject({
      session: null,
      lastEnded: { id, status: 'expired' },
    })
    expect(await codeOf(engine.sessions.extend(world.caller('root'), minute))).toBe(
      'not_impersonating',
    )
    expect(await engine.sessions.stop(world.caller('root'))).toMatchObject({
      id,
      status: 'expired',
    })
    expect(await endingOf(world, id)).toEqual(['expired'])
  })

  it('a stop that comes first to an expired session says so', async () => {
    const world = worldOf()
    const { id, expiresAt } = await world.start('root', 'alice', { durationMs: minute })
    world.clock.tick(hour)
    expect(await world.engine.sessions.stop(world.caller('root'))).toMatchObject({
      status: 'expired',
      endedAt: expiresAt,
    })
    expect((await world.send('root', post)).line).toBe('root')
    expect(await endingOf(world, id)).toEqual(['expired'])
  })

  it.each<[string, (world: World, id: string) => Promise<unknown>]>([
    ['a revoke', (world, id) => world.engine.sessions.revoke(world.caller('boss'), id)],
    ['endFor', (world) => world.engine.endFor('root')],
    [
      'a demotion',
      async (world) => {
        await world.send({ id: 'root' } as User, { pin: (await world.active())[0]?.id })
      },
    ],
    [
      'a target who is gone',
      async (world) => {
        world.users.delete('alice')
        await world.send('root')
      },
    ],
  ])(
    'what ran out of time has expired, at its time, also if %s finds it first',
    async (_, find) => {
      const world = worldOf()
      const { id, expiresAt } = await world.start('root', 'alice', { durationMs: minute })
      world.clock.tick(hour)
      await find(world, id)
      expect(await world.store.readSession(id)).toMatchObject({
        status: 'expired',
        endedReason: 'expired',
        endedAt: expiresAt,
        endedBy: null,
      })
      expect(await endingOf(world, id)).toEqual(['expired'])
    },
  )

  it('a lookup that outlasts the session finds it over', async () => {
    const world = worldOf({
      findUser: async (id) => {
        if (id === 'alice' && world.clock.wall > noon) world.clock.tick(second)
        return world.users.get(id)
      },
    })
    await world.start('root', 'alice', { durationMs: second })
    world.clock.tick(1)
    expect((await world.send('root', post)).line).toBe('401 impersonation_expired')
  })
})

describe('extend', () => {
  it('adds to the end, and stops at the cap', async () => {
    const world = worldOf({ maxDurationMs: 40 * minute })
    const { id } = await world.start('root', 'alice', { durationMs: 20 * minute })
    const extend = (ms: number) => world.engine.sessions.extend(world.caller('root'), ms)
    world.clock.tick(5 * minute)
    expect((await extend(10 * minute)).expiresAt).toBe(noon + 30 * minute)
    expect((await extend(11 * minute)).expiresAt).toBe(noon + 40 * minute)
    expect((await extend(11 * minute)).expiresAt).toBe(noon + 40 * minute)
    expect(await world.actions(id)).toEqual(['extended', 'extended', 'started'])
    world.clock.wall = noon + 40 * minute - 1
    expect((await world.send('root')).line).toBe('alice')
    world.clock.wall += 1
    expect((await world.send('root')).line).toBe('root, told expired')
  })

  it.each([0, -minute, Number.NaN, Number.NEGATIVE_INFINITY, 0.5, '60000', undefined, null])(
    'by %s changes nothing',
    async (ms) => {
      const world = worldOf()
      const { id, expiresAt } = await world.start('root', 'alice')
      const code = await codeOf(world.engine.sessions.extend(world.caller('root'), ms as number))
      expect(code).toBe('invalid_request')
      expect((await world.store.readSession(id))?.expiresAt).toBe(expiresAt)
      expect((await world.send('root')).line).toBe('alice')
    },
  )

  it('by any number of minutes is the cap', async () => {
    const world = worldOf()
    await world.start('root', 'alice')
    const outcome = await world.send('root', {
      ...post,
      path: '/impersonation/extend',
      body: { minutes: Number.MAX_SAFE_INTEGER },
    })
    expect(outcome.body).toEqual({ expires_at: new Date(noon + hour).toISOString() })
  })

  it('holds on the next request of the same engine, also right before the old end', async () => {
    const world = worldOf()
    const { expiresAt } = await world.start('root', 'alice', { durationMs: minute })
    await world.send('root')
    world.clock.wall = expiresAt - 1
    await world.engine.sessions.extend(world.caller('root'), minute)
    world.clock.wall = expiresAt + 1
    expect((await world.send('root')).line).toBe('alice')
  })

  it('a watched engine that has not heard of it asks before it calls a session over', async () => {
    let healthy: (up: boolean) => void = () => undefined
    const world = worldOf()
    const store = {
      ...world.store,
      watch: (watcher: { healthy(up: boolean): void }) => {
        healthy = watcher.healthy
        return () => undefined
      },
    }
    const watched = world.another({ store })
    const { expiresAt } = await world.start('root', 'alice', { durationMs: 10 * second })
    await world.send('root', {}, watched)
    healthy(true)
    await world.send('root', {}, watched)
    world.clock.wall = expiresAt - 1
    await world.engine.sessions.extend(world.caller('root'), minute)
    world.clock.wall = expiresAt
    expect((await world.send('root', {}, watched)).line).toBe('alice')
  })

  it('of an expired session opens nothing again', async () => {
    const world = worldOf()
    const { expiresAt } = await world.start('root', 'alice', { durationMs: minute })
    world.clock.wall = expiresAt
    expect(await codeOf(world.engine.sessions.extend(world.caller('root'), minute))).toBe(
      'not_impersonating',
    )
    expect(await world.active()).toEqual([])
  })

  it('twenty at once each add theirs, up to the cap and never over it', async () => {
    const world = worldOf({ maxDurationMs: 10 * minute })
    const other = world.another()
    const { id } = await world.start('root', 'alice', { durationMs: minute })
    await Promise.all(
      Array.from({ length: 9 }, (_, n) => {
        const engine = n % 2 ? other : world.engine
        return engine.sessions.extend(world.caller('root', engine), minute / 2)
      }),
    )
    expect((await world.store.readSession(id))?.expiresAt).toBe(noon + 5.5 * minute)
    await Promise.all(
      Array.from({ length: 9 }, () =>
        world.engine.sessions.extend(world.caller('root'), 3 * minute),
      ),
    )
    expect((await world.store.readSession(id))?.expiresAt).toBe(noon + 10 * minute)
  })

  it('against stop and revoke: the session is over whoever wins', async () => {
    for (const order of [0, 1]) {
      const world = worldOf()
      const { id } = await world.start('root', 'alice')
      const calls = [
        () => codeOf(world.engine.sessions.extend(world.caller('root'), minute)),
        () => codeOf(world.engine.sessions.revoke(world.caller('boss'), id)),
      ]
      if (order) calls.reverse()
      await Promise.all(calls.map((call) => call()))
      expect((await world.store.readSession(id))?.status).toBe('revoked')
      expect(await endingOf(world, id)).toEqual(['revoked'])
      expect((await world.send('root', post)).line).toBe('401 impersonation_revoked')
    }
  })

  it('wants somebody who still may', async () => {
    const world = worldOf()
    await world.start('root', 'alice')
    const demoted = world.caller({ id: 'root' })
    expect(await codeOf(world.engine.sessions.extend(demoted, minute))).toBe('not_allowed')
  })
})

describe('a wall clock that jumps back an hour', () => {
  it('brings nothing back that has ended', async () => {
    const world = worldOf()
    const expired = await world.start('root', 'alice', { durationMs: minute })
    world.clock.tick(minute)
    await world.send('root')
    world.clock.wall -= hour
    expect((await world.send('root', post)).line).toBe('401 impersonation_expired')
    expect((await world.send('root', { pin: expired.id })).line).toBe('401 impersonation_expired')
    await world.engine.reap()
    expect(await world.active()).toEqual([])
    expect(await endingOf(world, expired.id)).toEqual(['expired'])
  })

  it('keeps no cached answer fresh', async () => {
    const world = worldOf()
    const other = world.another()
    const { id } = await world.start('root', 'alice')
    await world.send('root', {}, other)
    await world.engine.sessions.revoke(world.caller('boss'), id)
    world.clock.wall -= hour
    expect((await world.send('root', post, other)).line).toBe('401 impersonation_revoked')
  })

  it('nor does a wall clock that stands still, once the steady one has gone on', async () => {
    const world = worldOf()
    const other = world.another()
    const { id } = await world.start('root', 'alice')
    await world.send('root', {}, other)
    await world.engine.sessions.revoke(world.caller('boss'), id)
    world.clock.steady += 2 * second
    expect((await world.send('root', post, other)).line).toBe('401 impersonation_revoked')
  })

  it('and one that jumps ahead ends what is over by then', async () => {
    const world = worldOf()
    await world.start('root', 'alice')
    world.clock.wall += 24 * hour
    expect((await world.send('root', post)).line).toBe('401 impersonation_expired')
  })
})

describe('the reaper', () => {
  it('closes what nobody asks for, with one event, and frees the keys', async () => {
    const world = worldOf({ onConflict: 'reject' })
    const { id, expiresAt } = await world.start('root', 'alice', { durationMs: minute })
    const live = await world.start('sup', 'bob')
    world.clock.tick(minute)
    expect(await world.engine.reap()).toBe(2)
    expect(await world.engine.reap()).toBe(1)
    expect((await world.active()).map((session) => session.id)).toEqual([live.id])
    expect(await endingOf(world, id)).toEqual(['expired'])
    const [event] = await world.store.listEvents(
      { sessionId: id, action: 'impersonation.expired' },
      { limit: 9 },
    )
    expect(event).toMatchObject({ at: expiresAt, actorId: 'root', targetUserId: 'alice' })
    await world.start('root', 'alice')
  })

  it.each<[string, (world: World) => void, string]>([
    ['a demoted actor', (world) => world.users.set('root', { id: 'root' }), 'actor_not_allowed'],
    ['a deleted actor', (world) => world.users.delete('root'), 'actor_not_allowed'],
    ['a locked actor', (world) => world.change('root', { active: false }), 'actor_not_allowed'],
    ['a deleted target', (world) => world.users.delete('alice'), 'target_gone'],
    ['a locked target', (world) => world.change('alice', { active: 0 }), 'target_inactive'],
    [
      'a promoted target',
      (world) => world.change('alice', { may: ['start'] }),
      'target_privileged',
    ],
  ])('judges %s', async (_, change, reason) => {
    const world = worldOf()
    const { id } = await world.start('root', 'alice')
    change(world)
    await world.engine.reap()
    expect(await world.store.readSession(id)).toMatchObject({
      status: 'revoked',
      endedReason: reason,
      endedBy: null,
    })
    expect(await endingOf(world, id)).toEqual(['revoked'])
  })

  it('does not let one session that can’t be judged keep it from the others', async () => {
    const world = worldOf({
      findUser: (id) => {
        if (id === 'sup') throw new Error('this row can’t be read')
        return world.users.get(id)
      },
    })
    const stuck = await world.start('sup', 'bob')
    const { id } = await world.start('root', 'alice')
    world.users.delete('alice')
    expect(await codeOf(world.engine.reap())).toBe('impersonation_unavailable')
    expect((await world.store.readSession(id))?.endedReason).toBe('target_gone')
    expect((await world.store.readSession(stuck.id))?.status).toBe('active')
  })

  it('looks at more sessions than a page holds', async () => {
    const world = worldOf()
    for (let n = 0; n < 450; n++) {
      world.users.set(`a${n}`, { id: `a${n}`, may: ['start'] })
      world.users.set(`t${n}`, { id: `t${n}` })
      await world.start(`a${n}`, `t${n}`, { durationMs: minute })
      if (n % 3 === 0) world.clock.tick(1)
    }
    world.clock.tick(minute)
    expect(await world.engine.reap()).toBe(450)
    expect(await world.active()).toEqual([])
  })

  it('of two engines at once ends each session once', async () => {
    const world = worldOf()
    const { id } = await world.start('root', 'alice', { durationMs: minute })
    world.clock.tick(minute)
    await Promise.all([world.engine.reap(), world.another().reap(), world.engine.reap()])
    expect(await endingOf(world, id)).toEqual(['expired'])
  })

  it('runs by itself within a minute once requests come, and stops with close', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      const world = worldOf()
      const { id } = await world.start('sup', 'alice', { durationMs: minute })
      world.clock.tick(minute)
      expect(vi.getTimerCount(), 'an engine that serves nobody has no timer').toBe(0)
      await world.send('mallory')
      await vi.advanceTimersByTimeAsync(minute)
      expect((await world.store.readSession(id))?.status).toBe('expired')
      await world.engine.close()
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('endFor', () => {
  it('ends what the actor has open, once, and leaves others alone', async () => {
    const world = worldOf()
    const { id } = await world.start('root', 'alice')
    await world.start('sup', 'bob')
    await world.send('root')
    expect(await world.engine.endFor('root')).toBe(1)
    expect(await world.engine.endFor('root')).toBe(0)
    expect(await world.engine.endFor('alice')).toBe(0)
    expect(await world.store.readSession(id)).toMatchObject({ endedReason: 'actor_logged_out' })
    expect((await world.send('root', { ...post, pin: id })).line).toBe('401 impersonation_revoked')
    expect((await world.send('sup')).line).toBe('bob')
  })
})

describe('the signal', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  async function streaming() {
    const world = worldOf()
    const session = await world.start('root', 'alice', { durationMs: minute })
    const { context } = await world.send('root')
    const before = vi.getTimerCount()
    const signal = context?.signal as AbortSignal
    const fired: string[] = []
    signal.addEventListener('abort', () => fired.push((signal.reason as { code: string }).code))
    return { world, session, context, signal, fired, before }
  }

  it('costs no timer until somebody looks at it', async () => {
    const { before, context, signal, world } = await streaming()
    expect(vi.getTimerCount()).toBe(before + 1)
    expect(context?.signal, 'it is one signal per session').toBe(signal)
    expect((await world.send('root')).context?.signal).toBe(signal)
    expect(vi.getTimerCount()).toBe(before + 1)
    expect(signal.aborted).toBe(false)
  })

  it('fires on stop at once, and its timer goes', async () => {
    const { world, fired, before } = await streaming()
    await world.engine.sessions.stop(world.caller('root'))
    expect(fired).toEqual(['impersonation_ended'])
    expect(vi.getTimerCount()).toBe(before)
  })

  it('fires on revoke, replacement and endFor at once', async () => {
    for (const end of [
      (world: World, id: string) => world.engine.sessions.revoke(world.caller('boss'), id),
      (world: World) => world.start('root', 'bob'),
      (world: World) => world.engine.endFor('root'),
      async (world: World) => {
        world.users.delete('alice')
        await world.engine.userChanged('alice')
      },
    ]) {
      const { world, session, fired } = await streaming()
      await end(world, session.id)
      expect(fired).toEqual(['impersonation_ended'])
    }
  })

  it('fires within two seconds of a revoke on another engine', async () => {
    const { world, session, fired } = await streaming()
    const other = world.another()
    await other.sessions.revoke(world.caller('boss', other), session.id)
    expect(fired).toEqual([])
    await vi.advanceTimersByTimeAsync(2 * second)
    expect(fired).toEqual(['impersonation_ended'])
  })

  it('fires when a request finds the session over', async () => {
    const { world, session, fired } = await streaming()
    const other = world.another()
    await other.sessions.revoke(world.caller('boss', other), session.id)
    await world.send('root', { pin: 'none' })
    expect(fired).toEqual(['impersonation_ended'])
  })

  it('fires at expiry, and not before an end that was moved', async () => {
    const { world, fired } = await streaming()
    const other = world.another()
    await other.sessions.extend(world.caller('root', other), minute)
    world.clock.tick(minute)
    await vi.advanceTimersByTimeAsync(2 * second)
    expect(fired).toEqual([])
    world.clock.tick(minute)
    await vi.advanceTimersByTimeAsync(2 * second)
    expect(fired).toEqual(['impersonation_ended'])
  })

  it('looked at for the first time after the end has fired already', async () => {
    const world = worldOf()
    await world.start('root', 'alice')
    const { context } = await world.send('root')
    await world.engine.sessions.stop(world.caller('root'))
    const signal = context?.signal as AbortSignal
    await vi.advanceTimersByTimeAsync(2 * second)
    expect(signal.aborted).toBe(true)
  })
})
