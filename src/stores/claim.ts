import type { Session } from '../types.ts'
import type { ClaimResult, SessionClaim, SessionEnding } from './store.ts'

/** A session that the claim ends: as it was, and how. */
export interface ClaimedEnding {
  readonly session: Session
  readonly ending: SessionEnding
}

export interface Judgement {
  readonly endings: readonly ClaimedEnding[]
  /** Null when nothing stands in the way any more once the endings are done. */
  readonly refusal: Extract<ClaimResult, { by: Session }> | null
}

/**
 * Says what a claim means where `active` are the active sessions: what it ends and whether it may
 * go on. Pure, so that every store says the same; making it atomic is the store's part. Sessions
 * that do not stand in the way may be among `active`, ones that do may not be missing.
 */
export function judgeClaim(claim: SessionClaim, active: Iterable<Session>): Judgement {
  const over: ClaimedEnding[] = []
  const own: Session[] = []
  const busy = new Map<'target_busy' | 'grant_busy', Session>()
  for (const session of active) {
    const conflict = conflictOf(claim, session)
    if (conflict === null) continue
    if (session.expiresAt <= claim.now) over.push({ session, ending: expiry(session) })
    else if (conflict === 'actor_busy') own.push(session)
    else busy.set(conflict, session)
  }
  const refuse = (outcome: 'actor_busy' | 'target_busy' | 'grant_busy', by: Session) => {
    const ended = over.map(({ session, ending }) => endedBy(session, ending))
    return { endings: over, refusal: { outcome, by, ended } }
  }

  const first = own[0]
  if (first && claim.onConflict === 'reject') return refuse('actor_busy', first)
  for (const outcome of ['target_busy', 'grant_busy'] as const) {
    const by = busy.get(outcome)
    if (by) return refuse(outcome, by)
  }
  const replaced = own.map((session) => ({ session, ending: replacement(claim) }))
  return { endings: [...over, ...replaced], refusal: null }
}

/** A session as it is after an ending. */
export function endedBy(session: Session, ending: SessionEnding): Session {
  return Object.freeze({
    ...session,
    status: ending.status,
    endedAt: ending.at,
    endedReason: ending.reason,
    endedNote: ending.note,
    endedBy: ending.by,
  })
}

/** A lapse is news to somebody's login; a token has no login that could go on as the actor. */
export function isLapse(session: Session, ending: SessionEnding): boolean {
  return session.transport === 'session' && !ending.acknowledged
}

function conflictOf({ session, exclusiveTarget }: SessionClaim, other: Session) {
  const sameTarget = exclusiveTarget && other.targetUserId === session.targetUserId
  if (other.actorId === session.actorId) {
    const sameLogin = session.transport === 'session' && other.transport === 'session'
    if (sameLogin || sameTarget) return 'actor_busy'
  } else if (sameTarget) return 'target_busy'
  return session.grantId !== null && other.grantId === session.grantId ? 'grant_busy' : null
}

/** Whether an ending is the clock's and not the claim's: it stands whatever becomes of the claim. */
export const isExpiry = ({ ending }: ClaimedEnding): boolean => ending.status === 'expired'

function expiry(session: Session): SessionEnding {
  return {
    status: 'expired',
    reason: 'expired',
    at: session.expiresAt,
    by: null,
    note: null,
    acknowledged: false,
  }
}

function replacement({ session, now }: SessionClaim): SessionEnding {
  return {
    status: 'replaced',
    reason: 'replaced',
    at: now,
    by: session.actorId,
    note: null,
    acknowledged: true,
  }
}
