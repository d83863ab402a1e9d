import { ImpersonationError } from '../errors.ts'
import type { AccessRequest, RequestKind, RequestStatus, UserProfile } from '../types.ts'

type Follows = Partial<Readonly<Record<RequestStatus, readonly RequestStatus[]>>>

/**
 * The states of what an actor asks of colleagues.
 *
 *     break-glass:  unproven → pending → used
 *                                 ├────→ locked     (too many wrong codes)
 *                                 └────→ expired
 *
 * Whatever never shows a right code stays `unproven` for good: that is how guesses are counted.
 *
 *     approval:  pending → approved → used
 *                   │         ├─────→ denied     (a colleague takes fright in time)
 *                   │         ├─────→ withdrawn
 *                   │         └─────→ expired    (nobody started)
 *                   ├──→ denied
 *                   ├──→ withdrawn
 *                   └──→ expired                 (nobody answered)
 */
const follows: Readonly<Record<RequestKind, Follows>> = {
  break_glass: {
    unproven: ['pending'],
    pending: ['used', 'locked', 'expired'],
  },
  approval: {
    pending: ['approved', 'denied', 'withdrawn', 'expired'],
    approved: ['used', 'denied', 'withdrawn', 'expired'],
  },
}

export const mayBecome = (request: AccessRequest, status: RequestStatus): boolean =>
  follows[request.kind][request.status]?.includes(status) ?? false

/** Whether its time is up, though nobody has written that down yet. */
export const isOver = (request: AccessRequest, at: number): boolean =>
  request.expiresAt <= at && mayBecome(request, 'expired')

/** A request as a change leaves it, in the state that it was in. */
export function changed(
  request: AccessRequest,
  changes: Partial<Omit<AccessRequest, 'status'>>,
): AccessRequest {
  return Object.freeze({ ...request, ...changes, revision: request.revision + 1 })
}

/** A request as it is in its next state. @throws {Error} where the drawing above has no such arrow */
export function become(
  request: AccessRequest,
  status: RequestStatus,
  changes: Partial<AccessRequest> = {},
): AccessRequest {
  if (!mayBecome(request, status))
    throw new Error(`a ${request.kind} that is ${request.status} does not become ${status}`)
  return Object.freeze({ ...changed(request, changes), status })
}

/** As it was asked. */
export function newRequest(
  kind: RequestKind,
  actor: UserProfile,
  target: UserProfile,
  asked: Pick<AccessRequest, 'accessLevel' | 'createdAt' | 'expiresAt'> & {
    readonly reason: string | undefined
    readonly ticket: string | undefined
  },
): AccessRequest {
  const { accessLevel, createdAt, expiresAt, reason, ticket } = asked
  return Object.freeze({
    id: crypto.randomUUID(),
    kind,
    actorId: actor.id,
    actorOrgId: actor.orgId,
    targetUserId: target.id,
    targetOrgId: target.orgId,
    accessLevel,
    reason: reason?.toWellFormed() ?? null,
    ticket: ticket?.toWellFormed() ?? null,
    status: kind === 'break_glass' ? 'unproven' : 'pending',
    approvedBy: Object.freeze([]),
    deniedBy: null,
    attempts: 0,
    createdAt,
    expiresAt,
    sessionId: null,
    revision: 1,
  })
}

/** Why a request lets nobody in, nor be answered. */
export function refusalOf({ status }: AccessRequest): ImpersonationError {
  if (status === 'expired') return new ImpersonationError('request_expired')
  return new ImpersonationError('request_not_pending', { details: { request_status: status } })
}
