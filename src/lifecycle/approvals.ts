import { noMeta, requestEvent } from '../audit/events.ts'
import { ImpersonationError } from '../errors.ts'
import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Page } from '../stores/store.ts'
import type { AccessLevel, AccessRequest } from '../types.ts'
import type { Approvers } from './approvers.ts'
import { checkAsked } from './asked.ts'
import { checkFresh } from './fresh-auth.ts'
import { checkOther, isImpersonated, looksAlike, type StartPolicy } from './policy.ts'
import type { RequestExpiry } from './request-expiry.ts'
import { keptOf } from './request-list.ts'
import { createRequestRate } from './request-rate.ts'
import { become, changed, isOver, mayBecome, newRequest, refusalOf } from './request-state.ts'
import { createCheckSecond } from './second-person.ts'
import type { Caller } from './start.ts'
import { createTurns } from './turns.ts'

/** Four eyes: an actor asks, colleagues answer, one start uses it up. Each verb checks who calls. */
export interface Approvals<User> {
  /**
   * Asks colleagues for one start. They have `grantRequestMs` to answer.
   * @throws {ImpersonationError} as a start does; route_not_found: approvals are off
   */
  request(caller: Caller<User>, ask: ApprovalRequest): Promise<AccessRequest>
  /** What the caller has asked for, newest first. @throws {ImpersonationError} not_allowed */
  list(caller: Caller<User>, page: Page): Promise<AccessRequest[]>
  /** What the caller could say yes to now, newest first. @throws {ImpersonationError} not_allowed */
  waiting(caller: Caller<User>, page: Page): Promise<AccessRequest[]>
  /**
   * A colleague's yes; the last of `quorum` opens the door to one start within an hour. Idempotent.
   * @throws {ImpersonationError} not_allowed, request_not_found, second_admin_required: the same person,
   * or the target; request_not_pending: decided already; request_expired, nested_impersonation,
   * insufficient_user_authentication; and as a start does on behalf of whoever asked
   */
  approve(caller: Caller<User>, requestId: string): Promise<AccessRequest>
  /** A colleague's no; one is enough, until it is used. Idempotent. @throws {ImpersonationError} as approve does */
  deny(caller: Caller<User>, requestId: string): Promise<AccessRequest>
  /**
   * Takes it back, by who asked. Idempotent.
   * @throws {ImpersonationError} request_not_found: also for somebody else's
   */
  withdraw(caller: Caller<User>, requestId: string): Promise<AccessRequest>
}

export interface ApprovalRequest {
  readonly targetUserId: string
  /** Up to which level. @default `defaultAccessLevel` */
  readonly accessLevel?: AccessLevel | undefined
  readonly reason?: string | undefined
  readonly ticket?: string | undefined
}

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly people: People<User>
  readonly policy: StartPolicy<User>
  readonly approvers: Approvers<User>
  readonly requestExpiry: RequestExpiry
}

/** For how long a yes holds, in ms. */
const holdsMs = 60 * 60_000
/** Whoever else changes it meanwhile is few; more rounds than that and something is wrong. */
const rounds = 30

export function createApprovals<User extends object>(parts: Parts<User>): Approvals<User> {
  const { settings, store, people, policy, approvers, requestExpiry } = parts
  const { now, defaultAccessLevel, grantRequestMs, requireReason } = settings
  const quorum = settings.approvals?.quorum ?? 1
  const checkSecond = createCheckSecond<User>(settings)
  const checkAskRate = createRequestRate(settings)
  const inTurn = createTurns()

  function section() {
    if (settings.approvals && store.requests) return store.requests
    throw new ImpersonationError('route_not_found', { message: 'Approvals are not switched on.' })
  }

  async function found(id: string): Promise<AccessRequest | null> {
    const request = await section().readRequest(id)
    return request?.kind === 'approval' ? request : null
  }

  function onRecord<T>(
    caller: Caller<User>,
    request: AccessRequest | null,
    work: () => Promise<T>,
  ) {
    const { targetUserId = null, reason } = request ?? {}
    const details = request && { details: { access_request_id: request.id } }
    return policy.onRecord(caller, { targetUserId, reason, ...details }, work)
  }

  /** Reads, decides, changes; again where somebody else was first. Null lets it stand as it is. */
  async function change(
    { profile, meta }: Caller<User>,
    id: string,
    action: Decision,
    decide: (request: AccessRequest, at: number) => Promise<AccessRequest | null>,
  ): Promise<AccessRequest> {
    for (let round = 0; round < rounds; round++) {
      const request = await found(id)
      if (!request) throw new ImpersonationError('request_not_found')
      const at = now()
      if (isOver(request, at)) {
        await requestExpiry.expire(request)
        continue
      }
      const after = await decide(request, at)
      if (after === null) return request
      const details = { decided_by: profile.id, approvals: after.approvedBy.length, quorum }
      const event = requestEvent(action, after, at, meta, details)
      const answer = await section().changeRequest({ from: request.revision, after }, [event], null)
      if (answer === 'changed') return after
    }
    throw new ImpersonationError('impersonation_unavailable')
  }

  /** A colleague answers as themselves, by a login of now. */
  async function checkApprover({ user, request }: Caller<User>): Promise<void> {
    if (isImpersonated(user)) throw new ImpersonationError('nested_impersonation')
    await approvers.check(user)
    if (settings.freshAuth) checkFresh(settings.freshAuth, now(), request, user)
  }

  /** Another person than all who are in it, and allowed to answer for this target. */
  async function checkAnswer(caller: Caller<User>, request: AccessRequest): Promise<void> {
    const { actorId, approvedBy, targetUserId } = request
    const user = await people.anybody(actorId)
    if (user === null) {
      const message = 'Whoever asked for this is gone.'
      throw new ImpersonationError('not_allowed', { message })
    }
    const earlier = approvedBy.filter((id) => id !== caller.profile.id)
    const known = await Promise.all(earlier.map((id) => people.anybody(id)))
    await checkSecond(caller, request, [user, ...known.filter((one) => one !== null)])
    // Two accounts of one person are one yes.
    if (earlier.some((id) => looksAlike(id, caller.profile.id)))
      throw new ImpersonationError('second_admin_required')
    const asker = { user, profile: people.profile(user), meta: noMeta }
    const target = await policy.target(asker, targetUserId)
    await approvers.check(caller.user, target.user)
  }

  async function answer(
    caller: Caller<User>,
    id: string,
    action: Decision,
    decide: (request: AccessRequest, at: number) => AccessRequest | null,
  ): Promise<AccessRequest> {
    return onRecord(caller, await found(id), async () => {
      await checkApprover(caller)
      return change(caller, id, action, async (request, at) => {
        await checkAnswer(caller, request)
        return decide(request, at)
      })
    })
  }

  async function ask(caller: Caller<User>, asked: ApprovalRequest): Promise<AccessRequest> {
    const requests = section()
    const { targetUserId, reason, ticket, accessLevel = defaultAccessLevel } = asked
    await policy.checkActor(caller)
    const valid = { targetUserId, reason, durationMs: grantRequestMs, accessLevel }
    checkAsked(valid, { requireReason, maxMs: grantRequestMs })
    checkOther(targetUserId, caller.profile.id)
    await checkAskRate(requests, 'approval', caller.profile.id)
    const target = await policy.target(caller, targetUserId)
    const createdAt = now()
    const what = { accessLevel, reason, ticket, createdAt, expiresAt: createdAt + grantRequestMs }
    const request = newRequest('approval', caller.profile, target.profile, what)
    const event = requestEvent('approval.requested', request, createdAt, caller.meta, { quorum })
    await requests.createRequest(request, [event], null)
    return request
  }

  async function couldApprove(caller: Caller<User>, request: AccessRequest): Promise<boolean> {
    const { id } = caller.profile
    if (isOver(request, now()) || request.approvedBy.includes(id)) return false
    return checkAnswer(caller, request).then(
      () => true,
      () => false,
    )
  }

  return {
    request: (caller, asked) =>
      policy.onRecord(caller, asked, () => inTurn(caller.profile.id, () => ask(caller, asked))),

    async list(caller, page) {
      const requests = section()
      await policy.checkActor(caller)
      return requests.listRequests({ kind: 'approval', actorId: caller.profile.id }, page)
    },

    async waiting(caller, page) {
      const requests = section()
      if (isImpersonated(caller.user)) throw new ImpersonationError('nested_impersonation')
      await approvers.check(caller.user)
      const pending = { kind: 'approval', status: 'pending' } as const
      const read = (next: Page) => requests.listRequests(pending, next)
      return keptOf(page, read, (request) => couldApprove(caller, request))
    },

    approve: (caller, id) =>
      answer(caller, id, 'approval.approved', (request, at) => {
        const { id: approver } = caller.profile
        const open = request.status === 'pending' || request.status === 'approved'
        if (open && request.approvedBy.includes(approver)) return null
        if (!mayBecome(request, 'approved')) throw refusalOf(request)
        const approvedBy = [...request.approvedBy, approver]
        if (approvedBy.length < quorum) return changed(request, { approvedBy })
        return become(request, 'approved', { approvedBy, expiresAt: at + holdsMs })
      }),

    deny: (caller, id) =>
      answer(caller, id, 'approval.denied', (request) => {
        if (request.status === 'denied') return null
        if (!mayBecome(request, 'denied')) throw refusalOf(request)
        return become(request, 'denied', { deniedBy: caller.profile.id })
      }),

    async withdraw(caller, id) {
      const request = await found(id)
      const own = request?.actorId === caller.profile.id
      return onRecord(caller, own ? request : null, async () => {
        if (!own) throw new ImpersonationError('request_not_found')
        return change(caller, id, 'approval.withdrawn', async (now) =>
          mayBecome(now, 'withdrawn') ? become(now, 'withdrawn') : null,
        )
      })
    },
  }
}

type Decision = 'approval.approved' | 'approval.denied' | 'approval.withdrawn'
