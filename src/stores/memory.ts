import type { AuditEvent, Grant, Session } from '../types.ts'
import { type ClaimedEnding, endedBy, isExpiry, isLapse, judgeClaim } from './claim.ts'
import { usedGrant } from './grant.ts'
import { createChain } from './memory/chain.ts'
import { eventMatches, grantMatches, newestFirst, paged, sessionMatches } from './memory/lists.ts'
import { createOutbox } from './memory/outbox.ts'
import { createRequests } from './memory/requests.ts'
import { createRetention } from './memory/retention.ts'
import { createTokens } from './memory/tokens.ts'
import { createTrails } from './memory/trail.ts'
import type { RecordedEvent } from './outbox.ts'
import type { GrantChange, GrantSection, SessionClaim, SessionEnding, Store } from './store.ts'

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
  const grants = new Map<string, Grant>()
  const outbox = createOutbox()
  const chain = createChain(events)
  const trails = createTrails()

  // Every verb prepares everything that may throw, then changes the maps without a pause between.
  function prepareEvents(more: readonly RecordedEvent[]): () => void {
    const storeDeliveries = outbox.prepare(more.flatMap(({ deliveries = [] }) => deliveries))
    const storeLinks = chain.prepare(more)
    const kept = more.map(({ deliveries, seal, ...event }) =>
      Object.freeze({ ...event, details: Object.freeze({ ...event.details }) }),
    )
    const ids = new Set(kept.map((event) => event.id))
    if (ids.size < kept.length || kept.some((event) => events.has(event.id))) {
      throw new Error('An event with this id is stored already.')
    }
    return () => {
      for (const event of kept) events.set(event.id, event)
      storeDeliveries()
      storeLinks()
    }
  }
  const requests = createRequests(prepareEvents)
  const tokens = createTokens(prepareEvents)
  const retention = createRetention({
    ...{ sessions, events, grants, requests: requests.requests, codes: requests.codes },
    ...{ deliveries: outbox.deliveries, links: chain.links },
    ...{ tokens: tokens.tokens, tokenIds: tokens.ids },
    changed({ id, actorId }, after) {
      const left = (lapses.get(actorId) ?? []).flatMap((lapse) => {
        return lapse.id === id ? (after ?? []) : lapse
      })
      lapses.set(actorId, left)
      if (!after) trails.forget(id)
    },
  })

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
    const grant = before.grantId === null ? undefined : grants.get(before.grantId)
    const used = grant && usedGrant(grant)
    if (used) grants.set(used.id, used)
    if (!isLapse(before, ending)) return
    lapses.set(before.actorId, [...(lapses.get(before.actorId) ?? []), after])
  }

  /** What a claim ends may use up the very grant it starts under. */
  const holds = (change: GrantChange, endings: readonly ClaimedEnding[]) =>
    stillFrom(change) &&
    (grants.get(change.after.id)?.status !== 'granted' ||
      !endings.some(({ session }) => session.grantId === change.after.id))
  const stillFrom = ({ from, after }: GrantChange) => grants.get(after.id)?.revision === from

  /** What a claim was made from and is no longer so. */
  function lostBy({ grant, request }: SessionClaim, endings: readonly ClaimedEnding[]) {
    if (grant && !holds(grant, endings)) return 'grant_changed'
    return request && !requests.stillFrom(request) ? 'request_changed' : null
  }

  const section: GrantSection = {
    async createGrant(grant, more) {
      if (grants.has(grant.id)) throw new Error('A grant with this id is stored already.')
      const storeEvents = prepareEvents(more)
      grants.set(grant.id, Object.freeze({ ...grant }))
      storeEvents()
    },

    async readGrant(grantId) {
      return grants.get(grantId) ?? null
    },

    async listGrants(filter, page) {
      const matching = [...grants.values()].filter((grant) => grantMatches(grant, filter))
      return paged(matching, (grant) => grant.createdAt, page)
    },

    async changeGrant(change, more, ending) {
      if (!stillFrom(change)) return { changed: false }
      const { id } = change.after
      const session = ending && [...active.values()].find(({ grantId }) => grantId === id)
      const ended = session ? endedBy(session, ending.how) : null
      const storeEvents = prepareEvents([
        ...more,
        ...(ended && ending ? ending.event(ended, trails.headOf(ended.id)) : []),
      ])
      if (session && ended) end(session, ended, ending.how)
      grants.set(id, Object.freeze({ ...change.after }))
      storeEvents()
      return { changed: true, ended }
    },
  }

  return {
    name: 'memory',
    grants: section,
    requests: requests.section,
    outbox: outbox.section,
    chain: chain.section,
    trail: trails.section,
    tokens: tokens.section,
    retention,

    async claimSession(claim) {
      const judged = judgeClaim(claim, active.values())
      const { refusal } = judged
      const lost = refusal ? null : lostBy(claim, judged.endings)
      const endings = lost ? judged.endings.filter(isExpiry) : judged.endings
      const closed = endings.map(({ session, ending }) => endedBy(session, ending))
      const started = Object.freeze({ ...claim.session })
      const opens = !refusal && !lost
      if (opens && sessions.has(started.id)) {
        throw new Error('A session with this id is stored already.')
      }
      const storeEvents = prepareEvents([
        ...closed.flatMap((session) => claim.events.ended(session, trails.headOf(session.id))),
        ...(opens ? [claim.events.started, ...(claim.request?.events ?? [])] : []),
      ])
      endings.forEach(({ session, ending }, n) => {
        end(session, closed[n] as Session, ending)
      })
      storeEvents()
      if (refusal) return refusal
      if (lost) return { outcome: lost, ended: closed }
      if (claim.grant) grants.set(claim.grant.after.id, Object.freeze({ ...claim.grant.after }))
      if (claim.request) requests.put(claim.request.after)
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
      const storeEvents = prepareEvents(event ? event(after, trails.headOf(sessionId)) : [])
      end(session, after, ending)
      storeEvents()
      return { session: after, changed: true }
    },

    async extendSession(sessionId, { from, to, now }, event) {
      const session = active.get(sessionId)
      if (!session || session.expiresAt !== from || session.expiresAt <= now) return null
      const after = Object.freeze({ ...session, expiresAt: to })
      const storeEvents = prepareEvents(event(after))
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
