import assert from 'node:assert/strict'
import type { ClaimResult, SessionClaim, Standing } from '../stores/store.ts'
import type { AuditEvent, Session } from '../types.ts'

/**
 * The store contract in its plainest form: two lists and no thought of speed. `storeTests` runs
 * random commands against it and against a store, and compares every answer.
 */
export interface Model {
  readonly sessions: readonly Session[]
  readonly events: readonly AuditEvent[]
  /** Takes what a store answered to a claim, and throws where the contract knows another answer. */
  claim(claim: SessionClaim, answer: ClaimResult): void
  /** Null when the session is unknown; else whether it was active. */
  end(
    id: string,
    changes: Partial<Session>,
    acknowledged: boolean,
    event: EventOf | null,
  ): boolean | null
  /** Whether the expiry was moved. */
  extend(id: string, from: number, to: number, now: number, event: EventOf): boolean
  acknowledge(actorId: string): void
  append(event: AuditEvent): void
  standing(actorId: string): Standing
  session(id: string): Session | null
}

type EventOf = (session: Session) => AuditEvent

interface Rival {
  readonly rival: Session
  readonly causes: Exclude<ClaimResult['outcome'], 'started'>
}

export function createModel(): Model {
  let sessions: Session[] = []
  const events: AuditEvent[] = []
  const lapses = new Set<string>()

  const find = (id: string) => sessions.find((session) => session.id === id)
  const isActive = (session: Session) => session.status === 'active'

  function change(session: Session, changes: Partial<Session>): Session {
    const changed = { ...session, ...changes }
    sessions = sessions.map((other) => (other === session ? changed : other))
    return changed
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
    return causes.includes('grant_busy') ? 'grant_busy' : 'started'
  }

  function close(rival: Session, claim: SessionClaim): Session {
    const expired = rival.expiresAt <= claim.now
    const closed = change(rival, {
      status: expired ? 'expired' : 'replaced',
      endedReason: expired ? 'expired' : 'replaced',
      endedAt: expired ? rival.expiresAt : claim.now,
      endedBy: expired ? null : claim.session.actorId,
    })
    if (expired && rival.transport === 'session') lapses.add(rival.id)
    events.push(claim.events.ended(closed))
    return closed
  }

  return {
    get sessions() {
      return sessions
    },
    get events() {
      return events
    },

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
        sessions.push({ ...claim.session })
        events.push(claim.events.started)
        return
      }
      // A refused claim may close what is over, and need not.
      for (const ended of answer.ended) {
        const rival = over.find((entry) => entry.rival.id === ended.id)?.rival
        assert.ok(rival, 'a refused claim ends nothing but what is over')
        assert.deepEqual(ended, close(rival, claim), 'what a refused claim ended')
      }
      const by = rivals.find(({ rival }) => rival.id === answer.by.id)
      assert.equal(by?.causes, answer.outcome, 'the session that a refusal names')
      assert.deepEqual(answer.by, by?.rival)
    },

    end(id, changes, acknowledged, event) {
      const session = find(id)
      if (!session) return null
      if (!isActive(session)) return false
      const ended = change(session, changes)
      if (!acknowledged && session.transport === 'session') lapses.add(id)
      if (event) events.push(event(ended))
      return true
    },

    extend(id, from, to, now, event) {
      const session = find(id)
      if (!session || !isActive(session)) return false
      if (session.expiresAt !== from || session.expiresAt <= now) return false
      events.push(event(change(session, { expiresAt: to })))
      return true
    },

    acknowledge(actorId) {
      for (const session of sessions) if (session.actorId === actorId) lapses.delete(session.id)
    },

    append(event) {
      events.push(event)
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
  }
}

const sorted = (sessions: readonly Session[]) =>
  [...sessions].sort((a, b) => (a.id < b.id ? -1 : 1))

/** Numbers that look random and come again with the same seed: Marsaglia's xorshift. */
export interface Dice {
  /** A whole number from 0 to `sides - 1`. */
  roll(sides: number): number
  pick<T>(choices: readonly T[]): T
  /** True once in so many times. */
  oneIn(times: number): boolean
}

export function createDice(seed: number): Dice {
  let state = Math.trunc(seed) | 0 || 1
  function roll(sides: number): number {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % sides
  }
  // Small seeds begin with small numbers.
  for (let n = 0; n < 10; n++) roll(2)
  return {
    roll,
    pick: <T>(choices: readonly T[]) => choices[roll(choices.length)] as T,
    oneIn: (times) => roll(times) === 0,
  }
}
