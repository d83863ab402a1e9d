import { type RequestMeta, refusedByToken, refusedEvent } from '../audit/events.ts'
import type { Recorder } from '../audit/recorder.ts'
import { ImpersonationError, isImpersonationError } from '../errors.ts'
import type { Verbs } from '../lifecycle/verbs.ts'
import type { People } from '../people.ts'
import { cookieName, pinHeader, readPin } from '../pipeline/identify.ts'
import type { Settings } from '../settings.ts'
import type { ApiTokenContext } from '../types.ts'
import { warnOnce } from '../warnings.ts'
import { readJson } from './body.ts'
import { clearCookie } from './cookie.ts'
import { checkOrigin } from './csrf.ts'
import { renderRefusal } from './page.ts'
import type { Call, Route } from './route.ts'
import { type Feature, routesWith } from './routes.ts'

/** A call of one of our routes, by whoever is really there. */
export interface RouteCall<User> {
  readonly request: Request
  /** The path below where the middleware is mounted; starts with `basePath`. */
  readonly path: string
  /** Where the routes are, as seen from outside: the mount path and `basePath`. */
  readonly base: string
  readonly actor: User | null | undefined
  /** The impersonation token that the request carries: then that is who is there. */
  readonly token: string | null
  /** The API token that the request carries: then its owner's program is there. */
  readonly apiToken: string | null
  readonly secure: boolean
  readonly ip: string | undefined
  readonly twoLogins: boolean
  /** The framework's own request. */
  readonly native: unknown
}

interface Parts<User extends object> extends Verbs<User> {
  readonly settings: Settings<User>
  readonly people: People<User>
  readonly recorder: Recorder
  /** Whose API token it is; null where there are none. */
  readonly authenticate: ((token: string) => Promise<ApiTokenContext<User>>) | null
}

const schemas = () => import('./schemas.ts')

/** Answers the routes: the same Response on every framework. Never rejects for a refusal. */
export function createRouter<User extends object>(parts: Parts<User>) {
  const { settings, people, recorder, authenticate, ...verbs } = parts
  const routes = routesWith(featuresOf(settings))

  async function answer(call: RouteCall<User>): Promise<Response> {
    const { request } = call
    const { route, params } = find(
      routes,
      request.method,
      call.path.slice(settings.basePath.length),
    )
    if (call.twoLogins) throw invalid('headers.authorization', 'must be there once')
    const secure = settings.secureCookie === 'auto' ? call.secure : settings.secureCookie
    checkOrigin(request, {
      allowedOrigins: settings.allowedOrigins,
      secure: call.secure,
      isPublic: route.who === 'anybody',
    })
    const input: Omit<Call, 'caller' | 'body' | 'query'> = {
      ...verbs,
      request,
      quorum: settings.approvals?.quorum ?? 1,
      routes,
      params,
      now: settings.now(),
      cookie: { name: cookieName(secure), secure },
      base: call.base,
    }
    if (route.who === 'anybody')
      return route.run({ ...input, caller: null as never, body: undefined, query: {} })
    if (call.token !== null) return withToken(call.token, call, route, input)
    if (call.apiToken !== null) return withApiToken(call.apiToken, call, route, input)
    const caller = callerOf(call, route)
    const body = route.method === 'POST' ? await readBody(route, request) : undefined
    const query = await readQuery(route, request)
    return route.run({ ...input, caller, body, query })
  }

  /** A token is good for requests as the target: of these routes it may end its own session, and look at it. */
  async function withToken(
    token: string,
    { request, ip }: RouteCall<User>,
    route: Route,
    input: Omit<Call, 'caller' | 'body' | 'query'>,
  ): Promise<Response> {
    const session = await verbs.tokenSessions.of(token)
    const meta = metaOf(request, ip)
    if (route.byToken) return route.byToken(input, session, meta)
    const error = new ImpersonationError('nested_impersonation')
    if (route.audited) recorder.note(refusedByToken(settings.now(), error.code, session, meta))
    throw error
  }

  /** An API token is good for its owner's requests: of these routes it may do what is made for it, and no more. */
  async function withApiToken(
    text: string,
    { request, ip }: RouteCall<User>,
    route: Route,
    input: Omit<Call, 'caller' | 'body' | 'query'>,
  ): Promise<Response> {
    if (!authenticate) throw new ImpersonationError('token_invalid')
    const token = await authenticate(text)
    const meta = metaOf(request, ip)
    if (route.byApiToken) {
      const body = route.method === 'POST' ? await readBody(route, request) : undefined
      return route.byApiToken({ ...input, body }, token, meta)
    }
    const error = new ImpersonationError('not_allowed', {
      message: 'An API token is not for this: log in.',
    })
    const owner = people.profile(token.owner)
    const attempt = { targetUserId: null, reason: null }
    if (route.audited) recorder.note(refusedEvent(settings.now(), error.code, owner, attempt, meta))
    throw error
  }

  function callerOf({ request, actor, ip, native }: RouteCall<User>, route: Route) {
    if (actor === null || actor === undefined) {
      warnOfMissingLogin(request)
      const attempt = { targetUserId: null, reason: null }
      const meta = metaOf(request, ip)
      if (route.audited)
        recorder.note(refusedEvent(settings.now(), 'unauthenticated', null, attempt, meta))
      throw new ImpersonationError('unauthenticated')
    }
    const header = route.pinned ? request.headers.get(pinHeader) : null
    const pin = header === null ? undefined : readPin(header, undefined, '')?.id
    return {
      user: actor,
      profile: people.profile(actor),
      meta: metaOf(request, ip),
      pin,
      request: native,
    }
  }

  return async function route(call: RouteCall<User>): Promise<Response> {
    try {
      const response = await answer(call)
      return call.request.method === 'HEAD' ? new Response(null, response) : response
    } catch (error) {
      if (!isImpersonationError(error)) throw error
      const response = renderRefusal(error, call.request.headers.get('accept'), call.base)
      const isStop = call.path === `${settings.basePath}/stop`
      if (isStop && error.code === 'not_impersonating') {
        const secure = settings.secureCookie === 'auto' ? call.secure : settings.secureCookie
        response.headers.append('Set-Cookie', clearCookie(cookieName(secure)))
      }
      return response
    }
  }
}

function featuresOf<User extends object>(settings: Settings<User>): ReadonlySet<Feature> {
  const on: Readonly<Record<Feature, boolean>> = {
    consent: settings.consent !== 'off',
    breakGlass: settings.breakGlass !== undefined,
    approvals: settings.approvals !== undefined,
    sandbox: settings.sandbox !== undefined,
    tokens: settings.impersonationTokens !== undefined,
    apiTokens: settings.apiTokens !== undefined,
    listUsers: settings.apiTokens?.listUsers !== undefined,
  }
  return new Set((Object.keys(on) as Feature[]).filter((feature) => on[feature]))
}

function find(
  routes: readonly Route[],
  method: string,
  below: string,
): { route: Route; params: Record<string, string> } {
  const path = below.replace(/\/$/, '') || '/'
  const here = routes.flatMap((route) => {
    const params = match(route.path, path)
    return params ? [{ route, params }] : []
  })
  if (here.length === 0) throw new ImpersonationError('route_not_found')
  const wanted = method === 'HEAD' ? 'GET' : method
  const found = here.find(({ route }) => route.method === wanted)
  if (found) return found
  const allow = here.flatMap(({ route }) =>
    route.method === 'GET' ? ['GET', 'HEAD'] : [route.method],
  )
  throw new ImpersonationError('method_not_allowed', {
    headers: { Allow: [...new Set(allow)].join(', ') },
  })
}

function match(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, segment] of wanted.entries()) {
    const value = given[index] ?? ''
    if (segment.startsWith(':')) {
      const id = decoded(value)
      if (!id || id.includes('\0')) return undefined
      params[segment.slice(1)] = id
    } else if (segment !== value) return undefined
  }
  return params
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch {
    return undefined
  }
}

async function readBody(route: Route, request: Request): Promise<unknown> {
  const value = await readJson(request)
  const { parse, shapes } = await schemas()
  return parse(shapes[route.body ?? 'stopBody'], value, 'body')
}

async function readQuery(route: Route, request: Request): Promise<unknown> {
  const given = new URL(request.url).searchParams
  if (given.size === 0) return {}
  const value: Record<string, string> = Object.create(null)
  for (const [name, each] of given) {
    if (name in value) throw invalid(`query.${name}`, 'must be there once')
    value[name] = each
  }
  const { parse, shapes } = await schemas()
  return parse(shapes[route.query ?? 'noQuery'], { ...value }, 'query')
}

function metaOf(request: Request, ip: string | undefined): RequestMeta {
  return {
    ipAddress: ip ?? null,
    userAgent: limited(request.headers.get('user-agent'), 500),
    clientId: null,
    requestId: limited(request.headers.get('x-request-id'), 200),
  }
}

const limited = (text: string | null, most: number) =>
  text?.slice(0, most).replaceAll('\0', '') ?? null

function invalid(path: string, message: string): ImpersonationError {
  return new ImpersonationError('invalid_request', { errors: [{ path, message }] })
}

function warnOfMissingLogin(request: Request): void {
  if (!request.headers.has('authorization') && !request.headers.has('cookie')) return
  warnOnce(
    'ONBEHALF_NO_ACTOR',
    'a call with credentials found nobody logged in: mount the middleware after the one that logs users in, ' +
      'or say by "userProperty" or "getActor" where the user is',
  )
}
