import { ImpersonationError } from '../errors.ts'
import type { People } from '../people.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Standing } from '../stores/store.ts'
import type { EndedReason, Session, UserProfile } from '../types.ts'
import type { Endings } from './ending.ts'

/** A session as it is now: live with a target fit to be impersonated, or none. */
export type Verdict<User> =
  | { readonly session: Session; readonly target: User; readonly profile: UserProfile }
  | { readonly session: null; readonly lapse: Session | null }

/**
 * The one place that decides whether a live session may stay so. What it finds over, it ends in the
 * store before it answers, so that nothing can come back to life.
 */
export interface Judge<User> {
  /** Reads where the actor stands, and judges. `known` spares the read while the cache vouches for it. */
  standing(actorId: string, known?: Standing): Promise<Verdict<User>>
  /**
   * Judges a session by its clock, its actor and its target; ends it where one of them says so.
   * Gives both people while it stands, null when it is over.
   */
  review(session: Session): Promise<Pair<User> | null>
  /** A start whose answer was lost: should it turn out to have happened, it is ended. */
  doubt(sessionId: string): void
}

interface Pair<User> {
  readonly actor: User
  readonly target: User
}

interface Parts<User extends object> {
  readonly store: GuardedStore
  readonly people: People<User>
  readonly endings: Endings
  readonly now: () => number
}

const mostDoubtful = 10_000

export function createJudge<User extends object>(parts: Parts<User>): Judge<User> {
  const { store, people, endings, now } = parts
  const doubtful = new Set<string>()

  async function standing(actorId: string, known?: Standing): Promise<Verdict<User>> {
    let read = known ?? (await store.readStanding(actorId))
    // Ends what is over and looks again; a third time only if somebody starts anew in between.
    for (let round = 0; round < 5; round++) {
      const { active, lapse } = read
      if (!active) return { session: null, lapse }
      if (active.expiresAt <= now()) {
        await endings.expire(active)
      } else {
        const target = doubtful.has(active.id)
          ? ({ unfit: 'start_failed' } as const)
          : await people.target(active.targetUserId, active.targetOrgId)
        // The lookup took its time: what ran out meanwhile is over.
        if (target.unfit === undefined && active.expiresAt > now()) {
          return { session: active, target: target.user, profile: target.profile }
        }
        if (target.unfit !== undefined) await endings.revoke(active, { reason: target.unfit })
      }
      read = await store.readStanding(actorId)
    }
    const cause = new Error('the sessions of this actor change faster than they can be judged')
    throw new ImpersonationError('impersonation_unavailable', { cause })
  }

  async function review(session: Session): Promise<Pair<User> | null> {
    if (session.expiresAt <= now()) {
      await endings.expire(session)
      return null
    }
    const pair = await pairOf(session)
    if ('unfit' in pair) {
      await endings.revoke(session, { reason: pair.unfit })
      return null
    }
    // The lookups took their time: what ran out meanwhile is over.
    return session.expiresAt > now() ? pair : review(session)
  }

  async function pairOf(session: Session): Promise<Pair<User> | { unfit: EndedReason }> {
    if (doubtful.has(session.id)) return { unfit: 'start_failed' }
    const actor = await people.actor(session.actorId)
    if (!actor) return { unfit: 'actor_not_allowed' }
    const target = await people.target(session.targetUserId, session.targetOrgId)
    return target.unfit === undefined ? { actor, target: target.user } : { unfit: target.unfit }
  }

  return {
    standing,
    review,
    doubt(sessionId) {
      doubtful.add(sessionId)
      const [oldest] = doubtful
      if (doubtful.size > mostDoubtful && oldest !== undefined) doubtful.delete(oldest)
    },
  }
}
