import { noMeta, type RequestMeta, sessionEvent } from '../audit/events.ts'
import { ImpersonationError } from '../errors.ts'
import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Page, SessionFilter } from '../stores/store.ts'
import type { Session, UserProfile } from '../types.ts'
import type { Endings } from './ending.ts'
import { longestUnderGrantMs } from './entry.ts'
import type { Judge } from './judge.ts'
import type { Started } from './opening.ts'
import { createReach } from './reach.ts'
import type { Caller, StartRequest } from './start.ts'

/** Everything that can be done with sessions, by the person who calls. Each verb checks who that is. */
export interface Sessions<User> {
  /** @throws {ImpersonationError} any code of section "Start" in the README */
  start(caller: Caller<User>, ask: StartRequest): Promise<Started<User>>
  /**
   * Ends the caller's session, or acknowledges that it has ended by itself. Needs no permission.
   * @throws {ImpersonationError} not_impersonating: nothing is live or lapsed
   */
  stop(caller: Caller<User>): Promise<Session>
  /** Where the caller stands, past every cache. */
  status(caller: Caller<User>): Promise<SessionState>
  /**
   * Moves the end of the caller's session by `ms`, at most to the cap.
   * @throws {ImpersonationError} invalid_request, not_impersonating, impersonation_state_changed
   */
  extend(caller: Caller<User>, ms: number): Promise<Session>
  /** @throws {ImpersonationError} not_allowed */
  list(caller: Caller<User>, filter: SessionFilter, page: Page): Promise<Session[]>
  /** @throws {ImpersonationError} not_allowed, session_not_found */
  get(caller: Caller<User>, sessionId: string): Promise<Session>
  /**
   * Ends anybody's session; idempotent.
   * @throws {ImpersonationError} not_allowed, session_not_found
   */
  revoke(caller: Caller<User>, sessionId: string, note?: string | null): Promise<Session>
}

export type SessionState =
  | { readonly session: Session; readonly target: UserProfile; readonly lastEnded?: undefined }
  | { readonly session: null; readonly lastEnded: Session | null }

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly people: People<User>
  readonly judge: Judge<User>
  readonly endings: Endings
  readonly changed: (actorId: string) => void
  readonly start: Sessions<User>['start']
}

export function createSessions<User extends object>(parts: Parts<User>): Sessions<User> {
  const { settings, store, people, judge, endings, changed, start } = parts
  const { now, maxDurationMs } = settings

  const reach = createReach(people)

  async function found(sessionId: string): Promise<Session> {
    const session = await store.readSession(sessionId)
    if (!session) throw new ImpersonationError('session_not_found')
    return session
  }

  /** What is out of the caller's reach is not there. */
  async function within(caller: Caller<User>, action: 'list' | 'revoke', sessionId: string) {
    const scope = await reach.scope(caller, action)
    const session = await found(sessionId)
    if (scope !== null && !(await reach.covers(caller, action, session)))
      throw new ImpersonationError('session_not_found')
    return session
  }

  /** The latest that a session may end. */
  async function capOf({ createdAt, expiresAt, grantId, breakGlass }: Session): Promise<number> {
    if (breakGlass) return expiresAt
    if (grantId === null) return createdAt + maxDurationMs
    const grant = await store.grants?.readGrant(grantId)
    // A grant that can't be found has nothing to give.
    if (!grant) return 0
    return Math.min(createdAt + Math.min(maxDurationMs, longestUnderGrantMs), grant.expiresAt)
  }

  async function acknowledge(actorId: string): Promise<void> {
    await store.acknowledgeLapses(actorId)
    changed(actorId)
  }

  return {
    start,

    async stop({ profile, meta }) {
      const { active, lapse } = await store.readStanding(profile.id)
      if (!active && !lapse) throw new ImpersonationError('not_impersonating')
      if (active && active.expiresAt > now()) {
        const result = await endings.stop(active, meta)
        if (result?.changed) return result.session
      } else if (active) {
        await endings.expire(active)
      }
      // Somebody or the clock was first: the actor learns of it here, and so it is no lapse any more.
      const ended = await found((active ?? lapse)?.id ?? '')
      await acknowledge(profile.id)
      return ended
    },

    async status({ user, profile }) {
      const standing = await judge.standing(profile.id)
      if (!standing.session) return { session: null, lastEnded: standing.lapse }
      if (!(await people.may(user, 'start'))) {
        const result = await endings.revoke(standing.session, { reason: 'actor_not_allowed' })
        return { session: null, lastEnded: result?.session ?? null }
      }
      return { session: standing.session, target: standing.profile }
    },

    async extend({ user, profile, meta, pin }, ms) {
      if (!(await people.may(user, 'start'))) throw new ImpersonationError('not_allowed')
      if (!Number.isInteger(ms) || ms <= 0) {
        const errors = [{ path: 'minutes', message: 'must be a positive whole number' }]
        throw new ImpersonationError('invalid_request', { errors })
      }
      // A lost race means that somebody else moved or ended it: read again and decide anew.
      for (let round = 0; round < 10; round++) {
        const { session } = await judge.standing(profile.id)
        if (pin !== undefined && pin !== (session?.id ?? 'none')) {
          throw new ImpersonationError('impersonation_state_changed')
        }
        if (!session) throw new ImpersonationError('not_impersonating')
        const to = Math.min(session.expiresAt + ms, await capOf(session))
        if (to <= session.expiresAt) return session
        const at = now()
        try {
          const extended = await store.extendSession(
            session.id,
            { from: session.expiresAt, to, now: at },
            (moved) => [
              sessionEvent('impersonation.extended', moved, at, meta, { expires_at: to }),
            ],
          )
          if (extended) return extended
        } finally {
          changed(profile.id)
        }
      }
      throw new ImpersonationError('impersonation_unavailable')
    },

    async list(caller, filter, page) {
      const orgId = await reach.scope(caller, 'list')
      if (orgId === null) return store.listSessions(filter, page)
      // Another organisation's sessions are not refused but not there.
      if (filter.orgId !== undefined && filter.orgId !== orgId) return []
      return store.listSessions({ ...filter, orgId }, page)
    },

    async get(caller, sessionId) {
      return within(caller, 'list', sessionId)
    },

    async revoke(caller, sessionId, note = null) {
      const session = await within(caller, 'revoke', sessionId)
      if (session.status !== 'active') return session
      const result = await endings.revoke(session, {
        reason: 'revoked',
        by: caller.profile.id,
        note: note?.toWellFormed() ?? null,
        meta: caller.meta,
      })
      if (!result) throw new ImpersonationError('session_not_found')
      return result.session
    },
  }
}

/** A caller for code outside a request. */
export function callerOf<User extends object>(
  people: People<User>,
  user: User,
  meta: RequestMeta = noMeta,
): Caller<User> {
  return { user, profile: people.profile(user), meta }
}
