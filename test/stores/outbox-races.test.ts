import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { OutboxSection } from '../../src/stores/outbox.ts'
import { eventOf, minute, sessionOf, t0 } from '../../src/testing/store/fixtures.ts'
import {
  deliveryOf,
  leased,
  leaseOf,
  settlementOf,
  withDeliveries,
} from '../../src/testing/store/outbox-fixtures.ts'
import type { Delivery } from '../../src/types.ts'
import { type Address, type Connection, connect } from '../support/connect.ts'
import { type Crew, hire } from '../support/crew.ts'
import { describeOn, dropDatabase, kinds, makeDatabase } from '../support/databases.ts'

const processes = 4
const rounds = Number(process.env.ROUNDS ?? 40)
vi.setConfig({ testTimeout: 30_000 + rounds * 1_000, hookTimeout: 60_000 })

for (const kind of kinds) {
  describeOn(kind, `${processes} processes on one outbox, ${rounds} rounds`, () => {
    let address: Address
    let crew: Crew
    let own: Connection
    let outbox: OutboxSection

    beforeAll(async () => {
      address = await makeDatabase(kind)
      crew = await hire(processes)
      await crew.all(() => ({ do: 'migrate', address }))
      await crew.all(() => ({ do: 'connect', address }))
      own = connect(address)
      outbox = own.store.outbox as OutboxSection
    })
    afterAll(async () => {
      await crew.dismiss()
      await own.close()
      await dropDatabase(address)
    })

    const byId = (a: Delivery, b: Delivery) => (a.id < b.id ? -1 : 1)

    async function post(count: number): Promise<Delivery[]> {
      const deliveries = Array.from({ length: count }, (_, n) =>
        deliveryOf({ id: crypto.randomUUID(), dueAt: t0 - (n % 5) }),
      )
      const id = crypto.randomUUID()
      const event = eventOf('impersonation.refused', sessionOf(), { id, sessionId: null })
      await own.store.appendEvents([withDeliveries(event, ...deliveries)])
      return deliveries.sort(byId)
    }

    /** All of them lease until nothing is left; what was locked and passed by is left for the next. */
    async function leaseAtOnce(now: number): Promise<Delivery[]> {
      const lease = leaseOf(now, now + minute, { limit: 3 })
      const handed = (await crew.all<Delivery[]>(() => ({ do: 'lease', lease }))).flat()
      handed.push(...(await outbox.leaseDeliveries({ ...lease, limit: 1_000 })))
      return handed.sort(byId)
    }

    it('nothing is handed out twice before its time, and nothing is lost', async () => {
      for (let round = 0; round < rounds; round++) {
        const posted = await post(20)
        const first = await leaseAtOnce(t0)
        expect(first).toEqual(posted.map((delivery) => leased(delivery, t0 + minute)))
        expect(await leaseAtOnce(t0 + minute - 1)).toEqual([])
        const second = await leaseAtOnce(t0 + minute)
        expect(second).toEqual(first.map((delivery) => leased(delivery, t0 + 2 * minute)))

        // All of them believe that they were handed all of it, and half of them are late.
        const more = deliveryOf({ id: crypto.randomUUID(), status: 'skipped' })
        const made = await crew.all<boolean[]>((n) => ({
          do: 'settle',
          changes: (n % 2 === 0 ? second : first).map((one) => settlementOf(one)),
          more: { ...more, payload: { n } },
        }))
        for (const n of posted.keys()) {
          expect(made.filter((each) => each[n])).toHaveLength(1)
        }
        expect([made[1], made[3]].flat()).not.toContain(true)
        expect(await outbox.readDelivery(more.id)).toMatchObject({ revision: 1 })
        expect(await leaseAtOnce(t0 + 9 * minute)).toEqual([])
      }
      const left = await outbox.listDeliveries({ status: 'pending' }, { limit: 1 })
      expect(left).toEqual([])
    })

    it('what is handed out and settled at once is changed by one of them', async () => {
      for (let round = 0; round < rounds; round++) {
        const posted = await post(8)
        const more = deliveryOf({ id: crypto.randomUUID(), status: 'skipped' })
        const lease = leaseOf(t0, t0 + minute, { limit: 2 })
        const results = await crew.all<(Delivery | boolean)[]>((n) =>
          n % 2 === 0
            ? { do: 'lease', lease }
            : { do: 'settle', changes: posted.map((one) => settlementOf(one)), more },
        )
        const handed = [results[0], results[2]].flat() as Delivery[]
        for (const [n, delivery] of posted.entries()) {
          const settled = [results[1]?.[n], results[3]?.[n]].filter(Boolean).length
          const taken = handed.filter(({ id }) => id === delivery.id).length
          expect(settled + taken).toBe(1)
          expect(await outbox.readDelivery(delivery.id)).toEqual(
            settled ? settlementOf(delivery).after : leased(delivery, lease.until),
          )
        }
        for (const one of await outbox.leaseDeliveries({ ...lease, now: lease.until, limit: 99 })) {
          await outbox.changeDelivery(settlementOf(one), [])
        }
      }
    })
  })
}
