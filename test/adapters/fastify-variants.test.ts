import fastifyJwt from '@fastify/jwt'
import fastify, { type FastifyRequest } from 'fastify'
import { describe, expect, it } from 'vitest'
import { impersonate } from '../../adapters/fastify.ts'
import { createImpersonation, memoryStore } from '../../src/index.ts'
import { adapterTests, type TestUser } from '../../src/testing/index.ts'
import { nodeRawWays } from './mount-express.ts'
import { mountFastify } from './mount-fastify.ts'

const fewer = { rawWays: nodeRawWays.slice(0, 1), requests: 300 }

describe('with the login in preHandler and the hook there too', () => {
  const mount = mountFastify({ hook: 'preHandler', layerHook: 'preHandler' })
  adapterTests({ describe, it }, mount, { ...fewer, readsBodyFirst: true })
})

describe('with a router that takes every spelling', () => {
  const routerOptions = {
    caseSensitive: false,
    ignoreTrailingSlash: true,
    ignoreDuplicateSlashes: true,
    useSemicolonDelimiter: true,
  }
  adapterTests({ describe, it }, mountFastify({ server: { routerOptions } }), fewer)
})

describe('with getActor and setUser on a property of another name', () => {
  const mount = mountFastify({
    slot: 'account',
    getActor: async (request) => (request as never as { account?: TestUser }).account,
    setUser: (request, user) => Object.assign(request, { account: user }),
  })
  adapterTests({ describe, it }, mount, { ...fewer, holdsSlot: false, tellsOrder: false })
})

describe('with userProperty', () => {
  const mount = mountFastify({ slot: 'account', userProperty: 'account' })
  adapterTests({ describe, it }, mount, fewer)
})

describe('with @fastify/jwt, verified by each route', () => {
  async function build() {
    const users = [
      { id: 'root', isAdmin: true },
      { id: 'alice', isAdmin: false },
    ]
    const impersonation = createImpersonation({
      store: memoryStore(),
      findUser: (id) => users.find((user) => user.id === id),
      can: (user) => user.isAdmin,
    })
    const app = fastify()
    await app.register(fastifyJwt, { secret: 'a secret of the tests, and of no other place' })
    await app.register(impersonate, {
      impersonation,
      getActor: async (request: FastifyRequest) => {
        if (!request.headers.authorization) return null
        const { sub } = await request.jwtVerify<{ sub: string }>()
        return users.find((user) => user.id === sub)
      },
    })
    app.get('/me', async (request) => ({
      user: request.user,
      now: impersonation.current()?.target,
    }))
    const call = (method: 'GET' | 'POST', url: string, payload?: object) =>
      app.inject({
        method,
        url,
        ...(payload && { payload }),
        headers: { authorization: `Bearer ${app.jwt.sign({ sub: 'root' })}` },
      })
    return { app, call }
  }

  it('runs as the target, and refuses what is no token', async () => {
    const { app, call } = await build()
    const body = { target_user_id: 'alice', reason: 'a test' }
    expect((await call('POST', '/impersonation/start', body)).statusCode).toBe(201)
    expect((await call('GET', '/me')).json()).toEqual({
      user: { id: 'alice', isAdmin: false },
      now: { id: 'alice', isAdmin: false },
    })
    const forged = await app.inject({ url: '/me', headers: { authorization: 'Bearer a.b.c' } })
    expect(forged.statusCode).toBe(401)
    expect((await app.inject({ url: '/me' })).json()).toEqual({ user: null })
    await app.close()
  })
})
