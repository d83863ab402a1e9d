import type { Delivery } from '../../types.ts'
import { fromInstant, orNull, toId, toInstant, toText } from './rows.ts'
import type { DeliveryRow } from './schema.ts'

export function toDeliveryRow(delivery: Delivery): DeliveryRow {
  return {
    id: toId(delivery.id),
    topic: delivery.topic,
    user_id: toId(delivery.userId),
    channel: toText(delivery.channel),
    payload: JSON.stringify(delivery.payload),
    status: delivery.status,
    attempts: delivery.attempts,
    created_at: toInstant(delivery.createdAt),
    due_at: toInstant(delivery.dueAt),
    settled_at: orNull(delivery.settledAt, toInstant),
    error: toText(delivery.error),
    revision: delivery.revision,
  }
}

export function fromDeliveryRow(row: DeliveryRow): Delivery {
  return Object.freeze({
    id: row.id,
    topic: row.topic as Delivery['topic'],
    userId: row.user_id,
    channel: row.channel,
    payload: Object.freeze(JSON.parse(row.payload)),
    status: row.status as Delivery['status'],
    attempts: Number(row.attempts),
    createdAt: fromInstant(row.created_at),
    dueAt: fromInstant(row.due_at),
    settledAt: orNull(row.settled_at, fromInstant),
    error: row.error,
    revision: Number(row.revision),
  })
}
