import express, { type Request } from 'express'
import type { FastifyRequest } from 'fastify'
import fastify from 'fastify'
import { Hono } from 'hono'
import { expect, expectTypeOf, it } from 'vitest'
import { impersonate as inExpress, requireScope as scopeInExpress } from '../../adapters/express.ts'
import { impersonate as inFastify, requireScope as scopeInFastify } from '../../adapters/fastify.ts'
import { impersonate as inHono, requireScope as scopeInHono } from '../../adapters/hono.ts'
import {
  type ApiTokenContext,
  createImpersonation,
  type Impersonation,
  type ImpersonationEngine,
  type ImpersonationOptions,
  memoryStore,
} from '../../src/index.ts'

/** Checked by the compiler (`npm run types`); running it only proves that it is wired as written. */
const users = [{ id: 'root', isAdmin: true, tags: ['a'] }]
type User = (typeof users)[number]

const engine = createImpersonation({
  store: memoryStore(),
  findUser: (id) => users.find((user) => user.id === id),
  can: (user) => user.isAdmin,
  describe: (user) => ({ id: user.id, name: user.tags.join() }),
})

it('infers the user from findUser, without type arguments', () => {
  expectTypeOf(engine.current).returns.toEqualTypeOf<Impersonation<User> | null>()
  expectTypeOf(engine.tryCurrent).returns.toEqualTypeOf<Impersonation<User> | null | undefined>()
  const later = createImpersonation({
    store: memoryStore(),
    findUser: async (id) => users.find((user) => user.id === id) ?? null,
    can: async (user) => user.isAdmin,
  })
  expectTypeOf(later.current).returns.toEqualTypeOf<Impersonation<User> | null>()
})

it('refuses a `can` that reads what the user has not', () => {
  createImpersonation({
    store: memoryStore(),
    findUser: (id) => users.find((user) => user.id === id),
    // @ts-expect-error there is no such field
    can: (user) => user.isSuperuser,
  })
})

it('types what the adapters put on requests', () => {
  expectTypeOf<Request['impersonation']>().toEqualTypeOf<
    Impersonation<unknown> | null | undefined
  >()
  expectTypeOf<FastifyRequest['impersonation']>().toEqualTypeOf<
    Impersonation<unknown> | null | undefined
  >()
  new Hono().get('/', (c) => {
    expectTypeOf(c.get('impersonation')).toEqualTypeOf<Impersonation<unknown> | null>()
    expectTypeOf(c.var.impersonation).toEqualTypeOf<Impersonation<unknown> | null>()
    return c.body(null)
  })
})

it('takes the engine as it is, and types the functions of the options by its user', async () => {
  express().use(inExpress(engine))
  express().use(
    inExpress(engine, {
      getActor: (request) => users.find((user) => user.id === request.get('x-user')),
      setUser(_, user) {
        expectTypeOf(user).toEqualTypeOf<User>()
      },
    }),
  )
  new Hono().use(inHono(engine, { getActor: async () => users[0] }))
  const app = fastify()
  await app.register(inFastify, { impersonation: engine })
  await app.ready()
  expect(app.hasRoute({ method: 'GET', url: '/impersonation' })).toBe(true)
  // @ts-expect-error somebody who is no such user
  inExpress(engine, { getActor: () => ({ name: 'x' }) })
})

type Scope = 'read' | 'upload'
const base = {
  store: memoryStore(),
  findUser: (id: string) => users.find((user) => user.id === id),
  can: (user: User) => user.isAdmin,
}
const scoped = createImpersonation({
  ...base,
  apiTokens: {
    prefix: 'pv_live_',
    scopes: ['read', 'upload'],
    services: { is: (user) => user.tags.includes('service') },
    listUsers: () => ({ users, nextCursor: null }),
  },
})

it('infers the scopes from the options', () => {
  expectTypeOf(scoped).toEqualTypeOf<ImpersonationEngine<User, Scope>>()
  expectTypeOf(scoped.requireScope).parameters.toEqualTypeOf<Scope[]>()
  expectTypeOf(scoped.apiToken).returns.toEqualTypeOf<ApiTokenContext<User, Scope> | null>()
  expectTypeOf(scoped.tryApiToken).returns.toEqualTypeOf<
    ApiTokenContext<User, Scope> | null | undefined
  >()
  type Scopes = NonNullable<ReturnType<typeof scoped.apiToken>>['scopes']
  expectTypeOf<Scopes>().toEqualTypeOf<readonly Scope[]>()
  scoped.run(null, () => {
    scoped.requireScope('read', 'upload')
    // @ts-expect-error a typo does not compile
    expect(() => scoped.requireScope('uplaod')).toThrow(TypeError)
  })
})

it('takes any text for a scope where there are no API tokens', () => {
  expectTypeOf(engine).toEqualTypeOf<ImpersonationEngine<User>>()
  expectTypeOf(engine.requireScope).parameters.toEqualTypeOf<string[]>()
  expectTypeOf(engine.apiToken).returns.toEqualTypeOf<ApiTokenContext<User> | null>()
})

it('takes options from a variable, however it is written', () => {
  const plain = { prefix: 'pv_live_', scopes: ['read', 'upload'] }
  expectTypeOf(
    createImpersonation({ ...base, apiTokens: plain }).requireScope,
  ).parameters.toEqualTypeOf<string[]>()
  const fixed = { prefix: 'pv_live_', scopes: ['read', 'upload'] } as const
  expectTypeOf(
    createImpersonation({ ...base, apiTokens: fixed }).requireScope,
  ).parameters.toEqualTypeOf<Scope[]>()
  const whole = { ...base, apiTokens: fixed } satisfies ImpersonationOptions<User>
  expectTypeOf(createImpersonation(whole).requireScope).parameters.toEqualTypeOf<Scope[]>()
  const loose = { ...base, apiTokens: plain } satisfies ImpersonationOptions<User>
  expectTypeOf(createImpersonation(loose).requireScope).parameters.toEqualTypeOf<string[]>()
  const told: ImpersonationOptions<User> = { ...base, apiTokens: plain }
  expectTypeOf(createImpersonation(told)).toEqualTypeOf<ImpersonationEngine<User>>()
  // One argument, as before there were scopes.
  expectTypeOf(createImpersonation<User>(told)).toEqualTypeOf<ImpersonationEngine<User>>()
  const maybe: { apiTokens?: typeof fixed } = { apiTokens: fixed }
  expectTypeOf(createImpersonation({ ...base, ...maybe }).requireScope).parameters.toEqualTypeOf<
    Scope[]
  >()
})

it('takes an engine with scopes wherever one without them is wanted', async () => {
  const any: ImpersonationEngine<User> = scoped
  expectTypeOf(any.apiToken).returns.toEqualTypeOf<ApiTokenContext<User> | null>()
  express().use(inExpress(scoped, { getActor: () => users[0] }), scopeInExpress('upload'))
  new Hono().use(inHono(scoped, { getActor: () => users[0] }), scopeInHono('upload'))
  const app = fastify()
  await app.register(inFastify, { impersonation: scoped })
  const preHandler = scopeInFastify('upload')
  app.get('/', { onRequest: preHandler, preValidation: [preHandler], preHandler }, async () => '')
  // @ts-expect-error the body is not there yet, and its hook is called otherwise
  const wrong = () => app.get('/wrong', { preParsing: preHandler }, async () => '')
  expect(wrong).toBeTypeOf('function')
  await app.close()
})

it('types the API token that the adapters put on requests', () => {
  type Told = ApiTokenContext<unknown> | null | undefined
  expectTypeOf<Request['apiToken']>().toEqualTypeOf<Told>()
  expectTypeOf<FastifyRequest['apiToken']>().toEqualTypeOf<Told>()
  new Hono().get('/', (c) => {
    expectTypeOf(c.get('apiToken')).toEqualTypeOf<Told>()
    expectTypeOf(c.var.apiToken).toEqualTypeOf<Told>()
    return c.body(null)
  })
})
