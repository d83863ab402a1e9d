import type { Delivery } from '../../types.ts'
import type { DeliveryFilter, OutboxSection } from '../outbox.ts'
import { paged, same } from './lists.ts'

export function createOutbox() {
  const deliveries = new Map<string, Delivery>()

  function put(delivery: Delivery): void {
    const payload = Object.freeze({ ...delivery.payload })
    deliveries.set(delivery.id, Object.freeze({ ...delivery, payload }))
  }

  /** Throws where one is stored already; what it gives stores them all. */
  function prepare(more: readonly Delivery[]): () => void {
    const ids = new Set(more.map(({ id }) => id))
    if (ids.size < more.length || more.some(({ id }) => deliveries.has(id))) {
      throw new Error('A delivery with this id is stored already.')
    }
    return () => more.forEach(put)
  }

  const section: OutboxSection = {
    async leaseDeliveries({ now, until, limit, topics }) {
      const due = [...deliveries.values()]
        .filter(({ topic, status, dueAt }) => {
          return topics.includes(topic) && status === 'pending' && dueAt <= now
        })
        .sort((a, b) => a.dueAt - b.dueAt || Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)))
        .slice(0, limit)
      return due.map((delivery) => {
        const { attempts, revision } = delivery
        const leased = { ...delivery, dueAt: until, attempts: attempts + 1, revision: revision + 1 }
        put(leased)
        return deliveries.get(leased.id) as Delivery
      })
    },

    async changeDelivery({ from, after }, more) {
      if (deliveries.get(after.id)?.revision !== from) return false
      put(after)
      for (const delivery of more) if (!deliveries.has(delivery.id)) put(delivery)
      return true
    },

    async readDelivery(deliveryId) {
      return deliveries.get(deliveryId) ?? null
    },

    async listDeliveries(filter, page) {
      const matching = [...deliveries.values()].filter((delivery) => matches(delivery, filter))
      return paged(matching, (delivery) => delivery.createdAt, page)
    },
  }

  return { section, prepare, deliveries }
}

function matches(delivery: Delivery, filter: DeliveryFilter): boolean {
  return (
    same(filter.status, delivery.status) &&
    same(filter.topic, delivery.topic) &&
    same(filter.userId, delivery.userId)
  )
}
