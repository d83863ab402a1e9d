import { requestEvent } from '../audit/events.ts'
import { ImpersonationError } from '../errors.ts'
import { reaches } from '../pipeline/walls.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { AccessLevel, UserProfile } from '../types.ts'
import type { Approvers } from './approvers.ts'
import type { Terms } from './opening.ts'
import type { RequestExpiry } from './request-expiry.ts'
import { become, isOver, refusalOf } from './request-state.ts'
import type { Caller, StartRequest } from './start.ts'

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly requestExpiry: RequestExpiry
  readonly approvers: Approvers<User>
}

/** What a start makes of the approval that it names. */
type Spend<User> = NonNullable<Terms<User>['request']>

/**
 * Whether colleagues have to have said yes, and whether the approval that a start names says so. Null
 * where none is needed and none is named.
 * @throws {ImpersonationError} second_admin_required, request_not_found, not_allowed,
 * access_level_exceeds_grant, request_not_pending, request_expired
 */
export function createApprovalEntry<User extends object>(parts: Parts<User>) {
  const { settings, store, requestExpiry, approvers } = parts
  const { approvals, now } = settings

  return async function approvalFor(
    { profile, meta }: Caller<User>,
    { approvalId, targetOrgId }: StartRequest,
    accessLevel: AccessLevel,
    target: { readonly user: User; readonly profile: UserProfile },
  ): Promise<Spend<User> | null> {
    if (approvalId === undefined) {
      if (!approvals?.levels.includes(accessLevel)) return null
      const message = 'A colleague has to approve this first.'
      throw new ImpersonationError('second_admin_required', { message })
    }
    const request = approvals && (await store.requests?.readRequest(approvalId))
    if (request?.kind !== 'approval' || request.actorId !== profile.id)
      throw new ImpersonationError('request_not_found')
    const org = targetOrgId ?? target.profile.orgId
    if (request.targetUserId !== target.profile.id || request.targetOrgId !== org) {
      throw new ImpersonationError('not_allowed', {
        message: 'This was approved for another user, or in another organisation.',
      })
    }
    if (isOver(request, now())) {
      await requestExpiry.expire(request)
      throw new ImpersonationError('request_expired')
    }
    const { approvedBy } = request
    if (request.status === 'pending') {
      throw new ImpersonationError('second_admin_required', {
        details: { request_status: 'pending', approvals: approvedBy.length },
      })
    }
    if (request.status !== 'approved') throw refusalOf(request)
    if (!reaches(request.accessLevel, accessLevel)) {
      throw new ImpersonationError('access_level_exceeds_grant', {
        message: 'A lower access level was approved.',
        details: { granted: request.accessLevel },
      })
    }
    const enough = approvedBy.length >= (approvals?.quorum ?? 1)
    if (!enough || !(await approvers.stand(approvedBy, target.user))) {
      throw new ImpersonationError('second_admin_required', {
        message: 'Somebody who approved this may not do so any more.',
      })
    }
    return (session) => {
      const after = become(request, 'used', { sessionId: session.id })
      const event = requestEvent('approval.used', after, session.createdAt, meta)
      return { from: request.revision, after, events: [event] }
    }
  }
}
