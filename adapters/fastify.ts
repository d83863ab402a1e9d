import type {
  FastifyContextConfig,
  FastifyPluginCallback,
  FastifyReply,
  FastifyRequest,
  preHandlerHookHandler,
} from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import {
  type ApiTokenContext,
  checkKind,
  checkScopes,
  type Entrance,
  type Guardrail,
  type Impersonation,
  type ImpersonationEngine,
  type KnownRoute,
  type RequestContext,
  type RequestView,
  scopedRoute,
  wrongOrder,
} from '../src/adapter.ts'
import { pathOf } from '../src/pipeline/patterns.ts'
import { answeredBy } from './answered.ts'
import { mountedAt } from './mounted.ts'
import { fileOf, follow, hasTwoLogins, headerOf, removeHeader, seal, toRequest } from './node.ts'
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

declare module 'fastify' {
  interface FastifyRequest {
    /** The impersonation this request runs under; null when nobody is impersonated, undefined before it is known. */
    impersonation: Impersonation<unknown> | null | undefined
    /** The API token that this request came with; null when there is none, undefined where `apiTokens` is off. */
    apiToken: ApiTokenContext<unknown> | null | undefined
  }
  interface FastifyContextConfig {
    /** `guard` marks the route as a guarded kind of write, which nobody may do while impersonating. */
    impersonation?: { readonly guard?: Guardrail }
  }
}

export interface FastifyOptions<User extends object> extends AdapterOptions<FastifyRequest, User> {
  /** The engine that `createImpersonation` made. */
  impersonation: ImpersonationEngine<User>
  /**
   * When the actor is known: the hook in which your login runs, or a later one.
   * @default 'onRequest'
   */
  hook?: (typeof hooks)[number]
  /**
   * Your login, where it would refuse a token of ours, such as `(request) => request.jwtVerify()`: it is
   * left out for requests that carry one, and runs before this plugin looks at all others. @default none
   */
  authenticate?: (request: FastifyRequest, reply: FastifyReply) => unknown
  /** Put before `basePath`, as for any plugin. @default '' */
  prefix?: string
}

const hooks = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']

const plugin: FastifyPluginCallback<FastifyOptions<object>> = (fastify, options, done) => {
  checkAdapterOptions(options.impersonation, options)
  const { impersonation, userProperty = 'user', getActor, setUser } = options
  const { authenticate, hook = 'onRequest' } = options
  if (!hooks.includes(hook)) throw new TypeError(`option "hook" must be one of ${hooks.join(', ')}`)
  const prefix = `${fastify.prefix}${options.prefix ?? ''}`.replace(/\/$/, '')
  const view = viewBelow(prefix, impersonation.basePath)
  const adapter = impersonation.adapter(view)
  const lateLogin = wrongOrder()
  const slot = (request: FastifyRequest) =>
    (request as unknown as Record<string, unknown>)[userProperty]

  if (!fastify.hasRequestDecorator('impersonation'))
    fastify.decorateRequest('impersonation', undefined)
  if (!fastify.hasRequestDecorator('apiToken')) fastify.decorateRequest('apiToken', undefined)
  if (!getActor && !setUser && !fastify.hasRequestDecorator(userProperty))
    fastify.decorateRequest(userProperty, null)

  // Routes that were there before can't be listed, and a pattern of theirs would look like a typo.
  const seesAll = fastify.printRoutes() === '(empty tree)'
  const routes: KnownRoute[] = []
  fastify.addHook('onRoute', (route) => {
    guardOf(route)
    routes.push({ method: route.method, path: route.url })
  })
  fastify.addHook('onReady', async () => {
    if (seesAll) impersonation.checkRoutes(routes)
  })

  fastify.addHook(hook, function impersonate(...args: unknown[]) {
    const [request, reply] = args as [FastifyRequest, FastifyReply]
    const next = args.at(-1) as (error?: Error) => void
    // Mounted twice, the second time it would take the target for the actor.
    if (request.impersonation !== undefined) return next()
    if (!authenticate || adapter.carriesToken(request)) return identified(request, reply, next)
    const isAnswered = answeredBy(reply)
    Promise.resolve()
      .then(() => authenticate(request, reply))
      .then(() => isAnswered() || identified(request, reply, next))
      .catch((error: unknown) => next(faultOf(error)))
  })

  function identified(
    request: FastifyRequest,
    reply: FastifyReply,
    next: (error?: Error) => void,
  ): void {
    // Our own routes answer from their handler, as the framework's routes do: as whoever is there now.
    if (isOwnRoute(request)) {
      const going = (actor: object | null) => {
        keep(request, actor)
        next()
      }
      actorOf(request, going, next)
      return
    }
    actorOf(
      request,
      (actor) => {
        const entrance = adapter.enter(request, actor)
        if (entrance instanceof Promise)
          entrance
            .then((later) => proceed(request, reply, later, !actor, next))
            .catch((error: unknown) => next(faultOf(error)))
        else proceed(request, reply, entrance, !actor, next)
      },
      next,
    )
  }

  // Fastify loses the context while it reads the body.
  for (const name of hooks.slice(
    Math.max(hooks.indexOf('preValidation'), hooks.indexOf(hook) + 1),
  )) {
    fastify.addHook(name, function again(...args: unknown[]) {
      const [request] = args as [FastifyRequest]
      const next = args.at(-1) as (error?: Error) => void
      const context = keptContext(request) as RequestContext<object> | null | undefined
      if (context === undefined) next()
      else adapter.run(context, next)
    })
  }

  function actorOf(
    request: FastifyRequest,
    then: (actor: object | null) => void,
    failed: (error: Error) => void,
  ) {
    // Who is there is in the token, and no login of the host's has looked.
    if (adapter.carriesToken(request)) return then(null)
    try {
      const actor = getActor ? getActor(request) : (slot(request) as object | null | undefined)
      if (isThenable(actor))
        Promise.resolve(actor)
          .then((one) => then(one || null))
          .catch((error: unknown) => failed(faultOf(error)))
      else then(actor || null)
    } catch (error) {
      failed(faultOf(error))
    }
  }

  function proceed(
    request: FastifyRequest,
    reply: FastifyReply,
    entrance: Entrance<object>,
    isLoggedOut: boolean,
    next: (error?: Error) => void,
  ): void {
    const { answer, context, apiToken, user, headers, trace } = entrance
    if (headers !== null) seal(reply.raw, headers)
    if (trace !== null) follow(reply.raw, trace)
    if (answer !== null) {
      send(reply, answer).catch(next)
      return
    }
    request.impersonation = context
    if (adapter.hasApiTokens) {
      request.apiToken = apiToken
      keepCame(request, entrance, isLoggedOut)
    }
    const as = context ?? apiToken
    keepContext(request, as)
    if (user !== undefined && as !== null) {
      if (setUser) setUser(request, user)
      else hold(adapter, request, userProperty, as)
    } else if (as === null && !getActor && !slot(request) && lateLogin.mayTell()) {
      reply.raw.once('finish', () => lateLogin.tell(slot(request) != null))
    }
    adapter.run(as, next)
  }

  // Routes of their own, so that they exist in this scope and leave by reply.send; in a scope of their
  // own, so that the body reaches us unread, whatever parsers the host has.
  fastify.register((scope, _, ready) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, _payload, parsed) => parsed(null, undefined))
    const below = `${options.prefix ?? ''}${impersonation.basePath}`
    for (const url of [below, `${below}/*`]) {
      // Mounted twice, the first mount answers.
      if (scope.hasRoute({ method: 'GET', url: `${fastify.prefix}${url}` })) continue
      scope.route({
        method: methods,
        url,
        config: { onbehalf: true },
        exposeHeadRoute: true,
        handler(request, reply) {
          const failed = (error: Error) => void reply.send(error)
          const answerTo = (actor: object | null) => {
            Promise.resolve(adapter.enter(request, actor))
              // Never on to the app's own handlers, which would find the admin in the user slot.
              .then(({ answer }) => (answer ? send(reply, answer) : void reply.code(404).send()))
              .catch(failed)
          }
          const actor = kept(request)
          if (actor) answerTo(actor)
          else actorOf(request, answerTo, failed)
        },
      })
    }
    ready()
  })
  done()
}

const early = Symbol('onbehalf.actor')

/** Who called, before any later layer had a say. */
function keep(request: FastifyRequest & { [early]?: object | null }, actor: object | null): void {
  request[early] ??= actor
}

const kept = (request: FastifyRequest & { [early]?: object | null }) => request[early]

const running = Symbol('onbehalf.running')

/** What the request runs under: what handlers read of it, other layers may write. */
function keepContext(
  request: FastifyRequest & { [running]?: RequestContext<unknown> | null },
  context: RequestContext<unknown> | null,
): void {
  request[running] = context
}

const keptContext = (request: FastifyRequest & { [running]?: RequestContext<unknown> | null }) =>
  request[running]

interface RouteMark {
  readonly url?: string | undefined
  readonly config?: object | undefined
}

/** @throws {TypeError} where the mark is none: a typo must not leave a route open */
function guardOf({ url, config }: RouteMark): Guardrail | undefined {
  const mark = (config as FastifyContextConfig | undefined)?.impersonation
  if (mark === undefined) return undefined
  const { guard, ...others } = mark
  if (Object.keys(others).length > 0 || guard === undefined)
    throw new TypeError(`config.impersonation of ${url} must be { guard: 'payment' } or the like`)
  checkKind(`config.impersonation.guard of ${url}`, guard)
  return guard
}

function isOwnRoute(request: FastifyRequest): boolean {
  return (request.routeOptions.config as { onbehalf?: true }).onbehalf === true
}

async function send(reply: FastifyReply, answer: Response): Promise<void> {
  const body = fileOf(answer) ?? (await answer.text())
  reply.code(answer.status)
  for (const [name, value] of answer.headers) reply.header(name, value)
  reply.send(body)
}

function viewBelow(prefix: string, basePath: string): RequestView<FastifyRequest> {
  const place = mountedAt(prefix, basePath)
  return {
    method: (request) => request.raw.method ?? 'GET',
    target: (request) => request.raw.url ?? '/',
    path(request) {
      const path = pathOf(request.raw.url ?? '/')
      return isOwnRoute(request) ? place.asOwn(path) : place.below(path)
    },
    header: (request, name) => headerOf(request.raw, name),
    hasTwoLogins: (request) => hasTwoLogins(request.raw),
    removeHeader: (request, name) => removeHeader(request.raw, name),
    routes(request) {
      const { url } = request.routeOptions
      const { originalUrl } = request
      // One that ends in `*` says nothing beyond the path.
      const matched = url === undefined || url.includes('*') ? [] : [url, place.belowRoute(url)]
      // What the client sent, where the app has made another path of it.
      return originalUrl === request.raw.url ? matched : [...matched, pathOf(originalUrl)]
    },
    route: (request) => request.routeOptions.url,
    marked: (request) => guardOf(request.routeOptions),
    peekBody: (request, limit) => peekNode(request.raw, request.body, limit),
    isSecure: (request) => request.protocol === 'https',
    ip: (request) => request.ip,
    toRequest: (request) =>
      toRequest(request.raw, {
        target: request.raw.url ?? '/',
        secure: request.protocol === 'https',
        parsed: request.body,
      }),
  }
}

/**
 * Lets requests with an API token through where it has these scopes, all of them: make it a hook of the route.
 * Whoever came by a login passes; nobody is answered 401.
 *
 * @throws {TypeError} when that can be no scope
 * @example
 * ```ts
 * app.post('/files', { preHandler: requireScope('upload') }, upload)
 * ```
 */
export function requireScope(...scopes: string[]): preHandlerHookHandler {
  checkScopes('requireScope', scopes)
  return function requireScope(request, reply, next) {
    // A hook of the whole app comes by our own routes, too, which decide on tokens themselves.
    if (isOwnRoute(request)) return next()
    try {
      const refusal = scopedRoute(cameOf(request), scopes)
      if (refusal === null) return next()
      send(reply, refusal.getResponse()).catch((error: unknown) => next(faultOf(error)))
    } catch (error) {
      next(faultOf(error))
    }
  }
}

/**
 * Mounts impersonation in Fastify 5: register it after the plugin that logs users in.
 *
 * @throws {TypeError} naming an option that is wrong
 * @example
 * ```ts
 * await app.register(impersonate, { impersonation })
 * ```
 */
export const impersonate = fastifyPlugin(plugin, { fastify: '5.x', name: 'onbehalf' })
export default impersonate
