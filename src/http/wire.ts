import { ImpersonationError } from '../errors.ts'
import type { IssuedApiToken } from '../lifecycle/api-token-changes.ts'
import type { HistoryEntry } from '../lifecycle/history.ts'
import type { Started } from '../lifecycle/opening.ts'
import type { SessionState } from '../lifecycle/sessions.ts'
import type { Place } from '../stores/store.ts'
import type { AccessRequest, ApiToken, Grant, Session, TrailAction, UserProfile } from '../types.ts'

/** The nouns as they travel: snake_case, instants as ISO 8601 in UTC with milliseconds. */

export const instant = (at: number) => new Date(at).toISOString()
const instantOrNull = (at: number | null) => (at === null ? null : instant(at))

export function sessionToWire(session: Session) {
  return {
    id: session.id,
    actor_id: session.actorId,
    actor_org_id: session.actorOrgId,
    target_user_id: session.targetUserId,
    target_org_id: session.targetOrgId,
    target_role: session.targetRole,
    access_level: session.accessLevel,
    reason: session.reason,
    ticket: session.ticket,
    grant_id: session.grantId,
    break_glass: session.breakGlass,
    transport: session.transport,
    client_id: session.clientId,
    ip_address: session.ipAddress,
    user_agent: session.userAgent,
    created_at: instant(session.createdAt),
    expires_at: instant(session.expiresAt),
    ended_at: instantOrNull(session.endedAt),
    ended_reason: session.endedReason,
    ended_note: session.endedNote,
    ended_by: session.endedBy,
    status: session.status,
  }
}

export function grantToWire(grant: Grant) {
  return {
    id: grant.id,
    actor_id: grant.actorId,
    target_user_id: grant.targetUserId,
    access_level: grant.accessLevel,
    requested_access_level: grant.requestedAccessLevel,
    reason: grant.reason,
    ticket: grant.ticket,
    status: grant.status,
    created_at: instant(grant.createdAt),
    decided_at: instantOrNull(grant.decidedAt),
    expires_at: instant(grant.expiresAt),
  }
}

export function breakGlassToWire(request: AccessRequest) {
  return { ...requestToWire(request), confirmed_by: request.approvedBy[0] ?? null }
}

export function approvalToWire(request: AccessRequest, quorum: number) {
  const { approvedBy, deniedBy } = request
  return { ...requestToWire(request), approved_by: approvedBy, denied_by: deniedBy, quorum }
}

function requestToWire(request: AccessRequest) {
  return {
    id: request.id,
    actor_id: request.actorId,
    target_user_id: request.targetUserId,
    access_level: request.accessLevel,
    reason: request.reason,
    ticket: request.ticket,
    status: request.status,
    created_at: instant(request.createdAt),
    expires_at: instant(request.expiresAt),
    session_id: request.sessionId,
  }
}

export function historyToWire({ session, actor, actions }: HistoryEntry) {
  return {
    session_id: session.id,
    actor,
    reason: session.reason,
    ticket: session.ticket,
    access_level: session.accessLevel,
    break_glass: session.breakGlass,
    started_at: instant(session.createdAt),
    ended_at: instantOrNull(session.endedAt),
    status: session.status,
    ended_reason: session.endedReason,
    actions,
  }
}

/** The one answer that holds a token. */
export function issuedTokenToWire({ token, secret }: IssuedApiToken) {
  const { id, ...rest } = commonOf(token)
  return { id, token: secret, ...rest }
}

export function tokenToWire(token: ApiToken) {
  return {
    ...commonOf(token),
    last_used_at: instantOrNull(token.lastUsedAt),
    revoked_at: instantOrNull(token.revokedAt),
    issued_by: token.issuedBy,
  }
}

function commonOf(token: ApiToken) {
  return {
    id: token.id,
    prefix: token.prefix,
    user_id: token.userId,
    name: token.name,
    scopes: token.scopes,
    created_at: instant(token.createdAt),
    expires_at: instant(token.expiresAt),
  }
}

export function actionToWire(action: TrailAction) {
  return {
    seq: action.seq,
    at: instant(action.at),
    method: action.method,
    route: action.route,
    path: action.path,
    status: action.status,
    duration_ms: action.durationMs,
    request_id: action.requestId,
  }
}

export function startedToWire(
  { session, targetProfile, accessToken }: Started<unknown>,
  now: number,
) {
  return {
    status: session.status,
    session_id: session.id,
    target_user: userToWire(targetProfile),
    access_level: session.accessLevel,
    expires_at: instant(session.expiresAt),
    ...(accessToken !== undefined && {
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: Math.floor(session.expiresAt / 1000) - Math.floor(now / 1000),
    }),
  }
}

export function userToWire({ id, email, name, orgId, role }: UserProfile) {
  return { id, email, name, org_id: orgId, role }
}

export function stateToWire(state: SessionState) {
  if (!state.session) {
    return {
      is_impersonating: false,
      ...(state.lastEnded && {
        last_ended: {
          session_id: state.lastEnded.id,
          status: state.lastEnded.status,
          ended_reason: state.lastEnded.endedReason,
          ended_at: instantOrNull(state.lastEnded.endedAt),
        },
      }),
    }
  }
  const { session, target } = state
  return {
    is_impersonating: true,
    session_id: session.id,
    target_user_id: session.targetUserId,
    target_email: target.email,
    target_name: target.name,
    target_org_id: session.targetOrgId,
    access_level: session.accessLevel,
    reason: session.reason,
    break_glass: session.breakGlass,
    expires_at: instant(session.expiresAt),
  }
}

export function stoppedToWire(session: Session) {
  return {
    status: 'stopped',
    session_id: session.id,
    ...(session.endedReason !== 'stopped' && { ended_reason: session.endedReason }),
  }
}

/** An instant of a query in ms since the epoch. */
export function toMs(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  return /^\d+$/.test(value) ? Number(value) : Date.parse(value)
}

/** A cursor is opaque to clients: the place of the last row they saw. */
export function writeCursor({ at, id }: Place): string {
  return base64url(JSON.stringify([at, id]))
}

/** @throws {ImpersonationError} invalid_request: not a cursor of ours */
export function readCursor(cursor: string): Place {
  try {
    const [at, id, ...more] = JSON.parse(fromBase64url(cursor)) as unknown[]
    if (Number.isSafeInteger(at) && typeof id === 'string' && more.length === 0) {
      const place = { at: at as number, id }
      if (writeCursor(place) === cursor) return place
    }
  } catch {
    // Falls through to the one refusal below.
  }
  throw unknownCursor()
}

export function unknownCursor(): ImpersonationError {
  return new ImpersonationError('invalid_request', {
    errors: [{ path: 'query.cursor', message: 'must be the next_cursor of an earlier answer' }],
  })
}

function base64url(text: string): string {
  const bytes = new TextEncoder().encode(text)
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '')
}

function fromBase64url(text: string): string {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  return new TextDecoder('utf-8', { fatal: true }).decode(
    Uint8Array.from(binary, (char) => char.charCodeAt(0)),
  )
}
