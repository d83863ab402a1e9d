import type { Trace } from './audit/trail.ts'
import { clearCookie } from './http/cookie.ts'
import { renderRefusal } from './http/page.ts'
import type { RouteCall } from './http/router.ts'
import type { ByToken, PassByToken } from './pipeline/by-token.ts'
import type { Context } from './pipeline/context.ts'
import type { HeaderPlan } from './pipeline/headers.ts'
import type { RequestView } from './pipeline/identify.ts'
import type { Passage } from './pipeline/live.ts'
import { createPassage, type PassageParts } from './pipeline/passage.ts'
import { pathOf } from './pipeline/patterns.ts'
import { isHeard, tell } from './telemetry/channels.ts'
import { presentedToken } from './tokens/presented.ts'
import type { Impersonation } from './types.ts'

/** What an adapter does with a request: `enter`, then `run` the rest in it, with `headers` on the answer. */
export interface Adapter<Req, User> {
  /** Synchronous unless the actor's standing has to be read. Rejects only for faults of the wiring. */
  enter(request: Req, actor: User | null | undefined): Entrance<User> | Promise<Entrance<User>>
  /** Whether the request carries an impersonation token: then no login of the host's is to look at it. */
  carriesToken(request: Req): boolean
  /** Runs the rest of the request with its context. */
  run<T>(context: Impersonation<User> | null, rest: () => T): T
  /** Whether something that stands in the user slot now is still the target of this context. */
  isTarget(context: Impersonation<User>, user: unknown): boolean
}

export interface Entrance<User> {
  /** The answer, where the request ends here: one of our routes, or a refusal. */
  readonly answer: Response | null
  readonly context: Impersonation<User> | null
  /** The user to put into the user slot; undefined leaves the slot alone. */
  readonly user: User | undefined
  /** What the response has to carry, whatever the handler does. */
  readonly headers: HeaderPlan | null
  /**
   * To be called once the answer is out, with its status (null where there was none) and the matched route,
   * where it was not known before; null where nobody asks.
   */
  readonly trace: Trace | null
}

interface Parts<User extends object> extends Omit<PassageParts<User>, 'clearCookie'> {
  readonly context: Context<User>
  /** Answers a route of ours. */
  readonly route: (call: RouteCall<User>) => Promise<Response>
  /** The way of requests with an impersonation token; null where there are none. */
  readonly byToken: (() => Promise<ByToken<User>>) | null
  /** Called with each request, before anything else. */
  readonly begin: () => void
}

/** Where requests come in: one of our own routes, or the way of all others. */
export function createAdapter<Req, User extends object>(
  parts: Parts<User>,
  view: RequestView<Req>,
): Adapter<Req, User> {
  const { settings, people, context, route, begin, byToken } = parts
  const pass = createPassage<Req, User>({ ...parts, clearCookie }, view)

  function enter(request: Req, actor: User | null | undefined) {
    begin()
    const path = view.path(request)
    const token = tokenOf(request)
    if (isBelow(path, settings.basePath) && view.method(request) !== 'OPTIONS')
      return answerRoute(request, path, actor, token)
    const passage = token === null ? pass(request, actor) : passWith(request, token)
    return passage instanceof Promise
      ? passage.then((later) => entrance(request, later))
      : entrance(request, passage)
  }

  const tokenOf = (request: Req): string | null =>
    byToken === null ? null : presentedToken(view.header(request, 'authorization'))

  /** Loaded with the first token. */
  async function passWith(request: Req, token: string): Promise<Passage<User>> {
    const way = await (byToken as NonNullable<typeof byToken>)()
    tokenPass ??= way.passFor(view)
    return tokenPass(request, token)
  }
  let tokenPass: PassByToken<Req, User> | undefined

  function entrance(request: Req, passage: Passage<User>): Entrance<User> {
    if (passage.refusal === null) return passage
    const answer = renderRefusal(
      passage.refusal,
      view.header(request, 'accept'),
      baseOf(request, view.path(request)),
    )
    return { answer, context: null, user: undefined, headers: passage.headers, trace: null }
  }

  async function answerRoute(
    request: Req,
    path: string,
    actor: User | null | undefined,
    token: string | null,
  ): Promise<Entrance<User>> {
    const answer = await route({
      request: await view.toRequest(request),
      path,
      base: baseOf(request, path),
      actor,
      token,
      secure: view.isSecure(request),
      ip: view.ip(request),
      twoLogins: view.hasTwoLogins(request),
      native: request,
    })
    return { answer, context: null, user: undefined, headers: null, trace: null }
  }

  /** The path that the middleware is mounted at, and ours below it. */
  function baseOf(request: Req, path: string): string {
    const full = pathOf(view.target(request))
    const mount = full.endsWith(path) ? full.slice(0, full.length - path.length) : ''
    return `${mount}${settings.basePath}`
  }

  return {
    enter,
    carriesToken: (request) => tokenOf(request) !== null,
    // Without a context of its own, a request made inside another one would see that one's.
    run(now, rest) {
      if (now === null) {
        const plain = settings.context === 'impersonating' && !context.tryCurrent()
        return plain ? rest() : context.run(null, rest)
      }
      if (!isHeard('onbehalf:request')) return context.run(now, rest)
      return context.run(now, () => {
        tell('onbehalf:request', { impersonation: now })
        return rest()
      })
    },
    isTarget: (now, user) => isSame(people.profile, now, user),
  }
}

function isBelow(path: string, basePath: string): boolean {
  return (
    path.startsWith(basePath) &&
    (path.length === basePath.length || path.charCodeAt(basePath.length) === 47)
  )
}

/** A later layer may enrich the target's record; it may not put anybody else, or another organisation, in its place. */
function isSame<User>(
  profile: (user: User & object) => { id: string; orgId: string | null },
  { target, session }: Impersonation<User>,
  user: unknown,
): boolean {
  if (user === target) return true
  try {
    const { id, orgId } = profile(user as User & object)
    return id === session.targetUserId && orgId === session.targetOrgId
  } catch {
    return false
  }
}
