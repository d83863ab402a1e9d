import assert from 'node:assert/strict'
import type { OutboxSection } from '../../stores/outbox.ts'
import { type Delivery, deliveryStatuses, deliveryTopics } from '../../types.ts'
import { minute, type Rule, same, t0 } from './fixtures.ts'
import {
  allDeliveries,
  deliveryOf,
  leased,
  leaseOf,
  post,
  settlementOf,
  whereDelivered,
} from './outbox-fixtures.ts'

const until = t0 + minute
const lease = (outbox: OutboxSection, limit = 100, now = t0) =>
  outbox.leaseDeliveries(leaseOf(now, now + minute, { limit }))

export function outboxLeaseRules(someRule: Rule): void {
  const rule = whereDelivered(someRule)

  rule('what is due is handed out as it is then, and stored so', async (store, outbox) => {
    const delivery = deliveryOf({ attempts: 2, revision: 5, error: 'no answer', channel: 'mail' })
    await post(store, delivery)
    same(await lease(outbox), [leased(delivery, until)])
    same(await outbox.readDelivery(delivery.id), leased(delivery, until))
  })

  rule('what is due longest is handed out first, ties by id', async (store, outbox) => {
    const order = [
      ...['B', 'a', 'a!', 'b', 'é', '\uffee', '💥'].map((id) => [id, -2] as const),
      ...[['A', -1] as const, ['0', 0] as const],
    ]
    const stored = order.map(([id, late]) => deliveryOf({ id, dueAt: t0 + late }))
    await post(store, ...stored.toReversed())
    same(
      await lease(outbox),
      stored.map((delivery) => leased(delivery, until)),
    )
  })

  rule('no more is handed out than was asked for', async (store, outbox) => {
    const stored = [1, 2, 3, 4, 5].map((n) => deliveryOf({ dueAt: t0 - n }))
    await post(store, ...stored)
    const [e, d, c, b, a] = stored.map((delivery) => leased(delivery, until))
    same(await lease(outbox, 2), [a, b])
    same(await lease(outbox, 2), [c, d])
    same(await lease(outbox, 2), [e])
    same(await lease(outbox, 2), [])
  })

  for (const topic of deliveryTopics) {
    rule(`of the topic ${topic} alone nothing else is handed out`, async (store, outbox) => {
      // The others are due longer, and are more than the limit.
      const others = deliveryTopics.filter((other) => other !== topic)
      const untouched = [1, 2, 3].flatMap((n) =>
        others.map((other) => deliveryOf({ topic: other, dueAt: t0 - 9 * n })),
      )
      const wanted = [deliveryOf({ topic, dueAt: t0 - 1 }), deliveryOf({ topic })]
      await post(store, ...untouched, ...wanted)
      const ask = leaseOf(t0, until, { limit: 2, topics: [topic] })
      same(
        await outbox.leaseDeliveries(ask),
        wanted.map((one) => leased(one, until)),
      )
      same(await outbox.leaseDeliveries(ask), [])
      for (const one of untouched) same(await outbox.readDelivery(one.id), one)
      assert.equal((await lease(outbox)).length, untouched.length, 'whoever wants them has them')
    })
  }

  rule('of several topics each is handed out, in one order', async (store, outbox) => {
    const topics = ['event', 'notice', 'disposal', 'event', 'notice'] as const
    const stored = topics.map((topic, n) => deliveryOf({ topic, dueAt: t0 - n }))
    await post(store, ...stored)
    const [e, d, disposal, b, a] = stored.map((one) => leased(one, until))
    const ask = leaseOf(t0, until, { topics: ['event', 'notice'], limit: 3 })
    same(await outbox.leaseDeliveries(ask), [a, b, d])
    same(await outbox.leaseDeliveries(ask), [e])
    same(await lease(outbox), [disposal])
  })

  rule('of no topic nothing is handed out', async (store, outbox) => {
    const delivery = deliveryOf()
    await post(store, delivery)
    same(await outbox.leaseDeliveries(leaseOf(t0, until, { topics: [] })), [])
    same(await outbox.readDelivery(delivery.id), delivery)
  })

  rule('a delivery is due at its very millisecond, and not before', async (store, outbox) => {
    const [now, later] = [deliveryOf({ dueAt: t0 }), deliveryOf({ dueAt: t0 + 1 })]
    await post(store, now, later)
    same(await lease(outbox), [leased(now, until)])
    same(await outbox.readDelivery(later.id), later)
    same(await lease(outbox, 9, t0 + 1), [leased(later, t0 + 1 + minute)])
  })

  for (const status of deliveryStatuses.filter((one) => one !== 'pending')) {
    rule(`a delivery that is ${status} is handed out no more`, async (store, outbox) => {
      const [born, settled] = [deliveryOf({ status, dueAt: t0 - 9 }), deliveryOf()]
      await post(store, born, settled)
      const { after } = settlementOf(settled, { status })
      await outbox.changeDelivery(settlementOf(settled, { status }), [])
      same(await lease(outbox), [])
      same(await outbox.readDelivery(born.id), born)
      same(await outbox.readDelivery(settled.id), after)
    })
  }

  rule('what was handed out is handed out again when its time is up', async (store, outbox) => {
    const delivery = deliveryOf()
    await post(store, delivery)
    const [first] = await lease(outbox)
    same(await lease(outbox, 9, until - 1), [])
    const [second] = await lease(outbox, 9, until)
    same(second, leased(leased(delivery, until), until + minute))
    assert.equal(second?.attempts, 2)
    const late = settlementOf(first ?? delivery)
    assert.equal(await outbox.changeDelivery(late, []), false, 'the first one comes too late')
    assert.equal(await outbox.changeDelivery(settlementOf(second ?? delivery), []), true)
  })

  rule('what is put off is handed out when it is due again', async (store, outbox) => {
    const delivery = deliveryOf()
    await post(store, delivery)
    const [handed = delivery] = await lease(outbox)
    const retry = settlementOf(handed, { status: 'pending', dueAt: t0 + 5, settledAt: null })
    await outbox.changeDelivery(retry, [])
    same(await lease(outbox, 9, t0 + 4), [])
    same(await lease(outbox, 9, t0 + 5), [leased(retry.after, t0 + 5 + minute)])
  })

  rule('of many who ask at once each is handed others', async (store, outbox) => {
    const stored = Array.from({ length: 60 }, (_, n) => deliveryOf({ dueAt: t0 - (n % 7) }))
    await post(store, ...stored)
    const handed: Delivery[] = (
      await Promise.all(Array.from({ length: 20 }, () => lease(outbox, 5)))
    ).flat()
    // Whoever found a row locked passed it by: what nobody was handed is there for the next.
    while (handed.length < stored.length) {
      const more = await lease(outbox, 5)
      assert.notEqual(more.length, 0, 'nothing is lost')
      handed.push(...more)
    }
    const byId = (a: Delivery, b: Delivery) => (a.id < b.id ? -1 : 1)
    same(handed.toSorted(byId), stored.map((one) => leased(one, until)).toSorted(byId))
    same((await allDeliveries(outbox)).toSorted(byId), handed.toSorted(byId))
  })

  rule('of a lease and a settlement at once both are made or one', async (store, outbox) => {
    const stored = Array.from({ length: 20 }, () => deliveryOf())
    await post(store, ...stored)
    const [handed, ...settled] = await Promise.all([
      lease(outbox),
      ...stored.map((one) => outbox.changeDelivery(settlementOf(one), [])),
    ])
    for (const [n, one] of stored.entries()) {
      const taken = handed.some(({ id }) => id === one.id)
      assert.notEqual(taken && settled[n], true, 'one revision, one change')
      const left = settled[n] ? settlementOf(one).after : taken ? leased(one, until) : one
      same(await outbox.readDelivery(one.id), left)
    }
  })
}
