import type { IncomingMessage } from 'node:http'
import type { Context, MiddlewareHandler } from 'hono'
import { matchedRoutes, routePath } from 'hono/route'
import type { StatusCode } from 'hono/utils/http-status'
import {
  type ApiTokenContext,
  checkKind,
  checkScopes,
  type Guardrail,
  type Impersonation,
  type ImpersonationEngine,
  markedRoute,
  overwritten,
  type RequestContext,
  type RequestView,
  scopedRoute,
  type Trace,
  wrongOrder,
} from '../src/adapter.ts'
import { type HeaderPlan, noStore, varyWith } from '../src/pipeline/headers.ts'
import { headerOf, removeHeader as removeFromNode } from './node.ts'
import {
  type AdapterOptions,
  cameOf,
  checkAdapterOptions,
  isThenable,
  keepCame,
} from './options.ts'
import { peekWeb } from './peek-web.ts'
import { applyPlan, lacks, sealed } from './web.ts'

declare module 'hono' {
  interface ContextVariableMap {
    /** The impersonation this request runs under; null when nobody is impersonated. */
    impersonation: Impersonation<unknown> | null
    /** The API token that this request came with; null when there is none, undefined where `apiTokens` is off. */
    apiToken: ApiTokenContext<unknown> | null | undefined
  }
}

export interface HonoOptions<User> extends AdapterOptions<Context, User> {
  /**
   * Your login, where it would refuse a token of ours, such as `jwt({ secret })`: it is left out for
   * requests that carry one, and runs to its end before this middleware for all others. @default none
   */
  authenticate?: MiddlewareHandler
}

/** What servers put into the environment: @hono/node-server its request, Deno the address, Bun itself. */
interface Bindings {
  incoming?: IncomingMessage
  remoteAddr?: { hostname?: string }
  requestIP?(request: Request): { address: string } | null
}

const bindings = (c: Context) => c.env as Bindings | undefined

/** The symbol that @hono/node-server ties its requests to Node's by; it is none of its exports. */
let tie: symbol | undefined

/** Node's request, where this one is made of it: one that a handler makes may come with the environment of another. */
function incoming(c: Context): IncomingMessage | undefined {
  const node = bindings(c)?.incoming
  if (!node) return undefined
  const raw = c.req.raw as never as Record<symbol, unknown>
  if (tie !== undefined && raw[tie] === node) return node
  const found = Object.getOwnPropertySymbols(raw).find((symbol) => raw[symbol] === node)
  if (found === undefined) return undefined
  tie = found
  return node
}

const view: RequestView<Context> = {
  method: (c) => c.req.method,
  // Not Node's: servers make this one of the `Host` header as well, and it is what Hono routes by.
  target: (c) => c.req.url,
  path: (c) => c.req.path.slice(mountOf(c).length) || '/',
  header(c, name) {
    const node = incoming(c)
    return node ? headerOf(node, name) : (c.req.raw.headers.get(name) ?? undefined)
  },
  hasTwoLogins(c) {
    const raw = incoming(c)?.rawHeaders
    if (raw)
      return (
        raw.filter((text, index) => index % 2 === 0 && text.toLowerCase() === 'authorization')
          .length > 1
      )
    // Elsewhere they come joined: after a comma, a word that is no parameter begins another login.
    const joined = c.req.raw.headers.get('authorization')?.replace(/"[^"]*"/g, '')
    return /,\s*[\w-]+\s+[^\s=,]/.test(joined ?? '')
  },
  removeHeader(c, name) {
    const node = bindings(c)?.incoming
    if (node) removeFromNode(node, name)
    try {
      c.req.raw.headers.delete(name)
    } catch {
      const headers = new Headers(c.req.raw.headers)
      headers.delete(name)
      c.req.raw = new Request(c.req.raw, { headers })
    }
  },
  routes: handlerPaths,
  route: (c) => handlerPaths(c)[0],
  peekBody: (c, limit) => peekWeb(c.req, limit),
  isSecure: (c) => c.req.url.startsWith('https:'),
  ip: (c) =>
    bindings(c)?.incoming?.socket?.remoteAddress ??
    bindings(c)?.remoteAddr?.hostname ??
    bindings(c)?.requestIP?.(c.req.raw)?.address,
  async toRequest(c) {
    const { raw } = c.req
    // Asking `raw.bodyUsed` would make @hono/node-server 1 begin to read.
    const isRead = Object.keys(c.req.bodyCache).length > 0
    if (!isRead || raw.method === 'GET' || raw.method === 'HEAD') return raw
    // Somebody has read the body; Hono keeps what they read.
    return new Request(raw.url, {
      method: raw.method,
      headers: raw.headers,
      body: await c.req.arrayBuffer(),
    })
  },
}

/** The part of the path above the place where the middleware is mounted: `/api` for `app.use('/api/*', …)`. */
function mountOf(c: Context): string {
  const pattern = routePath(c)
  if (pattern === '/*' || pattern === '*') return ''
  const depth = pattern.replace(/\/\*$/, '').split('/').length
  return pattern.endsWith('/*') ? c.req.path.split('/').slice(0, depth).join('/') : ''
}

/** The route that is going to answer. One that ends in `*`, as most layers do, says nothing beyond the path. */
function handlerPaths(c: Context): readonly string[] {
  const handler = matchedRoutes(c).findLast(({ path }) => !path.includes('*'))
  return handler ? [handler.path] : []
}

/**
 * Mounts impersonation in Hono 4: put it after the middleware that logs users in.
 *
 * @throws {TypeError} naming an option that is wrong
 * @example
 * ```ts
 * app.use(authenticate)
 * app.use(impersonate(impersonation))
 * ```
 */
export function impersonate<User extends object>(
  impersonation: ImpersonationEngine<User>,
  options: HonoOptions<User> = {},
): MiddlewareHandler {
  checkAdapterOptions(impersonation, options)
  const { userProperty = 'user', getActor, setUser, authenticate } = options
  const adapter = impersonation.adapter(view)
  const lateLogin = wrongOrder()
  const actorOf = (c: Context) =>
    getActor ? getActor(c) : (c.get(userProperty as never) as User | null | undefined)

  return async function impersonate(c, next) {
    // Mounted twice, the second time it would take the target for the actor.
    if (c.get('impersonation') !== undefined) return next()
    const byToken = adapter.carriesToken(c)
    if (authenticate && !byToken) {
      let passed = false
      const refusal = await authenticate(c, async () => {
        passed = true
      })
      if (!passed) return refusal
    }
    const found = byToken ? null : actorOf(c)
    const actor = isThenable(found) ? await found : found
    const entering = adapter.enter(c, actor || null)
    const entrance = entering instanceof Promise ? await entering : entering
    const { answer, context, apiToken, user, headers, trace } = entrance
    if (answer !== null) return send(c, headers === null ? answer : sealed(answer, headers))

    c.set('impersonation', context)
    if (adapter.hasApiTokens) {
      c.set('apiToken', apiToken)
      keepCame(c, entrance, !actor)
    }
    const as = context ?? apiToken
    if (user !== undefined && as !== null) {
      if (setUser) setUser(c, user)
      else hold(c, as, user)
    }
    // Set before, because it is cheap and some servers need it; seen to afterwards, because handlers lose it.
    if (headers !== null) announce(c, headers)
    const going = adapter.run(as, next)
    await (trace === null ? going : traced(c, going, trace))
    if (headers !== null) seeTo(c, headers)
    if (!getActor && !byToken && !actor && lateLogin.mayTell())
      lateLogin.tell(c.get(userProperty as never) != null)
  }

  /** The slot stays who the request runs as: what runs later may enrich the record, not bring the admin back. */
  function hold(c: Context, context: RequestContext<User>, target: User): void {
    c.set(userProperty as never, target as never)
    const { set } = c
    c.set = (key: string, value: unknown) => {
      if (key === userProperty && value != null && !adapter.isTarget(context, value))
        throw overwritten(userProperty)
      set(key as never, value as never)
    }
  }
}

/**
 * Marks a route as a guarded kind of write: put it before the handler, and no spelling of the path
 * leads around it while somebody is impersonated, at any access level.
 *
 * @throws {TypeError} when there is no such kind
 * @example
 * ```ts
 * app.post('/invoices/:id/pay', guarded('payment'), pay)
 * ```
 */
export function guarded(kind: Guardrail): MiddlewareHandler {
  checkKind('guarded', kind)
  return async function guarded(c, next) {
    const refusal = markedRoute(c.get('impersonation'), kind)
    return refusal ? send(c, refusal.getResponse()) : next()
  }
}

/**
 * Lets requests with an API token through where it has these scopes, all of them: put it before the handler.
 * Whoever came by a login passes; nobody is answered 401.
 *
 * @throws {TypeError} when that can be no scope
 * @example
 * ```ts
 * app.post('/files', requireScope('upload'), upload)
 * ```
 */
export function requireScope(...scopes: string[]): MiddlewareHandler {
  checkScopes('requireScope', scopes)
  return async function requireScope(c, next) {
    const refusal = scopedRoute(cameOf(c), scopes)
    return refusal ? send(c, refusal.getResponse()) : next()
  }
}

/** By Hono's own way, so that what the app has put on every response stays. */
function send(c: Context, answer: Response): Response {
  for (const [name, value] of answer.headers)
    c.header(name, value, { append: name === 'set-cookie' })
  return c.newResponse(answer.body, answer.status as StatusCode)
}

/** The status is told when the answer is there; a body that is streamed goes on after it. */
async function traced(c: Context, going: Promise<void>, trace: Trace): Promise<void> {
  let status: number | null = null
  try {
    await going
    status = c.res.status
  } finally {
    trace(status)
  }
}

function announce(c: Context, { set, isPrivate }: HeaderPlan): void {
  for (const [name, value] of set) c.header(name, value)
  if (!isPrivate) return
  c.header('Cache-Control', noStore)
  c.header('Vary', varyWith(null), { append: true })
}

function seeTo(c: Context, plan: HeaderPlan): void {
  if (!lacks(c.res.headers, plan)) return
  // @hono/node-server 1 loses changed headers when somebody looks at a response for the first time: look before.
  if (bindings(c)?.incoming) void c.res.body
  try {
    applyPlan(c.res.headers, plan)
  } catch {
    // The headers of a fetched Response can't be changed. Hono would merge the old ones over the new.
    const copy = sealed(c.res, plan)
    c.res = undefined
    c.res = copy
  }
}
