import { endedEvents, grantEvent, type RequestMeta } from '../audit/events.ts'
import { type FieldError, ImpersonationError } from '../errors.ts'
import { reaches } from '../pipeline/walls.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { GrantSection, Page } from '../stores/store.ts'
import type { TrailHead } from '../stores/trail.ts'
import { type AccessLevel, accessLevels, type Grant, type Session } from '../types.ts'
import { checkAsked, tooLong, validMs } from './asked.ts'
import { checkFresh } from './fresh-auth.ts'
import type { GrantExpiry } from './grant-expiry.ts'
import { changed, granted, isOver, mayBecome, refusalOf } from './grant-state.ts'
import { checkOther, isImpersonated, type StartPolicy } from './policy.ts'
import type { Caller } from './start.ts'

/** Consent: the operator asks, the target answers. Each verb checks who calls. */
export interface Grants<User> {
  /**
   * Asks a user for consent.
   * @throws {ImpersonationError} as a start does; route_not_found: consent is off
   */
  request(caller: Caller<User>, ask: GrantRequest): Promise<Grant>
  /** What the caller has asked for, newest first. @throws {ImpersonationError} not_allowed */
  list(caller: Caller<User>, page: Page): Promise<Grant[]>
  /**
   * Takes a request or a consent back, by the operator who asked; their live session ends with it. Idempotent.
   * @throws {ImpersonationError} grant_not_found: also for somebody else's
   */
  withdraw(caller: Caller<User>, grantId: string): Promise<Grant>
  /** What the caller was asked, newest first. */
  mine(caller: Caller<User>, page: Page): Promise<Grant[]>
  /**
   * The target's yes, to no more than was asked. Idempotent.
   * @throws {ImpersonationError} grant_not_found, grant_expired, grant_not_granted: decided otherwise
   * already, nested_impersonation, insufficient_user_authentication, invalid_request
   */
  approve(caller: Caller<User>, grantId: string, lower?: GrantLimits): Promise<Grant>
  /** The target's no. Idempotent. @throws {ImpersonationError} as approve does */
  deny(caller: Caller<User>, grantId: string): Promise<Grant>
  /** The target changes their mind: the live session ends with the grant, everywhere. Idempotent. */
  revoke(caller: Caller<User>, grantId: string): Promise<Grant>
}

export interface GrantRequest {
  readonly targetUserId: string
  /** Up to which level. @default `defaultAccessLevel` */
  readonly accessLevel?: AccessLevel | undefined
  readonly reason?: string | undefined
  readonly ticket?: string | undefined
  /** For how long the consent holds once given, in ms, at most 30 days. @default 24 h */
  readonly durationMs?: number | undefined
}

export interface GrantLimits {
  readonly accessLevel?: AccessLevel | undefined
  readonly durationMs?: number | undefined
}

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly policy: StartPolicy<User>
  readonly expiry: GrantExpiry
  /** Told after each change of a grant of theirs, also a failed one, so that no cache answers with what was. */
  readonly changed: (actorId: string) => void
  /** Told once it is certain that a session is over. */
  readonly over: (sessionId: string) => void
}

const dayMs = 24 * 60 * 60_000
const longestMs = 30 * dayMs
/** Whoever else changes it meanwhile is few; more rounds than that and something is wrong. */
const rounds = 10

export function createGrants<User extends object>(parts: Parts<User>): Grants<User> {
  const { settings, policy, expiry, over, changed: ended } = parts
  const { now } = settings

  function section(): GrantSection {
    if (settings.consent === 'off' || !parts.store.grants) {
      throw new ImpersonationError('route_not_found', { message: 'Consent is not switched on.' })
    }
    return parts.store.grants
  }

  /** One's own, seen from either side; anybody else's is not there. */
  async function owned(id: string, side: 'actorId' | 'targetUserId', owner: string) {
    const grant = await section().readGrant(id)
    if (grant?.[side] !== owner) throw new ImpersonationError('grant_not_found')
    return grant
  }

  /**
   * Reads, decides, changes; again where somebody else was first. `decide` gives the grant as it is to
   * be, or null where it is fine as it stands.
   */
  async function change(
    read: () => Promise<Grant>,
    decide: Decide,
    { action, meta, by }: { action: Decision; meta: RequestMeta; by: string },
  ): Promise<Grant> {
    for (let round = 0; round < rounds; round++) {
      const grant = await read()
      const at = now()
      if (isOver(grant, at)) {
        await expiry.expire(grant)
        continue
      }
      const after = decide(grant, at)
      if (after === null) return grant
      const details = {
        access_level: after.accessLevel,
        expires_at: after.expiresAt,
        decided_by: by,
      }
      try {
        const result = await section().changeGrant(
          { from: grant.revision, after },
          [grantEvent(action, after, at, meta, details)],
          action === 'grant.revoked' ? revocation(by, at, meta) : null,
        )
        if (!result.changed) continue
        if (result.ended) over(result.ended.id)
        return after
      } finally {
        // Also where the answer was lost: no cache may go on with a session that may have ended.
        ended(grant.actorId)
      }
    }
    throw new ImpersonationError('impersonation_unavailable')
  }

  function revoked(read: () => Promise<Grant>, { profile, meta }: Caller<User>): Promise<Grant> {
    const decide = (grant: Grant) =>
      mayBecome(grant, 'revoked') ? changed(grant, { status: 'revoked' }) : null
    return change(read, decide, { action: 'grant.revoked', meta, by: profile.id })
  }

  /** As often as one may start, one may ask. */
  async function checkRate({ profile }: Caller<User>): Promise<void> {
    if (!settings.rateLimit) return
    const { starts, perMs } = settings.rateLimit
    const asked = await section().listGrants({ actorId: profile.id }, { limit: starts })
    const oldest = asked.at(-1)
    if (asked.length < starts || !oldest || oldest.createdAt + perMs <= now()) return
    const waitMs = Math.max(oldest.createdAt + perMs - now(), 1000)
    throw new ImpersonationError('rate_limited', {
      message: 'Too many requests for consent were made; wait a while.',
      headers: { 'Retry-After': String(Math.ceil(waitMs / 1000)) },
    })
  }

  /** The target answers for themselves: not while somebody acts for them, not with an old login. */
  function checkTarget({ user, request }: Caller<User>): void {
    if (isImpersonated(user)) throw new ImpersonationError('nested_impersonation')
    if (settings.freshAuth) checkFresh(settings.freshAuth, now(), request, user)
  }

  async function answer(
    caller: Caller<User>,
    id: string,
    action: Decision,
    decide: Decide,
  ): Promise<Grant> {
    const read = () => owned(id, 'targetUserId', caller.profile.id)
    await read()
    checkTarget(caller)
    return change(read, decide, { action, meta: caller.meta, by: caller.profile.id })
  }

  return {
    request: (caller, ask) =>
      policy.onRecord(caller, ask, async () => {
        const grants = section()
        await policy.checkActor(caller)
        const { accessLevel = settings.defaultAccessLevel, durationMs = dayMs } = ask
        const { targetUserId, reason } = ask
        const { requireReason } = settings
        checkAsked(
          { targetUserId, reason, durationMs, accessLevel },
          { requireReason, maxMs: longestMs },
        )
        checkOther(targetUserId, caller.profile.id)
        await checkRate(caller)
        const target = await policy.target(caller, targetUserId)
        const at = now()
        const grant: Grant = Object.freeze({
          id: crypto.randomUUID(),
          actorId: caller.profile.id,
          actorOrgId: caller.profile.orgId,
          targetUserId: target.profile.id,
          targetOrgId: target.profile.orgId,
          accessLevel,
          requestedAccessLevel: accessLevel,
          reason: ask.reason?.toWellFormed() ?? null,
          ticket: ask.ticket?.toWellFormed() ?? null,
          durationMs,
          status: 'pending',
          createdAt: at,
          decidedAt: null,
          expiresAt: at + settings.grantRequestMs,
          revision: 1,
        })
        const details = { access_level: grant.accessLevel, duration_ms: grant.durationMs }
        await grants.createGrant(grant, [
          grantEvent('grant.requested', grant, at, caller.meta, details),
        ])
        return grant
      }),

    async list(caller, page) {
      const grants = section()
      await policy.checkActor(caller)
      return grants.listGrants({ actorId: caller.profile.id }, page)
    },

    withdraw: (caller, id) => revoked(() => owned(id, 'actorId', caller.profile.id), caller),

    async mine({ profile }, page) {
      return section().listGrants({ targetUserId: profile.id }, page)
    },

    approve: (caller, id, lower = {}) =>
      answer(caller, id, 'grant.granted', (grant, at) => {
        const { accessLevel, durationMs } = checkLower(grant, lower)
        if (grant.status === 'granted') return null
        if (!mayBecome(grant, 'granted')) throw refusalOf(grant)
        return granted(grant, at, accessLevel, durationMs)
      }),

    deny: (caller, id) =>
      answer(caller, id, 'grant.denied', (grant, at) => {
        if (grant.status === 'denied') return null
        if (!mayBecome(grant, 'denied')) throw refusalOf(grant)
        return changed(grant, { status: 'denied', decidedAt: at })
      }),

    async revoke(caller, id) {
      const read = () => owned(id, 'targetUserId', caller.profile.id)
      await read()
      // No fresh login is asked for: taking it back must always work.
      if (isImpersonated(caller.user)) throw new ImpersonationError('nested_impersonation')
      return revoked(read, caller)
    },
  }
}

type Decide = (grant: Grant, at: number) => Grant | null
type Decision = 'grant.granted' | 'grant.denied' | 'grant.revoked'

function revocation(by: string, at: number, meta: RequestMeta) {
  return {
    how: {
      status: 'revoked',
      reason: 'grant_revoked',
      at,
      by,
      note: null,
      acknowledged: false,
    },
    event: (session: Session, trail: TrailHead | null) => endedEvents(session, trail, at, meta),
  } as const
}

/** The target may give less than was asked for, not more. */
function checkLower(
  { requestedAccessLevel, durationMs: asked }: Grant,
  { accessLevel = requestedAccessLevel, durationMs = asked }: GrantLimits,
) {
  const errors: FieldError[] = []
  if (!accessLevels.includes(accessLevel) || !reaches(requestedAccessLevel, accessLevel))
    errors.push({ path: 'access_level', message: `must be at most ${requestedAccessLevel}` })
  if (!validMs(durationMs, asked)) errors.push(tooLong(asked))
  if (errors.length > 0) throw new ImpersonationError('invalid_request', { errors })
  return { accessLevel, durationMs }
}
