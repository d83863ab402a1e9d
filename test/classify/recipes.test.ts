import http from 'node:http'
import { initTRPC } from '@trpc/server'
import { createExpressMiddleware } from '@trpc/server/adapters/express'
import { fastifyTRPCPlugin } from '@trpc/server/adapters/fastify'
import { fetchRequestHandler } from '@trpc/server/adapters/fetch'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { impersonate as inExpress } from '../../adapters/express.ts'
import { impersonate as inFastify } from '../../adapters/fastify.ts'
import { impersonate as inHono } from '../../adapters/hono.ts'
import { impersonation as composed } from '../../examples/classify/graphql.ts'
import { jsonRpcClassifier } from '../../examples/classify/json-rpc.ts'
import { trpcClassifier } from '../../examples/classify/trpc.ts'
import {
  type AccessLevel,
  createImpersonation,
  type ImpersonationEngine,
  memoryStore,
} from '../../src/index.ts'
import { type Ask, type Client, createClient } from '../../src/testing/adapter/client.ts'
import type { MountedApp } from '../../src/testing/index.ts'
import { listen } from '../adapters/listen.ts'
import { asker } from './ask.ts'
import type { Person } from './hosts.ts'

const people = new Map<string, Person>([
  ['root', { id: 'root', isAdmin: true }],
  ['alice', { id: 'alice', isAdmin: false }],
])
const login = (header: string | undefined) => people.get(header?.slice(7) ?? '')

const ran: string[] = []
const t = initTRPC.create()
const router = t.router({
  notes: t.router({
    list: t.procedure.query(() => 'notes'),
    add: t.procedure.mutation(() => ran.push('add')),
  }),
  // No word of the path tells that this is a payment.
  settle: t.procedure.mutation(() => ran.push('settle')),
})

const trpc = trpcClassifier({ router, guarded: { settle: 'payment' } })
const rpc = jsonRpcClassifier({ reads: ['list'], guarded: { pay: 'payment' } })

/** A JSON-RPC server of a few lines. */
function answerRpc(body: unknown): unknown {
  if (Array.isArray(body)) return body.map(answerRpc)
  const { id = null, method } = body as { id?: unknown; method: string }
  if (method !== 'list') ran.push(method)
  return { jsonrpc: '2.0', id, result: method }
}

type Serve = (engine: ImpersonationEngine<Person>) => MountedApp | Promise<MountedApp>

const hosts: Record<string, Serve> = {
  Express: (engine) => {
    const app = express()
    app.use((request, _, next) => {
      Object.assign(request, { user: login(request.headers.authorization) })
      next()
    })
    app.use(inExpress(engine))
    app.use('/trpc', createExpressMiddleware({ router, allowMethodOverride: true }))
    app.use('/rpc', express.json(), (request, response) => {
      response.json(answerRpc(request.body))
    })
    app.set('env', 'test')
    return listen(http.createServer(app))
  },
  Fastify: async (engine) => {
    const app = fastify({ forceCloseConnections: true })
    await app.register(inFastify, {
      impersonation: engine as never,
      getActor: (request) => login(request.headers.authorization),
    })
    app.post('/rpc', async (request) => answerRpc(request.body))
    await app.register(fastifyTRPCPlugin, {
      prefix: '/trpc',
      trpcOptions: { router, allowMethodOverride: true },
    })
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    return { url, close: () => app.close() }
  },
  Hono: (engine) => {
    const app = new Hono<{ Variables: { user: Person | undefined } }>()
    app.use(async (c, next) => {
      c.set('user', login(c.req.header('authorization')))
      await next()
    })
    app.use(inHono(engine))
    app.all('/trpc/*', (c) =>
      fetchRequestHandler({ endpoint: '/trpc', req: c.req.raw, router, allowMethodOverride: true }),
    )
    app.post('/rpc', async (c) => c.json(answerRpc(await c.req.json()) as object))
    return {
      url: 'http://localhost',
      close: () => {},
      fetch: (request: Request) => app.request(request),
    }
  },
}

describe.each(Object.entries(hosts))('on %s', (_, serve) => {
  let engine: ImpersonationEngine<Person>
  let client: Client
  let close: () => unknown

  beforeEach(async () => {
    ran.length = 0
    engine = createImpersonation<Person>({
      store: memoryStore(),
      findUser: (id) => people.get(id),
      can: (user) => user.isAdmin,
      now: () => Date.UTC(2030, 0, 1),
      classify: (request) => trpc(request) ?? rpc(request),
    })
    const mounted = await serve(engine)
    client = createClient(mounted)
    close = mounted.close
  })

  afterEach(async () => {
    client.close()
    await close()
    await engine.close()
  })

  const start = (accessLevel: AccessLevel) =>
    engine.sessions.start(engine.caller(people.get('root') as Person), {
      targetUserId: 'alice',
      reason: 'a test',
      accessLevel,
    })
  const send = async (method: string, path: string, ask?: Ask) => {
    const { status, text } = await client.send(method, path, ask)
    const code = status === 403 ? ` ${JSON.parse(text).code}` : ''
    return `${status}${code}`
  }
  const json = {}
  const viewOnly = '403 grant_view_only'
  const blocked = '403 impersonation_write_blocked'

  it('tRPC at view: queries are served, by GET, by POST and in batches; nothing writes', async () => {
    await start('view')
    expect(await send('GET', '/trpc/notes.list')).toBe('200')
    expect(await send('POST', '/trpc/notes.list', { json })).toBe('200')
    expect(await send('POST', '/trpc/notes%2Elist', { json })).toBe(viewOnly)
    const batch = { json: { 0: {}, 1: {} } }
    expect(await send('POST', '/trpc/notes.list,notes.list?batch=1', batch)).toBe('200')
    expect(await send('POST', '/trpc/notes.list%2Cnotes.list?batch=1', batch)).toBe('200')
    for (const path of [
      '/trpc/notes.add',
      '/trpc/settle',
      '/trpc/notes.list,notes.add?batch=1',
      '/trpc/notes.list%2cnotes.add?batch=1',
      '/trpc/notes.list,settle?batch=1',
      '/trpc/notes.list,notes.add',
      '/trpc/notes.ad%64',
      '/trpc/notes.list/notes.add',
      '/trpc/notes.list%2fnotes.add',
      '/trpc//notes.add',
      '/trpc/x/notes.add',
      '/trpc/notes.add/',
      '/TRPC/notes.add',
      '/trpc/notes.list;,notes.add?batch=1',
      '/trpc/',
      '/trpc',
      '/trpc/__proto__',
      '/trpc/constructor',
      '/trpc/nobody',
    ])
      expect([path, await send('POST', path, { json: { 0: {}, 1: {} } })]).toEqual([
        path,
        path.includes('settle') ? blocked : viewOnly,
      ])
    expect(ran).toEqual([])
  })

  it('tRPC at full: mutations write, a guarded one never, and nothing that has no name', async () => {
    await start('full')
    expect(await send('POST', '/trpc/notes.add', { json })).toBe('200')
    const batch = { json: { 0: {}, 1: {} } }
    expect(await send('POST', '/trpc/notes.add,notes.add?batch=1', batch)).toBe('200')
    expect(ran).toEqual(['add', 'add', 'add'])
    for (const path of [
      'settle',
      'notes.add,settle?batch=1',
      's%65ttle',
      '/settle',
      'x/settle',
      'settle/',
      'settle;x',
    ])
      expect([path, await send('POST', `/trpc/${path}`, batch)]).toEqual([path, blocked])
    await send('POST', '/TRPC/settle', batch)
    await send('POST', '/trpc/%73%65%74%74%6c%65', batch)
    expect(ran).toEqual(['add', 'add', 'add'])
  })

  const call = (method: unknown, more = {}) => ({ jsonrpc: '2.0', id: 1, method, ...more })

  it('JSON-RPC at view: what is on the list is served, alone and in batches', async () => {
    await start('view')
    const reads = [
      call('list'),
      [call('list')],
      [call('list'), call('list', { id: undefined })],
      call('list', { id: null, params: { method: 'add' } }),
    ]
    for (const json of reads) expect(await send('POST', '/rpc', { json })).toBe('200')
    for (const json of [
      call('add'),
      call('add', { id: undefined }),
      [call('list'), call('add')],
      [],
      [[call('list')]],
      [call('list'), null],
      call('LIST'),
      call(' list'),
      call(['list']),
      call('list', { jsonrpc: '1.0' }),
      { method: 'list' },
      'list',
      7,
    ])
      expect([json, await send('POST', '/rpc', { json })]).toEqual([json, viewOnly])
    expect(await send('POST', '/rpc', { body: JSON.stringify(call('list')) })).toBe(viewOnly)
    expect(await send('POST', '/rpc/', { json: call('list') })).toBe(viewOnly)
    expect(ran).toEqual([])
  })

  it('JSON-RPC at full: writes, but nothing guarded and nothing malformed', async () => {
    await start('full')
    expect(await send('POST', '/rpc', { json: call('add') })).toBe('200')
    expect(await send('POST', '/rpc', { json: [call('add'), call('list')] })).toBe('200')
    expect(ran).toEqual(['add', 'add'])
    for (const json of [
      call('pay'),
      [call('add'), call('pay')],
      [call('pay'), 7],
      [call('add'), {}],
      call('pay', { jsonrpc: undefined }),
    ])
      expect([json, await send('POST', '/rpc', { json })]).toEqual([json, blocked])
    for (const path of ['/rpc/', '/rpc/x', '/RPC', '//rpc', '/%72pc'])
      await send('POST', path, { json: call('pay') })
    expect(ran).toEqual(['add', 'add'])
  })
})

it('leaves to others what is not theirs, at once', async () => {
  for (const classify of [trpc, rpc]) {
    const ask = asker(classify)
    for (const target of ['/', '/notes', '/trpcx/settle', '/rpcx', '/graphql'])
      expect(await ask({ target, json: {} })).toBe('untold')
  }
  expect(await asker(trpc)({ target: '/trpc/settle', headers: { upgrade: 'websocket' } })).toBe(
    'unknown',
  )
  expect(await asker(trpc)({ target: '/trpc/%ff' })).toBe('unknown')
  expect(await asker(trpc)({ target: '/trpc/settle', method: 'OPTIONS' })).toBe('untold')
  expect(await asker(rpc)({ target: '/rpc', method: 'OPTIONS' })).toBe('untold')
  expect(await asker(rpc)({ target: '/rpc', gone: true })).toBe('unknown')
})

it('the three stand side by side in one engine', async () => {
  expect(composed.basePath).toBe('/impersonation')
  await composed.close()
})
