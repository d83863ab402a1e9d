import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import express4 from 'express4'
import fastify from 'fastify'
import type { GraphQLSchema } from 'graphql'
import { createHandler as expressHandler } from 'graphql-http/lib/use/express'
import { createHandler as fastifyHandler } from 'graphql-http/lib/use/fastify'
import { createHandler as fetchHandler } from 'graphql-http/lib/use/fetch'
import { type Context, Hono } from 'hono'
import { getRequestListener as getRequestListener1 } from 'hono-node-server1'
import { impersonate as inExpress } from '../../adapters/express.ts'
import { impersonate as inFastify } from '../../adapters/fastify.ts'
import { impersonate as inHono } from '../../adapters/hono.ts'
import type { ImpersonationEngine } from '../../src/index.ts'
import type { MountedApp } from '../../src/testing/index.ts'
import { listen } from '../adapters/listen.ts'
import { greedy } from './schema.ts'

/** GraphQL servers as hosts have them, behind our middleware in every order of body parsers. */

export interface Person {
  readonly id: string
  readonly isAdmin: boolean
}

export interface Parts {
  readonly engine: ImpersonationEngine<Person>
  readonly schema: GraphQLSchema
  /** Who is logged in. */
  readonly login: (authorization: string | undefined) => Person | undefined
}

export interface Host {
  readonly name: string
  /** Whether the body has been read by somebody when our middleware runs. */
  readonly readBefore: boolean
  /** `/graphql` is graphql-http, `/greedy` the greedy one. */
  readonly serve: (parts: Parts) => Promise<MountedApp> | MountedApp
}

type Order = 'no parser' | 'parsers before' | 'parsers after' | 'parsers at the route'

function expressHost(name: string, framework: typeof express, order: Order): Host {
  return {
    name: `${name}, ${order}`,
    readBefore: order === 'parsers before',
    serve({ engine, schema, login }) {
      const parsers = [
        framework.json(),
        framework.urlencoded({ extended: true }),
        framework.text({ type: 'application/graphql' }),
      ]
      const app = framework()
      app.use((request, _, next) => {
        Object.assign(request, { user: login(request.headers.authorization) })
        next()
      })
      if (order === 'parsers before') app.use(parsers)
      app.use(inExpress(engine))
      if (order === 'parsers after') app.use(parsers)
      if (order === 'parsers at the route') app.use(['/graphql', '/greedy'], parsers)
      // With `use` all of the paths below are served too, as Apollo's guide has it.
      app.use('/graphql', expressHandler({ schema }))
      app.use('/greedy', async (request, response) => {
        let body: unknown = request.body
        if (body === undefined || (order === 'no parser' && typeof body !== 'string')) {
          body = ''
          for await (const piece of request) body += String(piece)
        }
        const type = request.headers['content-type'] ?? ''
        const answer = await greedy(schema, request.originalUrl, type, body).catch(String)
        response.json(answer)
      })
      app.set('env', 'test')
      return listen(http.createServer(app))
    },
  }
}

function fastifyHost(hook: 'onRequest' | 'preParsing' | 'preValidation' | 'preHandler'): Host {
  return {
    name: `Fastify, ${hook}`,
    readBefore: hook === 'preValidation' || hook === 'preHandler',
    async serve({ engine, schema, login }) {
      const app = fastify({ forceCloseConnections: true, routerOptions: { caseSensitive: false } })
      app.addContentTypeParser(
        ['application/graphql', 'application/x-www-form-urlencoded'],
        { parseAs: 'string' },
        (_request, body, done) => done(null, body),
      )
      await app.register(inFastify, {
        impersonation: engine as never,
        hook,
        getActor: (request) => login(request.headers.authorization),
      })
      app.all('/graphql', fastifyHandler({ schema }))
      app.all('/greedy', async (request, reply) => {
        const type = request.headers['content-type'] ?? ''
        const answer = await greedy(schema, request.url, type, request.body).catch(String)
        return reply.send(JSON.stringify(answer))
      })
      await app.listen({ port: 0, host: '127.0.0.1' })
      const { port } = app.server.address() as AddressInfo
      return { url: `http://127.0.0.1:${port}`, close: () => app.close() }
    },
  }
}

type Reading = 'nobody' | 'text' | 'json' | 'arrayBuffer'

function honoHost(
  server: 'node-server 1' | 'node-server 2' | 'app.request',
  before: Reading,
): Host {
  return {
    name: `Hono, ${server}, read before by ${before}`,
    readBefore: before !== 'nobody',
    serve({ engine, schema, login }) {
      const app = new Hono<{ Variables: { user: Person | undefined } }>()
      app.use(async (c, next) => {
        c.set('user', login(c.req.header('authorization')))
        if (before !== 'nobody' && c.req.method === 'POST') await c.req[before]().catch(() => {})
        await next()
      })
      app.use(inHono(engine))
      const handle = fetchHandler({ schema })
      // A body that Hono has read is given on as its guide says; another is read from the raw request.
      app.all('/graphql', async (c) => handle(await rawOf(c, before)))
      app.all('/greedy', async (c) => {
        const type = c.req.header('content-type') ?? ''
        const body = c.req.method === 'POST' ? await c.req.text() : ''
        return c.json(await greedy(schema, c.req.url, type, body).catch(String))
      })
      if (server === 'app.request') {
        const fetch = (request: Request) => app.request(request)
        return { url: 'http://localhost', close: () => {}, fetch }
      }
      const listener = server === 'node-server 1' ? getRequestListener1 : getRequestListener
      return listen(http.createServer(listener(app.fetch)))
    },
  }
}

async function rawOf(c: Context, before: Reading): Promise<Request> {
  if (before === 'nobody' || c.req.method !== 'POST') return c.req.raw
  const { method, url, headers } = c.req.raw
  return new Request(url, { method, headers, body: await c.req.text() })
}

export const hosts: readonly Host[] = [
  ...(['no parser', 'parsers before', 'parsers after', 'parsers at the route'] as const).flatMap(
    (order) => [
      expressHost('Express 4', express4, order),
      expressHost('Express 5', express, order),
    ],
  ),
  ...(['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const).map(fastifyHost),
  ...(['node-server 1', 'node-server 2', 'app.request'] as const).flatMap((server) =>
    (['nobody', 'text', 'json', 'arrayBuffer'] as const).map((before) => honoHost(server, before)),
  ),
]
