import { LRUCache } from 'lru-cache'
import type { GuardedStore } from '../stores/guarded.ts'
import type { AuditEvent } from '../types.ts'
import { warnOnce } from '../warnings.ts'

/** Stores events that belong to no change of state, without making anybody wait or fail for them. */
export interface Recorder {
  /** Stores the event soon. A flood of one person is capped and counted, not dropped in silence. */
  note(event: AuditEvent): void
  /** Stores the event soon and until it succeeds: for endings that went through without their event. */
  owe(event: AuditEvent): void
  /** Tries again what is still owed. */
  settle(): Promise<void>
}

const floodPerMinute = 60
const mostOwed = 10_000
const mostOfOneInstant = 1000

export function createRecorder(store: GuardedStore): Recorder {
  const floods = new LRUCache<string, { since: number; stored: number; suppressed: number }>({
    max: 10_000,
  })
  const owed: AuditEvent[] = []
  let settling: Promise<void> | undefined

  function capped(event: AuditEvent): AuditEvent | undefined {
    const who = event.actorId ?? ''
    let flood = floods.get(who)
    if (!flood || event.at - flood.since >= 60_000 || event.at < flood.since) {
      const missed = flood?.suppressed ?? 0
      flood = { since: event.at, stored: 0, suppressed: 0 }
      floods.set(who, flood)
      if (missed > 0) event = { ...event, details: { ...event.details, suppressed: missed } }
    }
    if (flood.stored >= floodPerMinute) {
      flood.suppressed++
      return undefined
    }
    flood.stored++
    return event
  }

  /** One at a time and one by one, so that each is stored once, and none holds up the others for good. */
  function settle(): Promise<void> {
    settling ??= pay().finally(() => {
      settling = undefined
    })
    return settling
  }

  async function pay(): Promise<void> {
    for (let event = owed.shift(); event; event = owed.shift()) {
      try {
        // It may have been stored, and only the answer lost: what is stored is paid.
        if (!(await isStored(event))) await store.appendEvents([event])
      } catch (error) {
        owed.push(event)
        throw error
      }
    }
  }

  /** A session has one event of each way to end; what belongs to none is known by its id. */
  async function isStored({ id, at, action, sessionId }: AuditEvent): Promise<boolean> {
    if (sessionId !== null)
      return (await store.listEvents({ action, sessionId }, { limit: 1 })).length > 0
    const then = await store.listEvents(
      { action, from: at, to: at + 1 },
      { limit: mostOfOneInstant },
    )
    return then.some((event) => event.id === id)
  }

  return {
    note(event) {
      const stored = capped(event)
      if (stored) store.appendEvents([stored]).catch(failed)
    },
    owe(event) {
      if (owed.length < mostOwed) owed.push(event)
      settle().catch(failed)
    },
    settle,
  }
}

function failed(error: unknown): void {
  warnOnce('ONBEHALF_EVENT_NOT_STORED', `an audit event could not be stored: ${reasonOf(error)}`)
}

const reasonOf = (error: unknown) =>
  error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error)
