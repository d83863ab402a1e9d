import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify'
import { type FastifyOptions, impersonate, requireScope } from '../../adapters/fastify.ts'
import type { Mount, TestAnswer, TestCall, TestUser } from '../../src/testing/index.ts'
import { answerRaw, headerNames } from './mount-express.ts'

interface Variant extends Omit<FastifyOptions<TestUser>, 'impersonation'> {
  /** Options of the framework. */
  readonly server?: FastifyServerOptions
  /** The hook that layers run in. @default 'onRequest' */
  readonly layerHook?: 'onRequest' | 'preHandler'
  readonly slot?: string
}

/** Builds the app of the suite in Fastify. */
export function mountFastify(variant: Variant = {}): Mount {
  const { server = {}, layerHook = 'onRequest', slot = 'user', ...ours } = variant
  return async ({ engine, mountPath, layers, routes, onError, notFound }) => {
    const app = fastify({ ...server, forceCloseConnections: true })
    const callOf = (request: FastifyRequest): TestCall => ({
      get user() {
        return (request as never as Record<string, unknown>)[slot]
      },
      get impersonation() {
        return request.impersonation
      },
      get apiToken() {
        return request.apiToken
      },
      header: (name) => request.headers[name] as string | undefined,
      headerNames: () => headerNames(request.raw),
      body: () => request.body,
    })
    const build = async (scope: FastifyInstance) => {
      for (const layer of layers) {
        if (layer.kind === 'impersonation')
          await scope.register(impersonate, { impersonation: engine, ...ours } as never)
        else if (layer.kind === 'header')
          scope.addHook('onRequest', async (_, reply) => {
            reply.header(layer.name, layer.value)
          })
        else if (layer.kind === 'user')
          scope.addHook(layerHook, async (request: FastifyRequest) => {
            const user = layer.find(callOf(request))
            if (user !== undefined) (request as never as Record<string, unknown>)[slot] = user
          })
      }
      for (const { method, path, guard, scopes, handle } of routes) {
        scope.route({
          method,
          url: path,
          config: guard ? { impersonation: { guard } } : {},
          ...(scopes && { preHandler: requireScope(...scopes) }),
          handler: async (request, reply) => send(reply, await handle(callOf(request))),
        })
      }
      if (onError)
        scope.setErrorHandler((error, request, reply) =>
          send(reply, onError(error, callOf(request))),
        )
      if (notFound)
        scope.setNotFoundHandler(async (request, reply) =>
          send(reply, await notFound(callOf(request))),
        )
    }
    if (mountPath) await app.register(build, { prefix: mountPath })
    else await build(app)
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as AddressInfo
    return { url: `http://127.0.0.1:${port}`, close: () => app.close() }
  }
}

function send(reply: FastifyReply, answer: TestAnswer): FastifyReply {
  const { status = 200, headers = {}, body, redirect, stream, raw } = answer
  if (raw) {
    reply.hijack()
    answerRaw(reply.raw, answer)
    return reply
  }
  reply.headers(headers)
  if (redirect) return reply.redirect(redirect)
  reply.code(status)
  return reply.send(stream ? Readable.from(stream()) : body)
}
