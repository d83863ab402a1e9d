import type { AuditEvent, Session } from '../types.ts'
import type { GuardedStore } from './guarded.ts'
import type { RecordedEvent } from './outbox.ts'
import type { EndEventsFor } from './store.ts'
import type { TrailHead } from './trail.ts'

/**
 * Tells of every event once it is stored. Of a change whose answer was lost nothing is told: nobody knows
 * whether it was made.
 * @param emit told each event, in the order of a change
 */
export function observed(inner: GuardedStore, emit: (event: AuditEvent) => void): GuardedStore {
  const { grants, requests, tokens } = inner
  const emitAll = (events: readonly RecordedEvent[] | undefined) => events?.forEach(plain(emit))

  return {
    ...inner,
    async claimSession(claim) {
      const ends = remembered(claim.events.ended)
      const events = { ...claim.events, ended: ends.eventsFor }
      const result = await inner.claimSession({ ...claim, events })
      for (const session of result.ended) emitAll(ends.of(session))
      if (result.outcome === 'started') {
        emitAll([claim.events.started, ...(claim.request?.events ?? [])])
      }
      return result
    },
    async endSession(id, ending, eventsFor) {
      const ends = eventsFor && remembered(eventsFor)
      const result = await inner.endSession(id, ending, ends?.eventsFor ?? null)
      if (result?.changed) emitAll(ends?.of(result.session))
      return result
    },
    async extendSession(id, change, eventsFor) {
      const moves = remembered(eventsFor)
      const session = await inner.extendSession(id, change, moves.eventsFor)
      if (session) emitAll(moves.of(session))
      return session
    },
    async appendEvents(events) {
      await inner.appendEvents(events)
      emitAll(events)
    },
    grants: grants && {
      ...grants,
      async createGrant(grant, events) {
        await grants.createGrant(grant, events)
        emitAll(events)
      },
      async changeGrant(change, events, ending) {
        const ends = ending && remembered(ending.event)
        const under = ending && ends && { ...ending, event: ends.eventsFor }
        const result = await grants.changeGrant(change, events, under)
        if (result.changed) emitAll(events)
        if (result.changed && result.ended) emitAll(ends?.of(result.ended))
        return result
      },
    },
    requests: requests && {
      ...requests,
      async createRequest(request, events, code) {
        const result = await requests.createRequest(request, events, code)
        if (result === 'created') emitAll(events)
        return result
      },
      async changeRequest(change, events, code) {
        const result = await requests.changeRequest(change, events, code)
        if (result === 'changed') emitAll(events)
        return result
      },
    },
    tokens: tokens && {
      ...tokens,
      async createToken(token, hash, events, replaces) {
        const result = await tokens.createToken(token, hash, events, replaces)
        if (result === 'created') emitAll(events)
        return result
      },
      async changeToken(change, events) {
        const changed = await tokens.changeToken(change, events)
        if (changed) emitAll(events)
        return changed
      },
    },
  }
}

/** A store may ask for the events of a session more than once, when it lost a race: the last ones count. */
function remembered(eventsFor: EndEventsFor) {
  const made = new Map<string, readonly RecordedEvent[]>()
  return {
    of: ({ id }: Session) => made.get(id),
    eventsFor(session: Session, trail: TrailHead | null = null) {
      const events = eventsFor(session, trail)
      made.set(session.id, events)
      return events
    },
  }
}

/** As it will be read back: without what was to be delivered. */
const plain =
  (emit: (event: AuditEvent) => void) =>
  ({ deliveries, seal, ...event }: RecordedEvent) =>
    emit(Object.freeze({ ...event, details: Object.freeze({ ...event.details }) }))
