import type {
  Request as ExpressRequest,
  Response as ExpressResponse,
  RequestHandler,
} from 'express'
import {
  type ApiTokenContext,
  checkKind,
  checkScopes,
  type Entrance,
  type Guardrail,
  type Impersonation,
  type ImpersonationEngine,
  markedRoute,
  type RequestView,
  scopedRoute,
  wrongOrder,
} from '../src/adapter.ts'
import { pathOf } from '../src/pipeline/patterns.ts'
import {
  fileOf,
  follow,
  hasTwoLogins,
  headerOf,
  removeHeader,
  seal,
  sendFile,
  toRequest,
} from './node.ts'
import {
  type AdapterOptions,
  cameOf,
  checkAdapterOptions,
  faultOf,
  hold,
  isThenable,
  keepCame,
} from './options.ts'
import { peekNode } from './peek.ts'

declare global {
  namespace Express {
    interface Request {
      /** The impersonation this request runs under; null when nobody is impersonated. */
      impersonation?: Impersonation<unknown> | null
      /** The API token that this request came with; null when there is none, undefined where `apiTokens` is off. */
      apiToken?: ApiTokenContext<unknown> | null
    }
  }
}

export interface ExpressOptions<User> extends AdapterOptions<ExpressRequest, User> {
  /**
   * Your login, where it would refuse a token of ours: it is left out for requests that carry one, and
   * runs before this middleware for all others. @default none: it has run already
   */
  authenticate?: RequestHandler
}

const view: RequestView<ExpressRequest> = {
  method: (request) => request.method,
  target: (request) => request.originalUrl,
  path: (request) => pathOf(request.url),
  header: headerOf,
  hasTwoLogins,
  removeHeader,
  peekBody: (request, limit) => peekNode(request, request.body, limit),
  isSecure: (request) => request.secure,
  ip: (request) => request.ip,
  toRequest: (request) =>
    toRequest(request, {
      target: request.originalUrl,
      secure: request.secure,
      parsed: request.body,
    }),
}

/**
 * Mounts impersonation in Express 4 or 5: put it after the middleware that logs users in.
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
  options: ExpressOptions<User> = {},
): RequestHandler {
  checkAdapterOptions(impersonation, options)
  const { userProperty = 'user', getActor, setUser, authenticate } = options
  const adapter = impersonation.adapter(view)
  const slot = (request: ExpressRequest) =>
    (request as unknown as Record<string, unknown>)[userProperty]
  const lateLogin = wrongOrder()

  return function impersonate(request, response, next) {
    // Mounted twice, the second time it would take the target for the actor.
    if (request.impersonation !== undefined) return next()
    const byToken = adapter.carriesToken(request)
    let isOver = false
    try {
      if (byToken) enter(null)
      else if (!authenticate) identify()
      else Promise.resolve(authenticate(request, response, authenticated)).catch(failed)
    } catch (error) {
      failed(error)
    }

    function authenticated(error?: unknown): void {
      // Outside of a route there is none to leave, and Express would go on behind this middleware.
      const refuses = Boolean(error) && (error !== 'route' || request.route !== undefined)
      // Gone on twice, the second time the target would be taken for the actor.
      if (!refuses && !isOver) identify()
      isOver = true
      if (refuses) next(error)
    }

    function failed(error: unknown): void {
      isOver = true
      next(faultOf(error))
    }

    function identify(): void {
      try {
        const actor = getActor ? getActor(request) : (slot(request) as User | null | undefined)
        if (isThenable(actor)) return void Promise.resolve(actor).then(enter).catch(failed)
        enter(actor)
      } catch (error) {
        failed(error)
      }
    }

    function enter(actor: User | null | undefined): void | Promise<void> {
      if (!getActor && !byToken && !actor && lateLogin.mayTell()) {
        response.once('finish', () => lateLogin.tell(slot(request) != null))
      }
      const entrance = adapter.enter(request, actor || null)
      if (entrance instanceof Promise)
        return entrance.then((later) => proceed(later, !actor)).catch(failed)
      return proceed(entrance, !actor)
    }

    function proceed(entrance: Entrance<User>, isLoggedOut: boolean): void | Promise<void> {
      const { answer, context, apiToken, user, headers, trace } = entrance
      if (headers !== null) seal(response, headers)
      if (trace !== null) follow(response, trace, () => routeOf(request))
      if (answer !== null) return send(response, answer)
      request.impersonation = context
      if (adapter.hasApiTokens) {
        request.apiToken = apiToken
        keepCame(request, entrance, isLoggedOut)
      }
      const as = context ?? apiToken
      if (user !== undefined && as !== null) {
        if (setUser) setUser(request, user)
        else hold(adapter, request, userProperty, as)
      }
      adapter.run(as, next)
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
export function guarded(kind: Guardrail): RequestHandler {
  checkKind('guarded', kind)
  return function guarded(request, response, next) {
    try {
      const refusal = markedRoute(request.impersonation, kind)
      if (refusal === null) return next()
      send(response, refusal.getResponse()).catch(next)
    } catch (error) {
      next(error)
    }
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
export function requireScope(...scopes: string[]): RequestHandler {
  checkScopes('requireScope', scopes)
  return function requireScope(request, response, next) {
    try {
      const refusal = scopedRoute(cameOf(request), scopes)
      if (refusal === null) return next()
      send(response, refusal.getResponse()).catch(next)
    } catch (error) {
      next(error)
    }
  }
}

/** As the app wrote it, with where its router is mounted. */
function routeOf({ route, baseUrl, originalUrl }: ExpressRequest): string | undefined {
  const below: unknown = route?.path
  if (typeof below !== 'string') return undefined
  const whole = `${baseUrl ?? ''}${below}`.replace(/(?<=.)\/$/, '')
  // A router that was left by an error is not mounted anywhere any more: half a route would be another one.
  const depth = (path: string) => path.split('/').filter(Boolean).length
  return /[*{(?+]/.test(below) || depth(whole) === depth(pathOf(originalUrl)) ? whole : undefined
}

async function send(response: ExpressResponse, answer: Response): Promise<void> {
  const file = fileOf(answer)
  const body = file ? '' : await answer.text()
  response.status(answer.status)
  for (const [name, value] of answer.headers) {
    if (name === 'set-cookie') response.append(name, value)
    else response.setHeader(name, value)
  }
  if (file) await sendFile(response, file)
  else response.end(body)
}
