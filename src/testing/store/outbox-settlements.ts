import assert from 'node:assert/strict'
import { type Delivery, deliveryStatuses } from '../../types.ts'
import { type Rule, same, t0 } from './fixtures.ts'
import { lookAlikes } from './grants.ts'
import { lossyIds } from './identities.ts'
import {
  allDeliveries,
  deliveryOf,
  leaseOf,
  post,
  settlementOf,
  whereDelivered,
} from './outbox-fixtures.ts'

export function outboxSettlementRules(someRule: Rule): void {
  const rule = whereDelivered(someRule)

  for (const status of deliveryStatuses) {
    rule(`a delivery that becomes ${status} is stored as it is then`, async (store, outbox) => {
      const delivery = deliveryOf({ revision: 3 })
      await post(store, delivery)
      const change = settlementOf(delivery, {
        status,
        channel: 'mail',
        payload: { other: 1 },
        attempts: 4,
        dueAt: t0 + 7,
        settledAt: status === 'pending' ? null : t0 + 5,
        error: 'no answer: "💥"',
      })
      assert.equal(await outbox.changeDelivery(change, []), true)
      same(await outbox.readDelivery(delivery.id), change.after)
    })
  }

  rule('a settlement from another revision is none', async (store, outbox) => {
    const delivery = deliveryOf({ revision: 5 })
    await post(store, delivery)
    const more = [deliveryOf()]
    for (const revision of [1, 4, 6]) {
      const change = settlementOf({ ...delivery, revision })
      assert.equal(await outbox.changeDelivery(change, more), false)
    }
    assert.equal(await outbox.changeDelivery(settlementOf(deliveryOf()), more), false)
    same(await allDeliveries(outbox), [delivery])
  })

  rule('of many settlements from one revision one is made', async (store, outbox) => {
    const delivery = deliveryOf()
    await post(store, delivery)
    const changes = Array.from({ length: 30 }, (_, n) => ({
      ...settlementOf(delivery, { error: `${n}` }),
      more: deliveryOf(),
    }))
    const answers = await Promise.all(
      changes.map(({ more, ...change }) => outbox.changeDelivery(change, [more])),
    )
    const [made, ...others] = changes.filter((_, n) => answers[n])
    same(others, [])
    same(await outbox.readDelivery(delivery.id), made?.after)
    same(await outbox.readDelivery(made?.more.id ?? ''), made?.more)
    assert.equal((await allDeliveries(outbox)).length, 2)
  })

  rule('what a settlement brings along is stored with it', async (store, outbox) => {
    const delivery = deliveryOf()
    await post(store, delivery)
    const more = ['mail', 'push', null].map((channel) => deliveryOf({ channel, dueAt: t0 + 1 }))
    assert.equal(await outbox.changeDelivery(settlementOf(delivery), more), true)
    for (const one of more) same(await outbox.readDelivery(one.id), one)
    const handed = await outbox.leaseDeliveries(leaseOf(t0 + 1, t0 + 2))
    same(
      handed.map(({ id }) => id),
      more.map(({ id }) => id).sort(),
    )
  })

  rule('what is stored already stays as it is stored', async (store, outbox) => {
    const [delivery, sent, due] = [deliveryOf(), deliveryOf({ status: 'sent' }), deliveryOf()]
    await post(store, delivery, sent, due)
    const fresh = deliveryOf()
    const changed = { error: 'another', dueAt: t0 - 9, revision: 9, status: 'dead' } as const
    const more = [sent, due, fresh, fresh].map((one, n) =>
      n === 2 ? one : { ...one, ...changed, payload: { another: true } },
    )
    assert.equal(await outbox.changeDelivery(settlementOf(delivery), more), true)
    for (const one of [sent, due, fresh]) same(await outbox.readDelivery(one.id), one)
    assert.equal((await allDeliveries(outbox)).length, 4)
  })

  rule('a delivery brought along at once by many is stored once', async (store, outbox) => {
    const stored = Array.from({ length: 20 }, () => deliveryOf())
    await post(store, ...stored)
    const more = deliveryOf({ id: 'brought along' })
    const answers = await Promise.all(
      stored.map((one, n) =>
        outbox.changeDelivery(settlementOf(one), [{ ...more, payload: { n } }]),
      ),
    )
    assert.ok(answers.every(Boolean))
    assert.equal((await allDeliveries(outbox)).length, stored.length + 1)
    assert.equal((await outbox.readDelivery(more.id))?.revision, 1)
  })

  rule('a settlement whose deliveries cannot be stored is none', async (store, outbox) => {
    const delivery = deliveryOf()
    await post(store, delivery)
    for (const [id] of lossyIds.slice(1)) {
      const more = [deliveryOf(), deliveryOf({ id })]
      const made = await outbox.changeDelivery(settlementOf(delivery), more).catch(() => false)
      if (made) return same(await outbox.readDelivery(id), more[1], 'kept as it is')
      same(await allDeliveries(outbox), [delivery])
    }
  })

  rule('a look-alike of a delivery id finds and changes nothing', async (store, outbox) => {
    const delivery = deliveryOf({ id: 'Grant-é' })
    await post(store, delivery)
    for (const id of [...lookAlikes, 'x'.repeat(256), 'Grant-é\0']) {
      same(await outbox.readDelivery(id), null, id)
      assert.equal(await outbox.changeDelivery(settlementOf({ ...delivery, id }), []), false, id)
    }
    same(await allDeliveries(outbox), [delivery])
  })

  rule('a look-alike that is brought along is stored or refused', async (store, outbox) => {
    const parents = lookAlikes.map(() => deliveryOf())
    const delivery = deliveryOf({ id: 'Grant-é' })
    await post(store, delivery, ...parents)
    for (const [n, parent] of parents.entries()) {
      const more = deliveryOf({ id: lookAlikes[n] ?? '', payload: { n } })
      const change = settlementOf(parent)
      const made = await outbox.changeDelivery(change, [more]).catch(() => false)
      same(await outbox.readDelivery(parent.id), made ? change.after : parent)
      same(await outbox.readDelivery(more.id), made ? more : null, 'never left out without a word')
    }
    same(await outbox.readDelivery(delivery.id), delivery)
  })

  rule('what was handed in or out can change no delivery', async (store, outbox) => {
    const payload: Record<string, string> = { kept: 'yes' }
    const posted = { ...deliveryOf({ dueAt: t0 + 9 }), payload }
    const brought = { ...deliveryOf({ createdAt: t0 - 1 }), payload }
    const copies = structuredClone({ posted, brought })
    await post(store, posted)
    const change = settlementOf(posted)
    await outbox.changeDelivery(change, [brought])
    for (const value of [posted, brought, payload, change.after]) tamper(value)
    const stored = [settlementOf(copies.posted).after, copies.brought]
    for (let round = 0; round < 2; round++) {
      const read = await allDeliveries(outbox)
      same(read, stored)
      const one = await outbox.readDelivery(posted.id)
      same(one, stored[0])
      for (const value of [...read, ...read.map((each) => each.payload), one, one?.payload])
        tamper(value)
    }
    const [handed] = await outbox.leaseDeliveries(leaseOf(t0, t0 + 1))
    const before: Delivery | undefined = handed && structuredClone(handed)
    for (const value of [handed, handed?.payload]) tamper(value)
    same(await outbox.readDelivery(brought.id), before)
  })
}

function tamper(value: object | null | undefined): void {
  try {
    Object.assign(value ?? {}, { status: 'dead', dueAt: 0, kept: 'no' })
  } catch {
    // Frozen is as good as copied.
  }
}
