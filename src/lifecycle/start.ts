import type { RequestMeta } from '../audit/events.ts'
import { ImpersonationError } from '../errors.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import { type AccessLevel, type Transport, transports, type UserProfile } from '../types.ts'
import { createApprovalEntry } from './approval-entry.ts'
import type { Approvers } from './approvers.ts'
import { checkAsked } from './asked.ts'
import type { CheckLogin } from './check-login.ts'
import { createEntry, longestUnderGrantMs } from './entry.ts'
import type { Open, Started } from './opening.ts'
import { checkOther, type StartPolicy } from './policy.ts'
import type { RequestExpiry } from './request-expiry.ts'
import type { TokenSessions } from './token-sessions.ts'
import type { InTurn } from './turns.ts'

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
  /** The colleagues' yes to start on; required where `approvals` names the access level. */
  readonly approvalId?: string | undefined
  /**
   * What carries the session: the actor's own login, or a token that is handed out once and can't be renewed.
   * @default 'session'
   */
  readonly transport?: Transport | undefined
}

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly policy: StartPolicy<User>
  readonly checkLogin: CheckLogin<User>
  readonly inTurn: InTurn
  readonly open: Open<User>
  readonly approvers: Approvers<User>
  readonly requestExpiry: RequestExpiry
  readonly tokenSessions: TokenSessions
}

/** Whoever changes a grant or an approval at the same time is few; more rounds than that and something is wrong. */
const rounds = 5

/** Opens a session, or refuses with a code and an audit event. */
export function createStart<User extends object>(parts: Parts<User>) {
  const { settings, store, policy, open, checkLogin, inTurn, tokenSessions } = parts
  const { maxDurationMs, defaultDurationMs, defaultAccessLevel, requireReason } = settings
  const entry = createEntry({ settings, store })
  const approvalFor = createApprovalEntry<User>(parts)

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
    const { transport = 'session' } = ask
    await checkTransport(transport)
    await policy.checkRate(caller)
    const target = await policy.target(caller, targetUserId, ask.targetOrgId)
    for (let round = 0; round < rounds; round++) {
      const consent = await entry(caller, ask, accessLevel, target)
      const request = await approvalFor(caller, ask, accessLevel, target)
      const started = await open({
        actor: caller.profile,
        meta: caller.meta,
        target,
        accessLevel,
        durationMs,
        reason,
        ticket: ask.ticket,
        clientId: ask.clientId,
        transport,
        consent,
        request,
        // What the target has agreed to is one session, not what it replaces.
        onConflict: consent ? 'reject' : settings.onConflict,
        ...(request && { details: { access_request_id: ask.approvalId ?? null } }),
      })
      if (!started) continue
      if (transport === 'session') return started
      return { ...started, accessToken: await tokenSessions.issue(started.session) }
    }
    throw new ImpersonationError('impersonation_unavailable')
  }

  /** Before anything begins: a session that is to be carried by a token needs a key that signs. */
  async function checkTransport(transport: Transport): Promise<void> {
    if (!transports.includes(transport)) {
      const message = `must be one of ${transports.join(', ')}`
      throw new ImpersonationError('invalid_request', { errors: [{ path: 'transport', message }] })
    }
    if (transport === 'token') await tokenSessions.ready()
  }
}
