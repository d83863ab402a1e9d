import type http from 'node:http'
import { getRequestListener } from '@hono/node-server'
import express5 from 'express'
import fastify, { type FastifyRequest } from 'fastify'
import { type Context, Hono } from 'hono'
import { getRequestListener as olderListener } from 'hono-node-server1'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { impersonate as inExpress, requireScope as scopeInExpress } from '../../adapters/express.ts'
import { impersonate as inFastify, requireScope as scopeInFastify } from '../../adapters/fastify.ts'
import { impersonate as inHono, requireScope as scopeInHono } from '../../adapters/hono.ts'
import { createImpersonation, memoryStore } from '../../src/index.ts'
import {
  closeAll,
  closing,
  errors,
  type Headers,
  keepQuiet,
  loginOf,
  root,
  served,
  type User,
  world,
} from './scoped-apps.ts'

/** Requests within requests, and layers of the host that write what is ours. */

beforeEach(keepQuiet)
afterEach(closeAll)

describe.each(['always', 'impersonating'] as const)('with context `%s`', (context) => {
  /** An app that asks itself, as servers do that render pages. */
  type Ask = (path: string, headers?: Record<string, string>) => Promise<unknown>
  const apps: Record<string, (here: ReturnType<typeof world>) => Promise<Ask>> = {
    async Fastify({ engine, now }) {
      const app = fastify()
      app.addHook('onRequest', async (request) => {
        Object.assign(request, { user: loginOf(request.headers.authorization) ?? null })
      })
      await app.register(inFastify, { impersonation: engine } as never)
      const ask: Ask = async (url, headers = {}) => (await app.inject({ url, headers })).json()
      app.get('/now', async () => now())
      app.get('/page', async (request) => {
        const { inner } = request.headers as { inner?: string }
        return [await ask('/now', inner ? { authorization: inner } : {}), now()]
      })
      closing(() => app.close())
      return ask
    },
    async Hono(here) {
      const app = honoOf(here)
      return async (path, headers = {}) => (await app.request(path, { headers })).json()
    },
    async 'Hono on a server'(here) {
      const send = await served(getRequestListener(honoOf(here).fetch))
      return async (path, headers) => JSON.parse((await send('GET', path, headers)).text)
    },
    async 'Hono on an older server'(here) {
      const send = await served(olderListener(honoOf(here).fetch))
      return async (path, headers) => JSON.parse((await send('GET', path, headers)).text)
    },
  }

  function honoOf({ engine, now }: ReturnType<typeof world>) {
    const app = new Hono<{ Variables: { user: User | undefined } }>()
    app.use((c, next) => {
      c.set('user', loginOf(c.req.header('authorization')))
      return next()
    })
    app.use(inHono(engine))
    app.get('/now', (c) => c.json(now()))
    app.get('/page', async (c) => {
      const inner = c.req.header('inner')
      const headers = inner ? { authorization: inner } : undefined
      // With the environment of this one, in which servers keep their request.
      const response = await app.request('/now', { ...(headers && { headers }) }, c.env)
      return c.json([await response.json(), now()])
    })
    return app
  }

  it.each(Object.keys(apps))('a request within a request is its own in %s', async (name) => {
    const here = world({ context })
    const ask = (await apps[name]?.(here)) as Ask
    const alice = await here.issue('alice', 'read')
    await here.start()
    const callers = {
      alice: [alice, ['alice', null]],
      root: [{ authorization: 'Bearer root' }, [null, 'bob']],
      program: [await here.mint(), [null, 'dave']],
      carol: [{ authorization: 'Bearer carol' }, [null, null]],
      nobody: [{ authorization: '' }, [null, null]],
    } as const
    for (const [outer, asOuter] of Object.values(callers))
      for (const [inner, asInner] of Object.values(callers))
        expect(await ask('/page', { ...outer, inner: inner.authorization })).toEqual([
          asInner,
          asOuter,
        ])
  })
})

/** Layers that make a header of a cookie are as old as cookies. */
describe('a login that puts the token into the header by itself', () => {
  const cookie = /^token=(.*)$/
  const tokenIn = (text: string | undefined) => cookie.exec(text ?? '')?.[1]

  const apps: Record<string, (here: ReturnType<typeof world>) => Promise<http.RequestListener>> = {
    async Express({ engine, now }) {
      const app = express5()
      app.use(
        inExpress(engine, {
          authenticate(request, _response, next) {
            const token = tokenIn(request.headers.cookie)
            if (token) request.headers.authorization = `Bearer ${token}`
            next()
          },
        }),
      )
      app.post(
        '/files',
        scopeInExpress('upload'),
        (_request, response) => void response.json(now()),
      )
      return app
    },
    async Fastify({ engine, now }) {
      const app = fastify()
      const authenticate = (request: FastifyRequest) => {
        const token = tokenIn(request.headers.cookie)
        if (token) request.headers.authorization = `Bearer ${token}`
      }
      await app.register(inFastify, { impersonation: engine, authenticate } as never)
      app.post('/files', { preHandler: scopeInFastify('upload') }, async () => now())
      await app.ready()
      return (request, response) => app.routing(request, response)
    },
    async Hono({ engine, now }) {
      const app = new Hono<{ Bindings: { incoming: http.IncomingMessage } }>()
      app.use(
        inHono(engine, {
          async authenticate(c: Context, next) {
            const token = tokenIn(c.req.header('cookie'))
            if (token) c.env.incoming.headers.authorization = `Bearer ${token}`
            await next()
          },
        }),
      )
      app.post('/files', scopeInHono('upload'), (c) => c.json(now()))
      return getRequestListener(app.fetch)
    },
  }

  it.each(Object.keys(apps))('is taken at its word in %s', async (name) => {
    const here = world()
    const send = await served((await apps[name]?.(here)) as http.RequestListener)
    const ask = async (headers: { authorization: string }) => {
      const token = headers.authorization.split(' ')[1]
      const { status, text } = await send('POST', '/files', { cookie: `token=${token}` })
      return status === 200 ? JSON.parse(text) : status
    }
    expect(await ask(await here.issue('alice', 'upload'))).toEqual(['alice', null])
    expect(await ask(await here.issue('alice', 'read'))).toBe(403)
    expect(await ask(await here.mint())).toEqual([null, 'dave'])
    expect(await ask({ authorization: 'Bearer x' })).toBe(401)
  })
})

/** What is on the request is there to be read. Hosts have tokens of their own, under the same name. */
describe('a later layer that writes what handlers read of the token', () => {
  const forged = [{ scopes: ['upload'], owner: root, issuedBy: 'me' }, null, undefined, 'a token']
  type Build = (here: ReturnType<typeof world>, left: unknown) => Promise<http.RequestListener>

  const apps: Record<string, Build> = {
    async Express({ engine, now }, left) {
      const app = express5()
      const inner = express5.Router()
      inner.post('/files', scopeInExpress('upload'), (_request, response) => {
        response.json(now())
      })
      app.use(inExpress(engine), (request, _response, next) => {
        Object.assign(request, { apiToken: left, impersonation: left })
        next()
      })
      // As layers hand on that wrap a request: what is inherited counts as well.
      app.use('/wrapped', (request, response, next) =>
        inner(Object.create(request), response, next),
      )
      app.use(inner, errors)
      return app
    },
    async Fastify({ engine, now }, left) {
      const app = fastify()
      await app.register(inFastify, { impersonation: engine } as never)
      app.addHook('onRequest', async (request) => {
        Object.assign(request, { apiToken: left, impersonation: left })
      })
      for (const path of ['/files', '/wrapped/files'])
        app.post(path, { preHandler: scopeInFastify('upload') }, async () => now())
      await app.ready()
      return (request, response) => app.routing(request, response)
    },
    async Hono({ engine, now }, left) {
      const app = new Hono()
      app.use(inHono(engine), (c, next) => {
        c.set('apiToken', left as never)
        c.set('impersonation', left as never)
        return next()
      })
      for (const path of ['/files', '/wrapped/files'])
        app.post(path, scopeInHono('upload'), (c) => c.json(now()))
      return getRequestListener(app.fetch)
    },
  }

  it.each(Object.keys(apps))('decides nothing in %s', async (name) => {
    for (const left of forged) {
      const here = world()
      const send = await served((await apps[name]?.(here, left)) as http.RequestListener)
      for (const path of ['/files', '/wrapped/files']) {
        const body = JSON.stringify({ text: 'x'.repeat(60_000) })
        const told = async (headers: Headers) => {
          const { status, text } = await send('POST', path, headers, body)
          return status === 200 ? JSON.parse(text) : status
        }
        expect(await told(await here.issue('alice', 'read'))).toBe(403)
        expect(await told({})).toBe(401)
        expect(await told(await here.issue('alice', 'upload'))).toEqual(['alice', null])
        expect(await told(await here.mint())).toEqual([null, 'dave'])
      }
    }
  })

  it.each(Object.keys(apps))('opens nothing in %s where API tokens are off', async (name) => {
    for (const left of forged) {
      const { engine } = world()
      const off = createImpersonation<User>({
        store: memoryStore(),
        findUser: (id) => ({ id }),
        can: () => false,
      })
      const here = { ...world(), engine: off as typeof engine }
      const send = await served((await apps[name]?.(here, left)) as http.RequestListener)
      expect((await send('POST', '/files')).status).toBe(500)
    }
  })
})
