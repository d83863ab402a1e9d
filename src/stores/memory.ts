import type { AuditEvent, Session } from '../types.ts'
import { endedBy, isLapse, judgeClaim } from './claim.ts'
import type { EventFilter, Page, SessionEnding, SessionFilter, Store } from './store.ts'

/**
 * Keeps sessions and events in this process: for tests and for trying things out. Everything is
 * gone with the process, and a second process knows nothing of it.
 *
 * @example
 * const impersonation = createImpersonation({ store: memoryStore(), findUser, can })
 */
export function memoryStore(): Store {
  const sessions = new Map<string, Session>()
  const active = new Map<string, Session>()
  /** What `readStanding` calls active, by actor. */
  const live = new Map<string, Session>()
  /** Unacknowledged lapses by actor. */
  const lapses = new Map<string, Session[]>()
  const events = new Map<string, AuditEvent>()

  // Every verb prepares everything that may throw, then changes the maps without a pause between.
  function prepareEvents(more: readonly AuditEvent[]): () => void {
    const kept = more.map((event) =>
      Object.freeze({ ...event, details: Object.freeze({ ...event.details }) }),
    )
    const ids = new Set(kept.map((event) => event.id))
    if (ids.size < kept.length || kept.some((event) => events.has(event.id))) {
      throw new Error('An event with this id is stored already.')
    }
    return () => {
      for (const event of kept) events.set(event.id, event)
    }
  }

  function put(session: Session): void {
    const isActive = session.status === 'active'
    sessions.set(session.id, session)
    if (isActive) active.set(session.id, session)
    else active.delete(session.id)
    if (session.transport !== 'session') return
    if (isActive) live.set(session.actorId, session)
    else live.delete(session.actorId)
  }

  function end(before: Session, after: Session, ending: SessionEnding): void {
    put(after)
    if (!isLapse(before, ending)) return
    lapses.set(before.actorId, [...(lapses.get(before.actorId) ?? []), after])
  }

  return {
    name: 'memory',

    async claimSession(claim) {
      const { endings, refusal } = judgeClaim(claim, active.values())
      const closed = endings.map(({ session, ending }) => endedBy(session, ending))
      const started = Object.freeze({ ...claim.session })
      if (!refusal && sessions.has(started.id)) {
        throw new Error('A session with this id is stored already.')
      }
      const storeEvents = prepareEvents([
        ...closed.map(claim.events.ended),
        ...(refusal ? [] : [claim.events.started]),
      ])
      endings.forEach(({ session, ending }, n) => {
        end(session, closed[n] as Session, ending)
      })
      storeEvents()
      if (refusal) return refusal
      lapses.delete(started.actorId)
      put(started)
      return { outcome: 'started', ended: closed }
    },

    async readStanding(actorId) {
      const [lapse] = [...(lapses.get(actorId) ?? [])].sort(newestFirst((s) => s.endedAt ?? 0))
      return { active: live.get(actorId) ?? null, lapse: lapse ?? null }
    },

    async readSession(sessionId) {
      return sessions.get(sessionId) ?? null
    },

    async listSessions(filter, page) {
      const matching = [...sessions.values()].filter((session) => sessionMatches(session, filter))
      return paged(matching, (session) => session.createdAt, page)
    },

    async endSession(sessionId, ending, event) {
      const session = sessions.get(sessionId)
      if (!session) return null
      if (session.status !== 'active') return { session, changed: false }
      const after = endedBy(session, ending)
      const storeEvents = prepareEvents(event ? [event(after)] : [])
      end(session, after, ending)
      storeEvents()
      return { session: after, changed: true }
    },

    async extendSession(sessionId, { from, to, now }, event) {
      const session = active.get(sessionId)
      if (!session || session.expiresAt !== from || session.expiresAt <= now) return null
      const after = Object.freeze({ ...session, expiresAt: to })
      const storeEvents = prepareEvents([event(after)])
      put(after)
      storeEvents()
      return after
    },

    async acknowledgeLapses(actorId) {
      lapses.delete(actorId)
    },

    async appendEvents(more) {
      prepareEvents(more)()
    },

    async listEvents(filter, page) {
      const matching = [...events.values()].filter((event) => eventMatches(event, filter))
      return paged(matching, (event) => event.at, page)
    },
  }
}

function sessionMatches(session: Session, filter: SessionFilter): boolean {
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = filter
  return (
    same(filter.status, session.status) &&
    same(filter.actorId, session.actorId) &&
    same(filter.targetUserId, session.targetUserId) &&
    same(filter.orgId, session.targetOrgId) &&
    same(filter.accessLevel, session.accessLevel) &&
    session.createdAt >= from &&
    session.createdAt < to
  )
}

function eventMatches(event: AuditEvent, filter: EventFilter): boolean {
  const { action, from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = filter
  return (
    (action?.endsWith('*')
      ? event.action.startsWith(action.slice(0, -1))
      : same(action, event.action)) &&
    same(filter.actorId, event.actorId) &&
    same(filter.targetUserId, event.targetUserId) &&
    same(filter.sessionId, event.sessionId) &&
    event.at >= from &&
    event.at < to
  )
}

const same = (wanted: string | undefined, value: string | null) =>
  wanted === undefined || wanted === value

interface Identified {
  readonly id: string
}

function paged<T extends Identified>(rows: T[], at: (row: T) => number, page: Page): T[] {
  const { before, limit } = page
  const after = before
    ? rows.filter((row) => order(at(row), row.id, before.at, before.id) > 0)
    : rows
  return after.sort(newestFirst(at)).slice(0, limit)
}

function newestFirst<T extends Identified>(at: (row: T) => number) {
  return (a: T, b: T) => order(at(a), a.id, at(b), b.id)
}

function order(at: number, id: string, otherAt: number, otherId: string): number {
  return otherAt - at || Buffer.compare(Buffer.from(otherId), Buffer.from(id))
}
