import type { ErrorCode } from '../errors.ts'
import type { TrailHead } from '../stores/trail.ts'
import type {
  AccessRequest,
  ApiToken,
  AuditEvent,
  EventAction,
  Grant,
  Session,
  UserProfile,
} from '../types.ts'

/** What a request tells of itself for the record; nulls where nothing is known. */
export interface RequestMeta {
  readonly ipAddress: string | null
  readonly userAgent: string | null
  readonly clientId: string | null
  readonly requestId: string | null
}

export const noMeta: RequestMeta = Object.freeze({
  ipAddress: null,
  userAgent: null,
  clientId: null,
  requestId: null,
})

type Details = AuditEvent['details']
const noDetails: Details = Object.freeze({})

/** The event of something that happened to a session. */
export function sessionEvent(
  action: EventAction,
  session: Session,
  at: number,
  meta: RequestMeta = noMeta,
  details: Details = noDetails,
): AuditEvent {
  return {
    id: crypto.randomUUID(),
    at,
    action,
    outcome: 'success',
    code: null,
    actorId: session.actorId,
    targetUserId: session.targetUserId,
    actorOrgId: session.actorOrgId,
    targetOrgId: session.targetOrgId,
    sessionId: session.id,
    grantId: session.grantId,
    reason: session.reason,
    ...meta,
    details: session.breakGlass ? { ...details, break_glass: true } : details,
  }
}

/**
 * What a session's end leaves on record: one event, named by how it ended, and where it was under a
 * grant, that the grant is used. (A grant that was revoked or has expired with it has an event of its own.)
 */
export function endedEvents(
  session: Session,
  trail: TrailHead | null,
  at: number,
  meta: RequestMeta = noMeta,
): readonly AuditEvent[] {
  const ended = endedEvent(session, trail, at, meta)
  if (session.grantId === null || session.endedReason === 'grant_revoked') return [ended]
  return [ended, sessionEvent('grant.used', session, at, meta)]
}

/** The event of a grant's change. */
export function grantEvent(
  action: Extract<EventAction, `grant.${string}`>,
  grant: Grant,
  at: number,
  meta: RequestMeta = noMeta,
  details: Details = noDetails,
): AuditEvent {
  return {
    id: crypto.randomUUID(),
    at,
    action,
    outcome: 'success',
    code: null,
    actorId: grant.actorId,
    targetUserId: grant.targetUserId,
    actorOrgId: grant.actorOrgId,
    targetOrgId: grant.targetOrgId,
    sessionId: null,
    grantId: grant.id,
    reason: grant.reason,
    ...meta,
    details,
  }
}

/** The event of a change of what an actor asks of colleagues. */
export function requestEvent(
  action: Extract<EventAction, `${'break_glass' | 'approval'}.${string}`>,
  request: AccessRequest,
  at: number,
  meta: RequestMeta = noMeta,
  details: Details = noDetails,
): AuditEvent {
  return {
    id: crypto.randomUUID(),
    at,
    action,
    outcome: 'success',
    code: null,
    actorId: request.actorId,
    targetUserId: request.targetUserId,
    actorOrgId: request.actorOrgId,
    targetOrgId: request.targetOrgId,
    sessionId: request.sessionId,
    grantId: null,
    reason: request.reason,
    ...meta,
    details: {
      access_request_id: request.id,
      access_level: request.accessLevel,
      expires_at: request.expiresAt,
      ...details,
    },
  }
}

/** The event of a change of an API token: never the token, nor its name, which people write. */
export function tokenEvent(
  action: Extract<EventAction, `token.${string}`>,
  token: ApiToken,
  actor: UserProfile,
  at: number,
  meta: RequestMeta,
  details: Details = noDetails,
): AuditEvent {
  return {
    id: crypto.randomUUID(),
    at,
    action,
    outcome: 'success',
    code: null,
    actorId: actor.id,
    targetUserId: token.userId,
    actorOrgId: actor.orgId,
    targetOrgId: token.userOrgId,
    sessionId: null,
    grantId: null,
    reason: null,
    ...meta,
    details: {
      token_id: token.id,
      token_prefix: token.prefix,
      scopes: token.scopes.join(' '),
      expires_at: token.expiresAt,
      ...details,
    },
  }
}

/** The event of a session's end: one per session, named by how it ended, and with what its trail ended. */
function endedEvent(
  session: Session,
  trail: TrailHead | null,
  at: number,
  meta: RequestMeta,
): AuditEvent {
  if (session.status === 'active') throw new TypeError('an active session has no ending to record')
  return sessionEvent(`impersonation.${session.status}`, session, at, meta, {
    ended_reason: session.endedReason,
    ended_by: session.endedBy,
    ended_note: session.endedNote,
    ...(trail && { trail_seq: trail.seq, trail_mac: trail.mac }),
  })
}

/** The event of a request that a live session was not allowed to make. */
export function blockedEvent(
  session: Session,
  at: number,
  code: ErrorCode,
  details: Details,
): AuditEvent {
  return {
    ...sessionEvent('impersonation.write_blocked', session, at, noMeta, details),
    outcome: 'refused',
    code,
  }
}

/** The event of one actor starting more often than they may: worth somebody's look. */
export function burstEvent(
  at: number,
  actor: UserProfile,
  meta: RequestMeta,
  details: Details,
): AuditEvent {
  const attempt = { targetUserId: null, reason: null }
  return {
    ...refusedEvent(at, 'rate_limited', actor, attempt, meta),
    action: 'impersonation.burst',
    details,
  }
}

/** The event of an attempt that came with a token instead of a login. */
export function refusedByToken(
  at: number,
  code: ErrorCode,
  session: Session,
  meta: RequestMeta,
): AuditEvent {
  return {
    ...sessionEvent('impersonation.refused', session, at, meta),
    outcome: 'refused',
    code,
    reason: null,
  }
}

/** The event of an attempt that came to nothing. */
export function refusedEvent(
  at: number,
  code: ErrorCode,
  actor: UserProfile | null,
  attempt: { readonly targetUserId: string | null; readonly reason: string | null },
  meta: RequestMeta,
): AuditEvent {
  return {
    id: crypto.randomUUID(),
    at,
    action: 'impersonation.refused',
    outcome: 'refused',
    code,
    actorId: actor?.id ?? null,
    targetUserId: attempt.targetUserId,
    actorOrgId: actor?.orgId ?? null,
    targetOrgId: null,
    sessionId: null,
    grantId: null,
    reason: attempt.reason,
    ...meta,
    details: noDetails,
  }
}

/** The event of what was done to the record itself: of nobody in particular. */
export function recordEvent(
  action: 'audit.pruned' | 'audit.erased',
  at: number,
  details: Details,
): AuditEvent {
  return {
    id: crypto.randomUUID(),
    at,
    action,
    outcome: 'success',
    code: null,
    actorId: null,
    targetUserId: null,
    actorOrgId: null,
    targetOrgId: null,
    sessionId: null,
    grantId: null,
    reason: null,
    ...noMeta,
    details,
  }
}
