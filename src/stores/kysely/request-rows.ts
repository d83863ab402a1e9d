import type { AccessRequest } from '../../types.ts'
import type { UsedCode } from '../requests.ts'
import { fromInstant, orNull, toId, toInstant, toText } from './rows.ts'
import type { CodeRow, RequestRow } from './schema.ts'

export function toRequestRow(request: AccessRequest): RequestRow {
  return {
    id: toId(request.id),
    kind: request.kind,
    actor_id: toId(request.actorId),
    actor_org_id: orNull(request.actorOrgId, toId),
    target_user_id: toId(request.targetUserId),
    target_org_id: orNull(request.targetOrgId, toId),
    access_level: request.accessLevel,
    reason: toText(request.reason),
    ticket: toText(request.ticket),
    status: request.status,
    approved_by: JSON.stringify(request.approvedBy.map(toId)),
    denied_by: orNull(request.deniedBy, toId),
    attempts: request.attempts,
    created_at: toInstant(request.createdAt),
    expires_at: toInstant(request.expiresAt),
    session_id: orNull(request.sessionId, toId),
    revision: request.revision,
  }
}

export function fromRequestRow(row: RequestRow): AccessRequest {
  return Object.freeze({
    id: row.id,
    kind: row.kind as AccessRequest['kind'],
    actorId: row.actor_id,
    actorOrgId: row.actor_org_id,
    targetUserId: row.target_user_id,
    targetOrgId: row.target_org_id,
    accessLevel: row.access_level as AccessRequest['accessLevel'],
    reason: row.reason,
    ticket: row.ticket,
    status: row.status as AccessRequest['status'],
    approvedBy: Object.freeze(JSON.parse(row.approved_by)),
    deniedBy: row.denied_by,
    attempts: Number(row.attempts),
    createdAt: fromInstant(row.created_at),
    expiresAt: fromInstant(row.expires_at),
    sessionId: row.session_id,
    revision: Number(row.revision),
  })
}

export function toCodeRow({ mark, at }: UsedCode): CodeRow {
  return { mark: toId(mark), at: toInstant(at) }
}
