import type { AuditEvent, Delivery, DeliveryStatus, DeliveryTopic } from '../types.ts'
import type { Seal } from './chain.ts'
import type { Page } from './store.ts'

/** An event as a verb is handed it, with what has to be delivered on its account. */
export interface RecordedEvent extends AuditEvent {
  /** Stored in the same unit, never read back with the event. An id that is stored already rejects. */
  readonly deliveries?: readonly Delivery[]
  /** Puts it at the end of the chain, in the same unit; see `ChainSection`. Never read back with the event. */
  readonly seal?: Seal
}

/**
 * The section of a store for what has to leave it. Deliveries come in with the events of other verbs;
 * here they are handed out and settled. The store knows no retries: how long to wait, and when to give
 * up, is the core's.
 */
export interface OutboxSection {
  /**
   * Hands out up to `limit` deliveries of the given topics that are `pending` and due (`dueAt <= now`), by
   * `dueAt`, then `id`; those of other topics are left untouched, and count for nothing. In the same unit each gets `dueAt: until`, one attempt and one revision more, so that nobody
   * else is handed it before then; gives them as they are after that. Of any number of callers at once
   * each gets others, and none waits for another's work: where the database has row locks, skip what is locked.
   */
  leaseDeliveries(lease: DeliveryLease): Promise<Delivery[]>

  /**
   * Puts a delivery in the place of the one with the revision `from`, and stores `more` in the same
   * unit. Where it has another revision by now, or is not there, nothing happens, and the answer is
   * false. One of `more` whose id is stored already stays as it is stored.
   */
  changeDelivery(change: DeliveryChange, more: readonly Delivery[]): Promise<boolean>

  /** One delivery by its id; null when there is none. */
  readDelivery(deliveryId: string): Promise<Delivery | null>

  /**
   * Deliveries that match every given filter, newest first: by `createdAt` descending, then `id`
   * descending. `before` continues after that row. Gives at most `limit` rows.
   */
  listDeliveries(filter: DeliveryFilter, page: Page): Promise<Delivery[]>
}

export interface DeliveryLease {
  readonly now: number
  /** When they are due again if nobody settles them. */
  readonly until: number
  readonly limit: number
  /** Only these are handed out: what the caller can deliver. Of no topic, nothing. */
  readonly topics: readonly DeliveryTopic[]
}

/** Puts a delivery in the place of the one with this revision: compare and swap. */
export interface DeliveryChange {
  /** The revision that the change was made from. */
  readonly from: number
  /** As it is afterwards; its revision is one more. */
  readonly after: Delivery
}

export interface DeliveryFilter {
  readonly status?: DeliveryStatus
  readonly topic?: DeliveryTopic
  readonly userId?: string
}

/** The verbs of the section `outbox`. */
export const outboxVerbs = [
  'leaseDeliveries',
  'changeDelivery',
  'readDelivery',
  'listDeliveries',
] as const satisfies readonly (keyof OutboxSection)[]
export type OutboxVerb = (typeof outboxVerbs)[number]
