import { type ChainKeys, sealOf } from './audit/seal.ts'
import { createAnnounce } from './notify/announce.ts'
import { eventDelivery } from './notify/event-delivery.ts'
import type { Settings } from './settings.ts'
import type { GuardedStore } from './stores/guarded.ts'
import type { RecordedEvent } from './stores/outbox.ts'
import { recording } from './stores/recording.ts'
import type { AuditEvent, Delivery } from './types.ts'

export interface RecordParts {
  /** What has to be delivered on account of an event. */
  readonly announce: (event: AuditEvent) => readonly Delivery[]
  /** Told after a change that stored deliveries, or may have. */
  readonly wake: () => void
  /** What the chain is made with; undefined where there is none. */
  readonly chainKeys?: ChainKeys | undefined
}

/** As the options say. */
export function createRecorded<User extends object>(parts: {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly wake: () => void
}): GuardedStore {
  const { settings, store, wake } = parts
  const { chainKeys, sink } = settings
  const tellPeople = createAnnounce(settings)
  const announce: RecordParts['announce'] = (event) =>
    sink ? [...tellPeople(event), eventDelivery(event)] : tellPeople(event)
  return recorded(store, { announce, wake, chainKeys })
}

/**
 * With each event of every change are stored the link that seals it and what has to be delivered on its
 * account.
 */
export function recorded(store: GuardedStore, parts: RecordParts): GuardedStore {
  const { announce, wake, chainKeys } = parts

  function prepare(event: RecordedEvent): RecordedEvent {
    const deliveries = [...(event.deliveries ?? []), ...announce(event)]
    return {
      ...event,
      ...(deliveries.length > 0 && { deliveries }),
      ...(chainKeys && { seal: sealOf(event, chainKeys) }),
    }
  }

  return recording(store, prepare, (events) => {
    if (events.some(({ deliveries }) => deliveries)) wake()
  })
}
