import type {
  DeliveryChange,
  DeliveryLease,
  OutboxSection,
  RecordedEvent,
} from '../../stores/outbox.ts'
import type { Store } from '../../stores/store.ts'
import { type AuditEvent, type Delivery, deliveryTopics } from '../../types.ts'
import { eventOf, minute, nextId, type Rule, sessionOf, t0 } from './fixtures.ts'

/** A notice to `alice` that is due at `t0`. */
export function deliveryOf(changes: Partial<Delivery> = {}): Delivery {
  return {
    id: nextId('delivery'),
    topic: 'notice',
    userId: 'alice',
    channel: null,
    payload: {},
    status: 'pending',
    attempts: 0,
    createdAt: t0,
    dueAt: t0,
    settledAt: null,
    error: null,
    revision: 1,
    ...changes,
  }
}

/** What follows on a delivery, from the revision that it has: sent, unless it is to be something else. */
export function settlementOf(delivery: Delivery, changes: Partial<Delivery> = {}): DeliveryChange {
  const after = { ...delivery, status: 'sent', settledAt: t0 + minute, ...changes } as const
  return { from: delivery.revision, after: { ...after, revision: delivery.revision + 1 } }
}

/** A lease of whatever is due. */
export function leaseOf(
  now: number,
  until: number,
  changes: Partial<DeliveryLease> = {},
): DeliveryLease {
  return { now, until, limit: 100, topics: deliveryTopics, ...changes }
}

/** A delivery as it is handed out. */
export function leased(delivery: Delivery, until: number): Delivery {
  const { attempts, revision } = delivery
  return { ...delivery, dueAt: until, attempts: attempts + 1, revision: revision + 1 }
}

export const withDeliveries = (
  event: AuditEvent,
  ...deliveries: readonly Delivery[]
): RecordedEvent => ({ ...event, deliveries })

/** Stores deliveries with an event that tells of nothing. */
export async function post(store: Store, ...deliveries: readonly Delivery[]): Promise<void> {
  const event = eventOf('impersonation.refused', sessionOf(), { sessionId: null })
  await store.appendEvents([withDeliveries(event, ...deliveries)])
}

/** A rule of the section `outbox`: a store without it keeps these by having nothing to keep. */
export type OutboxRule = (
  name: string,
  prove: (store: Store, outbox: OutboxSection) => Promise<void>,
) => void

export function whereDelivered(rule: Rule): OutboxRule {
  return (name, prove) =>
    rule(name, async (store) => {
      if (store.outbox) await prove(store, store.outbox)
    })
}

export async function allDeliveries({ listDeliveries }: OutboxSection): Promise<Delivery[]> {
  return listDeliveries({}, { limit: 1_000_000 })
}
