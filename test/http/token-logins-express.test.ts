import express5, { type RequestHandler } from 'express'
import express4 from 'express4'
import { afterEach, describe, expect, it } from 'vitest'
import { impersonate } from '../../adapters/express.ts'
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

describe.each([
  ['Express 5', express5],
  ['Express 4', express4 as typeof express5],
])('a login handed to %s', (_, express) => {
  const logins: Record<string, { login: RequestHandler; status: number; ran?: Ran[] }> = {
    'goes on': {
      login(request, _response, next) {
        asRoot(request)
        next()
      },
      status: 200,
      ran: [['alice', true]],
    },
    'goes on later': {
      login(request, _response, next) {
        asRoot(request)
        setImmediate(next)
      },
      status: 200,
      ran: [['alice', true]],
    },
    'goes on twice': {
      login(request, _response, next) {
        asRoot(request)
        next()
        next()
      },
      status: 200,
      ran: [['alice', true]],
    },
    'goes on twice, once later': {
      login(request, _response, next) {
        asRoot(request)
        next()
        setImmediate(next)
      },
      status: 200,
      ran: [['alice', true]],
    },
    'goes on, and rejects': {
      async login(request, _response, next) {
        asRoot(request)
        next()
        throw undefined
      },
      status: 500,
      ran: [['alice', true]],
    },
    'leaves the route, where there is none': {
      login(request, _response, next) {
        asRoot(request)
        next('route')
      },
      status: 200,
      ran: [['alice', true]],
    },
    'leaves the router': { login: (_request, _response, next) => next('router'), status: 404 },
    'goes on with an error': { login: (_request, _response, next) => next(oops()), status: 500 },
    'goes on with an error, and then without': {
      login(request, _response, next) {
        asRoot(request)
        next(oops())
        next()
      },
      status: 500,
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
    'throws a word of Express': {
      login() {
        throw 'route'
      },
      status: 500,
    },
    rejects: { login: () => Promise.reject(oops()), status: 500 },
    'rejects with nothing': { login: () => Promise.reject(), status: 500 },
    'rejects with a word of Express': { login: () => Promise.reject('router'), status: 500 },
    'answers by itself': {
      login: (_request, response) => void response.status(401).end(),
      status: 401,
    },
    'answers by itself, later': {
      async login(_request, response) {
        await null
        response.status(403).end()
      },
      status: 403,
    },
    'finds nobody, and goes on': {
      login: (_request, _response, next) => next(),
      status: 200,
      ran: [[null, false]],
    },
  }

  it.each(Object.entries(logins))('that %s', async (_name, { login, status, ran = [] }) => {
    const { engine, mint, start } = engineOf()
    const seen: Ran[] = []
    let asked = 0
    const app = express()
    // Quiet: Express writes the errors of tests to stderr.
    app.set('env', 'test')
    app.use(
      impersonate(engine, {
        authenticate(request, response, next) {
          asked++
          return login(request, response, next)
        },
      }),
    )
    app.all('/me', async (request, response) => {
      await new Promise(setImmediate)
      await new Promise(setImmediate)
      const user = request.user as User | undefined
      seen.push([user?.id ?? null, isImpersonated(request.impersonation)])
      if (!response.headersSent) response.end()
    })
    const send = await served(app, engine)
    await start()
    // Known from then on, so that the rest happens at once.
    await send(['Authorization', 'Bearer root'], 'POST')
    await send(['Authorization', 'Bearer root'], 'POST')
    for (let n = 0; n < 5; n++) await new Promise(setImmediate)
    seen.length = 0
    expect(await send(['Authorization', 'Bearer root'], 'POST')).toBe(status)
    for (let n = 0; n < 5; n++) await new Promise(setImmediate)
    expect(seen).toEqual(ran)
    // A token does not come near it.
    const before = asked
    expect(await send(['Authorization', `Bearer ${await mint()}`], 'POST')).toBe(200)
    expect([asked - before, seen.at(-1)]).toEqual([0, ['alice', true]])
  })

  it('stands before the public keys, too, unless they are mounted above it', async () => {
    const authenticate: RequestHandler = (_request, response) => void response.status(401).end()
    const { engine } = engineOf()
    const app = express()
    app.use('/inner', impersonate(engine, { authenticate }))
    app.get('/impersonation/jwks.json', impersonate(engine))
    app.use(impersonate(engine, { authenticate }))
    const send = await served(app, engine)
    const get = (path: string) => send([], 'GET', path)
    expect(await get('/inner/impersonation/jwks.json')).toBe(401)
    expect(await get('/impersonation/jwks.json')).toBe(200)
    expect(await get('/impersonation/status')).toBe(401)
    expect(await get('/me')).toBe(401)
  })

  it('that counts letters, or reads the second header, gets no token', async () => {
    const { engine, mint } = engineOf()
    const looked: string[] = []
    const app = express()
    const authenticate: RequestHandler = ({ headers, rawHeaders }, response) => {
      const { authorization = '' } = headers
      looked.push(authorization.slice(4), authorization.slice(6), authorization.slice(7))
      looked.push(authorization.split(' ')[1] ?? '', ...rawHeaders)
      response.status(401).end()
    }
    app.use(impersonate(engine, { authenticate }))
    app.all('/me', (_request, response) => void response.end())
    const send = await served(app, engine)
    const token = await mint()
    for (const authorization of [
      `Bearer ${token}`,
      `Bearer:${token}`,
      `BearerX${token}`,
      `B eareX${token}`,
      `Token:${token}`,
      `JWT=${token}`,
      `Bearer "${token}"`,
      `Bearer  ${token} `,
      `Basic ${token}`,
      `Bearer x,Bearer ${token}`,
    ]) {
      const status = await send(['Authorization', authorization])
      expect([authorization, status === 401 || status === 200]).toEqual([authorization, true])
    }
    expect(await send(['authorization', 'Bearer root', 'authorization', `Bearer ${token}`])).toBe(
      400,
    )
    expect(looked.filter((each) => each.includes(token))).toEqual([])
    expect(await send(['Authorization', 'Bearer root'])).toBe(401)
    expect(looked).toContain('root')
  })
})

/** Undefined where the middleware has not seen the request. */
const isImpersonated = (impersonation: unknown) =>
  impersonation === undefined ? undefined : impersonation !== null
