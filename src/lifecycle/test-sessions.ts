import { refusedEvent } from '../audit/events.ts'
import { ImpersonationError, isImpersonationError } from '../errors.ts'
import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Delivery, Session, UserProfile } from '../types.ts'
import { checkReason } from './asked.ts'
import type { CheckLogin } from './check-login.ts'
import type { Open, Started } from './opening.ts'
import type { StartPolicy } from './policy.ts'
import type { Caller } from './start.ts'
import type { InTurn } from './turns.ts'

/** A session as somebody who exists for it only: to see what a role sees, in nobody's account. */
export interface TestSessions<User> {
  /**
   * Has the host make a user of this role and opens a session as them, at the level `full` (there is no
   * customer to protect; guardrails hold all the same). They are disposed of when it ends.
   * @throws {ImpersonationError} as a start does; impersonation_unavailable: no user could be made, or
   * `provision` gave one who has been used before, is privileged, or is not in the sandbox
   */
  start(caller: Caller<User>, ask: TestSessionRequest): Promise<Started<User>>
}

export interface TestSessionRequest {
  /** What `sandbox.provision` is asked for; 1 to 64 characters. */
  readonly role: string
  readonly reason?: string | undefined
}

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly people: People<User>
  readonly policy: StartPolicy<User>
  readonly open: Open<User>
  readonly checkLogin: CheckLogin<User>
  readonly inTurn: InTurn
}

/** How long after its session a user is disposed of at the latest, where nobody says that it has ended. */
const graceMs = 1000

export function createTestSessions<User extends object>(parts: Parts<User>): TestSessions<User> {
  type Target = { readonly user: User; readonly profile: UserProfile }
  type Sandbox = NonNullable<Settings<User>['sandbox']>
  const { settings, store, people, policy, open, checkLogin, inTurn } = parts
  const { now, sandbox, maxDurationMs, defaultDurationMs, requireReason } = settings

  async function prepare(caller: Caller<User>, ask: TestSessionRequest) {
    if (!sandbox) throw new ImpersonationError('route_not_found')
    await policy.checkActor(caller)
    if (!(await people.may(caller.user, 'test_session')))
      throw new ImpersonationError('not_allowed')
    await checkLogin(caller)
    checkReason(ask.reason, requireReason)
    checkRole(ask.role)
    await policy.checkRate(caller)
    return provision(sandbox, caller, ask.role)
  }

  async function begin(caller: Caller<User>, ask: TestSessionRequest, target: Target) {
    try {
      const started = await open({
        actor: caller.profile,
        meta: caller.meta,
        target,
        accessLevel: 'full',
        durationMs: Math.min(defaultDurationMs, maxDurationMs),
        reason: ask.reason,
        ticket: undefined,
        onConflict: settings.onConflict,
        details: { test_session: true, role: ask.role },
        deliveries: (session) => [
          disposal(`disposal ${session.id}`, target.profile, session, session.expiresAt + graceMs),
        ],
      })
      if (started) return started
      throw new ImpersonationError('impersonation_unavailable')
    } catch (error) {
      await discard(caller, target, error)
      throw error
    }
  }

  /** A user who is fit to be thrown away. Whoever is not shown to be is never disposed of: they may be real. */
  async function provision(
    { provision: make }: Sandbox,
    { user }: Caller<User>,
    role: string,
  ): Promise<Target> {
    let id: string
    try {
      id = people.profile(await make(role, user)).id
    } catch (cause) {
      throw unusable('No test user could be made; nothing was done.', cause)
    }
    const found = await people.target(id, null)
    if (found.unfit !== undefined) throw unusable(misfit(unfit[found.unfit]))
    if (sandbox?.orgId !== undefined && found.profile.orgId !== sandbox.orgId)
      throw unusable(misfit('is not in the sandbox'))
    if (await isKnown(id)) throw unusable(misfit('was in a session before'))
    return found
  }

  async function isKnown(id: string): Promise<boolean> {
    const ways = [{ targetUserId: id }, { actorId: id }]
    const found = await Promise.all(ways.map((way) => store.listSessions(way, { limit: 1 })))
    return found.some((sessions) => sessions.length > 0)
  }

  /** Nobody will act as them: away with them, and if it can't be done now, later. */
  async function discard(
    { profile, meta }: Caller<User>,
    target: Target,
    error: unknown,
  ): Promise<void> {
    const code = isImpersonationError(error) ? error.code : 'impersonation_unavailable'
    const attempt = { targetUserId: target.profile.id, reason: null }
    const event = refusedEvent(now(), code, profile, attempt, meta)
    const due = disposal(`disposal ${event.id}`, target.profile, null, event.at)
    try {
      await store.appendEvents([{ ...event, deliveries: [due] }])
    } catch {
      await sandbox?.dispose(target.user)
    }
  }

  function disposal(
    id: string,
    user: UserProfile,
    session: Session | null,
    dueAt: number,
  ): Delivery {
    return {
      id,
      topic: 'disposal',
      userId: user.id,
      channel: null,
      payload: { session_id: session?.id ?? null },
      status: 'pending',
      attempts: 0,
      createdAt: now(),
      dueAt,
      settledAt: null,
      error: null,
      revision: 1,
    }
  }

  return {
    start: (caller, ask) =>
      inTurn(caller.profile.id, async () => {
        const attempt = { targetUserId: null, reason: ask.reason }
        const target = await policy.onRecord(caller, attempt, () => prepare(caller, ask))
        return begin(caller, ask, target)
      }),
  }
}

const unfit = {
  target_gone: '"findUser" does not find',
  target_inactive: 'is inactive',
  target_privileged: 'may start an impersonation',
} as const

const misfit = (what: string) => `"sandbox.provision" gave a user who ${what}; nothing was done.`

function unusable(message: string, cause: unknown = new Error(message)): ImpersonationError {
  return new ImpersonationError('impersonation_unavailable', { message, cause })
}

function checkRole(role: unknown): void {
  if (typeof role === 'string' && role.trim() !== '' && role.length <= 64) return
  const errors = [{ path: 'role', message: 'must be a string of 1 to 64 characters' }]
  throw new ImpersonationError('invalid_request', { errors })
}
