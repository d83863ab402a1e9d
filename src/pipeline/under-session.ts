import { blockedEvent } from '../audit/events.ts'
import type { Recorder } from '../audit/recorder.ts'
import type { Trace } from '../audit/trail.ts'
import { type ImpersonationError, isImpersonationError } from '../errors.ts'
import type { Settings } from '../settings.ts'
import type { Session } from '../types.ts'
import { type Allowed, createEnforce, type Verdict } from './enforce.ts'
import type { RequestView } from './identify.ts'
import { type Live, type Passage, refusedBy } from './live.ts'
import { isSafe } from './methods.ts'
import { pathOf } from './patterns.ts'
import { type Tracing, trailRequestOf } from './tracing.ts'

type Sooner<T> = T | Promise<T>

export interface UnderSessionParts<User extends object> {
  readonly settings: Settings<User>
  readonly recorder: Recorder
  readonly tracing: Tracing | null
}

/**
 * The rest of the way of a request that has a live session, whatever brought it there: enforced, put on
 * record, let through. `still` gives the session as it is by then, or the refusal: a body takes as long as its
 * sender likes, and storing takes its time.
 */
export function createUnderSession<Req, User extends object>(
  { settings, recorder, tracing }: UnderSessionParts<User>,
  view: RequestView<Req>,
  still: (session: Session, actor: User) => Sooner<Live<User> | ImpersonationError>,
) {
  const enforce = createEnforce(settings, view)

  function underSession(request: Req, actor: User, live: Live<User>): Sooner<Passage<User>> {
    const verdict = enforce(request, live.session.accessLevel)
    return verdict instanceof Promise
      ? verdict.then((later) => afterwards(request, actor, live, later))
      : concluded(request, actor, live, verdict)
  }

  async function afterwards(
    request: Req,
    actor: User,
    { session }: Live<User>,
    verdict: Verdict,
  ): Promise<Passage<User>> {
    const now = await still(session, actor)
    return isImpersonationError(now) ? refusedBy(now) : concluded(request, actor, now, verdict)
  }

  function concluded(
    request: Req,
    actor: User,
    live: Live<User>,
    verdict: Verdict,
  ): Sooner<Passage<User>> {
    if (isImpersonationError(verdict)) return blocked(request, live, verdict)
    if (tracing === null) return verdict.as === 'target' ? live.asTarget : live.asActor
    return recorded(request, actor, live, verdict, tracing)
  }

  /** The way on, with the request on record as far as the options say. */
  function recorded(
    request: Req,
    actor: User,
    live: Live<User>,
    { as, reads }: Allowed,
    to: Tracing,
  ): Sooner<Passage<User>> {
    const { session } = live
    const wayOn = ({ asTarget, asActor }: Live<User>) => (as === 'target' ? asTarget : asActor)
    try {
      const trace = to.begin(reads, () => trailRequestOf(session, request, view, settings.query))
      if (trace === null) return wayOn(live)
      return trace instanceof Promise ? trace.then(goOn, unrecorded) : { ...wayOn(live), trace }
    } catch (error) {
      return unrecorded(error)
    }

    async function goOn(trace: Trace): Promise<Passage<User>> {
      const now = await still(session, actor)
      if (!isImpersonationError(now)) return { ...wayOn(now), trace }
      trace(now.status)
      return refusedBy(now)
    }

    function unrecorded(error: unknown): Passage<User> {
      if (isImpersonationError(error)) return refusedBy(error, live.asTarget.headers)
      throw error
    }
  }

  function blocked(
    request: Req,
    { session, asTarget }: Live<User>,
    verdict: ImpersonationError,
  ): Passage<User> {
    tracing?.refused(
      isSafe(request, view),
      () => trailRequestOf(session, request, view, settings.query),
      verdict.status,
    )
    recorder.note(
      blockedEvent(session, settings.now(), verdict.code, {
        method: view.method(request),
        path: pathOf(view.target(request)).slice(0, 200),
        ...verdict.details,
      }),
    )
    return refusedBy(verdict, asTarget.headers)
  }

  return underSession
}
