import { type ChainKeys, sealOf } from '../audit/seal.ts'
import { createEndings } from '../lifecycle/ending.ts'
import { type Announce, createAnnounce } from '../notify/announce.ts'
import { eventDelivery, eventDeliveryId } from '../notify/event-delivery.ts'
import type { FullStore } from '../stores/kysely/store.ts'
import type { RecordedEvent } from '../stores/outbox.ts'
import type { EndResult } from '../stores/store.ts'
import type { AuditEvent, Session } from '../types.ts'

/**
 * Ends a session as the library does, by nobody in particular: with its audit event in the same unit, and
 * without it rather than not at all. The event says that it came this way, and is sealed where there are keys.
 */
export interface Revoker {
  /** Null when there is no such session any more. */
  revoke(session: Session, note: string | null): Promise<Revoked | null>
  /** Stores the events that their ending went through without. Gives how many had to do without their seal. */
  settle(): Promise<number>
}

export interface Revoked extends EndResult {
  /** Whether its event is still to be stored. */
  readonly owed: boolean
}

const tellPeople: Announce = createAnnounce({ notifier: {}, grantRequestMs: 0 })
const tellSink: Announce = (event) => [eventDelivery(event)]

export function createRevoker(store: FullStore, now: () => number, keys?: ChainKeys): Revoker {
  const owed: RecordedEvent[] = []

  /**
   * A target, and a sink, that was told of the start is told of the end: whether there is a notifier, or a
   * sink, only the host knows.
   */
  async function tellersOf({ id }: Session): Promise<Announce[]> {
    const filter = { sessionId: id, action: 'impersonation.started' }
    const [started] = await store.listEvents(filter, { limit: 1 })
    if (!started) return []
    const { outbox } = store
    const tellers: Announce[] = []
    if (await outbox.readDelivery(started.id)) tellers.push(tellPeople)
    if (await outbox.readDelivery(eventDeliveryId(started.id))) tellers.push(tellSink)
    return tellers
  }

  function recordedBy(tellers: readonly Announce[]) {
    return (event: AuditEvent): RecordedEvent => {
      const marked = { ...event, details: { ...event.details, via: 'cli' } }
      const deliveries = tellers.flatMap((tell) => tell(marked))
      return {
        ...marked,
        ...(deliveries.length > 0 && { deliveries }),
        ...(keys && { seal: sealOf(marked, keys) }),
      }
    }
  }

  /** Perhaps it was, and only the answer was lost. */
  async function isStored({ action, sessionId }: AuditEvent): Promise<boolean> {
    const filter = { action, ...(sessionId !== null && { sessionId }) }
    return (await store.listEvents(filter, { limit: 1 })).length > 0
  }

  return {
    async revoke(session, note) {
      // No message is worth a session that goes on.
      const recorded = recordedBy(await tellersOf(session).catch(() => []))
      const endings = createEndings({
        store: {
          ...store,
          chain: store.chain,
          tokens: store.tokens,
          endSession: (id, ending, events) =>
            store.endSession(
              id,
              ending,
              events && ((ended, trail) => events(ended, trail).map(recorded)),
            ),
        },
        recorder: {
          note() {},
          owe: (event) => void owed.push(recorded(event)),
          settle: async () => {},
        },
        now,
        changed() {},
        over() {},
      })
      const before = owed.length
      const ended = await endings.revoke(session, { reason: 'revoked', note })
      return ended && { ...ended, owed: owed.length > before }
    },

    async settle() {
      let unsealed = 0
      for (const { seal, ...event } of owed.splice(0)) {
        if (await isStored(event)) continue
        try {
          await store.appendEvents([{ ...event, ...(seal && { seal }) }])
        } catch (error) {
          if (!seal) throw error
          if (await isStored(event)) continue
          await store.appendEvents([event])
          unsealed++
        }
      }
      return unsealed
    },
  }
}
