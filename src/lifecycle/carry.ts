import { ImpersonationError } from '../errors.ts'
import type { Context } from '../pipeline/context.ts'
import type { Lives } from '../pipeline/live.ts'
import { reaches } from '../pipeline/walls.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import { type AccessLevel, accessLevels, type Session } from '../types.ts'
import type { Judge } from './judge.ts'
import { lapseError } from './lapse.ts'

/** Takes the context beyond the request: into a queue, a worker, another process. */
export interface Carry {
  /**
   * What a job needs to go on under the same impersonation: plain data, to be put into the job.
   * @throws {Error} outside a request, as `current()` does
   */
  snapshot(): Snapshot
  /**
   * Runs a job under the impersonation it was queued under. The session is read and judged anew: one
   * that is over, or whose actor or target may no longer, runs nothing. A job queued while nobody was
   * impersonated runs under `null`.
   * @param options.accessLevel what the job may do, at most what the session may. @default 'view'
   * @throws {ImpersonationError} impersonation_expired, impersonation_revoked, impersonation_ended,
   * grant_revoked: the session is over; impersonation_state_changed: it is not the one of the snapshot;
   * impersonation_unavailable: the store can't tell
   * @throws {TypeError} when it is no snapshot: a job without one runs as nobody, not as anybody
   */
  runWith<T>(
    snapshot: Snapshot,
    job: () => T | Promise<T>,
    options?: { readonly accessLevel?: AccessLevel },
  ): Promise<T>
}

/** Plain data that survives JSON. It grants nothing: `runWith` believes the store. */
export type Snapshot =
  | { readonly version: 1; readonly sessionId: null }
  | {
      readonly version: 1
      readonly sessionId: string
      readonly actorId: string
      readonly targetUserId: string
      readonly accessLevel: AccessLevel
    }

interface Parts<User extends object> {
  readonly context: Context<User>
  readonly store: GuardedStore
  readonly judge: Judge<User>
  readonly lives: Lives
}

export function createCarry<User extends object>(parts: Parts<User>): Carry {
  const { context, store, judge, lives } = parts

  async function standing(snapshot: Snapshot & { sessionId: string }) {
    const session = await store.readSession(snapshot.sessionId)
    const same =
      session?.actorId === snapshot.actorId && session.targetUserId === snapshot.targetUserId
    if (!session || !same) throw new ImpersonationError('impersonation_state_changed')
    if (session.status !== 'active') throw lapseError(session)
    const people = await judge.review(session)
    if (people) return { session, ...people }
    throw lapseError((await store.readSession(session.id)) ?? session)
  }

  return {
    snapshot() {
      const now = context.current()
      if (now === null) return { version: 1, sessionId: null }
      const { id: sessionId, actorId, targetUserId, accessLevel } = now.session
      return { version: 1, sessionId, actorId, targetUserId, accessLevel }
    },
    async runWith(snapshot, job, { accessLevel = 'view' } = {}) {
      checkSnapshot(snapshot)
      if (!accessLevels.includes(accessLevel)) {
        throw new TypeError(`option "accessLevel" must be one of ${accessLevels.join(', ')}`)
      }
      if (snapshot.sessionId === null) return context.run(null, job)
      const { session, actor, target } = await standing(snapshot)
      const level = lowest([session.accessLevel, snapshot.accessLevel, accessLevel])
      return context.run(lives.contextOf(actor, target, session, level), job)
    },
  }
}

const lowest = (levels: readonly AccessLevel[]): AccessLevel =>
  levels.reduce((low, level) => (reaches(level, low) ? low : level))

function checkSnapshot(snapshot: Snapshot): void {
  const { version, ...rest } = (snapshot ?? {}) as Snapshot & Partial<Session>
  const texts = [rest.sessionId, rest.actorId, rest.targetUserId]
  if (
    version === 1 &&
    (rest.sessionId === null ||
      (texts.every((text) => typeof text === 'string' && text !== '') &&
        accessLevels.includes(rest.accessLevel as AccessLevel)))
  )
    return
  throw new TypeError(
    'runWith wants what impersonation.snapshot() gave, from the data of the job; ' +
      'a job that no request has asked for runs in impersonation.run(null, …)',
  )
}
