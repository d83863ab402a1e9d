import type { DeliveryFilter } from '../../stores/outbox.ts'
import type { Place, Store } from '../../stores/store.ts'
import { type Delivery, deliveryStatuses, deliveryTopics } from '../../types.ts'
import { minute, type Rule, same, t0 } from './fixtures.ts'
import { distinctIds, lossyIds } from './identities.ts'
import { everyPage, newestFirst } from './lists.ts'
import { allDeliveries, deliveryOf, post, whereDelivered } from './outbox-fixtures.ts'

export function outboxListRules(someRule: Rule): void {
  const rule = whereDelivered(someRule)

  rule('a delivery reads back as it was given', async (store, outbox) => {
    const words = `it's "quoted" \\ %_ \r\n\t \u202e {"a":1} <b> $1 ? ; -- ${'🧯'.repeat(500)}`
    const full = deliveryOf({
      topic: 'disposal',
      userId: 'bob',
      channel: words,
      payload: { n: 1, half: 0.5, yes: true, no: false, nothing: null, text: '"💥\n\u2028', words },
      status: 'dead',
      attempts: 7,
      dueAt: t0 + minute,
      settledAt: t0 + 2 * minute,
      error: words,
      revision: 9,
    })
    const bare = deliveryOf({ createdAt: t0 - 1 })
    await post(store, full, bare)
    for (const delivery of [full, bare]) same(await outbox.readDelivery(delivery.id), delivery)
    same(await outbox.readDelivery('nobody'), null)
    same(await allDeliveries(outbox), [full, bare])
  })

  rule('every topic and status of a delivery is kept', async (store, outbox) => {
    for (const topic of deliveryTopics) {
      for (const status of deliveryStatuses) {
        const delivery = deliveryOf({ topic, status })
        await post(store, delivery)
        same(await outbox.readDelivery(delivery.id), delivery)
      }
    }
  })

  rule(
    'deliveries are listed newest first, ties by id, and paged without loss',
    async (store, outbox) => {
      const expected = newestFirst(await manyDeliveries(store), (delivery) => delivery.createdAt)
      same(await allDeliveries(outbox), expected)
      for (const limit of [1, 2, 3, 100]) {
        const read = (before?: Place) => outbox.listDeliveries({}, { limit, before })
        const pages = await everyPage(read, limit, (delivery) => delivery.createdAt)
        same(pages, expected, `pages of ${limit}`)
      }
      const before = { at: t0 + 1, id: 'list-4x' }
      same(
        await outbox.listDeliveries({}, { limit: 100, before }),
        expected.filter(
          ({ createdAt, id }) =>
            createdAt < before.at || (createdAt === before.at && id < before.id),
        ),
        'after a place whose row is not there',
      )
    },
  )

  rule('every filter of deliveries holds, alone and together', async (store, outbox) => {
    const stored = newestFirst(await manyDeliveries(store), (delivery) => delivery.createdAt)
    const cases: [DeliveryFilter, (delivery: Delivery) => boolean][] = [
      [{ status: 'pending' }, (d) => d.status === 'pending'],
      [{ status: 'dead' }, () => false],
      [{ topic: 'disposal' }, (d) => d.topic === 'disposal'],
      [{ userId: 'user-1' }, (d) => d.userId === 'user-1'],
      [{ userId: 'user-9' }, () => false],
      [
        { status: 'sent', topic: 'notice', userId: 'user-0' },
        (d) => d.status === 'sent' && d.topic === 'notice' && d.userId === 'user-0',
      ],
    ]
    for (const [filter, matches] of cases) {
      const name = JSON.stringify(filter)
      const expected = stored.filter(matches)
      same(await outbox.listDeliveries(filter, { limit: 100 }), expected, name)
      const read = (before?: Place) => outbox.listDeliveries(filter, { limit: 1, before })
      const pages = await everyPage(read, 1, (delivery) => delivery.createdAt)
      same(pages, expected, `${name}, paged`)
    }
  })

  rule('look-alikes of a person have deliveries of their own', async (store, outbox) => {
    const stored = distinctIds.map((userId) => deliveryOf({ userId }))
    await post(store, ...stored)
    for (const delivery of stored) {
      const { userId } = delivery
      const found = await outbox.listDeliveries({ userId }, { limit: 100 })
      same(found, [delivery], JSON.stringify(userId))
    }
  })

  rule('an id of a delivery is kept as it is or refused', async (store, outbox) => {
    for (const [lossy, likely] of lossyIds) {
      const name = JSON.stringify(lossy).slice(-20)
      const delivery = deliveryOf({ userId: lossy })
      const kept = await post(store, delivery).then(
        () => [delivery],
        () => [],
      )
      same(await outbox.listDeliveries({ userId: likely }, { limit: 9 }), [], name)
      same(await outbox.listDeliveries({ userId: lossy }, { limit: 9 }), kept, name)
      same(await outbox.readDelivery(delivery.id), kept[0] ?? null, name)
    }
  })
}

/** Two of everything, and instants that collide; ids in an order of their own. */
async function manyDeliveries(store: Store): Promise<Delivery[]> {
  const stored = ['5', '2', '9', '1', '4', '7', '3', '8', '6'].map((id, n) =>
    deliveryOf({
      id: `list-${id}`,
      topic: n % 3 === 0 ? 'disposal' : 'notice',
      userId: `user-${n % 2}`,
      status: (['pending', 'sent', 'sent', 'skipped'] as const)[n % 4] ?? 'sent',
      createdAt: t0 + (n % 3),
    }),
  )
  await post(store, ...stored)
  return stored
}
