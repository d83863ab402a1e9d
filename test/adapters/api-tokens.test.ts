import express5, { type ErrorRequestHandler, type Request, type RequestHandler } from 'express'
import express4 from 'express4'
import fastify, { type FastifyRequest } from 'fastify'
import { type ErrorHandler, Hono } from 'hono'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { impersonate as inExpress, requireScope as scopeInExpress } from '../../adapters/express.ts'
import { impersonate as inFastify, requireScope as scopeInFastify } from '../../adapters/fastify.ts'
import { impersonate as inHono, requireScope as scopeInHono } from '../../adapters/hono.ts'
import {
  closeAll,
  errors,
  type Headers,
  keepQuiet,
  loginOf,
  root,
  served,
  type User,
  world,
} from './scoped-apps.ts'

/** What the suite can't say of every framework: hooks, routers, parsers, apps within apps. */

beforeEach(keepQuiet)
afterEach(closeAll)

describe.each([
  ['Express 5', express5],
  ['Express 4', express4 as typeof express5],
])('in %s', (_, express) => {
  const appOf = ({ engine, now }: ReturnType<typeof world>) => {
    const app = express()
    app.use((request, _response, next) => {
      Object.assign(request, { user: loginOf(request.get('authorization')) })
      next()
    })
    app.use(inExpress(engine))
    const seen = (request: Request) => [
      (request as never as { user?: User }).user?.id ?? null,
      ...now(),
    ]
    return { app, seen }
  }

  it('a scope is wanted before, after and without a parser of bodies', async () => {
    const here = world()
    const { app, seen } = appOf(here)
    const json = express.json()
    let reached = 0
    const handler: RequestHandler = (request, response) => {
      reached++
      response.json([...seen(request), Boolean(request.body?.text)])
    }
    app.post('/before', scopeInExpress('upload'), json, handler)
    app.post('/after', json, scopeInExpress('upload'), handler)
    const router = express.Router()
    router.use(scopeInExpress('upload'))
    router.post('/in', json, handler)
    app.use('/router', router)
    const send = await served(app)
    const [reads, uploads] = [
      await here.issue('alice', 'read'),
      await here.issue('alice', 'upload'),
    ]
    const body = JSON.stringify({ text: 'x'.repeat(60_000) })
    for (const path of ['/before', '/after', '/router/in']) {
      expect((await send('POST', path, reads, body)).status).toBe(403)
      expect((await send('POST', path, {}, body)).status).toBe(401)
      expect((await send('POST', path, { authorization: 'Bearer pv_live_x' }, body)).status).toBe(
        401,
      )
    }
    expect(reached).toBe(0)
    for (const path of ['/before', '/after', '/router/in']) {
      const { status, text } = await send('POST', path, uploads, body)
      expect([status, JSON.parse(text)]).toEqual([200, ['alice', 'alice', null, true]])
    }
  })

  it('HEAD follows GET, and OPTIONS is a request like any other', async () => {
    const here = world()
    const { app } = appOf(here)
    const done: string[] = []
    const handler: RequestHandler = (request, response) => {
      done.push(request.method)
      response.end('done')
    }
    app.get('/get', scopeInExpress('upload'), handler)
    app.all('/all', scopeInExpress('upload'), handler)
    const send = await served(app)
    const reads = await here.issue('alice', 'read')
    for (const [method, path, status] of [
      ['HEAD', '/get', 403],
      ['GET', '/get', 403],
      // By Express itself, which tells the methods and runs nothing.
      ['OPTIONS', '/get', 200],
      ['OPTIONS', '/all', 403],
    ] as const)
      expect([method, path, (await send(method, path, reads)).status]).toEqual([
        method,
        path,
        status,
      ])
    expect((await send('OPTIONS', '/all')).status).toBe(401)
    expect(done).toEqual([])
    const uploads = await here.issue('alice', 'upload')
    expect((await send('HEAD', '/get', uploads)).status).toBe(200)
    expect((await send('OPTIONS', '/all', uploads)).status).toBe(200)
    expect(done).toEqual(['HEAD', 'OPTIONS'])
  })

  it('one connection carries whoever comes, each as themselves', async () => {
    const here = world()
    const { app, seen } = appOf(here)
    app.get('/me', (request, response) => void response.json(seen(request)))
    const send = await served(app)
    const [alice, carol] = [await here.issue('alice', 'read'), await here.issue('carol', 'read')]
    await here.start()
    const told: unknown[] = []
    for (const headers of [
      alice,
      { authorization: 'Bearer root' },
      {},
      carol,
      await here.mint(),
      {},
    ]) {
      const { status, text, reused } = await send('GET', '/me', headers)
      told.push([status, ...JSON.parse(text)])
      expect(reused).toBe(told.length > 1)
    }
    expect(told).toEqual([
      [200, 'alice', 'alice', null],
      [200, 'bob', null, 'bob'],
      [200, null, null, null],
      [200, 'carol', 'carol', null],
      [200, 'dave', null, 'dave'],
      [200, null, null, null],
    ])
  })

  it('what handles errors still knows the token, and what a handler binds does too', async () => {
    const here = world()
    const { app } = appOf(here)
    let bound = (): unknown => undefined
    app.get('/fails', async (_request, _response, next) => {
      bound = here.engine.bind(here.now)
      await null
      next(new Error('failed'))
    })
    const handler: ErrorRequestHandler = (_error, request, response, _next) =>
      void response.status(500).json([request.apiToken?.id, here.engine.apiToken()?.id])
    app.use(handler)
    const send = await served(app)
    const { status, text } = await send('GET', '/fails', await here.issue('alice', 'read'))
    const [onRequest, inContext] = JSON.parse(text)
    expect([status, typeof onRequest]).toEqual([500, 'string'])
    expect(inContext).toBe(onRequest)
    expect(here.engine.tryApiToken()).toBe(undefined)
    expect(bound()).toEqual(['alice', null])
  })

  it('the owner goes where setUser puts them, and nobody is asked who is logged in', async () => {
    const { engine, issue } = world()
    const app = express()
    let asked = 0
    app.use(
      inExpress(engine, {
        getActor() {
          asked++
          return root
        },
        setUser: (request, user) => Object.assign(request, { account: user }),
      }),
    )
    app.get('/me', (request, response) => {
      const { account, user } = request as never as { account?: User; user?: User }
      response.json([account?.id ?? null, user?.id ?? null])
    })
    const send = await served(app)
    expect((await send('GET', '/me', await issue('alice', 'read'))).text).toBe('["alice",null]')
    expect(asked).toBe(0)
    expect((await send('GET', '/me')).text).toBe('[null,null]')
    expect(asked).toBe(1)
  })

  it('a route that wants a scope is closed above the middleware', async () => {
    const here = world()
    const app = express()
    app.get('/above', scopeInExpress('read'), (_request, response) => void response.end())
    app.use(inExpress(here.engine))
    app.use(errors)
    const send = await served(app)
    for (const headers of [await here.issue('alice', 'read'), {}]) {
      const { status, text } = await send('GET', '/above', headers)
      expect([status, text]).toEqual([500, '"ONBEHALF_NOT_MOUNTED"'])
    }
  })
})

const hooks = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const

describe('in Fastify', () => {
  for (const hook of hooks)
    it(`a scope is wanted from \`${hook}\` on, where the middleware runs, and closed before`, async () => {
      const here = world()
      const app = fastify()
      const handler = async (request: FastifyRequest) => [
        (request as { user?: User | null }).user?.id ?? null,
        ...here.now(),
      ]
      app.addHook('onRequest', async (request) => {
        Object.assign(request, { user: loginOf(request.headers.authorization) ?? null })
      })
      await app.register(inFastify, { impersonation: here.engine, hook } as never)
      const places = ['onRequest', 'preValidation', 'preHandler'] as const
      for (const place of places)
        app.post(`/${place}`, { [place]: scopeInFastify('upload') }, handler)
      const reads = await here.issue('alice', 'read')
      const uploads = await here.issue('alice', 'upload')
      const impersonating = await here.mint()
      for (const place of places) {
        const send = async (headers: Headers) => {
          const payload = { text: 'x'.repeat(60_000) }
          const reply = await app.inject({ method: 'POST', url: `/${place}`, headers, payload })
          return reply.statusCode === 200 ? reply.json() : reply.statusCode
        }
        const isKnown = hooks.indexOf(place) >= hooks.indexOf(hook)
        const told = []
        for (const headers of [
          reads,
          uploads,
          { authorization: 'Bearer carol' },
          {},
          impersonating,
        ])
          told.push(await send(headers))
        expect([place, ...told]).toEqual([
          place,
          ...(isKnown
            ? [403, ['alice', 'alice', null], ['carol', null, null], 401, ['dave', null, 'dave']]
            : [500, 500, 500, 500, 500]),
        ])
      }
      await app.close()
    })

  it.each(['before', 'after'])(
    'a scope that the whole app wants, by a hook %s ours, is none of our own routes’ affair',
    async (order) => {
      const here = world()
      const app = fastify()
      app.addHook('onRequest', async (request) => {
        Object.assign(request, { user: loginOf(request.headers.authorization) ?? null })
      })
      if (order === 'before') app.addHook('preHandler', scopeInFastify('upload'))
      void app.register(inFastify, { impersonation: here.engine } as never)
      if (order === 'after') app.addHook('preHandler', scopeInFastify('upload'))
      void app.register(async (scope) => {
        scope.get('/now', async () => here.now())
      })
      const [reads, uploads] = [
        await here.issue('alice', 'read'),
        await here.issue('alice', 'upload'),
      ]
      const ask = async (url: string, headers: Headers) => {
        const reply = await app.inject({ url, headers })
        return [reply.statusCode, reply.json().code]
      }
      const login = { authorization: 'Bearer root' }
      for (const headers of [reads, uploads])
        expect(await ask('/impersonation/status', headers)).toEqual([403, 'not_allowed'])
      const nobody = { 'sec-fetch-site': 'same-origin' }
      expect(await ask('/impersonation/status', nobody)).toEqual([401, 'unauthenticated'])
      expect(await ask('/impersonation/status', login)).toEqual([200, undefined])
      expect(await ask('/impersonation/openapi.json', {})).toEqual([200, undefined])
      expect(await ask('/now', reads)).toEqual([403, 'insufficient_scope'])
      expect(await ask('/now', uploads)).toEqual([200, undefined])
      expect(await ask('/now', {})).toEqual([401, 'unauthenticated'])
      await app.close()
    },
  )

  it('a scope of one plugin is closed in another, where nothing is mounted', async () => {
    const here = world()
    const app = fastify()
    await app.register(async (scope) => {
      await scope.register(inFastify, { impersonation: here.engine } as never)
      scope.get('/inside', { preHandler: scopeInFastify('read') }, async () => 'done')
    })
    app.get('/outside', { preHandler: scopeInFastify('read') }, async () => 'done')
    const headers = await here.issue('alice', 'read')
    expect((await app.inject({ url: '/inside', headers })).statusCode).toBe(200)
    const { statusCode, json } = await app.inject({ url: '/outside', headers })
    expect([statusCode, json().code]).toEqual([500, 'ONBEHALF_NOT_MOUNTED'])
    await app.close()
  })

  it('the owner goes where setUser puts them, and nobody is asked who is logged in', async () => {
    const here = world()
    const app = fastify()
    const options = {
      impersonation: here.engine,
      getActor: () => Promise.reject(new Error('no login of mine')),
      setUser: (request: object, user: User) => Object.assign(request, { account: user }),
    }
    await app.register(inFastify, options as never)
    app.get('/me', async (request) => (request as { account?: User }).account)
    const headers = await here.issue('alice', 'read')
    expect((await app.inject({ url: '/me', headers })).json()).toEqual({ id: 'alice' })
    const own = await app.inject({ url: '/impersonation/status', headers })
    expect([own.statusCode, own.json().code]).toEqual([403, 'not_allowed'])
    expect((await app.inject({ url: '/me' })).statusCode).toBe(500)
    await app.close()
  })

  it('HEAD follows GET', async () => {
    const here = world()
    const app = fastify()
    await app.register(inFastify, { impersonation: here.engine } as never)
    app.get('/get', { preHandler: scopeInFastify('upload') }, async () => 'done')
    const [reads, uploads] = [
      await here.issue('alice', 'read'),
      await here.issue('alice', 'upload'),
    ]
    const head = (headers: Headers) => app.inject({ method: 'HEAD', url: '/get', headers })
    expect((await head(reads)).statusCode).toBe(403)
    expect((await head({})).statusCode).toBe(401)
    expect((await head(uploads)).statusCode).toBe(200)
    await app.close()
  })
})

describe('in Hono', () => {
  it('the owner goes where setUser puts them, and nobody is asked who is logged in', async () => {
    const here = world()
    const app = new Hono<{ Variables: { account: User } }>()
    app.use(
      inHono(here.engine, {
        getActor: () => Promise.reject(new Error('no login of mine')),
        setUser: (c, user) => c.set('account', user),
      }),
    )
    app.get('/me', (c) => c.json(c.get('account')))
    const headers = await here.issue('alice', 'read')
    expect(await (await app.request('/me', { headers })).json()).toEqual({ id: 'alice' })
    const own = await app.request('/impersonation/status', { headers })
    expect([own.status, (await own.json()).code]).toEqual([403, 'not_allowed'])
    expect((await app.request('/me')).status).toBe(500)
  })

  it('apps below share the token, and one that is mounted beside knows of nothing', async () => {
    const here = world()
    const app = new Hono()
    const onError: ErrorHandler = (error, c) =>
      c.text((error as { code?: string }).code ?? error.message, 500)
    app.onError(onError)
    app.use(inHono(here.engine))
    const below = new Hono()
    below.use(scopeInHono('upload'))
    below.post('/files', (c) => c.json([...here.now(), c.get('apiToken')?.owner]))
    app.route('/below', below)
    const beside = new Hono()
    beside.onError(onError)
    beside.post('/files', scopeInHono('upload'), (c) => c.text('done'))
    app.mount('/beside', beside.fetch)
    const send = async (path: string, headers: Record<string, string>) => {
      const response = await app.request(path, { method: 'POST', headers })
      return [response.status, await response.text()]
    }
    const [reads, uploads] = [
      await here.issue('alice', 'read'),
      await here.issue('alice', 'upload'),
    ]
    expect(await send('/below/files', uploads)).toEqual([200, '["alice",null,{"id":"alice"}]'])
    expect((await send('/below/files', reads))[0]).toBe(403)
    expect((await send('/below/files', {}))[0]).toBe(401)
    for (const headers of [reads, uploads, {}])
      expect(await send('/beside/files', headers)).toEqual([500, 'ONBEHALF_NOT_MOUNTED'])
  })

  it('HEAD follows GET, and OPTIONS is a request like any other', async () => {
    const here = world()
    const app = new Hono()
    app.use(inHono(here.engine))
    app.use(scopeInHono('upload'))
    app.get('/get', (c) => c.text('done'))
    app.options('/get', (c) => c.text('done'))
    const reads = await here.issue('alice', 'read')
    for (const method of ['GET', 'HEAD', 'OPTIONS'])
      expect((await app.request('/get', { method, headers: reads })).status).toBe(403)
    expect((await app.request('/get', { method: 'OPTIONS' })).status).toBe(401)
  })
})
