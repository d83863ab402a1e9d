import assert from 'node:assert/strict'
import type { RecordedEvent } from '../stores/outbox.ts'
import type {
  ClaimResult,
  EventsFor,
  GrantChange,
  GrantResult,
  SessionClaim,
  SessionEnding,
  Standing,
} from '../stores/store.ts'
import type { AuditEvent, Grant, Session } from '../types.ts'
import { createOutboxModel, type OutboxModel } from './outbox-model.ts'
import { createRequestModel, type RequestModel } from './request-model.ts'
import { createTokenModel, type TokenModel } from './token-model.ts'

/**
 * The store contract in its plainest form: lists and no thought of speed. `storeTests` runs
 * random commands against it and against a store, and compares every answer.
 */
export interface Model extends RequestModel, TokenModel, Omit<OutboxModel, 'take'> {
  readonly sessions: readonly Session[]
  readonly events: readonly AuditEvent[]
  readonly grants: readonly Grant[]
  /** Takes what a store answered to a claim, and throws where the contract knows another answer. */
  claim(claim: SessionClaim, answer: ClaimResult): void
  /** Null when the session is unknown; else whether it was active. */
  end(id: string, ending: SessionEnding, events: EventsFor): boolean | null
  /** Whether the expiry was moved. */
  extend(id: string, from: number, to: number, now: number, events: EventsFor): boolean
  acknowledge(actorId: string): void
  append(event: RecordedEvent): void
  createGrant(grant: Grant, events: readonly RecordedEvent[]): void
  changeGrant(
    change: GrantChange,
    events: readonly RecordedEvent[],
    ending: { readonly how: SessionEnding; readonly event: EventsFor } | null,
  ): GrantResult
  standing(actorId: string): Standing
  session(id: string): Session | null
  grant(id: string): Grant | null
}

interface Rival {
  readonly rival: Session
  readonly causes: 'actor_busy' | 'target_busy' | 'grant_busy'
}

export function createModel(): Model {
  let sessions: Session[] = []
  let grants: Grant[] = []
  const events: AuditEvent[] = []
  const lapses = new Set<string>()
  const outbox = createOutboxModel()
  const requests = createRequestModel(record)
  const tokens = createTokenModel(record)

  function record(more: readonly RecordedEvent[]): void {
    for (const { deliveries = [], ...event } of more) {
      events.push(event)
      outbox.take(deliveries)
    }
  }

  const find = (id: string) => sessions.find((session) => session.id === id)
  const findGrant = (id: string | null) => grants.find((grant) => grant.id === id)
  const isActive = (session: Session) => session.status === 'active'

  function change(session: Session, changes: Partial<Session>): Session {
    const changed = { ...session, ...changes }
    sessions = sessions.map((other) => (other === session ? changed : other))
    return changed
  }

  function changeTo(grant: Grant): void {
    grants = grants.map((other) => (other.id === grant.id ? grant : other))
  }

  /** Ends a session that is active, and uses up its grant. */
  function finish(session: Session, { acknowledged, ...how }: SessionEnding): Session {
    const { status, at: endedAt, reason: endedReason, by: endedBy, note: endedNote } = how
    const ended = change(session, { status, endedAt, endedReason, endedBy, endedNote })
    if (!acknowledged && session.transport === 'session') lapses.add(session.id)
    const grant = findGrant(session.grantId)
    if (grant?.status === 'granted') {
      changeTo({ ...grant, status: 'used', revision: grant.revision + 1 })
    }
    return ended
  }

  /** The active sessions that stand in the way, and which answer each would cause. */
  function rivalsOf({ session, exclusiveTarget }: SessionClaim): Rival[] {
    return sessions.filter(isActive).flatMap((rival): Rival[] => {
      const sameTarget = exclusiveTarget && rival.targetUserId === session.targetUserId
      const logins = rival.transport === 'session' && session.transport === 'session'
      const own = rival.actorId === session.actorId
      if (own && (logins || sameTarget)) return [{ rival, causes: 'actor_busy' }]
      if (!own && sameTarget) return [{ rival, causes: 'target_busy' }]
      const sameGrant = session.grantId !== null && rival.grantId === session.grantId
      return sameGrant ? [{ rival, causes: 'grant_busy' }] : []
    })
  }

  function expectedOutcome(claim: SessionClaim): ClaimResult['outcome'] {
    const causes = rivalsOf(claim)
      .filter(({ rival }) => rival.expiresAt > claim.now)
      .map((entry) => entry.causes)
    if (claim.onConflict === 'reject' && causes.includes('actor_busy')) return 'actor_busy'
    if (causes.includes('target_busy')) return 'target_busy'
    if (causes.includes('grant_busy')) return 'grant_busy'
    if (!grantHolds(claim)) return 'grant_changed'
    return !claim.request || requests.holds(claim.request) ? 'started' : 'request_changed'
  }

  /** Whether the grant has the right revision still, once what stands in the way has ended. */
  function grantHolds(claim: SessionClaim): boolean {
    if (!claim.grant) return true
    const { from, after } = claim.grant
    const stored = findGrant(after.id)
    const ends = rivalsOf(claim).some(({ rival }) => rival.grantId === after.id)
    return stored?.revision === from && !(ends && stored.status === 'granted')
  }

  function close(rival: Session, claim: SessionClaim): Session {
    const expired = rival.expiresAt <= claim.now
    const status = expired ? 'expired' : 'replaced'
    const closed = finish(rival, {
      status,
      reason: status,
      at: expired ? rival.expiresAt : claim.now,
      by: expired ? null : claim.session.actorId,
      note: null,
      acknowledged: !expired,
    })
    record(claim.events.ended(closed, null))
    return closed
  }

  return {
    get sessions() {
      return sessions
    },
    get events() {
      return events
    },
    get grants() {
      return grants
    },
    get requests() {
      return requests.model.requests
    },
    get deliveries() {
      return outbox.deliveries
    },
    request: requests.model.request,
    createRequest: requests.model.createRequest,
    changeRequest: requests.model.changeRequest,
    delivery: outbox.delivery,
    lease: outbox.lease,
    changeDelivery: outbox.changeDelivery,
    get tokens() {
      return tokens.tokens
    },
    token: tokens.token,
    tokenBy: tokens.tokenBy,
    createToken: tokens.createToken,
    changeToken: tokens.changeToken,
    touchTokens: tokens.touchTokens,

    claim(claim, answer) {
      assert.equal(answer.outcome, expectedOutcome(claim), 'the outcome of a claim')
      const rivals = rivalsOf(claim)
      const over = rivals.filter(({ rival }) => rival.expiresAt <= claim.now)
      const own = rivals.filter(({ causes }) => causes === 'actor_busy')
      if (answer.outcome === 'started') {
        const due = new Set([...over, ...own].map(({ rival }) => rival))
        assert.deepEqual(
          sorted(answer.ended),
          sorted([...due].map((rival) => close(rival, claim))),
          'what a start ended',
        )
        for (const { id, actorId } of sessions) {
          if (actorId === claim.session.actorId) lapses.delete(id)
        }
        if (claim.grant) changeTo(claim.grant.after)
        if (claim.request) requests.changeTo(claim.request.after)
        sessions.push({ ...claim.session })
        record([claim.events.started, ...(claim.request?.events ?? [])])
        return
      }
      // A refused claim may close what is over, and need not.
      for (const ended of answer.ended) {
        const rival = over.find((entry) => entry.rival.id === ended.id)?.rival
        assert.ok(rival, 'a refused claim ends nothing but what is over')
        assert.deepEqual(ended, close(rival, claim), 'what a refused claim ended')
      }
      if (!('by' in answer)) return
      const by = rivals.find(({ rival }) => rival.id === answer.by.id)
      assert.equal(by?.causes, answer.outcome, 'the session that a refusal names')
      assert.deepEqual(answer.by, by?.rival)
    },

    end(id, ending, eventsFor) {
      const session = find(id)
      if (!session) return null
      if (!isActive(session)) return false
      record(eventsFor(finish(session, ending)))
      return true
    },

    extend(id, from, to, now, eventsFor) {
      const session = find(id)
      if (!session || !isActive(session)) return false
      if (session.expiresAt !== from || session.expiresAt <= now) return false
      record(eventsFor(change(session, { expiresAt: to })))
      return true
    },

    acknowledge(actorId) {
      for (const session of sessions) if (session.actorId === actorId) lapses.delete(session.id)
    },

    append(event) {
      record([event])
    },

    createGrant(grant, more) {
      grants.push(grant)
      record(more)
    },

    changeGrant({ from, after }, more, ending) {
      if (findGrant(after.id)?.revision !== from) return { changed: false }
      changeTo(after)
      record(more)
      const session = sessions.find((one) => isActive(one) && one.grantId === after.id)
      if (!ending || !session) return { changed: true, ended: null }
      const ended = finish(session, ending.how)
      record(ending.event(ended))
      return { changed: true, ended }
    },

    standing(actorId) {
      const mine = sessions.filter((session) => session.actorId === actorId)
      const [lapse] = mine
        .filter((session) => lapses.has(session.id))
        .sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0) || (a.id < b.id ? 1 : -1))
      const active = mine.find((session) => isActive(session) && session.transport === 'session')
      return { active: active ?? null, lapse: lapse ?? null }
    },

    session: (id) => find(id) ?? null,
    grant: (id) => findGrant(id) ?? null,
  }
}

const sorted = (sessions: readonly Session[]) =>
  [...sessions].sort((a, b) => (a.id < b.id ? -1 : 1))
