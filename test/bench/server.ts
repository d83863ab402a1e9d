/** One server process for one variant: tells its port, serves, and tells its own CPU time on demand. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { createServer, type Server } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import express, { type Request, type RequestHandler } from 'express'
import fastify from 'fastify'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { impersonate as forExpress } from '../../adapters/express.ts'
import { impersonate as forFastify } from '../../adapters/fastify.ts'
import { impersonate as forHono } from '../../adapters/hono.ts'
import { createImpersonation, memoryStore } from '../../src/index.ts'

export const frameworks = ['express', 'fastify', 'hono'] as const
/**
 * `bare` has the login alone, `empty` a middleware that does nothing, `handwritten` the smallest one that
 * puts a target into the request, a context and the headers. The others are ours: a user who may not
 * impersonate, an admin without a session, an admin with one, the same with every request on the action
 * trail, and with the trail sealed; a program with an API token.
 */

interface User {
  id: string
  isSuperuser: boolean
  orgId: string
}

const users = new Map<string, User>([
  ['root', { id: 'root', isSuperuser: true, orgId: 'hq' }],
  ['alice', { id: 'alice', isSuperuser: false, orgId: 'acme' }],
])
const alice = users.get('alice') as User
const storage = new AsyncLocalStorage<unknown>()
const written = Object.freeze({ actor: users.get('root'), target: alice })

const [framework, variant] = process.argv.slice(2) as [string, string]

const under = ['impersonating', 'recorded', 'sealed'].includes(variant)
const impersonation = createImpersonation({
  store: memoryStore(),
  findUser: (id) => users.get(id) ?? null,
  can: (user) => user.isSuperuser,
  audit: {
    trail: variant === 'recorded' || variant === 'sealed' ? 'all' : 'off',
    ...(variant === 'sealed' && { key: 'a key of thirty-two characters..' }),
  },
  ...(variant === 'token' && { apiTokens: { prefix: 'pv_bench_', scopes: ['read'] } }),
})
/** What requests are sent with. */
let token = variant === 'user' ? 'alice' : 'root'
if (variant === 'token') {
  const ask = { userId: 'alice', name: 'measured', scopes: ['read'] }
  const root = impersonation.caller(users.get('root') as User)
  token = (await impersonation.tokens.issue(root, ask)).secret
}
if (under) {
  await impersonation.sessions.start(impersonation.caller(users.get('root') as User), {
    targetUserId: 'alice',
    reason: 'measured',
  })
}
const ours = under || ['user', 'admin', 'token'].includes(variant)
const loginOf = (header: string | undefined) => users.get(header?.slice(7) ?? '') as User

const make: Record<string, () => Promise<Server>> = {
  async express() {
    const app = express()
    app.disable('x-powered-by')
    app.set('etag', false)
    const slot = (request: Request) => request as unknown as { user: User }
    app.use((request, _, next) => {
      slot(request).user = loginOf(request.headers.authorization)
      next()
    })
    const byHand: RequestHandler = (request, response, next) => {
      slot(request).user = alice
      response.setHeader('X-Impersonating', 'true')
      response.setHeader('X-Impersonated-User-Id', 'alice')
      response.setHeader('X-Impersonation-Session', 'the-session')
      response.setHeader('Cache-Control', 'no-store, private')
      response.setHeader('Vary', 'Cookie, Authorization')
      storage.run(written, next)
    }
    if (variant === 'empty') app.use((_request, _response, next) => next())
    if (variant === 'handwritten') app.use(byHand)
    if (ours) app.use(forExpress(impersonation))
    app.get('/me', (request, response) => void response.json({ id: slot(request).user.id }))
    return createServer(app)
  },
  async fastify() {
    const app = fastify()
    app.decorateRequest('user', null as unknown as User)
    app.addHook('onRequest', (request, _reply, done) => {
      ;(request as unknown as { user: User }).user = loginOf(request.headers.authorization)
      done()
    })
    if (variant === 'empty') app.addHook('onRequest', (_request, _reply, done) => done())
    if (variant === 'handwritten') {
      app.addHook('onRequest', (request, reply, done) => {
        ;(request as unknown as { user: User }).user = alice
        reply.header('X-Impersonating', 'true')
        reply.header('X-Impersonated-User-Id', 'alice')
        reply.header('X-Impersonation-Session', 'the-session')
        reply.header('Cache-Control', 'no-store, private')
        reply.header('Vary', 'Cookie, Authorization')
        storage.run(written, done)
      })
    }
    if (ours) await app.register(forFastify, { impersonation: impersonation as never })
    app.get('/me', async (request) => ({ id: (request as unknown as { user: User }).user.id }))
    await app.ready()
    return app.server
  },
  async hono() {
    const app = new Hono<{ Variables: { user: User } }>()
    app.use((c, next) => {
      c.set('user', loginOf(c.req.header('authorization')))
      return next()
    })
    const byHand: MiddlewareHandler = async (c: Context, next) => {
      c.set('user', alice)
      c.header('X-Impersonating', 'true')
      c.header('X-Impersonated-User-Id', 'alice')
      c.header('X-Impersonation-Session', 'the-session')
      c.header('Cache-Control', 'no-store, private')
      c.header('Vary', 'Cookie, Authorization')
      await storage.run(written, next)
    }
    if (variant === 'empty') app.use((_c, next) => next())
    if (variant === 'handwritten') app.use(byHand)
    if (ours) app.use(forHono(impersonation))
    app.get('/me', (c) => c.json({ id: c.get('user').id }))
    return createServer(getRequestListener(app.fetch))
  },
}

const server = await (make[framework] as () => Promise<Server>)()
server.keepAliveTimeout = 0
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as { port: number }).port, token })
})
process.on('SIGINT', () => process.exit(0))
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ cpuMicros: user + system })
})
