import { endedEvents, type RequestMeta, refusedEvent, sessionEvent } from '../audit/events.ts'
import type { Recorder } from '../audit/recorder.ts'
import { type FieldError, ImpersonationError, isImpersonationError } from '../errors.ts'
import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import { type AccessLevel, accessLevels, type Session, type UserProfile } from '../types.ts'
import { checkFresh } from './fresh-auth.ts'
import type { Judge } from './judge.ts'
import { createStartRate } from './start-rate.ts'
import { createTurns } from './turns.ts'

/** Who calls a verb, and what their request tells of itself. */
export interface Caller<User> {
  readonly user: User
  readonly profile: UserProfile
  readonly meta: RequestMeta
  /** What the client says it believes is active, by header: a session id, or `'none'`. */
  readonly pin?: string | undefined
  /** The framework's request, for `freshAuth.authTime`. */
  readonly request?: unknown
}

export interface StartRequest {
  readonly targetUserId: string
  /** 1 to 500 code points, invisible ones not counted. */
  readonly reason?: string | undefined
  readonly ticket?: string | undefined
  /** How long, in ms. @default `defaultDurationMs` */
  readonly durationMs?: number | undefined
  /** @default `defaultAccessLevel` */
  readonly accessLevel?: AccessLevel | undefined
  /** One of the target's organisations. @default the one that `describe` gives */
  readonly targetOrgId?: string | undefined
  readonly clientId?: string | undefined
}

export interface Started<User> {
  readonly session: Session
  readonly target: User
  readonly targetProfile: UserProfile
}

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly people: People<User>
  readonly judge: Judge<User>
  readonly recorder: Recorder
  readonly changed: (actorId: string) => void
  readonly over: (sessionId: string) => void
}

/** Opens a session, or refuses with a code and an audit event. */
export function createStart<User extends object>(parts: Parts<User>) {
  const { settings, store, people, judge, recorder, changed, over } = parts
  const { now, rateLimit: limit } = settings
  const checkRate = limit && createStartRate({ limit, store, recorder, now })
  const inTurn = createTurns()

  /** One at a time for each actor: all at once, none of them would be counted by the others. */
  return function start(caller: Caller<User>, ask: StartRequest): Promise<Started<User>> {
    return inTurn(caller.profile.id, () => startNow(caller, ask))
  }

  async function startNow(caller: Caller<User>, ask: StartRequest): Promise<Started<User>> {
    try {
      await checkActor(caller)
      const wanted = checkRequest(settings, ask)
      if (sameId(ask.targetUserId, caller.profile.id))
        throw new ImpersonationError('self_impersonation')
      await checkRate?.(caller)
      const target = await findTarget(caller, ask)
      return await claim(caller, ask, wanted, target)
    } catch (error) {
      if (isImpersonationError(error) && error.status < 500) {
        const attempt = { targetUserId: ask.targetUserId, reason: ask.reason ?? null }
        recorder.note(refusedEvent(now(), error.code, caller.profile, attempt, caller.meta))
      }
      throw error
    }
  }

  async function checkActor({ user, profile, pin, request }: Caller<User>): Promise<void> {
    if (isImpersonated(user)) throw new ImpersonationError('nested_impersonation')
    if (!(await people.may(user, 'start'))) throw new ImpersonationError('not_allowed')
    if (settings.freshAuth) checkFresh(settings.freshAuth, now(), request, user)
    if (pin !== undefined) {
      const { session } = await judge.standing(profile.id)
      if (pin !== (session?.id ?? 'none'))
        throw new ImpersonationError('impersonation_state_changed')
    }
  }

  async function findTarget({ user }: Caller<User>, { targetUserId, targetOrgId }: StartRequest) {
    const found = await people.target(targetUserId, null)
    if (found.unfit !== undefined) throw new ImpersonationError(refusalOf[found.unfit])
    if ((await people.may(user, 'start', found.user)) !== true) {
      throw new ImpersonationError('not_allowed', {
        message: 'You are not allowed to impersonate this user.',
      })
    }
    if (targetOrgId === undefined) return found
    const member = await people.target(targetUserId, targetOrgId)
    if (member.unfit === 'target_gone') {
      throw new ImpersonationError('not_allowed', {
        message: 'The user is not a member of this organisation.',
      })
    }
    if (member.unfit !== undefined) throw new ImpersonationError(refusalOf[member.unfit])
    return member
  }

  async function claim(
    { profile, meta }: Caller<User>,
    ask: StartRequest,
    wanted: { durationMs: number; accessLevel: AccessLevel },
    target: { user: User; profile: UserProfile },
  ): Promise<Started<User>> {
    const at = now()
    const session: Session = Object.freeze({
      id: crypto.randomUUID(),
      actorId: profile.id,
      actorOrgId: profile.orgId,
      targetUserId: target.profile.id,
      targetOrgId: target.profile.orgId,
      targetRole: target.profile.role,
      accessLevel: wanted.accessLevel,
      reason: ask.reason?.toWellFormed() ?? null,
      ticket: ask.ticket?.toWellFormed() ?? null,
      grantId: null,
      breakGlass: false,
      transport: 'session',
      clientId: ask.clientId ?? meta.clientId,
      ipAddress: meta.ipAddress,
      userAgent: meta.userAgent,
      createdAt: at,
      expiresAt: at + wanted.durationMs,
      endedAt: null,
      endedReason: null,
      endedNote: null,
      endedBy: null,
      status: 'active',
    })
    const started: Started<User> = { session, target: target.user, targetProfile: target.profile }
    try {
      const result = await store.claimSession({
        session,
        now: at,
        onConflict: settings.onConflict,
        exclusiveTarget: settings.exclusiveTarget,
        events: {
          started: sessionEvent('impersonation.started', session, at, meta, {
            access_level: session.accessLevel,
            expires_at: session.expiresAt,
          }),
          ended: (ended) => endedEvents(ended, ended.endedAt ?? at, meta),
        },
      })
      for (const ended of result.ended) {
        changed(ended.actorId)
        over(ended.id)
      }
      if (result.outcome === 'started') return started
      throw new ImpersonationError(
        result.outcome === 'actor_busy'
          ? 'impersonation_already_active'
          : 'target_already_impersonated',
      )
    } catch (error) {
      if (isImpersonationError(error) && error.status < 500) throw error
      // The answer was lost, which says nothing about the change: look, and if it can't be told now,
      // see to it that a start which was answered with 503 does not come to life later.
      const row = await store.readSession(session.id).catch(() => null)
      if (row?.status === 'active') return started
      judge.doubt(session.id)
      throw error
    } finally {
      changed(profile.id)
    }
  }
}

const refusalOf = {
  target_gone: 'target_not_found',
  target_inactive: 'target_inactive',
  target_privileged: 'target_protected',
} as const

function checkRequest(
  {
    maxDurationMs,
    defaultDurationMs,
    defaultAccessLevel,
    requireReason,
  }: Pick<
    Settings<object>,
    'maxDurationMs' | 'defaultDurationMs' | 'defaultAccessLevel' | 'requireReason'
  >,
  {
    reason,
    durationMs = defaultDurationMs,
    accessLevel = defaultAccessLevel,
    targetUserId,
  }: StartRequest,
) {
  const errors: FieldError[] = []
  if (typeof targetUserId !== 'string' || targetUserId === '' || targetUserId.length > 255) {
    errors.push({ path: 'target_user_id', message: 'must be a string of 1 to 255 characters' })
  }
  if (reason === undefined ? requireReason : !validReason(reason)) {
    errors.push({
      path: 'reason',
      message: 'must say why, in 1 to 500 characters that can be seen',
    })
  }
  if (!Number.isSafeInteger(durationMs) || durationMs <= 0 || durationMs > maxDurationMs) {
    errors.push({
      path: 'duration_minutes',
      message: `must be a whole number of minutes, at most ${Math.floor(maxDurationMs / 60_000)}`,
    })
  }
  if (!accessLevels.includes(accessLevel)) {
    errors.push({ path: 'access_level', message: `must be one of ${accessLevels.join(', ')}` })
  }
  if (errors.length > 0) throw new ImpersonationError('invalid_request', { errors })
  return { durationMs, accessLevel }
}

/** Code points that show nothing do not count, neither towards a reason nor against its length. */
export function validReason(reason: string): boolean {
  const counted = reason.replace(/[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu, '')
  const length = [...counted].length
  return (
    length <= 500 && !reason.includes('\0') && /[^\p{White_Space}\p{Cc}\p{Z}\u2800]/u.test(counted)
  )
}

/** Whether two ids are the same to the eye: white space, invisible characters and width don't tell people apart. */
function sameId(one: string, other: string): boolean {
  return plainId(one) === plainId(other)
}

function plainId(id: string): string {
  return id
    .normalize('NFKC')
    .replace(/[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}]/gu, '')
}

/** A login that is itself an impersonation says so by RFC 8693's `act`, or by better-auth's field. */
function isImpersonated(user: object): boolean {
  const { act, impersonatedBy, impersonated_by } = user as Record<string, unknown>
  return Boolean(act || impersonatedBy || impersonated_by)
}
