import express, { type Request } from 'express'
import type { FastifyRequest } from 'fastify'
import fastify from 'fastify'
import { Hono } from 'hono'
import { expect, expectTypeOf, it } from 'vitest'
import { impersonate as inExpress } from '../../adapters/express.ts'
import { impersonate as inFastify } from '../../adapters/fastify.ts'
import { impersonate as inHono } from '../../adapters/hono.ts'
import { createImpersonation, type Impersonation, memoryStore } from '../../src/index.ts'

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
