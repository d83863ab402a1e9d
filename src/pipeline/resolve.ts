import type { Clock, Instant } from '../clock.ts'
import { ImpersonationError, isImpersonationError } from '../errors.ts'
import type { Judge } from '../lifecycle/judge.ts'
import type { Signals } from '../lifecycle/signals.ts'
import type { Settings } from '../settings.ts'
import { type Cached, createCache } from '../stores/cached.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Standing } from '../stores/store.ts'
import type { Watched } from '../stores/watched.ts'
import type { Session } from '../types.ts'
import { warnOnce } from '../warnings.ts'
import type { Live, Lives } from './live.ts'

/** Where an actor stands, with everything a request needs made beforehand. Frozen; one per actor. */
export interface Resolved<User> {
  /** The frozen context of the live session; null when there is none. */
  readonly live: Live<User> | null
  readonly lapse: Session | null
  readonly standing: Standing
  readonly readAt: Instant
  readonly judgedAt: Instant
}

/** The active session of an actor: from the cache, synchronously, or from the store. */
export interface Resolve<User> {
  get(actorId: string, actor: User): Resolved<User> | Promise<Resolved<User>>
  /** Past the cache. */
  fresh(actorId: string, actor: User): Promise<Resolved<User>>
  /** What the cache holds, if that is a live session. */
  peekLive(actorId: string): Session | null
  /** Whether the cache holds anything at all: spares ordinary users every look. */
  isEmpty(): boolean
  invalidate(actorId: string | null): void
  /** Forgets every answer that concerns this user, as actor or as target. */
  forget(userId: string): void
  /** Whether the store's messages can be relied on. */
  watchIs(healthy: boolean): void
}

/** However slow the host's lookups are: no request is served under a session that ended longer ago. */
const longestLagMs = 2000

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly clock: Clock
  readonly judge: Judge<User>
  readonly store: GuardedStore
  readonly signals: Signals
  readonly lives: Lives
  readonly watched: Watched
}

export function createResolve<User extends object>(parts: Parts<User>): Resolve<User> {
  const { settings, clock, judge, store, signals, lives, watched } = parts
  const { cacheTtlMs, revocationLagMs } = settings

  const standsFor = () => (watched.isHealthy() ? cacheTtlMs : Math.min(cacheTtlMs, revocationLagMs))

  /** A live target is looked up again after the lag even while the store tells of its own changes. */
  function isFresh({ live, readAt, judgedAt }: Resolved<User>): boolean {
    return (
      !clock.olderThan(readAt, standsFor()) &&
      (live === null || !clock.olderThan(judgedAt, revocationLagMs)) &&
      (live === null || live.session.expiresAt > clock.now())
    )
  }

  const cache: Cached<Resolved<User>, User> = createCache({ max: settings.cacheMax, isFresh, load })

  async function load(actorId: string, actor: User, previous: Resolved<User> | undefined) {
    for (let round = 0; round < 3; round++) {
      const loaded = await loadOnce(actorId, actor, round === 0 ? previous : undefined)
      if (loaded.live === null || isRecent(loaded)) return loaded
    }
    const cause = new Error(`users are looked up more slowly than in ${longestLagMs} ms`)
    throw new ImpersonationError('impersonation_unavailable', { cause })
  }

  /** Whoever waited for a slow lookup gets no answer that was true too long ago; the store may have fallen silent. */
  const isRecent = ({ readAt, judgedAt }: Resolved<User>) =>
    !clock.olderThan(judgedAt, longestLagMs) && (readAt === judgedAt || watched.isHealthy())

  async function loadOnce(actorId: string, actor: User, previous: Resolved<User> | undefined) {
    const judgedAt = clock.instant()
    // What has run out may have been extended elsewhere: the store has the last word.
    const vouched =
      previous?.live &&
      watched.isHealthy() &&
      !clock.olderThan(previous.readAt, cacheTtlMs) &&
      previous.live.session.expiresAt > clock.now()
        ? previous
        : undefined
    const standing = vouched?.standing ?? (await read(actorId))
    const readAt = vouched?.readAt ?? judgedAt
    const verdict = await judged(actorId, standing)
    const before = (previous ?? cache.peek(actorId))?.live?.session.id
    if (before !== undefined && before !== verdict.session?.id) signals.ended(before)
    const live = verdict.session ? lives.liveOf(actor, verdict.target, verdict.session) : null
    const lapse = verdict.session ? null : verdict.lapse
    return Object.freeze({ live, lapse, standing, readAt, judgedAt })
  }

  async function read(actorId: string): Promise<Standing> {
    try {
      return await store.readStanding(actorId)
    } catch (error) {
      const cause = isImpersonationError(error) ? error.cause : error
      const why =
        cause instanceof Error
          ? cause.cause instanceof Error
            ? cause.cause.message
            : cause.message
          : ''
      warnOnce(
        'ONBEHALF_STORE_FAILED',
        `the store could not be read, actors are answered 503: ${why}`,
      )
      throw error
    }
  }

  async function judged(actorId: string, standing: Standing) {
    try {
      return await judge.standing(actorId, standing)
    } catch (error) {
      // Whatever went wrong, it has not been shown that the actor may act as themselves.
      if (isImpersonationError(error) || error instanceof TypeError) throw error
      throw new ImpersonationError('impersonation_unavailable', { cause: error })
    }
  }

  return {
    get: cache.get,
    fresh: cache.fresh,
    peekLive: (actorId) => cache.peek(actorId)?.live?.session ?? null,
    isEmpty: () => cache.size === 0,
    invalidate: cache.invalidate,
    forget(userId) {
      // Whom a load under way is about to find is not known yet.
      cache.askAgain()
      cache.invalidate(userId)
      for (const { live } of [...cache.values()]) {
        if (live?.session.targetUserId === userId) cache.invalidate(live.session.actorId)
      }
    },
    watchIs(up) {
      // What was missed while nobody listened is not known: everything is read again.
      if (up && !watched.isHealthy()) cache.invalidate(null)
      watched.is(up)
    },
  }
}
