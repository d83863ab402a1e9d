import { eventToWire } from '../audit/formats.ts'
import type { AuditEvent, Delivery } from '../types.ts'

/** An event on its way to the sink, as a delivery that is stored with it. Pure. */
export function eventDelivery(event: AuditEvent): Delivery {
  return {
    id: eventDeliveryId(event.id),
    topic: 'event',
    userId: event.targetUserId || event.actorId || noUser,
    channel: null,
    payload: { event: JSON.stringify(eventToWire(event)) },
    status: 'pending',
    attempts: 0,
    createdAt: event.at,
    // Never ahead of the clock: due at once.
    dueAt: event.at,
    settledAt: null,
    error: null,
    revision: 1,
  }
}

/** Not the event's id alone: a notice of the same event has that one. */
export const eventDeliveryId = (eventId: string): string => `event ${eventId}`

/** Where an event names nobody: filled, and nobody's id. */
const noUser = '(nobody)'
