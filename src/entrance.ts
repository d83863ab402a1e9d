import { presentedApiToken } from './api-tokens/presented.ts'
import type { Trace } from './audit/trail.ts'
import { clearCookie } from './http/cookie.ts'
import { renderRefusal } from './http/page.ts'
import type { RouteCall } from './http/router.ts'
import type { ApiTokenDoor } from './pipeline/api-token-door.ts'
import type { ByToken, PassByToken } from './pipeline/by-token.ts'
import type { Context } from './pipeline/context.ts'
import type { HeaderPlan } from './pipeline/headers.ts'
import type { RequestView } from './pipeline/identify.ts'
import type { Passage } from './pipeline/live.ts'
import { createPassage, type PassageParts } from './pipeline/passage.ts'
import { pathOf } from './pipeline/patterns.ts'
import { isHeard, tell } from './telemetry/channels.ts'
import { presentedToken } from './tokens/presented.ts'
import type { ApiTokenContext, Impersonation } from './types.ts'

/** What an adapter does with a request: `enter`, then `run` the rest in it, with `headers` on the answer. */
export interface Adapter<Req, User> {
  /** Synchronous unless the actor's standing has to be read. Rejects only for faults of the wiring. */
  enter(request: Req, actor: User | null | undefined): Entrance<User> | Promise<Entrance<User>>
  /** Whether the request carries an impersonation or API token: then no login of the host's is to look at it. */
  carriesToken(request: Req): boolean
  /** Runs the rest of the request with its context: `context`, or else `apiToken`, of the entrance. */
  run<T>(context: RequestContext<User> | null, rest: () => T): T
  /** Whether something that stands in the user slot now is still who the request runs as. */
  isTarget(context: RequestContext<User>, user: unknown): boolean
  /** Whether there are API tokens: then routes may want scopes. */
  readonly hasApiTokens: boolean
}

/** What a request runs under that is not simply its login. */
export type RequestContext<User> = Impersonation<User> | ApiTokenContext<User>

export interface Entrance<User> {
  /** The answer, where the request ends here: one of our routes, or a refusal. */
  readonly answer: Response | null
  readonly context: Impersonation<User> | null
  /** The API token that the request came with; never together with `context`. */
  readonly apiToken: ApiTokenContext<User> | null
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
  /** The way of requests with an API token; null where there are none. */
  readonly apiTokens: ApiTokenDoor<User> | null
  /** Called with each request, before anything else. */
  readonly begin: () => void
}

/** Where requests come in: one of our own routes, or the way of all others. */
export function createAdapter<Req, User extends object>(
  parts: Parts<User>,
  view: RequestView<Req>,
): Adapter<Req, User> {
  const { settings, people, context, route, begin, byToken, apiTokens } = parts
  const pass = createPassage<Req, User>({ ...parts, clearCookie }, view)

  function enter(request: Req, actor: User | null | undefined) {
    begin()
    const path = view.path(request)
    const presented = presentedBy(request)
    if (isBelow(path, settings.basePath) && view.method(request) !== 'OPTIONS')
      return answerRoute(request, path, actor, presented)
    const passage = presented === null ? pass(request, actor) : passWith(request, presented)
    return passage instanceof Promise
      ? passage.then((later) => entrance(request, later))
      : entrance(request, passage)
  }

  /** Null for a request that carries no token of ours: most of them, so nothing is made for it. */
  function presentedBy(request: Req): Presented | null {
    if (byToken === null && apiTokens === null) return null
    const authorization = view.header(request, 'authorization')
    const token = byToken && presentedToken(authorization)
    if (token !== null) return { token, apiToken: null }
    const apiToken = apiTokens && presentedApiToken(authorization, apiTokens.prefix)
    return apiToken === null ? null : { token: null, apiToken }
  }

  /** Each way is loaded with its first token. */
  async function passWith(request: Req, presented: Presented): Promise<Passage<User>> {
    if (presented.token !== null) {
      tokenPass ??= (await byToken?.())?.passFor(view)
      return (tokenPass as PassByToken<Req, User>)(request, presented.token)
    }
    apiTokenPass ??= (await apiTokens?.byApiToken())?.passFor(view)
    return (apiTokenPass as PassByToken<Req, User>)(request, presented.apiToken)
  }
  let tokenPass: PassByToken<Req, User> | undefined
  let apiTokenPass: PassByToken<Req, User> | undefined

  function entrance(request: Req, passage: Passage<User>): Entrance<User> {
    if (passage.refusal === null) return passage
    const answer = renderRefusal(
      passage.refusal,
      view.header(request, 'accept'),
      baseOf(request, view.path(request)),
    )
    return answeredWith(answer, passage.headers)
  }

  async function answerRoute(
    request: Req,
    path: string,
    actor: User | null | undefined,
    presented: Presented | null,
  ): Promise<Entrance<User>> {
    const answer = await route({
      request: await view.toRequest(request),
      path,
      base: baseOf(request, path),
      actor,
      token: presented?.token ?? null,
      apiToken: presented?.apiToken ?? null,
      secure: view.isSecure(request),
      ip: view.ip(request),
      twoLogins: view.hasTwoLogins(request),
      native: request,
    })
    return answeredWith(answer, null)
  }

  /** The path that the middleware is mounted at, and ours below it. */
  function baseOf(request: Req, path: string): string {
    const full = pathOf(view.target(request))
    const mount = full.endsWith(path) ? full.slice(0, full.length - path.length) : ''
    return `${mount}${settings.basePath}`
  }

  return {
    enter,
    carriesToken: (request) => presentedBy(request) !== null,
    hasApiTokens: apiTokens !== null,
    // Without a context of its own, a request made inside another one would see that one's.
    run(now, rest) {
      if (now === null) {
        const inside = context.tryCurrent() ?? context.tryApiToken()
        const plain = settings.context === 'impersonating' && !inside
        return plain ? rest() : context.run(null, rest)
      }
      if ('issuedBy' in now || !isHeard('onbehalf:request')) return context.run(now, rest)
      return context.run(now, () => {
        tell('onbehalf:request', { impersonation: now })
        return rest()
      })
    },
    isTarget: (now, user) => isSame(people.profile, now, user),
  }
}

/** A token of ours, one of the two; an empty text where it is not presented as one is. */
type Presented =
  | { readonly token: string; readonly apiToken: null }
  | { readonly token: null; readonly apiToken: string }

function answeredWith<User>(answer: Response, headers: HeaderPlan | null): Entrance<User> {
  return { answer, context: null, apiToken: null, user: undefined, headers, trace: null }
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
  context: RequestContext<User>,
  user: unknown,
): boolean {
  const expected = 'owner' in context ? context.owner : context.target
  if (user === expected) return true
  try {
    const { id, orgId } = profile(user as User & object)
    const wanted = 'owner' in context ? profile(context.owner as User & object) : asNamed(context)
    return id === wanted.id && orgId === wanted.orgId
  } catch {
    return false
  }
}

const asNamed = ({ session }: Impersonation<unknown>) => ({
  id: session.targetUserId,
  orgId: session.targetOrgId,
})
