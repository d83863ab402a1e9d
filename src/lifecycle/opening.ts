import { endedEvents, type RequestMeta, sessionEvent } from '../audit/events.ts'
import { ImpersonationError, isImpersonationError } from '../errors.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { ClaimResult, SessionClaim } from '../stores/store.ts'
import type {
  AccessLevel,
  AuditEvent,
  Delivery,
  Session,
  Transport,
  UserProfile,
} from '../types.ts'
import type { Entry } from './entry.ts'
import type { Judge } from './judge.ts'

export interface Started<User> {
  readonly session: Session
  readonly target: User
  readonly targetProfile: UserProfile
  /** Of a session that a token carries: the token, here and nowhere else. */
  readonly accessToken?: string
}

/** Everything that is settled about a session before it opens. */
export interface Terms<User> {
  readonly actor: UserProfile
  readonly meta: RequestMeta
  readonly target: { readonly user: User; readonly profile: UserProfile }
  readonly accessLevel: AccessLevel
  /** In ms. */
  readonly durationMs: number
  readonly reason: string | undefined
  readonly ticket: string | undefined
  readonly clientId?: string | undefined
  /** @default 'session' */
  readonly transport?: Transport
  readonly breakGlass?: boolean
  /** The target's consent. */
  readonly consent?: Entry | null
  /** The colleagues' word, as this session leaves it. */
  readonly request?: ((session: Session) => NonNullable<SessionClaim['request']>) | null
  readonly onConflict: 'replace' | 'reject'
  /** What its event tells beside level and expiry. */
  readonly details?: AuditEvent['details']
  /** What is to be delivered on account of the start. */
  readonly deliveries?: (session: Session) => readonly Delivery[]
}

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly judge: Judge<User>
  readonly changed: (actorId: string) => void
  readonly over: (sessionId: string) => void
}

/** Opens a session; null where the grant or the request was changed meanwhile, and has to be looked at again. */
export type Open<User> = (terms: Terms<User>) => Promise<Started<User> | null>

/** The one way in which a session comes to be, whichever door leads to it. */
export function createOpening<User extends object>(parts: Parts<User>): Open<User> {
  const { settings, store, judge, changed, over } = parts

  return async function open(terms) {
    const { actor, meta, target, consent, request, onConflict } = terms
    const at = settings.now()
    const session = sessionOf(terms, at)
    const started: Started<User> = { session, target: target.user, targetProfile: target.profile }
    const event = sessionEvent('impersonation.started', session, at, meta, {
      access_level: session.accessLevel,
      expires_at: session.expiresAt,
      ...terms.details,
    })
    try {
      const result = await store.claimSession({
        session,
        now: at,
        onConflict,
        exclusiveTarget: settings.exclusiveTarget,
        ...(consent && { grant: consent.change }),
        ...(request && { request: request(session) }),
        events: {
          started: { ...event, ...(terms.deliveries && { deliveries: terms.deliveries(session) }) },
          ended: (ended, trail) => endedEvents(ended, trail, ended.endedAt ?? at, meta),
        },
      })
      for (const ended of result.ended) {
        changed(ended.actorId)
        over(ended.id)
      }
      if (result.outcome === 'started') return started
      if (result.outcome === 'grant_changed' || result.outcome === 'request_changed') return null
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
      changed(actor.id)
    }
  }
}

function sessionOf(terms: Terms<unknown>, at: number): Session {
  const { actor, meta, target, consent } = terms
  return Object.freeze({
    id: crypto.randomUUID(),
    actorId: actor.id,
    actorOrgId: actor.orgId,
    targetUserId: target.profile.id,
    targetOrgId: target.profile.orgId,
    targetRole: target.profile.role,
    accessLevel: terms.accessLevel,
    reason: terms.reason?.toWellFormed() ?? null,
    ticket: terms.ticket?.toWellFormed() ?? null,
    grantId: consent?.grant.id ?? null,
    breakGlass: terms.breakGlass ?? false,
    transport: terms.transport ?? 'session',
    clientId: terms.clientId ?? meta.clientId,
    ipAddress: meta.ipAddress,
    userAgent: meta.userAgent,
    createdAt: at,
    expiresAt: Math.min(
      at + terms.durationMs,
      consent?.grant.expiresAt ?? Number.POSITIVE_INFINITY,
    ),
    endedAt: null,
    endedReason: null,
    endedNote: null,
    endedBy: null,
    status: 'active',
  })
}

const busy = {
  actor_busy: 'impersonation_already_active',
  target_busy: 'target_already_impersonated',
  grant_busy: 'grant_already_in_use',
} as const satisfies Partial<Record<ClaimResult['outcome'], string>>
