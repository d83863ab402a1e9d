import type { AuditEvent, Grant, Session } from '../../types.ts'
import type { EventRow, GrantRow, Instant, SessionRow } from './schema.ts'

/** In code points: what an id column holds. */
const longestId = 255

/**
 * Whether an id can be kept as it is. Databases cut, replace or refuse what can't: half a surrogate
 * pair becomes U+FFFD, and Postgres drops spaces past the column's end without a word. Such an id
 * would come back as somebody else's.
 */
export function isStorable(id: unknown): id is string {
  return (
    typeof id === 'string' &&
    id.isWellFormed() &&
    !id.includes('\0') &&
    (id.length <= longestId || [...id].length <= longestId)
  )
}

export function toId(id: string): string {
  if (isStorable(id)) return id
  throw new Error(
    `An id of more than ${longestId} characters, or with ill-formed ones, can't be stored.`,
  )
}

/**
 * An id as the key columns hold it. MySQL compares as if both sides had the same number of spaces
 * at their end: `root` and `root ` would share a unique key. So no key ends in a space.
 */
export function toKey(id: string): string {
  return `${toId(id)}|`
}

/** Free text is never worth a failing stop: what no database takes is replaced. */
export function toText(text: string | null): string | null {
  return text === null ? null : text.toWellFormed().replaceAll('\0', '\uFFFD')
}

export function toInstant(at: number): number {
  if (Number.isSafeInteger(at)) return at
  throw new Error('An instant or a duration must be a whole number of milliseconds.')
}

export const orNull = <T, R>(value: T | null, to: (value: T) => R): R | null =>
  value === null ? null : to(value)

export const fromInstant = (at: Instant): number => Number(at)

export function toSessionRow(session: Session, exclusiveTarget: boolean): SessionRow {
  return {
    id: toId(session.id),
    actor_id: toId(session.actorId),
    actor_org_id: orNull(session.actorOrgId, toId),
    target_user_id: toId(session.targetUserId),
    target_org_id: orNull(session.targetOrgId, toId),
    target_role: toText(session.targetRole),
    access_level: session.accessLevel,
    reason: toText(session.reason),
    ticket: toText(session.ticket),
    grant_id: orNull(session.grantId, toId),
    break_glass: session.breakGlass ? 1 : 0,
    transport: session.transport,
    client_id: toText(session.clientId),
    ip_address: toText(session.ipAddress),
    user_agent: toText(session.userAgent),
    created_at: toInstant(session.createdAt),
    expires_at: toInstant(session.expiresAt),
    ended_at: orNull(session.endedAt, toInstant),
    ended_reason: session.endedReason,
    ended_note: toText(session.endedNote),
    ended_by: toText(session.endedBy),
    status: session.status,
    active_actor_key: session.transport === 'session' ? toKey(session.actorId) : null,
    active_target_key: exclusiveTarget ? toKey(session.targetUserId) : null,
    active_grant_key: orNull(session.grantId, toKey),
    lapse_actor_key: null,
  }
}

export function fromSessionRow(row: SessionRow): Session {
  return Object.freeze({
    id: row.id,
    actorId: row.actor_id,
    actorOrgId: row.actor_org_id,
    targetUserId: row.target_user_id,
    targetOrgId: row.target_org_id,
    targetRole: row.target_role,
    accessLevel: row.access_level as Session['accessLevel'],
    reason: row.reason,
    ticket: row.ticket,
    grantId: row.grant_id,
    breakGlass: Number(row.break_glass) === 1,
    transport: row.transport as Session['transport'],
    clientId: row.client_id,
    ipAddress: row.ip_address,
    userAgent: row.user_agent,
    createdAt: fromInstant(row.created_at),
    expiresAt: fromInstant(row.expires_at),
    endedAt: orNull(row.ended_at, fromInstant),
    endedReason: row.ended_reason as Session['endedReason'],
    endedNote: row.ended_note,
    endedBy: row.ended_by,
    status: row.status as Session['status'],
  })
}

export function toEventRow(event: AuditEvent): EventRow {
  return {
    id: toId(event.id),
    at: toInstant(event.at),
    action: event.action,
    outcome: event.outcome,
    code: event.code,
    actor_id: orNull(event.actorId, toId),
    target_user_id: orNull(event.targetUserId, toId),
    actor_org_id: orNull(event.actorOrgId, toId),
    target_org_id: orNull(event.targetOrgId, toId),
    session_id: orNull(event.sessionId, toId),
    grant_id: orNull(event.grantId, toId),
    reason: toText(event.reason),
    ip_address: toText(event.ipAddress),
    user_agent: toText(event.userAgent),
    client_id: toText(event.clientId),
    request_id: toText(event.requestId),
    details: JSON.stringify(event.details),
  }
}

export function fromEventRow(row: EventRow): AuditEvent {
  return Object.freeze({
    id: row.id,
    at: fromInstant(row.at),
    action: row.action as AuditEvent['action'],
    outcome: row.outcome as AuditEvent['outcome'],
    code: row.code,
    actorId: row.actor_id,
    targetUserId: row.target_user_id,
    actorOrgId: row.actor_org_id,
    targetOrgId: row.target_org_id,
    sessionId: row.session_id,
    grantId: row.grant_id,
    reason: row.reason,
    ipAddress: row.ip_address,
    userAgent: row.user_agent,
    clientId: row.client_id,
    requestId: row.request_id,
    details: Object.freeze(JSON.parse(row.details)),
  })
}

export function toGrantRow(grant: Grant): GrantRow {
  return {
    id: toId(grant.id),
    actor_id: toId(grant.actorId),
    actor_org_id: orNull(grant.actorOrgId, toId),
    target_user_id: toId(grant.targetUserId),
    target_org_id: orNull(grant.targetOrgId, toId),
    access_level: grant.accessLevel,
    requested_access_level: grant.requestedAccessLevel,
    reason: toText(grant.reason),
    ticket: toText(grant.ticket),
    duration_ms: toInstant(grant.durationMs),
    status: grant.status,
    created_at: toInstant(grant.createdAt),
    decided_at: orNull(grant.decidedAt, toInstant),
    expires_at: toInstant(grant.expiresAt),
    revision: grant.revision,
  }
}

export function fromGrantRow(row: GrantRow): Grant {
  return Object.freeze({
    id: row.id,
    actorId: row.actor_id,
    actorOrgId: row.actor_org_id,
    targetUserId: row.target_user_id,
    targetOrgId: row.target_org_id,
    accessLevel: row.access_level as Grant['accessLevel'],
    requestedAccessLevel: row.requested_access_level as Grant['requestedAccessLevel'],
    reason: row.reason,
    ticket: row.ticket,
    durationMs: fromInstant(row.duration_ms),
    status: row.status as Grant['status'],
    createdAt: fromInstant(row.created_at),
    decidedAt: orNull(row.decided_at, fromInstant),
    expiresAt: fromInstant(row.expires_at),
    revision: Number(row.revision),
  })
}
