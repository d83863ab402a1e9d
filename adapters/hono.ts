import type { Context, MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import {
  type Impersonation,
  type ImpersonationEngine,
  overwritten,
  type RequestView,
  wrongOrder,
} from '../src/adapter.ts'
import {
  cacheHeaders,
  exposeWith,
  type HeaderPlan,
  noStore,
  varyWith,
} from '../src/pipeline/headers.ts'
import { type AdapterOptions, checkAdapterOptions } from './options.ts'

declare module 'hono' {
  interface ContextVariableMap {
    /** The impersonation this request runs under; null when nobody is impersonated. */
    impersonation: Impersonation<unknown> | null
  }
}

export type HonoOptions<User> = AdapterOptions<Context, User>

/** What @hono/node-server puts into the environment. */
interface NodeBindings {
  incoming?: {
    url?: string
    headers: Record<string, string | string[] | undefined>
    rawHeaders: string[]
    socket?: { remoteAddress?: string }
  }
}

const incoming = (c: Context) => (c.env as NodeBindings | undefined)?.incoming

const view: RequestView<Context> = {
  method: (c) => c.req.method,
  target: (c) => incoming(c)?.url ?? c.req.url,
  path: (c) => c.req.path.slice(mountOf(c).length) || '/',
  header(c, name) {
    const node = incoming(c)
    if (!node) return c.req.raw.headers.get(name) ?? undefined
    const value = node.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  },
  hasTwoLogins(c) {
    const raw = incoming(c)?.rawHeaders
    if (raw)
      return (
        raw.filter((text, index) => index % 2 === 0 && text.toLowerCase() === 'authorization')
          .length > 1
      )
    return /,\s*(?:bearer|basic|dpop)\s/i.test(c.req.raw.headers.get('authorization') ?? '')
  },
  removeHeader(c, name) {
    const node = incoming(c)
    if (node) delete node.headers[name]
    try {
      c.req.raw.headers.delete(name)
    } catch {
      const headers = new Headers(c.req.raw.headers)
      headers.delete(name)
      c.req.raw = new Request(c.req.raw, { headers })
    }
  },
  isSecure: (c) => c.req.url.startsWith('https:'),
  ip: (c) => incoming(c)?.socket?.remoteAddress,
  async toRequest(c) {
    const { raw } = c.req
    if (!raw.bodyUsed || raw.method === 'GET' || raw.method === 'HEAD') return raw
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
  const { userProperty = 'user', getActor, setUser } = options
  const adapter = impersonation.adapter(view)
  const lateLogin = wrongOrder()

  return async function impersonate(c, next) {
    // Mounted twice, the second time it would take the target for the actor.
    if (c.get('impersonation') !== undefined) return next()
    const found = getActor ? getActor(c) : (c.get(userProperty as never) as User | null | undefined)
    const actor = found instanceof Promise ? await found : found
    const entering = adapter.enter(c, actor || null)
    const { answer, context, user, headers } =
      entering instanceof Promise ? await entering : entering
    if (answer !== null) return headers === null ? answer : sealed(answer, headers)

    c.set('impersonation', context)
    if (user !== undefined && context !== null) {
      if (setUser) setUser(c, user)
      else hold(c, context, user)
    }
    // Set before, because it is cheap and some servers need it; seen to afterwards, because handlers lose it.
    if (headers !== null) announce(c, headers)
    await adapter.run(context, next)
    if (headers !== null) seeTo(c, headers)
    if (!getActor && !actor && lateLogin.mayTell())
      lateLogin.tell(c.get(userProperty as never) != null)
  }

  /** The slot stays the target: what runs later may enrich the record, not bring the admin back. */
  function hold(c: Context, context: Impersonation<User>, target: User): void {
    c.set(userProperty as never, target as never)
    const { set } = c
    c.set = (key: string, value: unknown) => {
      if (key === userProperty && value != null && !adapter.isTarget(context, value))
        throw overwritten(userProperty)
      set(key as never, value as never)
    }
  }
}

function announce(c: Context, { set, isPrivate }: HeaderPlan): void {
  for (const [name, value] of set) c.header(name, value)
  if (!isPrivate) return
  c.header('Cache-Control', noStore)
  c.header('Vary', varyWith(null))
}

function seeTo(c: Context, plan: HeaderPlan): void {
  try {
    applyPlan(c.res.headers, plan)
  } catch {
    // The headers of a fetched Response can't be changed. Hono would merge the old ones over the new.
    const copy = sealed(c.res, plan)
    c.res = undefined
    c.res = copy
  }
}

function sealed(response: Response, plan: HeaderPlan): Response {
  const copy = new Response(response.body, response)
  applyPlan(copy.headers, plan)
  return copy
}

function applyPlan(headers: Headers, { set, isPrivate, cookie }: HeaderPlan): void {
  for (const [name, value] of set) if (headers.get(name) !== value) headers.set(name, value)
  if (cookie !== null) headers.append('Set-Cookie', cookie)
  if (!isPrivate) return
  if (headers.get('Cache-Control') !== noStore) headers.set('Cache-Control', noStore)
  for (const name of cacheHeaders) if (headers.has(name)) headers.delete(name)
  const vary = headers.get('Vary')
  if (varyWith(vary) !== vary) headers.set('Vary', varyWith(vary))
  if (headers.has('Access-Control-Allow-Origin')) {
    headers.set(
      'Access-Control-Expose-Headers',
      exposeWith(headers.get('Access-Control-Expose-Headers')),
    )
  }
}
