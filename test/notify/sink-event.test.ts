import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { noMeta, refusedEvent } from '../../src/audit/events.ts'
import { createImpersonation, type Delivery, memoryStore } from '../../src/index.ts'
import { eventDelivery } from '../../src/notify/event-delivery.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { minute, noon, type World, worldOf } from '../support/core-world.ts'
import { byId, eventRows, sinkOf, wireOf } from './sink-support.ts'
import { deliveryOf, lines, outboxOf, putDeliveries, stopTimers, toldWorld } from './support.ts'

beforeEach(stopTimers)
afterEach(() => void vi.useRealTimers())

describe('the event', () => {
  it('leaves no copy of itself in the outbox once it is delivered', async () => {
    const sink = sinkOf()
    const world = worldOf({ audit: { sink } })
    await world.start('root', 'alice')
    expect(JSON.stringify(await eventRows(world.store))).toContain('ticket 7')
    await world.engine.outbox.deliver()
    const rows = await eventRows(world.store)
    expect(rows).toMatchObject([{ status: 'sent', payload: {}, error: null, settledAt: noon }])
    expect(JSON.stringify(rows)).not.toContain('ticket 7')
    expect(sink.events).toHaveLength(1)
  })

  it('is the same for each attempt, whatever one did with it', async () => {
    const sink = sinkOf()
    const meddle = vi.fn((event: Readonly<Record<string, unknown>>) => {
      const { details } = event as { details: object }
      const done = [
        Reflect.set(event, 'reason', 'none'),
        Reflect.deleteProperty(event, 'actor_id'),
        Reflect.set(details, 'access_level', 'full'),
        Reflect.set(details, 'added', true),
      ]
      expect(done).toEqual([false, false, false, false])
      return sink.send(event)
    })
    const world = worldOf({ audit: { sink: { send: meddle } } })
    await world.start('root', 'alice')
    sink.faults.push(new Error('once more'))
    await world.engine.outbox.deliver()
    world.clock.tick(minute)
    await world.engine.outbox.deliver()
    expect(meddle).toHaveBeenCalledTimes(2)
    expect(sink.events).toEqual(await wireOf(world.store))
    const [first, second] = meddle.mock.calls.map(([event]) => event)
    expect(first).toEqual(second)
    expect(first).not.toBe(second)
  })

  it('is handed over where nobody is impersonated, by the sink’s own method', async () => {
    const seen: unknown[] = []
    class Sink {
      readonly own = 'mine'
      async send() {
        seen.push(this.own, world.engine.tryCurrent())
      }
    }
    const world: World = worldOf({ audit: { sink: new Sink() } })
    const session = await world.start('root', 'alice')
    const context = { actor: {}, target: {}, session } as never
    await world.engine.run(context, () => world.engine.outbox.deliver())
    expect(seen).toEqual(['mine', null])
  })

  it('goes beside the notice of the same event, each under an id of its own', async () => {
    const sink = sinkOf()
    const world = toldWorld({ audit: { sink } })
    await world.start('root', 'alice')
    const [event] = await world.store.listEvents({}, { limit: 1 })
    const ids = (await world.deliveries()).map(({ id }) => id).sort()
    expect(ids).toEqual([`event ${event?.id}`, event?.id].sort())
    expect(lines(await world.deliver())).toEqual(['alice mail session_started'])
    expect(sink.events).toHaveLength(1)
  })

  it('is about the target, or else the actor, or else nobody', () => {
    const attempt = (targetUserId: string | null) => ({ targetUserId, reason: null })
    const actor = { id: 'root', orgId: null } as Parameters<typeof refusedEvent>[2]
    const userOf = (...[who, target]: [typeof actor, string | null]) =>
      eventDelivery(refusedEvent(noon, 'not_allowed', who, attempt(target), noMeta)).userId
    expect(userOf(actor, 'alice')).toBe('alice')
    expect(userOf(actor, null)).toBe('root')
    expect(userOf(actor, '')).toBe('root')
    expect(userOf(null, null)).toBe('(nobody)')
  })

  it('is left alone by a process without a sink, and goes by one that has it', async () => {
    const sink = sinkOf()
    const world = toldWorld({ audit: { sink } })
    const without = world.another({ audit: {} })
    await world.start('root', 'alice')
    const before = await eventRows(world.store)
    expect(await without.outbox.deliver(), 'the notice and its mail').toBe(2)
    expect(await eventRows(world.store)).toEqual(before)
    await world.engine.outbox.deliver()
    expect(sink.events).toHaveLength(1)
  })

  it('of a start that came to nothing is not told, and what it left on record is', async () => {
    const store = faultyStore(memoryStore(), { claimSession: { 1: 'before' } })
    const sink = sinkOf()
    const world = worldOf({ audit: { sink } }, store)
    await expect(world.start('root', 'alice')).rejects.toMatchObject({ status: 503 })
    await world.engine.outbox.deliver()
    expect(sink.events.toSorted(byId)).toEqual(await wireOf(store))
    expect(sink.events.map(({ action }) => action)).not.toContain('impersonation.started')
  })

  it('that is no JSON is no end of the others', async () => {
    const sink = sinkOf()
    const world = worldOf({ audit: { sink } })
    const broken = ['{', 7, undefined].map((event, n) =>
      deliveryOf({ id: `e${n}`, topic: 'event', payload: { event } as Delivery['payload'] }),
    )
    await putDeliveries(world.store, broken)
    await world.start('root', 'alice')
    expect(await world.engine.outbox.deliver()).toBe(1)
    expect(sink.events).toHaveLength(1)
  })
})

describe('the outbox', () => {
  it('is there with a sink alone', async () => {
    const world = worldOf({ audit: { sink: sinkOf() } })
    expect(await world.engine.outbox.list({}, { limit: 1 })).toEqual([])
  })

  it('goes by itself soon after a change', async () => {
    const sink = sinkOf()
    const world = worldOf({ audit: { sink } })
    await world.start('root', 'alice')
    await vi.advanceTimersByTimeAsync(20)
    await vi.waitUntil(() => sink.events.length === 1)
  })

  it('tells of a store that fails for one topic, once the others are through', async () => {
    const store = faultyStore(memoryStore())
    const sink = sinkOf()
    const world = toldWorld({ audit: { sink } }, store)
    await world.start('root', 'alice')
    store.plan({ leaseDeliveries: { 1: 'before' } })
    await expect(world.engine.outbox.deliver()).rejects.toMatchObject({ status: 503 })
    expect(sink.events).toHaveLength(1)
    expect(await world.deliver()).toHaveLength(1)
  })

  it('takes nothing from a store that hands out what was not asked for', async () => {
    const store = memoryStore()
    const outbox = outboxOf(store)
    const topics = ['notice', 'event'] as const
    const send = vi.fn()
    const world = toldWorld(
      { notifier: { send } },
      {
        ...store,
        outbox: {
          ...outbox,
          leaseDeliveries: (lease) => outbox.leaseDeliveries({ ...lease, topics }),
        },
      },
    )
    await putDeliveries(store, [deliveryOf({ id: 'e', topic: 'event', channel: 'mail' })])
    await expect(world.engine.outbox.deliver()).rejects.toMatchObject({ status: 503 })
    expect(send).not.toHaveBeenCalled()
  })

  it('is given back what it has not begun when it closes', async () => {
    const store = memoryStore()
    const outbox = outboxOf(store)
    const sink = sinkOf()
    let closing: Promise<void> | undefined
    const engine = createImpersonation({
      findUser: (id) => ({ id }),
      can: () => true,
      now: () => noon,
      audit: { sink },
      store: {
        ...store,
        outbox: {
          ...outbox,
          async leaseDeliveries(lease) {
            const leased = await outbox.leaseDeliveries(lease)
            closing = engine.close()
            return leased
          },
        },
      },
    })
    await putDeliveries(store, [deliveryOf({ id: 'e', topic: 'event', payload: { event: '{}' } })])
    expect(await engine.outbox.deliver()).toBe(0)
    await closing
    expect(sink.events).toEqual([])
    expect(await eventRows(store)).toMatchObject([{ status: 'pending', attempts: 0, dueAt: noon }])
  })
})
