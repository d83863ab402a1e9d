import { getRequestListener } from '@hono/node-server'
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { Hono, type MiddlewareHandler } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { afterEach, describe, expect, it } from 'vitest'
import { impersonate as impersonateFastify } from '../../adapters/fastify.ts'
import { impersonate as impersonateHono } from '../../adapters/hono.ts'
import {
  asRoot,
  closeServed,
  engineOf,
  oops,
  type Ran,
  served,
  type User,
} from '../support/login-faults.ts'

afterEach(closeServed)

describe('a login handed to Fastify', () => {
  type Login = (request: FastifyRequest, reply: FastifyReply) => unknown
  const logins: Record<string, { login: Login; status: number; ran?: Ran[] }> = {
    'goes on': { login: asRoot, status: 200, ran: [['alice', true]] },
    'goes on later': {
      async login(request) {
        await null
        asRoot(request)
      },
      status: 200,
      ran: [['alice', true]],
    },
    throws: {
      login() {
        throw oops()
      },
      status: 500,
    },
    'throws nothing': {
      login() {
        throw undefined
      },
      status: 500,
    },
    rejects: { login: () => Promise.reject(oops()), status: 500 },
    'rejects with a status': {
      login: () => Promise.reject(Object.assign(oops(), { statusCode: 401 })),
      status: 401,
    },
    'rejects with nothing': { login: () => Promise.reject(), status: 500 },
    'answers by itself': { login: (_, reply) => reply.code(401).send({}), status: 401 },
    'answers by itself, and gives nothing back': {
      login(_, reply) {
        reply.code(401).send({})
      },
      status: 401,
    },
    'sends somewhere else': { login: (_, reply) => void reply.redirect('/login'), status: 302 },
    'answers by itself, later': {
      async login(_, reply) {
        await null
        return reply.code(401).send({})
      },
      status: 401,
    },
    'takes the answer over': {
      login(_, reply) {
        reply.hijack()
        setImmediate(() => reply.raw.writeHead(403).end())
      },
      status: 403,
    },
    'wants to be called back': {
      login: ((_request: unknown, _reply: unknown, done: () => void) => done()) as Login,
      status: 500,
    },
    'finds nobody, and goes on': { login: () => null, status: 200, ran: [[null, false]] },
  }

  it.each(Object.entries(logins))('that %s', async (_name, { login, status, ran = [] }) => {
    const { engine, mint, start } = engineOf()
    const seen: Ran[] = []
    let asked = 0
    const app = fastify()
    // Answers are made in more than one turn, as they are with many plugins.
    app.addHook('onSend', async (_request, _reply, payload) => {
      await new Promise(setImmediate)
      return payload
    })
    const authenticate: Login = (request, reply) => {
      asked++
      return login(request, reply)
    }
    await app.register(impersonateFastify, { impersonation: engine, authenticate } as never)
    app.all('/me', async (request) => {
      const { user } = request as { user?: User | null }
      const { impersonation } = request
      seen.push([
        user?.id ?? null,
        impersonation === undefined ? undefined : impersonation !== null,
      ])
      return {}
    })
    await app.ready()
    const send = await served((request, response) => app.routing(request, response), engine)
    await start()
    expect(await send(['Authorization', 'Bearer root'], 'POST')).toBe(status)
    await new Promise(setImmediate)
    expect(seen).toEqual(ran)
    const before = asked
    expect(await send(['Authorization', `Bearer ${await mint()}`], 'POST')).toBe(200)
    expect([asked - before, seen.at(-1)]).toEqual([0, ['alice', true]])
  })
})

describe('a login handed to Hono', () => {
  const logins: Record<string, { login: MiddlewareHandler; status: number; ran?: Ran[] }> = {
    'goes on': {
      async login(c, next) {
        c.set('user', { id: 'root' })
        await next()
      },
      status: 200,
      ran: [['alice', true]],
    },
    'goes on twice': {
      async login(c, next) {
        c.set('user', { id: 'root' })
        await next()
        await next()
      },
      status: 200,
      ran: [['alice', true]],
    },
    'goes on, and throws': {
      async login(c, next) {
        c.set('user', { id: 'root' })
        await next()
        throw oops()
      },
      status: 500,
    },
    throws: {
      async login() {
        throw oops()
      },
      status: 500,
    },
    'throws an answer': {
      async login() {
        throw new HTTPException(401)
      },
      status: 401,
    },
    'rejects with nothing': { login: () => Promise.reject(), status: 500 },
    'answers by itself': { login: async (c) => c.body(null, 401), status: 401 },
    'sets the answer': {
      async login(c) {
        c.res = c.body(null, 403)
      },
      status: 403,
    },
    'neither goes on nor answers': { login: async () => {}, status: 500 },
    'finds nobody, and goes on': {
      login: (_c, next) => next(),
      status: 200,
      ran: [[null, false]],
    },
  }

  it.each(Object.entries(logins))('that %s', async (_name, { login, status, ran = [] }) => {
    const { engine, mint, start } = engineOf()
    const seen: Ran[] = []
    let asked = 0
    const app = new Hono<{ Variables: { user: User | undefined } }>()
    app.onError((error, c) =>
      error instanceof HTTPException ? error.getResponse() : c.body(null, 500),
    )
    const authenticate: MiddlewareHandler = (c, next) => {
      asked++
      return login(c, next)
    }
    app.use(impersonateHono(engine, { authenticate }))
    app.all('/me', (c) => {
      seen.push([c.get('user')?.id ?? null, c.get('impersonation') !== null])
      return c.body(null, 200)
    })
    const listener = getRequestListener(app.fetch, {
      errorHandler: () => new Response(null, { status: 500 }),
    })
    const send = await served(listener, engine)
    await start()
    expect(await send(['Authorization', 'Bearer root'], 'POST')).toBe(status)
    expect(seen).toEqual(ran)
    const before = asked
    expect(await send(['Authorization', `Bearer ${await mint()}`], 'POST')).toBe(200)
    expect([asked - before, seen.at(-1)]).toEqual([0, ['alice', true]])
  })

  it('that reads all headers gets no token, though it comes second', async () => {
    const { engine, mint } = engineOf()
    const looked: string[] = []
    const app = new Hono()
    app.use(
      impersonateHono(engine, {
        async authenticate(c, next) {
          looked.push(c.req.header('authorization') ?? '')
          await next()
        },
      }),
    )
    app.all('/me', (c) => c.body(null, 200))
    const send = await served(getRequestListener(app.fetch), engine)
    const token = await mint()
    const pair = ['Authorization', 'Bearer root', 'Authorization', `Bearer ${token}`]
    expect(await send(pair)).toBe(400)
    expect(looked).toEqual([])
  })
})
