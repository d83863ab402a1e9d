import http from 'node:http'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { impersonate } from '../../adapters/express.ts'
import { createImpersonation, memoryStore } from '../../src/index.ts'
import { adapterTests, type TestUser } from '../../src/testing/index.ts'
import { listen } from './listen.ts'
import { mountExpress } from './mount-express.ts'

const account = (request: object) => (request as { account?: TestUser }).account

describe('with getActor that answers later, and setUser', () => {
  const mount = mountExpress(express, {
    slot: 'account',
    getActor: async (request) => account(request),
    setUser: (request, user) => Object.assign(request, { account: user }),
  })
  adapterTests({ describe, it }, mount, { requests: 300, holdsSlot: false, tellsOrder: false })
})

it('waits for what is no Promise but can be waited for, as query builders give', async () => {
  const users = [
    { id: 'root', isAdmin: true },
    { id: 'alice', isAdmin: false },
  ]
  const engine = createImpersonation({
    store: memoryStore(),
    findUser: (id) => users.find((user) => user.id === id),
    can: (user) => user.isAdmin,
  })
  // biome-ignore lint/suspicious/noThenProperty: that is the point
  const query = { then: (done: (user: unknown) => void) => done(users[0]) }
  const app = express()
  app.use(impersonate(engine, { getActor: () => query as never }))
  app.get('/me', (request, response) => {
    response.json((request as never as { user?: unknown }).user ?? null)
  })
  const { url, close } = await listen(http.createServer(app))
  await engine.sessions.start(engine.caller({ id: 'root', isAdmin: true }), {
    targetUserId: 'alice',
    reason: 'a test',
  })
  expect(await (await fetch(`${url}/me`)).json()).toEqual(users[1])
  await close()
})

describe('options', () => {
  const engine = createImpersonation<TestUser>({
    store: memoryStore(),
    findUser: () => null,
    can: () => false,
  })

  it.each([
    ['userProperty', ''],
    ['userProperty', 7],
    ['getActor', 'user'],
    ['setUser', {}],
  ])('%s must not be %j, and the message says which', (name, value) => {
    expect(() => impersonate(engine, { [name]: value } as never)).toThrow(`option "${name}"`)
  })

  it('wants the engine', () => {
    expect(() => impersonate({} as never)).toThrow(/createImpersonation/)
    expect(() => impersonate(undefined as never)).toThrow(TypeError)
  })
})
