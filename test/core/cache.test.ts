import { describe, expect, it, vi } from 'vitest'
import {
  type ImpersonationOptions,
  memoryStore,
  type Store,
  type StoreWatcher,
} from '../../src/index.ts'
import { createCache } from '../../src/stores/cached.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import {
  adapterOf,
  minute,
  requestOf,
  second,
  type User,
  type World,
  worldOf,
} from '../support/core-world.ts'

const post = { method: 'POST' }

/** A world whose store counts; `reads` gives and forgets the count of `readStanding`. */
function counted(options: Partial<ImpersonationOptions<User>> = {}, inner = memoryStore()) {
  const store = faultyStore(inner)
  let lookups = 0
  const world: World = worldOf(
    {
      findUser: (id) => {
        lookups++
        return world.users.get(id)
      },
      ...options,
    },
    store,
  )
  const forget = () => {
    store.plan({})
    lookups = 0
  }
  return {
    world,
    store,
    forget,
    reads: () => store.calls.readStanding,
    lookups: () => lookups,
    allCalls: () => Object.values(store.calls).reduce((sum, each) => sum + each, 0),
  }
}

/** A store with a bus in the test's hands. */
function bus(inner: Store = memoryStore()) {
  const watchers: StoreWatcher[] = []
  let ended = 0
  const store: Store = {
    ...inner,
    watch(watcher) {
      watchers.push(watcher)
      return () => {
        ended++
      }
    },
  }
  return {
    store,
    watchers,
    ended: () => ended,
    say: (actorId: string | null) => {
      for (const watcher of watchers) watcher.invalidate(actorId)
    },
    healthy: (up: boolean) => {
      for (const watcher of watchers) watcher.healthy(up)
    },
  }
}

/** A promise to be settled by hand. */
function gate<T = void>() {
  return Promise.withResolvers<T>()
}

/** Lets everything that is ready go on. */
async function settle(): Promise<void> {
  for (let n = 0; n < 50; n++) await null
}

describe('a hit', () => {
  it('is synchronous, reads nothing and gives the same frozen context', async () => {
    const { world, reads, forget, lookups, allCalls } = counted()
    await world.start('root', 'alice')
    const first = await world.send('root')
    forget()
    const adapter = adapterOf(world.engine)
    const root = world.users.get('root') as User
    const entrances = Array.from({ length: 100 }, () => adapter.enter(requestOf(), root))
    for (const entrance of entrances) {
      expect(entrance).not.toBeInstanceOf(Promise)
      expect(entrance).toBe(entrances[0])
    }
    expect(reads()).toBe(0)
    expect(allCalls()).toBe(0)
    expect(lookups()).toBe(0)
    const { context } = await world.send('root')
    expect(context).toBe(first.context)
    expect(Object.isFrozen(context)).toBe(true)
    expect(Object.isFrozen(context?.session)).toBe(true)
    expect(() => Object.assign(context as object, { target: root })).toThrow(TypeError)
  })

  it('of "none" too', async () => {
    const { world, reads } = counted()
    await world.send('root')
    expect(adapterOf(world.engine).enter(requestOf(), world.users.get('root'))).not.toBeInstanceOf(
      Promise,
    )
    expect(reads()).toBe(1)
  })

  it('of one actor says nothing of another', async () => {
    const { world } = counted()
    await world.start('root', 'alice')
    await world.start('sup', 'bob')
    for (let n = 0; n < 5; n++) {
      const outcomes = await Promise.all(['root', 'sup', 'boss'].map((who) => world.send(who)))
      expect(outcomes.map(({ ran }) => ran)).toEqual(['alice', 'bob', 'boss'])
    }
  })
})

describe('a miss', () => {
  it('of 10,000 requests at once is one read', async () => {
    const { world, reads, forget, lookups } = counted()
    await world.start('root', 'alice')
    forget()
    const outcomes = await Promise.all(Array.from({ length: 10_000 }, () => world.send('root')))
    expect(new Set(outcomes.map(({ ran }) => ran))).toEqual(new Set(['alice']))
    expect(reads()).toBe(1)
    expect(lookups()).toBe(1)
  })

  it('of 10,000 pinned requests at once that the cache does not agree with is one read', async () => {
    const { world, reads, forget } = counted()
    const other = world.another()
    await world.send('root', {}, other)
    const { id } = await world.start('root', 'alice')
    forget()
    const outcomes = await Promise.all(
      Array.from({ length: 10_000 }, () => world.send('root', { pin: id }, other)),
    )
    expect(new Set(outcomes.map(({ ran }) => ran))).toEqual(new Set(['alice']))
    expect(reads()).toBe(1)
  })

  it('that fails is not kept', async () => {
    const { world, store, reads } = counted()
    await world.start('root', 'alice')
    store.plan({ readStanding: { 1: 'before', 2: 'before' } })
    expect((await world.send('root')).line).toBe('503 impersonation_unavailable')
    expect((await world.send('root')).line).toBe('503 impersonation_unavailable')
    expect((await world.send('root')).line).toBe('alice')
    expect(reads()).toBe(3)
  })

  it('that fails is told to all who waited, and to nobody later', async () => {
    const { world, store } = counted()
    store.plan({ readStanding: { 1: 'before' } })
    const waiting = await Promise.all(Array.from({ length: 50 }, () => world.send('root')))
    expect(new Set(waiting.map(({ status }) => status))).toEqual(new Set([503]))
    expect((await world.send('root')).line).toBe('root')
  })

  it('does not keep a failed lookup of the target either', async () => {
    let down = false
    const { world } = counted({
      findUser: (id) => {
        if (down) throw new Error('the user database is down')
        return world.users.get(id)
      },
    })
    await world.start('root', 'alice')
    down = true
    expect((await world.send('root', post)).line).toBe('503 impersonation_unavailable')
    expect(await world.active()).toHaveLength(1)
    down = false
    expect((await world.send('root')).line).toBe('alice')
  })
})

describe('a change during a load', () => {
  it('wins: what was revoked meanwhile is neither served nor kept', async () => {
    const inner = memoryStore()
    const slow = gate()
    let hold = false
    const store: Store = {
      ...inner,
      async readStanding(actorId) {
        const read = await inner.readStanding(actorId)
        if (hold) {
          hold = false
          await slow.promise
        }
        return read
      },
    }
    const world = worldOf({}, store)
    const { id } = await world.start('root', 'alice')
    hold = true
    const request = world.send('root', post)
    await settle()
    await world.engine.sessions.revoke(world.caller('boss'), id)
    slow.resolve()
    expect((await request).line).toBe('401 impersonation_revoked')
    expect((await world.send('root', post)).line).toBe('401 impersonation_revoked')
  })

  it('wins also while the target is being looked up', async () => {
    const slow = gate()
    let hold = false
    const world: World = worldOf({
      findUser: async (id) => {
        if (hold) {
          hold = false
          await slow.promise
        }
        return world.users.get(id)
      },
    })
    const { id } = await world.start('root', 'alice')
    hold = true
    const request = world.send('root', post)
    await settle()
    await world.engine.sessions.revoke(world.caller('boss'), id)
    slow.resolve()
    expect((await request).line).toBe('401 impersonation_revoked')
  })

  it('a start meanwhile wins over a "none"', async () => {
    const inner = memoryStore()
    const slow = gate()
    let hold = true
    const store: Store = {
      ...inner,
      async readStanding(actorId) {
        const read = await inner.readStanding(actorId)
        if (hold) {
          hold = false
          await slow.promise
        }
        return read
      },
    }
    const world = worldOf({}, store)
    const request = world.send('root', post)
    await settle()
    await world.start('root', 'alice', { accessLevel: 'full' })
    slow.resolve()
    expect((await request).line).toBe('alice')
  })

  it('a target who changed meanwhile is looked up again', async () => {
    const slow = gate()
    let hold = false
    const world: World = worldOf({
      findUser: async (id) => {
        const user = world.users.get(id)
        if (hold) {
          hold = false
          await slow.promise
        }
        return user
      },
    })
    await world.start('root', 'alice')
    hold = true
    const request = world.send('root')
    await settle()
    world.change('alice', { role: 'narrowed' })
    await world.engine.userChanged('alice')
    slow.resolve()
    expect((await request).user?.role).toBe('narrowed')
    expect((await world.send('root')).user?.role).toBe('narrowed')
  })

  it('a lookup slower than two seconds vouches for nothing that ended meanwhile', async () => {
    const slow = gate()
    let hold = false
    const world: World = worldOf({
      findUser: async (id) => {
        if (hold) {
          hold = false
          await slow.promise
        }
        return world.users.get(id)
      },
    })
    const other = world.another()
    const { id } = await world.start('root', 'alice')
    hold = true
    const early = world.send('root', post)
    await settle()
    world.clock.tick(second)
    await other.sessions.revoke(world.caller('boss', other), id)
    world.clock.tick(2 * second)
    const late = world.send('root', post)
    await settle()
    slow.resolve()
    expect((await early).line).toBe('401 impersonation_revoked')
    expect((await late).line).toBe('401 impersonation_revoked')
  })

  it('lookups that are always slower are 503, not for ever', async () => {
    const world: World = worldOf({
      findUser: (id) => {
        world.clock.tick(3 * second)
        return world.users.get(id)
      },
    })
    await world.start('root', 'alice')
    expect((await world.send('root')).line).toBe('503 impersonation_unavailable')
  })

  it('a state that never stands still is 503, not for ever', async () => {
    const inner = memoryStore()
    const watched = bus(inner)
    const store: Store = {
      ...watched.store,
      async readStanding(actorId) {
        watched.say(actorId)
        return inner.readStanding(actorId)
      },
    }
    const world = worldOf({}, store)
    expect((await world.send('root')).line).toBe('503 impersonation_unavailable')
  })
})

describe('without a watch', () => {
  it('an answer is read again once it is two seconds old, a "none" too', async () => {
    const { world, reads, forget } = counted()
    await world.start('root', 'alice')
    for (const who of ['root', 'sup']) {
      await world.send(who)
      forget()
      world.clock.tick(2 * second - 1)
      await world.send(who)
      expect(reads()).toBe(0)
      world.clock.tick(1)
      await world.send(who)
      expect(reads()).toBe(1)
    }
  })

  it('revocationLagMs and cache.ttlMs shorten that', async () => {
    for (const options of [{ revocationLagMs: 500 }, { cache: { ttlMs: 500 } }]) {
      const { world, reads, forget } = counted(options)
      await world.send('root')
      forget()
      world.clock.tick(499)
      await world.send('root')
      expect(reads()).toBe(0)
      world.clock.tick(1)
      await world.send('root')
      expect(reads()).toBe(1)
    }
  })

  it.each(['alice', null])(
    'the age of an answer (%s) counts from when it was asked',
    async (target) => {
      const slow = gate()
      const { world, store, reads, forget } = counted()
      if (target) await world.start('root', target)
      forget()
      const read = store.readStanding
      let hold = true
      const asking = world.another({
        store: {
          ...store,
          async readStanding(actorId: string) {
            const answer = await read(actorId)
            if (hold) await slow.promise
            hold = false
            return answer
          },
        },
      })
      const request = world.send('root', {}, asking)
      await settle()
      world.clock.tick(1500)
      slow.resolve()
      await request
      world.clock.tick(499)
      await world.send('root', {}, asking)
      expect(reads()).toBe(1)
      world.clock.tick(1)
      await world.send('root', {}, asking)
      expect(reads()).toBe(2)
    },
  )
})

describe('with a healthy watch', () => {
  function watched() {
    const line = bus()
    const parts = counted({}, line.store)
    return { ...parts, ...line, store: parts.store }
  }

  it('30 s are one read, while the target is looked up every two', async () => {
    const { world, reads, forget, healthy, lookups } = watched()
    await world.start('root', 'alice')
    await world.send('root')
    healthy(true)
    await world.send('root')
    forget()
    for (let at = 100; at < 30_000; at += 100) {
      world.clock.tick(100)
      expect((await world.send('root')).ran).toBe('alice')
    }
    expect(reads()).toBe(0)
    expect(lookups()).toBe(14)
    world.clock.tick(100)
    await world.send('root')
    expect(reads()).toBe(1)
  })

  it('a "none" stands for 30 s', async () => {
    const { world, reads, forget, healthy } = watched()
    await world.send('root')
    healthy(true)
    await world.send('root')
    forget()
    world.clock.tick(30_000 - 1)
    await world.send('root')
    expect(reads()).toBe(0)
    world.clock.tick(1)
    await world.send('root')
    expect(reads()).toBe(1)
  })

  it('a message makes it read again, and another actor’s does not', async () => {
    const { world, reads, forget, healthy, say } = watched()
    await world.start('root', 'alice')
    await world.send('root')
    healthy(true)
    await world.send('root')
    forget()
    say('sup')
    await world.send('root')
    expect(reads()).toBe(0)
    say('root')
    await world.send('root')
    expect(reads()).toBe(1)
    say(null)
    await world.send('root')
    expect(reads()).toBe(2)
  })

  it('is not believed before it says so, nor after it says otherwise', async () => {
    const { world, reads, forget, healthy } = watched()
    await world.start('root', 'alice')
    await world.send('root')
    forget()
    world.clock.tick(2 * second)
    await world.send('root')
    expect(reads(), 'not healthy yet').toBe(1)
    healthy(true)
    await world.send('root')
    expect(reads(), 'what was missed before is not known').toBe(2)
    world.clock.tick(10 * second)
    await world.send('root')
    expect(reads()).toBe(2)
    healthy(false)
    await world.send('root')
    expect(reads(), 'older than the lag, and nobody vouches').toBe(3)
    healthy(true)
    await world.send('root')
    expect(reads(), 'a gap was healed').toBe(4)
    healthy(true)
    await world.send('root')
    expect(reads(), 'nothing new').toBe(4)
  })

  it('a revoke of which the message is lost is seen two seconds after the watch fails', async () => {
    const { world, healthy } = watched()
    const other = world.another()
    const { id } = await world.start('root', 'alice')
    await world.send('root')
    healthy(true)
    await world.send('root')
    await other.sessions.revoke(world.caller('boss', other), id)
    world.clock.tick(2 * second)
    healthy(false)
    expect((await world.send('root', post)).line).toBe('401 impersonation_revoked')
  })

  it('what was read before it fell silent during a lookup serves nobody', async () => {
    const line = bus()
    let look = async () => {}
    const { world } = counted(
      {
        async findUser(id) {
          await look()
          return world.users.get(id)
        },
      },
      line.store,
    )
    const other = world.another()
    const { id } = await world.start('root', 'alice')
    await world.send('root')
    line.healthy(true)
    expect((await world.send('root')).ran).toBe('alice')
    world.clock.tick(10 * second)
    look = async () => {
      look = async () => {}
      line.healthy(false)
      await other.sessions.revoke(world.caller('boss', other), id)
    }
    expect((await world.send('root', post)).line).toBe('401 impersonation_revoked')
  })

  it.each([
    '',
    'nobody',
    '__proto__',
    'x'.repeat(100_000),
    'root\0',
    7,
    {},
    [],
    undefined,
    { id: 'evil', actorId: 'root', targetUserId: 'boss', status: 'active' },
  ])('a forged message can do no harm: %o', async (message) => {
    const { world, watchers, healthy } = watched()
    await world.start('root', 'alice')
    await world.send('root')
    healthy(true)
    await world.send('root')
    const watcher = watchers[0] as StoreWatcher
    expect(() => watcher.invalidate(message as string)).not.toThrow()
    expect((await world.send('root')).line).toBe('alice')
    expect((await world.send('mallory')).line).toBe('mallory')
    expect((await world.send('sup')).line).toBe('sup')
  })

  it('is told how long a silence may last, and is ended with the engine', async () => {
    const { world, watchers, ended } = watched()
    expect(watchers, 'nothing is watched before the first request').toHaveLength(0)
    await world.send('mallory')
    await world.send('root')
    expect(watchers).toHaveLength(1)
    expect(watchers[0]?.silenceMs).toBe(2000)
    await world.engine.close()
    expect(ended()).toBe(1)
  })
})

describe('ordinary users and nobody', () => {
  it('cost no call of the store and none of describe while nobody impersonates', async () => {
    const describeUser = vi.fn((user: User) => ({ id: user.id }))
    const { world, allCalls } = counted({ describe: describeUser })
    for (const who of ['alice', 'mallory', null]) {
      for (const method of ['GET', 'POST']) {
        const { ran, context, headers, setCookie } = await world.send(who, { method })
        expect({ ran, context, headers, setCookie }).toEqual({
          ran: who ?? 'nobody',
          context: null,
          headers: {},
          setCookie: null,
        })
      }
    }
    expect(allCalls()).toBe(0)
    expect(describeUser).not.toHaveBeenCalled()
  })

  it('cost no call of the store while others do, and are answered synchronously', async () => {
    const { world, allCalls, forget } = counted()
    await world.start('root', 'alice')
    await world.send('root')
    forget()
    const adapter = adapterOf(world.engine)
    for (const who of ['alice', 'mallory']) {
      expect(adapter.enter(requestOf(), world.users.get(who))).not.toBeInstanceOf(Promise)
    }
    expect(adapter.enter(requestOf(), null)).not.toBeInstanceOf(Promise)
    expect(allCalls()).toBe(0)
  })

  it('lose headers that claim an impersonation', async () => {
    const { world } = counted()
    const adapter = adapterOf(world.engine)
    for (const who of ['mallory', 'root', null]) {
      const request = requestOf({
        headers: { 'X-Impersonating': 'true', 'X-Impersonated-User-Id': 'root', 'x-other': '1' },
      })
      await adapter.enter(request, who === null ? null : world.users.get(who))
      expect(Object.keys(request.headers).sort()).toEqual(['sec-fetch-site', 'x-other'])
    }
  })
})

describe('cache.max', () => {
  it('holds so many actors, and forgets the one not asked for longest', async () => {
    const { world, reads, forget } = counted({ cache: { max: 2 } })
    await world.start('root', 'alice')
    for (const who of ['root', 'sup', 'boss']) await world.send(who)
    forget()
    await world.send('boss')
    await world.send('sup')
    expect(reads()).toBe(0)
    expect((await world.send('root')).ran).toBe('alice')
    expect(reads()).toBe(1)
  })
})

describe('two processes on one store', () => {
  it('a revoke on one is heeded by the other within two seconds, whatever it served before', async () => {
    for (const step of [1, 250, 999, 1999]) {
      const world = worldOf()
      const other = world.another()
      const { id } = await world.start('root', 'alice')
      await world.send('root', {}, other)
      world.clock.tick(step)
      await world.engine.sessions.revoke(world.caller('boss'), id)
      for (let age = 0; age < 2000; age += 100) {
        await world.send('root', {}, other)
        world.clock.tick(100)
      }
      expect((await world.send('root', post, other)).line).toBe('401 impersonation_revoked')
      expect((await world.send('root', { pin: id }, other)).line).toBe('401 impersonation_revoked')
    }
  })

  it('a stop, a revoke, a demotion on one is heeded there at once', async () => {
    const ends: ReadonlyArray<(world: World, id: string) => Promise<unknown>> = [
      (world) => world.engine.sessions.stop(world.caller('root')),
      (world, id) => world.engine.sessions.revoke(world.caller('boss'), id),
      (world) => world.engine.endFor('root'),
    ]
    for (const end of ends) {
      const world = worldOf()
      const { id } = await world.start('root', 'alice')
      await world.send('root')
      await end(world, id)
      expect((await world.send('root', { pin: id })).status).toBe(401)
      expect((await world.send('root')).ran).not.toBe('alice')
    }
  })

  it('a start on one counts at once for what is pinned on the other', async () => {
    const world = worldOf()
    const other = world.another()
    await world.send('root', {}, other)
    const { id } = await world.start('root', 'alice', { accessLevel: 'full' })
    // What is not pinned may run as the actor for the lag, and no longer: the one exception there is.
    expect((await world.send('root', post, other)).line).toBe('root')
    expect((await world.send('root', { ...post, pin: id }, other)).line).toBe('alice')
    expect((await world.send('root', { ...post, cookie: id }, other)).line).toBe('alice')
    // The pinned request has told this process.
    expect((await world.send('root', post, other)).line).toBe('alice')
  })

  it('a start on one counts for everything on the other after the lag', async () => {
    const world = worldOf()
    const other = world.another()
    await world.send('root', {}, other)
    await world.start('root', 'alice', { accessLevel: 'full' })
    world.clock.tick(2 * second)
    expect((await world.send('root', post, other)).line).toBe('alice')
  })

  it('a restart goes on where the old process was', async () => {
    const world = worldOf()
    const { id } = await world.start('root', 'alice')
    const next = world.another()
    expect((await world.send('root', {}, next)).line).toBe('alice')
    expect((await world.send('root', { pin: id }, next)).line).toBe('alice')
  })

  it('2,000 requests of several admins on both never mix', async () => {
    const { world } = counted({ exclusiveTarget: false })
    const other = world.another()
    const admins = Array.from({ length: 20 }, (_, n) => `admin${n}`)
    for (const [n, id] of admins.entries()) {
      world.users.set(id, { id, may: ['start'] })
      world.users.set(`user${n}`, { id: `user${n}` })
      if (n % 3 !== 0) await world.start(id, `user${n}`)
    }
    const outcomes = await Promise.all(
      Array.from({ length: 2000 }, async (_, n) => {
        const who = n % 20
        const on = n % 2 ? other : world.engine
        const { ran, context } = await world.send(`admin${who}`, {}, on)
        return [who, ran, context?.actor.id, context?.target.id] as const
      }),
    )
    for (const [who, ran, actor, target] of outcomes) {
      const expected = who % 3 === 0 ? `admin${who}` : `user${who}`
      expect(ran).toBe(expected)
      if (who % 3 !== 0) expect([actor, target]).toEqual([`admin${who}`, `user${who}`])
    }
    world.clock.tick(minute)
  })
})

describe('the cache by itself', () => {
  function parts() {
    const asked: string[] = []
    const gates: ReturnType<typeof gate<{ n: number }>>[] = []
    const cache = createCache<{ n: number }, null>({
      max: 10,
      isFresh: () => true,
      load: (key) => {
        asked.push(key)
        const one = gate<{ n: number }>()
        gates.push(one)
        return one.promise
      },
    })
    return { cache, asked, gates }
  }

  it('fresh goes past a load that was asked before', async () => {
    const { cache, asked, gates } = parts()
    const old = cache.get('a', null)
    await settle()
    const fresh = cache.fresh('a', null)
    await settle()
    expect(asked).toEqual(['a', 'a'])
    gates[1]?.resolve({ n: 2 })
    expect(await fresh).toEqual({ n: 2 })
    gates[0]?.resolve({ n: 1 })
    // Whoever asked earlier gets no older answer than the one that is kept.
    await settle()
    expect(cache.peek('a')).toEqual({ n: 2 })
    gates[2]?.resolve({ n: 3 })
    expect((await old).n).toBeGreaterThan(1)
  })

  it('a load that fails leaves nothing behind', async () => {
    const { cache, gates } = parts()
    const failed = Promise.resolve(cache.get('a', null)).catch((error: Error) => error.message)
    await settle()
    gates[0]?.reject(new Error('down'))
    expect(await failed).toBe('down')
    expect(cache.size).toBe(0)
    const next = cache.get('a', null)
    await settle()
    gates[1]?.resolve({ n: 1 })
    expect(await next).toEqual({ n: 1 })
  })

  it('a load that is asked again while failing does not disturb the newer one', async () => {
    const { cache, gates } = parts()
    const failed = Promise.resolve(cache.get('a', null)).catch((error: Error) => error.message)
    await settle()
    cache.invalidate('a')
    const next = cache.get('a', null)
    await settle()
    gates[0]?.reject(new Error('down'))
    expect(await failed).toBe('down')
    expect(cache.get('a', null), 'the newer load is shared').toBe(next)
    gates[1]?.resolve({ n: 1 })
    expect(await next).toEqual({ n: 1 })
  })
})
