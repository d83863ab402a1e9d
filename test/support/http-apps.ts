import http from 'node:http'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import fastify, { type FastifyRequest } from 'fastify'
import { Hono } from 'hono'
import { impersonate as impersonateExpress } from '../../adapters/express.ts'
import { impersonate as impersonateFastify } from '../../adapters/fastify.ts'
import { impersonate as impersonateHono } from '../../adapters/hono.ts'
import type { ImpersonationEngine } from '../../src/index.ts'
import { listen } from '../adapters/listen.ts'

/** The same app in each framework: a bearer token is a user's id, `/whoami` tells who the handler saw. */
type Build<User extends object> = (
  engine: ImpersonationEngine<User>,
  userOf: (authorization: string | undefined) => User | undefined,
  handlers: Handlers,
) => Promise<http.RequestListener> | http.RequestListener

/** More routes by their paths, for any method: what they give is the answer, what they throw an error of the app. */
export type Handlers = Readonly<Record<string, () => unknown>>

export const frameworks = ['Express', 'Fastify', 'Hono'] as const
export type Framework = (typeof frameworks)[number]

const builds: Record<Framework, Build<{ id: string }>> = {
  Express(engine, userOf, handlers) {
    const app = express()
    app.use((request, _, next) => {
      Object.assign(request, { user: userOf(request.get('authorization')) })
      next()
    })
    app.use(impersonateExpress(engine))
    app.all('/whoami', (request, response) => {
      response.json((request as never as { user?: { id: string } }).user?.id ?? null)
    })
    // A router of its own: what it is mounted at belongs to the route.
    const router = express.Router()
    for (const [path, handler] of Object.entries(handlers))
      router.all(path, async (_, response) => void response.json((await handler()) ?? null))
    app.use('/app', router)
    return app
  },
  async Fastify(engine, userOf, handlers) {
    const app = fastify()
    app.addHook('onRequest', async (request: FastifyRequest) => {
      Object.assign(request, { user: userOf(request.headers.authorization) ?? null })
    })
    await app.register(impersonateFastify, { impersonation: engine } as never)
    app.all('/whoami', async (request, reply) => {
      const { user } = request as never as { user: { id: string } | null }
      return reply.send(JSON.stringify(user?.id ?? null))
    })
    for (const [path, handler] of Object.entries(handlers))
      app.all(`/app${path}`, async () => JSON.stringify((await handler()) ?? null))
    await app.ready()
    return (request, response) => app.routing(request, response)
  },
  Hono(engine, userOf, handlers) {
    const app = new Hono<{ Variables: { user: { id: string } | undefined } }>()
    app.use((c, next) => {
      c.set('user', userOf(c.req.header('authorization')))
      return next()
    })
    app.use(impersonateHono(engine))
    app.all('/whoami', (c) => c.json(c.get('user')?.id ?? null))
    for (const [path, handler] of Object.entries(handlers))
      app.all(`/app${path}`, async (c) => c.json((await handler()) ?? null))
    return getRequestListener(app.fetch)
  },
}

export interface Reply {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: an answer is whatever it is
  readonly json: any
  readonly text: string
  readonly headers: Headers
}

/** Serves the engine over a socket; a call is `'POST /start'` under the base path, of `/whoami`, or of `/app/…`. */
export async function serve<User extends { id: string }>(
  framework: Framework,
  engine: ImpersonationEngine<User>,
  users: readonly User[],
  handlers: Handlers = {},
) {
  const userOf = (authorization: string | undefined) =>
    users.find(({ id }) => authorization === `Bearer ${id}`)
  const app = await builds[framework](engine as never, userOf, handlers)
  const { url, close } = await listen(http.createServer(app))

  async function call(who: string, route: string, body?: unknown, headers = {}): Promise<Reply> {
    const [method = '', path = ''] = route.split(' ')
    const own = path === '/whoami' || path.startsWith('/app/')
    const response = await fetch(`${url}${own ? '' : '/impersonation'}${path}`, {
      method,
      headers: {
        'Sec-Fetch-Site': 'same-origin',
        ...(who && { Authorization: `Bearer ${who}` }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const isFile = response.headers.has('content-disposition')
    const json = !isFile && /^[[{"]/.test(text) ? JSON.parse(text) : text
    return { status: response.status, json, text, headers: response.headers }
  }

  return {
    url,
    call,
    async close() {
      await engine.close()
      await close()
    },
  }
}
