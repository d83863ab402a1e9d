import type { AccessRequest, ApiToken, AuditEvent, Delivery, Grant, Session } from '../../types.ts'
import type { Link } from '../chain.ts'
import { closedGrants, closedRequests } from '../closed.ts'
import type { RetentionSection } from '../retention.ts'

/** What the sections of the store keep, by id; the marks of codes with their instants. */
export interface Kept {
  readonly sessions: Map<string, Session>
  readonly events: Map<string, AuditEvent>
  readonly grants: Map<string, Grant>
  readonly requests: Map<string, AccessRequest>
  readonly codes: Map<string, number>
  readonly deliveries: Map<string, Delivery>
  readonly links: Link[]
  readonly tokens: Map<string, ApiToken>
  /** By hash. */
  readonly tokenIds: Map<string, string>
  /** Told of each session that was changed, or deleted, for whatever else is kept of it. */
  readonly changed: (session: Session, after: Session | null) => void
}

export function createRetention(kept: Kept): RetentionSection {
  const { sessions, events, grants, requests, codes, deliveries, links, changed } = kept
  const { tokens, tokenIds } = kept

  const isOver = ({ endedAt }: Session, before: number) => endedAt !== null && endedAt < before

  function isPrunable({ action, at, sessionId }: AuditEvent, before: number): boolean {
    if (action.startsWith('audit.')) return false
    const session = sessionId === null ? undefined : sessions.get(sessionId)
    return session ? isOver(session, before) : at < before
  }

  /** Ids of events whose links are after a place. */
  const after = (upTo: number) => new Set(links.slice(upTo).map(({ eventId }) => eventId))

  return {
    async surveyChain(before, atLeast) {
      const isOf = (event: AuditEvent | undefined) => event && isPrunable(event, before)
      const last = links.findLast(({ eventId }) => isOf(events.get(eventId)))?.seq ?? 0
      const upTo = Math.max(last, atLeast)
      const stays = links.slice(0, upTo).filter(({ seq, eventId }) => {
        const event = events.get(eventId)
        return event ? !isPrunable(event, before) : seq > atLeast
      })
      return { upTo: upTo === 0 ? null : upTo, kept: stays.length }
    },

    async prune(before, upTo, limit) {
      const late = after(upTo)
      const own = Map.groupBy(events.values(), ({ sessionId }) => sessionId)
      const lateIds = [...late].map((id) => events.get(id)?.sessionId)
      const begun = new Set(lateIds)
      const over = [...sessions.values()].filter((one) => isOver(one, before) && !begun.has(one.id))
      const lone = [...events.values()].filter(
        (event) =>
          isPrunable(event, before) && !sessions.has(event.sessionId ?? '') && !late.has(event.id),
      )
      const others = [
        [grants, [...grants.values()].filter((one) => isClosed(one, closedGrants))],
        [requests, [...requests.values()].filter((one) => isClosed(one, closedRequests))],
        [deliveries, [...deliveries.values()].filter(isSettledBefore)],
        [codes, [...codes].flatMap(([id, at]) => (at < before ? [{ id }] : []))],
        [tokens, [...tokens.values()].filter(isOfNoUse)],
      ] as const

      const taken = asManyAsFit(over, limit, ({ id }) => own.get(id)?.length ?? 0)
      const gone = taken.flatMap((session) => {
        sessions.delete(session.id)
        changed(session, null)
        return own.get(session.id) ?? []
      })
      gone.push(...lone.slice(0, limit))
      for (const { id } of gone) events.delete(id)
      for (const [map, rows] of others) for (const { id } of rows.slice(0, limit)) map.delete(id)
      for (const [hash, id] of tokenIds) if (!tokens.has(id)) tokenIds.delete(hash)
      return {
        sessions: taken.length,
        events: gone.length,
        more:
          taken.length < over.length ||
          [lone, ...others.map(([, rows]) => rows)].some(({ length }) => length > limit),
      }

      function isClosed(row: Grant | AccessRequest, closed: readonly string[]): boolean {
        return closed.includes(row.status) && row.createdAt < before && row.expiresAt < before
      }
      function isSettledBefore({ status, settledAt }: Delivery): boolean {
        return status !== 'pending' && settledAt !== null && settledAt < before
      }
      function isOfNoUse({ revokedAt, expiresAt }: ApiToken): boolean {
        return expiresAt < before || (revokedAt !== null && revokedAt < before)
      }
    },

    async erasePerson(userId, upTo, limit) {
      const late = after(upTo)
      const isTheirs = (row: {
        readonly actorId: string | null
        readonly targetUserId: string | null
      }) => row.actorId === userId || row.targetUserId === userId
      const salted = new Map(links.flatMap((link) => (link.salt ? [[link.eventId, link]] : [])))
      const blank = { reason: null, ipAddress: null, userAgent: null }

      const work = [
        changesOf(
          [...events.values()].filter((event) => isTheirs(event) && !late.has(event.id)),
          (event) => {
            const { ended_note, ...details } = event.details
            return { ...event, ...blank, details: Object.freeze(details) }
          },
          ({ id }) => salted.has(id),
          (event) => {
            events.set(event.id, event)
            const link = salted.get(event.id)
            if (link) links[link.seq - 1] = Object.freeze({ ...link, salt: null })
          },
        ),
        changesOf(
          [...sessions.values()].filter((one) => isTheirs(one) && one.status !== 'active'),
          (session) => ({ ...session, ...blank, endedNote: null }),
          () => false,
          (session) => {
            sessions.set(session.id, session)
            changed(session, session)
          },
        ),
        changesOf(
          [...grants.values()].filter((one) => isTheirs(one) && closedGrants.includes(one.status)),
          (grant) => ({ ...grant, reason: null }),
          () => false,
          (grant) => grants.set(grant.id, grant),
        ),
        changesOf(
          [...requests.values()].filter(
            (one) => isTheirs(one) && closedRequests.includes(one.status),
          ),
          (request) => ({ ...request, reason: null }),
          () => false,
          (request) => requests.set(request.id, request),
        ),
        changesOf(
          [...deliveries.values()].filter(
            (one) => one.userId === userId && one.status !== 'pending',
          ),
          (delivery) => {
            const { payload, error, revision } = delivery
            if (error === null && Object.keys(payload).length === 0) return delivery
            // Whoever has read it before must not put back what it said.
            return { ...delivery, payload: Object.freeze({}), error: null, revision: revision + 1 }
          },
          () => false,
          (delivery) => deliveries.set(delivery.id, delivery),
        ),
        changesOf(
          [...tokens.values()].filter((one) => one.userId === userId && one.name !== ''),
          (token) => ({ ...token, name: '', revision: token.revision + 1 }),
          () => false,
          (token) => tokens.set(token.id, token),
        ),
      ]
      for (const puts of work) for (const put of puts.slice(0, limit)) put()
      return {
        rows: work.reduce((sum, puts) => sum + Math.min(puts.length, limit), 0),
        more: work.some((puts) => puts.length > limit),
      }
    },
  }
}

/** From the first on, until they have `limit` events; one in any case. */
function asManyAsFit<T>(rows: readonly T[], limit: number, eventsOf: (row: T) => number): T[] {
  let count = 0
  const most = rows.findIndex((row, n) => {
    count += eventsOf(row)
    return n >= limit || (n > 0 && count > limit)
  })
  return rows.slice(0, most === -1 ? undefined : most)
}

/** What puts each row as it is to be into its place, for those that are not so yet. */
function changesOf<T extends object>(
  rows: readonly T[],
  change: (row: T) => T,
  isStale: (row: T) => boolean,
  put: (row: T) => void,
): (() => void)[] {
  return rows.flatMap((row) => {
    const after = Object.freeze(change(row))
    const same = JSON.stringify(after) === JSON.stringify(row)
    return same && !isStale(row) ? [] : [() => put(after)]
  })
}
