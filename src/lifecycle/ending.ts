import { endedEvents, noMeta, type RequestMeta } from '../audit/events.ts'
import type { Recorder } from '../audit/recorder.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { EndResult, SessionEnding } from '../stores/store.ts'
import type { TrailHead } from '../stores/trail.ts'
import type { EndedReason, Session } from '../types.ts'

/** The one way in which a session ends, whoever wants it to. */
export interface Endings {
  /** The actor's own stop: they know of it, so it leaves no lapse. */
  stop(session: Session, meta: RequestMeta): Promise<EndResult | null>
  /** The session ran out of time: it ended at its own `expiresAt`, whenever that is noticed. */
  expire(session: Session): Promise<EndResult | null>
  /**
   * Somebody, or a judgement of the library (`by` null), ends it before its time. What ran out of time
   * before has expired, whoever comes to end it.
   */
  revoke(session: Session, cause: Revocation): Promise<EndResult | null>
}

export interface Revocation {
  readonly reason: EndedReason
  readonly by?: string | null
  readonly note?: string | null
  readonly meta?: RequestMeta
}

interface Parts {
  readonly store: GuardedStore
  readonly recorder: Recorder
  readonly now: () => number
  /** Told after each attempt, also a failed one, so that no cache answers with what was. */
  readonly changed: (actorId: string) => void
  /** Told once it is certain that a session is over. */
  readonly over: (sessionId: string) => void
}

export function createEndings({ store, recorder, now, changed, over }: Parts): Endings {
  async function end(session: Session, ending: SessionEnding, meta: RequestMeta) {
    const at = now()
    const events = (ended: Session, trail: TrailHead | null) =>
      endedEvents(ended, trail, ending.status === 'expired' ? ending.at : at, meta)
    /** Both answers were lost: the row tells what they did. An event that is stored already is not owed. */
    async function asFound(error: unknown): Promise<EndResult> {
      const found = await store.readSession(session.id)
      if (found === null || found.status === 'active') throw error
      return { session: found, changed: true }
    }
    try {
      const result = await store.endSession(session.id, ending, events).catch(async () => {
        // Stopping and revoking always work: end it without the event, and owe the event.
        const bare = await store.endSession(session.id, ending, null).catch(asFound)
        if (bare?.changed) for (const event of events(bare.session, null)) recorder.owe(event)
        return bare
      })
      over(session.id)
      return result
    } finally {
      changed(session.actorId)
    }
  }

  const expire = (session: Session) =>
    end(
      session,
      {
        status: 'expired',
        reason: 'expired',
        at: session.expiresAt,
        by: null,
        note: null,
        acknowledged: false,
      },
      noMeta,
    )

  return {
    stop: (session, meta) =>
      end(
        session,
        {
          status: 'stopped',
          reason: 'stopped',
          at: now(),
          by: session.actorId,
          note: null,
          acknowledged: true,
        },
        meta,
      ),
    expire,
    revoke(session, { reason, by = null, note = null, meta = noMeta }) {
      const at = now()
      if (session.expiresAt <= at) return expire(session)
      return end(session, { status: 'revoked', reason, at, by, note, acknowledged: false }, meta)
    },
  }
}
