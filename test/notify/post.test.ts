import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { deliveryTopics, memoryStore, type Notification, type Session } from '../../src/index.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { hour, minute, noon, second, send, type User, worldOf } from '../support/core-world.ts'
import { deliveryOf, lines, outboxOf, putDeliveries, stopTimers, toldWorld } from './support.ts'

beforeEach(stopTimers)
afterEach(() => void vi.useRealTimers())

/** A notifier of which each sending waits to be let go on, and tells when it has begun. */
function gate() {
  const begun: (() => void)[] = []
  const waiting: (() => void)[] = []
  return {
    send: async (_notification: Notification) => {
      begun.shift()?.()
      await new Promise<void>((resolve) => waiting.push(resolve))
    },
    next: () => new Promise<void>((resolve) => begun.push(resolve)),
    open: () => waiting.shift()?.(),
  }
}

/** A notifier that tells of its next message. */
function herald() {
  const heard: ((notification: Notification) => void)[] = []
  return {
    send: (notification: Notification) => heard.shift()?.(notification),
    next: () => new Promise<Notification>((resolve) => heard.push(resolve)),
  }
}

describe('by itself', () => {
  it('goes soon after a change of this process', async () => {
    const { send, next } = herald()
    const world = toldWorld({ notifier: { send } })
    const told = next()
    await world.start('root', 'alice')
    await vi.advanceTimersByTimeAsync(20)
    expect(lines([await told])).toEqual(['alice mail session_started'])
  })

  it('goes once for the changes of one moment', async () => {
    const store = faultyStore(memoryStore())
    const { send, next } = herald()
    const world = toldWorld({ notifier: { send } }, store)
    await world.engine.outbox.deliver()
    store.plan({})
    const told = [next(), next(), next()]
    await world.start('root', 'alice')
    await world.start('root', 'bob')
    await vi.advanceTimersByTimeAsync(20)
    await Promise.all(told)
    await world.engine.outbox.deliver()
    // One batch for the notices, one for the mails, one that found no more; and the look of the last line.
    expect(store.calls.leaseDeliveries).toBe(4)
  })

  it('goes every 5 s from the first request on', async () => {
    const { send: tell, next } = herald()
    const world = toldWorld({ notifier: { send: tell } })
    await putDeliveries(world.store, [deliveryOf({ channel: 'mail' })])
    const told = next()
    await vi.advanceTimersByTimeAsync(10 * second)
    await send(world.engine, world.users.get('bob') as User)
    await vi.advanceTimersByTimeAsync(5 * second)
    expect(lines([await told])).toEqual(['alice mail session_started'])
    await world.engine.close()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('starts nothing where there is nothing to deliver', async () => {
    const store = faultyStore(memoryStore())
    const world = worldOf({}, store)
    await world.start('root', 'alice')
    await send(world.engine, world.users.get('bob') as User)
    await vi.advanceTimersByTimeAsync(minute)
    expect(store.calls.leaseDeliveries).toBe(0)
    await world.engine.close()
  })

  it('goes on after a store that was down', async () => {
    const store = faultyStore(memoryStore())
    const world = toldWorld({}, store)
    await world.start('root', 'alice')
    store.plan({ leaseDeliveries: 'before' })
    await expect(world.engine.outbox.deliver()).rejects.toMatchObject({ status: 503 })
    store.plan({})
    expect(await world.deliver()).toHaveLength(1)
  })
})

describe('two rounds', () => {
  it('are never at once in a process', async () => {
    const { send, next, open } = gate()
    const store = faultyStore(memoryStore())
    const world = toldWorld({ notifier: { send } }, store)
    await world.start('root', 'alice')
    const sending = next()
    const first = world.engine.outbox.deliver()
    await sending
    const leases = store.calls.leaseDeliveries
    const others = [world.engine.outbox.deliver(), world.engine.outbox.deliver()]
    await vi.advanceTimersByTimeAsync(second)
    expect(store.calls.leaseDeliveries).toBe(leases)
    open()
    expect(await first).toBe(2)
    expect(await Promise.all(others)).toEqual([0, 0])
    expect(store.calls.leaseDeliveries, 'two that wait are one').toBe(leases + 2)
  })

  it('of two processes send nothing twice', async () => {
    const world = toldWorld()
    const other = world.another()
    for (let n = 0; n < 40; n++) {
      await putDeliveries(world.store, [deliveryOf({ id: `n${n}`, channel: 'mail' })])
    }
    await world.start('root', 'alice')
    const rounds = [world.engine, other, world.engine, other].map((on) => on.outbox.deliver())
    await Promise.all(rounds)
    const ids = world.sent.map(({ id }) => id)
    expect(ids).toHaveLength(41)
    expect(new Set(ids).size).toBe(41)
  })

  it('of a process that died and one that lives: sent by the living, once the lease is over', async () => {
    const world = toldWorld()
    await putDeliveries(world.store, [deliveryOf({ id: 'one', channel: 'mail' })])
    const lease = { now: noon, until: noon + minute, limit: 8, topics: deliveryTopics }
    expect(await outboxOf(world.store).leaseDeliveries(lease)).toHaveLength(1)
    expect(await world.deliver()).toEqual([])
    world.clock.tick(minute - 1)
    expect(await world.deliver()).toEqual([])
    world.clock.tick(1)
    expect(await world.deliver()).toHaveLength(1)
  })
})

describe('a notifier that is down', () => {
  it('takes back no change of state, and keeps nobody waiting', async () => {
    const world = toldWorld({
      notifier: {
        channels: () => {
          throw new Error('down')
        },
        send: () => new Promise(() => {}),
      },
    })
    const session = await world.start('root', 'alice')
    await world.engine.outbox.deliver()
    await world.engine.sessions.revoke(world.caller('boss'), session.id)
    expect(await world.actions(session.id)).toEqual(['revoked', 'started'])
    expect(await world.active()).toEqual([])
    expect(await world.deliveries({ status: 'pending' })).toHaveLength(2)
  })

  it('and an outbox that is down: stopping works, and the message follows its event', async () => {
    const store = faultyStore(memoryStore())
    const world = toldWorld({}, store)
    const session = await world.start('root', 'alice')
    await world.deliver()
    store.plan({ endSession: { 1: 'before' }, appendEvents: { 1: 'before' } })
    await world.engine.sessions.stop(world.caller('root'))
    expect(await world.active()).toEqual([])
    // The first may join the try that fails.
    await world.engine.reap()
    await world.engine.reap()
    expect(await world.actions(session.id)).toEqual(['started', 'stopped'])
    expect(lines(await world.deliver())).toEqual(['alice mail session_ended'])
  })
})

describe('close', () => {
  it('waits for the sending under way, and lets nothing begin after it', async () => {
    const { send, next, open } = gate()
    const world = toldWorld({ notifier: { send } })
    await world.start('root', 'alice')
    const sending = next()
    const round = world.engine.outbox.deliver()
    await sending
    await world.start('root', 'bob')
    let closed = false
    const closing = world.engine.close().then(() => {
      closed = true
    })
    await vi.advanceTimersByTimeAsync(second)
    expect(closed).toBe(false)
    open()
    await closing
    expect(await round).toBe(2)
    await vi.advanceTimersByTimeAsync(minute)
    expect(await world.engine.outbox.deliver()).toBe(0)
    const pending = await world.deliveries({ status: 'pending' })
    expect(pending.map(({ userId, payload }) => [userId, payload.kind]).sort()).toEqual([
      ['alice', 'session_ended'],
      ['bob', 'session_started'],
    ])
  })

  it('gives back what it has not begun to send', async () => {
    let lookedUp = () => {}
    const looking = new Promise<void>((resolve) => {
      lookedUp = resolve
    })
    let answer = (_ways: readonly []) => {}
    const sent = vi.fn()
    const world = toldWorld({
      notifier: {
        channels: () => {
          lookedUp()
          return new Promise((resolve) => {
            answer = () => resolve([{ channel: 'mail', to: 'alice@example.com' }])
          })
        },
        send: sent,
      },
    })
    await putDeliveries(world.store, [deliveryOf({ id: 'one', channel: 'mail' })])
    const round = world.engine.outbox.deliver()
    await looking
    const closing = world.engine.close()
    answer([])
    await closing
    expect(await round).toBe(0)
    expect(sent).not.toHaveBeenCalled()
    expect(await world.deliveries()).toMatchObject([
      { status: 'pending', attempts: 0, dueAt: noon },
    ])
  })

  it('does not wait for good', async () => {
    const { send, next } = gate()
    const store = faultyStore(memoryStore())
    const world = toldWorld({ notifier: { send } }, store)
    await putDeliveries(store, [deliveryOf({ channel: 'mail' })])
    const sending = next()
    void world.engine.outbox.deliver()
    await sending
    // First the sending hangs, and then the store.
    store.plan({ changeDelivery: 'hang' })
    const closing = world.engine.close()
    await vi.advanceTimersByTimeAsync(15 * second)
    await closing
  })
})

describe('impersonation.outbox', () => {
  it('says what is missing where there is nothing to deliver', async () => {
    const { outbox } = worldOf().engine
    const calls = [outbox.deliver(), outbox.list({}, { limit: 1 }), outbox.retry('x')]
    for (const call of calls)
      await expect(call).rejects.toThrow(/a "notifier", a "sandbox" or an "audit.sink"/)
  })

  it('lists, newest first, by what is asked for', async () => {
    const world = toldWorld()
    await world.start('root', 'alice')
    world.clock.tick(second)
    await world.start('root', 'bob')
    const { outbox } = world.engine
    const kinds = (await outbox.list({ userId: 'alice' }, { limit: 9 })).map(
      (one) => one.payload.kind,
    )
    expect(kinds).toHaveLength(2)
    expect(new Set(kinds)).toEqual(new Set(['session_ended', 'session_started']))
    expect(await outbox.list({ status: 'dead' }, { limit: 9 })).toEqual([])
    expect(await outbox.list({}, { limit: 1 })).toHaveLength(1)
  })

  it.each(['dead', 'skipped'] as const)(
    'puts a %s one back, with all its attempts',
    async (status) => {
      const world = toldWorld()
      const over = { status, settledAt: noon, error: 'x', attempts: 15 }
      await putDeliveries(world.store, [deliveryOf({ id: 'one', channel: 'mail', ...over })])
      world.clock.tick(hour)
      const now = {
        status: 'pending',
        attempts: 0,
        dueAt: noon + hour,
        settledAt: null,
        error: null,
      }
      expect(await world.engine.outbox.retry('one')).toMatchObject(now)
      expect(lines(await world.deliver())).toEqual(['alice mail session_started'])
    },
  )

  it('leaves alone what was erased: it says nothing any more', async () => {
    const world = toldWorld()
    const erased = deliveryOf({ id: 'one', payload: {}, status: 'dead', settledAt: noon })
    await putDeliveries(world.store, [erased])
    expect(await world.engine.outbox.retry('one')).toEqual(erased)
    expect(await world.deliver()).toEqual([])
  })

  it('keeps no words of what it has told', async () => {
    const world = toldWorld()
    await world.start('root', 'alice', { reason: 'words of root' })
    expect(JSON.stringify(await world.deliveries())).toContain('words of root')
    const told = await world.deliver()
    expect(JSON.stringify(told)).toContain('words of root')
    const kept = await world.deliveries({ status: 'sent' })
    expect(kept.length).toBeGreaterThan(0)
    expect(JSON.stringify(kept)).not.toContain('words of root')
  })

  it('leaves alone what is sent or waits, and knows no other', async () => {
    const world = toldWorld()
    const waiting = deliveryOf({ id: 'waiting', channel: 'mail', dueAt: noon + hour, attempts: 3 })
    const sent = deliveryOf({ id: 'sent', channel: 'mail', status: 'sent', settledAt: noon })
    await putDeliveries(world.store, [waiting, sent])
    expect(await world.engine.outbox.retry('waiting')).toEqual(waiting)
    expect(await world.engine.outbox.retry('sent')).toEqual(sent)
    expect(await world.engine.outbox.retry('unknown')).toBeNull()
    expect(await world.deliver()).toEqual([])
  })
})

describe('a user of a test session', () => {
  const tester: User = { id: 'tester' }

  /** A session as such a user, as a start leaves it. */
  async function testSession(options = {}, store = memoryStore()) {
    const dispose = vi.fn<(user: User) => Promise<void> | void>((user) => {
      world.users.delete(user.id)
    })
    const sandbox = { provision: () => tester, dispose }
    const world = worldOf({ sandbox, ...options }, store)
    world.users.set('tester', tester)
    const { id, expiresAt } = await world.start('root', 'tester')
    await putDeliveries(world.store, [disposalOf(id, expiresAt + second)])
    const stored = () => outboxOf(world.store).readDelivery(`disposal ${id}`)
    return { world, dispose, id, expiresAt, stored }
  }
  const disposalOf = (id: Session['id'], dueAt: number) =>
    deliveryOf({
      id: `disposal ${id}`,
      topic: 'disposal',
      userId: 'tester',
      payload: { session_id: id },
      dueAt,
    })

  it('goes soon after the session has ended in this process', async () => {
    const { world, dispose, stored } = await testSession()
    const gone = new Promise<void>((resolve) => dispose.mockImplementationOnce(() => resolve()))
    await world.engine.outbox.deliver()
    expect(dispose).not.toHaveBeenCalled()
    await world.engine.sessions.stop(world.caller('root'))
    await vi.waitUntil(async () => (await stored())?.dueAt === noon)
    await vi.advanceTimersByTimeAsync(20)
    await gone
    await world.engine.outbox.deliver()
    expect(dispose.mock.calls).toEqual([[tester]])
    expect(await stored()).toMatchObject({ status: 'sent' })
  })

  it('goes a second after the session would have ended, whoever ended it', async () => {
    const { world, dispose, expiresAt } = await testSession()
    const other = world.another({ sandbox: undefined as never })
    await other.sessions.stop(world.caller('root', other))
    world.clock.wall = expiresAt + second - 1
    await world.engine.outbox.deliver()
    expect(dispose).not.toHaveBeenCalled()
    world.clock.tick(1)
    await world.engine.outbox.deliver()
    expect(dispose).toHaveBeenCalledOnce()
  })

  it('stays while the session does, and that is no failure', async () => {
    const { world, dispose, expiresAt, stored } = await testSession()
    await world.engine.sessions.extend(world.caller('root'), 10 * minute)
    world.clock.wall = expiresAt + second
    await world.engine.outbox.deliver()
    expect(dispose).not.toHaveBeenCalled()
    expect(await stored()).toMatchObject({
      status: 'pending',
      attempts: 0,
      error: null,
      dueAt: expiresAt + 10 * minute + second,
    })
    world.clock.tick(10 * minute)
    await world.engine.outbox.deliver()
    expect(dispose, 'over by the clock is over').toHaveBeenCalledOnce()
  })

  it('who is gone already is skipped', async () => {
    const { world, dispose, expiresAt, stored } = await testSession()
    await world.engine.sessions.stop(world.caller('root'))
    world.users.delete('tester')
    world.clock.wall = expiresAt + second
    await world.engine.outbox.deliver()
    expect(dispose).not.toHaveBeenCalled()
    expect(await stored()).toMatchObject({ status: 'skipped', error: 'the user is gone' })
  })

  it('who never had a session goes, too', async () => {
    const { world, dispose } = await testSession()
    await world.engine.sessions.stop(world.caller('root'))
    await world.engine.outbox.deliver()
    dispose.mockClear()
    world.users.set('tester', tester)
    const never = { ...disposalOf('never', noon), payload: { session_id: null } }
    await putDeliveries(world.store, [never, disposalOf('unknown', noon)])
    await world.engine.outbox.deliver()
    expect(dispose).toHaveBeenCalled()
  })

  it('who can not be removed is tried again', async () => {
    const { world, dispose, expiresAt, stored } = await testSession()
    dispose.mockRejectedValueOnce(new Error('the directory is down'))
    await world.engine.sessions.stop(world.caller('root'))
    world.clock.wall = expiresAt + second
    await world.engine.outbox.deliver()
    const failed = { status: 'pending', attempts: 1, error: 'the directory is down' }
    expect(await stored()).toMatchObject(failed)
    world.clock.tick(10 * second)
    await world.engine.outbox.deliver()
    expect(await stored()).toMatchObject({ status: 'sent', attempts: 2, error: null })
  })

  it('waits where nobody here can remove them', async () => {
    const { world, dispose, expiresAt, stored } = await testSession()
    const other = world.another({
      sandbox: undefined as never,
      notifier: { channels: () => [], send: () => {} },
    })
    const before = await stored()
    world.clock.wall = expiresAt + second
    expect(await other.outbox.deliver()).toBe(0)
    expect(await stored(), 'not even put off').toEqual(before)
    expect(dispose).not.toHaveBeenCalled()
    await world.engine.outbox.deliver()
    expect(dispose).toHaveBeenCalledOnce()
  })

  it('is told of nothing', async () => {
    const sent = vi.fn()
    const notifier = { channels: () => [{ channel: 'mail', to: 'x@example.com' }], send: sent }
    const { world, dispose } = await testSession({ notifier })
    // Still there, and so could be told.
    dispose.mockImplementation(() => {})
    await world.engine.sessions.stop(world.caller('root'))
    await world.engine.outbox.deliver()
    expect(sent).not.toHaveBeenCalled()
  })

  it.each(['before', 'after'] as const)(
    'goes in the end where the hurry is lost (%s)',
    async (fault) => {
      const store = faultyStore(memoryStore())
      const { world, dispose, expiresAt } = await testSession({}, store)
      await world.engine.outbox.deliver()
      store.plan({ readDelivery: { 1: fault }, changeDelivery: { 1: fault } })
      await world.engine.sessions.stop(world.caller('root'))
      await world.engine.outbox.deliver()
      store.plan({})
      world.clock.wall = expiresAt + minute
      await world.engine.outbox.deliver()
      expect(dispose).toHaveBeenCalledOnce()
    },
  )
})
