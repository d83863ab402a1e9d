import { endedEvents, type RequestMeta, sessionEvent } from '../audit/events.ts'
import { ImpersonationError, isImpersonationError } from '../errors.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { ClaimResult } from '../stores/store.ts'
import type { AccessLevel, Session, UserProfile } from '../types.ts'
import { checkAsked } from './asked.ts'
import { createEntry, type Entry, longestUnderGrantMs } from './entry.ts'
import { checkFresh } from './fresh-auth.ts'
import type { Judge } from './judge.ts'
import { checkOther, type StartPolicy } from './policy.ts'
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
  /** The target's consent to start under; required where `consent` says so. */
  readonly grantId?: string | undefined
}

export interface Started<User> {
  readonly session: Session
  readonly target: User
  readonly targetProfile: UserProfile
}

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly judge: Judge<User>
  readonly policy: StartPolicy<User>
  readonly changed: (actorId: string) => void
  readonly over: (sessionId: string) => void
}

/** Whoever changes a grant at the same time is few; more rounds than that and something is wrong. */
const rounds = 5

/** Opens a session, or refuses with a code and an audit event. */
export function createStart<User extends object>(parts: Parts<User>) {
  const { settings, store, judge, policy, changed, over } = parts
  const { now, maxDurationMs, defaultDurationMs, defaultAccessLevel, requireReason } = settings
  const entry = createEntry({ settings, store })
  const inTurn = createTurns()

  /** One at a time for each actor: all at once, none of them would be counted by the others. */
  return function start(caller: Caller<User>, ask: StartRequest): Promise<Started<User>> {
    return inTurn(caller.profile.id, () =>
      policy.onRecord(caller, ask, () => startNow(caller, ask)),
    )
  }

  async function startNow(caller: Caller<User>, ask: StartRequest): Promise<Started<User>> {
    await policy.checkActor(caller)
    await checkLogin(caller)
    const maxMs =
      ask.grantId === undefined ? maxDurationMs : Math.min(maxDurationMs, longestUnderGrantMs)
    const { durationMs = Math.min(defaultDurationMs, maxMs), accessLevel = defaultAccessLevel } =
      ask
    const { targetUserId, reason } = ask
    checkAsked({ targetUserId, reason, durationMs, accessLevel }, { requireReason, maxMs })
    checkOther(targetUserId, caller.profile.id)
    await policy.checkRate(caller)
    const target = await policy.target(caller, targetUserId, ask.targetOrgId)
    for (let round = 0; round < rounds; round++) {
      const consent = await entry(caller, ask, accessLevel, target)
      const started = await claim(caller, ask, { durationMs, accessLevel, consent }, target)
      if (started) return started
    }
    throw new ImpersonationError('impersonation_unavailable')
  }

  async function checkLogin({ user, profile, pin, request }: Caller<User>): Promise<void> {
    if (settings.freshAuth) checkFresh(settings.freshAuth, now(), request, user)
    if (pin === undefined) return
    const { session } = await judge.standing(profile.id)
    if (pin !== (session?.id ?? 'none')) throw new ImpersonationError('impersonation_state_changed')
  }

  /** Null where the grant was changed meanwhile: it has to be looked at again. */
  async function claim(
    { profile, meta }: Caller<User>,
    ask: StartRequest,
    { durationMs, accessLevel, consent }: Wanted,
    target: { user: User; profile: UserProfile },
  ): Promise<Started<User> | null> {
    const at = now()
    const grant = consent?.grant
    const session: Session = Object.freeze({
      id: crypto.randomUUID(),
      actorId: profile.id,
      actorOrgId: profile.orgId,
      targetUserId: target.profile.id,
      targetOrgId: target.profile.orgId,
      targetRole: target.profile.role,
      accessLevel,
      reason: ask.reason?.toWellFormed() ?? null,
      ticket: ask.ticket?.toWellFormed() ?? null,
      grantId: grant?.id ?? null,
      breakGlass: false,
      transport: 'session',
      clientId: ask.clientId ?? meta.clientId,
      ipAddress: meta.ipAddress,
      userAgent: meta.userAgent,
      createdAt: at,
      expiresAt: Math.min(at + durationMs, grant?.expiresAt ?? Number.POSITIVE_INFINITY),
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
        // What the target has agreed to is one session, not what it replaces.
        onConflict: consent ? 'reject' : settings.onConflict,
        exclusiveTarget: settings.exclusiveTarget,
        ...(consent && { grant: consent.change }),
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
      if (result.outcome === 'grant_changed') return null
      throw new ImpersonationError(busy[result.outcome])
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

interface Wanted {
  readonly durationMs: number
  readonly accessLevel: AccessLevel
  readonly consent: Entry | null
}

const busy = {
  actor_busy: 'impersonation_already_active',
  target_busy: 'target_already_impersonated',
  grant_busy: 'grant_already_in_use',
} as const satisfies Record<Exclude<ClaimResult['outcome'], 'started' | 'grant_changed'>, string>
