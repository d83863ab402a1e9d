import http from 'node:http'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { guarded as guardedExpress, impersonate as inExpress } from '../../adapters/express.ts'
import { impersonate as inFastify } from '../../adapters/fastify.ts'
import { guarded as guardedHono, impersonate as inHono } from '../../adapters/hono.ts'
import {
  createImpersonation,
  guardrailKinds,
  type ImpersonationOptions,
  memoryStore,
} from '../../src/index.ts'
import { listen } from './listen.ts'

interface User {
  readonly id: string
}
const root = { id: 'root' }
const none = Object.fromEntries(guardrailKinds.map((kind) => [kind, []])) as never as NonNullable<
  ImpersonationOptions<User>['guardrails']
>

const engineOf = (options: Partial<ImpersonationOptions<User>> = {}) =>
  createImpersonation<User>({
    store: memoryStore(),
    findUser: (id) => ({ id }),
    can: ({ id }) => id === 'root',
    guardrails: none,
    ...options,
  })
const start = (engine: ReturnType<typeof engineOf>) =>
  engine.sessions.start(engine.caller(root), {
    targetUserId: 'alice',
    reason: 'a test',
    accessLevel: 'full',
  })

/** What was warned of with `process.emitWarning`, by code; each code is warned of once per process. */
let warned: string[]
beforeEach(() => {
  warned = []
  vi.spyOn(process, 'emitWarning').mockImplementation((text, options) => {
    warned.push(`${(options as { code: string }).code}: ${text}`)
  })
})
afterEach(() => {
  vi.restoreAllMocks()
})

describe('a marked route that the middleware has not seen', () => {
  it('is stopped in Express and in Hono, and told of', async () => {
    const app = express()
    let reached = 0
    app.post('/pay', guardedExpress('payment'), (_, response) => {
      reached++
      response.end()
    })
    app.use(inExpress(engineOf()))
    app.use(((error, _request, response, _next) => {
      response.status(error.status).json(error.code)
    }) as express.ErrorRequestHandler)
    const { url, close } = await listen(http.createServer(app))
    const reply = await fetch(`${url}/pay`, { method: 'POST' })
    expect([reply.status, await reply.json()]).toEqual([500, 'ONBEHALF_NOT_MOUNTED'])
    await close()

    const hono = new Hono()
    hono.post('/pay', guardedHono('payment'), () => {
      reached++
      return new Response()
    })
    hono.use(inHono(engineOf()))
    hono.onError((error, c) => c.text((error as { code?: string }).code ?? '', 500))
    const answer = await hono.request('/pay', { method: 'POST' })
    expect([answer.status, await answer.text()]).toEqual([500, 'ONBEHALF_NOT_MOUNTED'])
    expect(reached).toBe(0)
    expect(warned.filter((text) => text.startsWith('ONBEHALF_NOT_MOUNTED'))).toHaveLength(1)
  })
})

describe('a mark that is none', () => {
  it.each([undefined, 'pament', 'POST /pay', null])('%j is refused when it is made', (kind) => {
    expect(() => guardedExpress(kind as never)).toThrow(/guarded wants one of password, mfa/)
    expect(() => guardedHono(kind as never)).toThrow(/guarded wants one of password, mfa/)
  })

  it.each([
    { guard: 'pament' },
    { guard: undefined },
    {},
    { gaurd: 'payment' },
    { guard: 'payment', level: 'full' },
  ])('%j is refused when the route is added in Fastify', async (mark) => {
    const app = fastify()
    await app.register(inFastify, { impersonation: engineOf() } as never)
    const config = { impersonation: mark as never }
    expect(() => app.post('/pay', { config }, async () => 'paid')).toThrow(/config.impersonation/)
    await app.close()
  })

  it('stops the request where the route was there first', async () => {
    const app = fastify()
    const engine = engineOf()
    app.addHook('onRequest', async (request) => {
      Object.assign(request, { user: root })
    })
    let reached = 0
    const config = { impersonation: { guard: 'pament' as never } }
    app.post('/pay', { config }, async () => {
      reached++
      return 'paid'
    })
    await app.register(inFastify, { impersonation: engine } as never)
    await start(engine)
    const reply = await app.inject({ method: 'POST', url: '/pay' })
    expect([reply.statusCode, reached]).toEqual([500, 0])
    await app.close()
  })
})

describe('patterns and the routes there are', () => {
  const guardrails = { ...none, payment: ['POST /pay', 'POST /api/:team/pay'] as const }

  it('Fastify tells at start-up of a pattern that means no route, in sub-plugins too', async () => {
    const app = fastify()
    await app.register(inFastify, { impersonation: engineOf({ guardrails }) } as never)
    await app.register(
      async (scope) => {
        scope.post('/:id/pay', async () => 'paid')
      },
      { prefix: '/api' },
    )
    app.post('/paid', async () => 'paid')
    await app.ready()
    const [told = '', ...more] = warned
    expect(told).toMatch(/^ONBEHALF_UNUSED_PATTERN: .*guardrails\.payment: "POST \/pay";/)
    expect(told).not.toContain(':team')
    expect(more).toEqual([])
    await app.close()
  })

  it('Fastify says nothing of routes it could not see', async () => {
    const app = fastify()
    const engine = engineOf({ guardrails })
    const check = vi.spyOn({ check: engine.checkRoutes }, 'check')
    app.post('/pay', async () => 'paid')
    await app.register(inFastify, {
      impersonation: { ...engine, checkRoutes: check },
    } as never)
    await app.ready()
    expect(check).not.toHaveBeenCalled()
    await app.close()
  })

  it('Hono’s own list of routes is what checkRoutes takes', () => {
    const engine = engineOf({ guardrails })
    const app = new Hono()
    app.use(inHono(engine))
    app.post('/pay', (c) => c.text('paid'))
    expect(engine.checkRoutes(app.routes)).toEqual(['POST /api/:team/pay'])
    app.route(
      '/api',
      new Hono().post('/:id/pay', (c) => c.text('paid')),
    )
    expect(engine.checkRoutes(app.routes)).toEqual([])
  })
})

describe('the route that the framework has matched counts beside the path', () => {
  const guardrails = { ...none, payment: ['POST /pay/:what'] as const }

  it('in Fastify, where the url was rewritten', async () => {
    const engine = engineOf({ guardrails })
    const app = fastify({
      rewriteUrl: (request) => (request.url === '/short' ? '/pay/invoice' : (request.url ?? '/')),
    })
    app.addHook('onRequest', async (request) => {
      Object.assign(request, { user: root })
    })
    await app.register(inFastify, { impersonation: engine } as never)
    app.post('/pay/:id', async () => 'paid')
    await start(engine)
    expect((await app.inject({ method: 'POST', url: '/short' })).statusCode).toBe(403)
    await app.close()
  })

  it('in Hono, where getPath reads another one', async () => {
    const engine = engineOf({ guardrails })
    const app = new Hono<{ Variables: { user: User } }>({
      getPath: (request) => (request.url.endsWith('/short') ? '/pay/invoice' : '/other'),
    })
    app.use(async (c, next) => {
      c.set('user', root)
      await next()
    })
    app.use(inHono(engine))
    app.post('/pay/:id', (c) => c.text('paid'))
    app.post('/other', (c) => c.text('other'))
    await start(engine)
    expect((await app.request('/short', { method: 'POST' })).status).toBe(403)
    expect((await app.request('/x', { method: 'POST' })).status).toBe(200)
  })

  it('a catch-all route says nothing beyond the path', async () => {
    const catchAll = { ...none, payment: ['POST /:page'] as const }
    const engine = engineOf({ guardrails: catchAll })
    const app = new Hono<{ Variables: { user: User } }>()
    app.use(async (c, next) => {
      c.set('user', root)
      await next()
    })
    app.use(inHono(engine))
    app.post('/*', (c) => c.text('any'))
    await start(engine)
    expect((await app.request('/a/b', { method: 'POST' })).status).toBe(200)
    expect((await app.request('/a', { method: 'POST' })).status).toBe(403)

    const plain = fastify()
    plain.addHook('onRequest', async (request) => {
      Object.assign(request, { user: root })
    })
    await plain.register(inFastify, { impersonation: engine } as never)
    plain.post('/*', async () => 'any')
    expect((await plain.inject({ method: 'POST', url: '/a/b' })).statusCode).toBe(200)
    expect((await plain.inject({ method: 'POST', url: '/a' })).statusCode).toBe(403)
    await plain.close()
  })
})
