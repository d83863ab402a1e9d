import type { Server } from 'node:http'
import fastify, {
  type FastifyInstance,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify'
import { impersonate } from '../../adapters/fastify.ts'
import { type FuzzUser, fuzzRoutes, type Parts, userOf, type Variant } from './app.ts'

interface Options {
  readonly name: string
  readonly server?: FastifyServerOptions
  /** Routes in a plugin with this prefix. */
  readonly prefix?: string
  /** Our plugin is registered below the prefix. */
  readonly inside?: boolean
  /** Put before what is sent, and rewritten by the server. */
  readonly rewritten?: string
  /** Routes hold for one host only. */
  readonly constrained?: boolean
}

export function fastifyVariant(options: Options): Variant {
  const { name, prefix = '', rewritten } = options
  return {
    name: `Fastify 5, ${name}`,
    base: rewritten ?? prefix.replace(':tenant', 'acme'),
    patternBase: rewritten === undefined ? prefix : '',
    reach: 50,
    build: (parts) => build(parts, options),
  }
}

async function build({ engine, hit }: Parts, options: Options): Promise<Server> {
  const { server = {}, prefix = '', inside = false, constrained = false } = options
  const app = fastify({ ...server, forceCloseConnections: true })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_, payload, done) => {
    payload.resume()
    payload.on('end', () => done(null, undefined))
  })
  app.decorateRequest('user', null as never)
  app.addHook('onRequest', async (request: FastifyRequest) => {
    ;(request as never as { user: FuzzUser | null }).user =
      userOf(request.headers.authorization) ?? null
  })
  const ours = async (scope: FastifyInstance) => {
    if (engine) await scope.register(impersonate, { impersonation: engine } as never)
  }
  if (!inside) await ours(app)
  const below = async (scope: FastifyInstance) => {
    if (inside) await ours(scope)
    for (const route of fuzzRoutes) {
      const paths = route.path.endsWith('/*') ? [route.path.slice(0, -2), route.path] : [route.path]
      for (const url of paths)
        scope.route({
          method:
            route.method === 'ALL'
              ? ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
              : route.method,
          url,
          ...(constrained && { constraints: { host: 'app.example' } }),
          handler: async (request: FastifyRequest) => {
            hit(request.headers['x-line'] as string, {
              route,
              method: request.method,
              user: (request as never as { user: FuzzUser | null }).user?.id,
              name: (request.params as { name?: string }).name,
            })
            return 'ok'
          },
        })
    }
  }
  await app.register(below, { prefix })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app.server
}
