import type { DeliveryChange, DeliveryLease } from '../stores/outbox.ts'
import type { Delivery } from '../types.ts'

/** The outbox in its plainest form. */
export interface OutboxModel {
  readonly deliveries: readonly Delivery[]
  delivery(id: string): Delivery | null
  /** What came in with the events of other verbs. */
  take(more: readonly Delivery[]): void
  lease(lease: DeliveryLease): Delivery[]
  /** Whether the delivery still had the revision that the change was made from. */
  changeDelivery(change: DeliveryChange, more: readonly Delivery[]): boolean
}

export function createOutboxModel(): OutboxModel {
  let deliveries: Delivery[] = []
  const find = (id: string) => deliveries.find((delivery) => delivery.id === id)

  function changeTo(after: Delivery): void {
    deliveries = deliveries.map((other) => (other.id === after.id ? after : other))
  }

  return {
    get deliveries() {
      return deliveries
    },
    delivery: (id) => find(id) ?? null,

    take(more) {
      deliveries.push(...more)
    },

    lease({ now, until, limit, topics }) {
      const due = deliveries.filter(
        ({ topic, status, dueAt }) =>
          topics.includes(topic) && status === 'pending' && dueAt <= now,
      )
      due.sort((a, b) => a.dueAt - b.dueAt || (a.id < b.id ? -1 : 1))
      return due.slice(0, limit).map((delivery) => {
        const { attempts, revision } = delivery
        const leased = { ...delivery, dueAt: until, attempts: attempts + 1, revision: revision + 1 }
        changeTo(leased)
        return leased
      })
    },

    changeDelivery({ from, after }, more) {
      if (find(after.id)?.revision !== from) return false
      changeTo(after)
      for (const delivery of more) if (!find(delivery.id)) deliveries.push(delivery)
      return true
    },
  }
}
