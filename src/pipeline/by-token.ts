import type { Clock, Instant } from '../clock.ts'
import { ImpersonationError, isImpersonationError } from '../errors.ts'
import type { Judge } from '../lifecycle/judge.ts'
import { lapseError } from '../lifecycle/lapse.ts'
import type { Signals } from '../lifecycle/signals.ts'
import type { Settings } from '../settings.ts'
import { type Cached, createCache } from '../stores/cached.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Watched } from '../stores/watched.ts'
import type { VerifiedTokenClaims } from '../tokens/claims.ts'
import type { Tokens } from '../tokens/tokens.ts'
import type { Session } from '../types.ts'
import { forgeable } from './headers.ts'
import { pinHeader, type RequestView, readPin, twoLogins } from './identify.ts'
import { type Live, type Lives, type Passage, refusedBy } from './live.ts'
import { createUnderSession, type UnderSessionParts } from './under-session.ts'

/** The way of requests that carry an impersonation token: the token is who is there, whatever else logs in. */
export interface ByToken<User> {
  /** @returns the way for the requests of one framework */
  passFor<Req>(view: RequestView<Req>): PassByToken<Req, User>
  invalidate(actorId: string | null): void
  /** Forgets every answer that concerns this user, as actor or as target. */
  forget(userId: string): void
  /** Whether the store's messages can be relied on, from now on. */
  watchIs(healthy: boolean): void
}

export type PassByToken<Req, User> = (request: Req, token: string) => Promise<Passage<User>>

export interface ByTokenParts<User extends object> extends UnderSessionParts<User> {
  readonly settings: Settings<User>
  readonly clock: Clock
  readonly judge: Judge<User>
  readonly store: GuardedStore
  readonly signals: Signals
  readonly lives: Lives
  readonly watched: Watched
  readonly tokens: Tokens
}

/** How the session of a token stands. Frozen; one per session. */
interface Stands<User> {
  readonly session: Session | null
  /** Null where it is over, or was never there. */
  readonly live: Live<User> | null
  readonly readAt: Instant
  readonly judgedAt: Instant
}

/** However slow the host's lookups are: no request is served under a session that ended longer ago. */
const longestLagMs = 2000

export function createByToken<User extends object>(parts: ByTokenParts<User>): ByToken<User> {
  const { settings, clock, judge, store, signals, lives, watched, tokens } = parts
  const { cacheTtlMs, revocationLagMs } = settings

  const standsFor = () => (watched.isHealthy() ? cacheTtlMs : Math.min(cacheTtlMs, revocationLagMs))

  /** Nobody's login stands behind a token: actor and target are both looked up again after the lag. */
  function isFresh({ live, readAt, judgedAt }: Stands<User>): boolean {
    return (
      !clock.olderThan(readAt, standsFor()) &&
      (live === null ||
        (!clock.olderThan(judgedAt, revocationLagMs) && live.session.expiresAt > clock.now()))
    )
  }

  const cache: Cached<Stands<User>, null> = createCache({ max: settings.cacheMax, isFresh, load })

  async function load(sessionId: string, _: null, previous: Stands<User> | undefined) {
    for (let round = 0; round < 3; round++) {
      const loaded = await loadOnce(sessionId, round === 0 ? previous : undefined)
      if (loaded.live === null || isRecent(loaded)) return loaded
    }
    const cause = new Error(`users are looked up more slowly than in ${longestLagMs} ms`)
    throw new ImpersonationError('impersonation_unavailable', { cause })
  }

  /** The lookups took their time, and the store may have fallen silent meanwhile. */
  const isRecent = ({ readAt, judgedAt }: Stands<User>) =>
    !clock.olderThan(judgedAt, longestLagMs) && (readAt === judgedAt || watched.isHealthy())

  async function loadOnce(sessionId: string, previous: Stands<User> | undefined) {
    const judgedAt = clock.instant()
    const vouched =
      previous?.live && watched.isHealthy() && !clock.olderThan(previous.readAt, cacheTtlMs)
        ? previous
        : undefined
    const readAt = vouched?.readAt ?? judgedAt
    const read = vouched?.session ?? (await store.readSession(sessionId))
    // A session that is carried by the actor's login has no token, whoever signed one for it.
    const row = read?.transport === 'token' ? read : null
    const pair = row?.status === 'active' ? await judged(row) : null
    const session = row && !pair ? await store.readSession(sessionId) : row
    // Nor may a token end what belongs to the login.
    if (!pair && read?.transport !== 'session') signals.ended(sessionId)
    const live = row && pair ? liveOf(pair, row) : null
    return Object.freeze({ session, live, readAt, judgedAt })
  }

  async function judged(session: Session) {
    try {
      return await judge.review(session)
    } catch (error) {
      if (isImpersonationError(error) || error instanceof TypeError) throw error
      throw new ImpersonationError('impersonation_unavailable', { cause: error })
    }
  }

  /** Also on `keepActorRoutes`: a token never gives what its actor may do. */
  function liveOf({ actor, target }: { actor: User; target: User }, session: Session): Live<User> {
    const live = lives.liveOf(actor, target, session)
    return Object.freeze({ ...live, asActor: live.asTarget })
  }

  async function standing(sessionId: string): Promise<Live<User> | ImpersonationError> {
    const { live, session } = await cache.get(sessionId, null)
    if (live) return live
    return session ? lapseError(session) : new ImpersonationError('token_invalid')
  }

  return {
    passFor<Req>(view: RequestView<Req>): PassByToken<Req, User> {
      const still = (session: Session) => standing(session.id)
      const underSession = createUnderSession<Req, User>(parts, view, still)

      async function pass(request: Req, token: string): Promise<Passage<User>> {
        const claims = await tokens.verify(token)
        const live = await standing(claims.sessionId)
        if (isImpersonationError(live)) return refusedBy(live)
        if (!isOf(claims, live.session)) throw new ImpersonationError('token_invalid')
        const pin = view.header(request, pinHeader)
        if (pin !== undefined && readPin(pin, undefined, '')?.id !== live.session.id)
          throw new ImpersonationError('impersonation_state_changed')
        return underSession(request, live.asTarget.context?.actor as User, live)
      }

      return async (request, token) => {
        for (const name of forgeable)
          if (view.header(request, name) !== undefined) view.removeHeader(request, name)
        try {
          return view.hasTwoLogins(request) ? refusedBy(twoLogins()) : await pass(request, token)
        } catch (error) {
          if (isImpersonationError(error)) return refusedBy(error)
          throw error
        }
      }
    },
    invalidate(actorId) {
      if (actorId === null) return cache.invalidate(null)
      // Whose session a load under way is about to find is not known yet.
      cache.askAgain()
      drop((session) => session.actorId === actorId)
    },
    forget(userId) {
      cache.askAgain()
      drop(({ actorId, targetUserId }) => actorId === userId || targetUserId === userId)
    },
    watchIs(up) {
      // What was missed while nobody listened is not known: everything is read again.
      if (up && !watched.isHealthy()) cache.invalidate(null)
    },
  }

  function drop(isConcerned: (session: Session) => boolean): void {
    for (const { session } of [...cache.values()])
      if (session && isConcerned(session)) cache.invalidate(session.id)
  }
}

/** Whether a token says of its session what the store says of it. */
export function isOf(claims: VerifiedTokenClaims, session: Session): boolean {
  return (
    session.transport === 'token' &&
    session.id === claims.sessionId &&
    session.actorId === claims.actorId &&
    session.targetUserId === claims.targetUserId &&
    session.targetOrgId === claims.targetOrgId &&
    session.accessLevel === claims.accessLevel &&
    session.grantId === claims.grantId &&
    session.clientId === claims.clientId &&
    Math.floor(session.expiresAt / 1000) * 1000 === claims.expiresAt
  )
}
