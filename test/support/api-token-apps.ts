import http from 'node:http'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import fastify, { type FastifyRequest } from 'fastify'
import { Hono } from 'hono'
import { vi } from 'vitest'
import { impersonate as impersonateExpress } from '../../adapters/express.ts'
import { impersonate as impersonateFastify } from '../../adapters/fastify.ts'
import { impersonate as impersonateHono } from '../../adapters/hono.ts'
import {
  createImpersonation,
  type ImpersonationEngine,
  type ImpersonationOptions,
  memoryStore,
} from '../../src/index.ts'
import { listen } from '../adapters/listen.ts'
import { audience, issuer, secret } from '../tokens/fixtures.ts'
import { apiTokens, bearer } from './api-tokens.ts'
import type { Framework } from './http-apps.ts'

/** Apps that log in by a cookie, so that a request can have a login and a token as well. */
export interface User {
  readonly id: string
  readonly may: readonly string[]
  readonly active?: boolean
  readonly kind?: 'service'
}

type Engine = ImpersonationEngine<User>
type UserOf = (cookie: string | undefined) => User | undefined
type Build = (
  engine: Engine,
  userOf: UserOf,
  seen: (user: User | null | undefined) => object,
) => http.RequestListener | Promise<http.RequestListener>

const builds: Record<Framework, Build> = {
  Express(engine, userOf, seen) {
    const app = express()
    app.use((request, _, next) => {
      Object.assign(request, { user: userOf(request.headers.cookie) })
      next()
    })
    app.use(impersonateExpress(engine))
    app.all('/seen', (request, response) => {
      response.json(seen((request as never as { user?: User }).user))
    })
    return app
  },
  async Fastify(engine, userOf, seen) {
    const app = fastify()
    app.addContentTypeParser('*', { parseAs: 'string' }, (_, body, done) => done(null, body))
    app.addHook('onRequest', async (request: FastifyRequest) => {
      Object.assign(request, { user: userOf(request.headers.cookie) ?? null })
    })
    await app.register(impersonateFastify, { impersonation: engine } as never)
    app.all('/seen', async (request) => seen((request as { user?: User | null }).user))
    await app.ready()
    return (request, response) => app.routing(request, response)
  },
  Hono(engine, userOf, seen) {
    const app = new Hono<{ Variables: { user: User | undefined } }>()
    app.use((c, next) => {
      c.set('user', userOf(c.req.header('cookie')))
      return next()
    })
    app.use(impersonateHono(engine))
    app.all('/seen', (c) => c.json(seen(c.get('user'))))
    return getRequestListener(app.fetch)
  },
}

const all = ['start', 'list', 'revoke', 'issue_token', 'read_audit', 'approve', 'test_session']
const everybody = (): User[] => [
  { id: 'root', may: [...all, 'break_glass', 'confirm_break_glass'] },
  { id: 'alice', may: [] },
  { id: 'bob', may: [] },
  { id: 'robot', may: [], kind: 'service' },
  { id: 'mallory', may: [] },
]

const open: (() => Promise<void>)[] = []

export async function closeAll(): Promise<void> {
  vi.restoreAllMocks()
  for (const close of open.splice(0)) await close()
}

export const noon = Date.UTC(2030, 5, 1, 12)

export interface Reply {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: an answer is whatever it is
  readonly json: any
  readonly text: string
  readonly headers: Headers
}

interface Sent {
  /** Whose cookie comes along. */
  readonly as?: string
  /** The API or impersonation token that comes along. */
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** An app with both kinds of tokens, and a clock that moves only when told. */
export async function tokenApp(
  framework: Framework,
  options: Partial<ImpersonationOptions<User>> = {},
) {
  // What is known grows old by this one as well, and a busy machine is slow.
  vi.spyOn(performance, 'now').mockReturnValue(1000)
  const users = everybody()
  const clock = { now: noon }
  const store = options.store ?? memoryStore()
  /** Whom a handler has seen, request by request. */
  const seen: object[] = []
  const engine: Engine = createImpersonation<User>({
    findUser: (id) => users.find((user) => user.id === id),
    can: (user, action) => user.may.includes(action),
    now: () => clock.now,
    rateLimit: false,
    impersonationTokens: { issuer, audience, secret },
    apiTokens: { ...apiTokens, services: { is: ({ kind }) => kind === 'service' } },
    ...options,
    store,
  })
  const userOf: UserOf = (cookie) =>
    users.find(({ id }) => /sid=(\w+)/.exec(cookie ?? '')?.[1] === id)
  const app = await builds[framework](engine, userOf, (user) => {
    const token = engine.apiToken()
    const session = engine.current()
    const what = {
      user: user?.id ?? null,
      token: token?.id ?? null,
      impersonated: session?.target.id ?? null,
    }
    seen.push(what)
    return what
  })
  const { url, close } = await listen(http.createServer(app))
  open.push(async () => {
    await engine.close()
    await close()
  })

  /** A call is `'POST /start'` under the base path, or of `/seen`. */
  async function call(route: string, { as, token, headers, body }: Sent = {}): Promise<Reply> {
    const [method = '', path = ''] = route.split(' ')
    const isForm = typeof body === 'string'
    const response = await fetch(
      `${url}${path.startsWith('/seen') ? '' : '/impersonation'}${path}`,
      {
        method,
        headers: {
          'Sec-Fetch-Site': 'same-origin',
          ...(as && { Cookie: `sid=${as}` }),
          ...(token && bearer(token)),
          ...(body !== undefined && {
            'Content-Type': isForm ? 'application/x-www-form-urlencoded' : 'application/json',
          }),
          ...headers,
        },
        ...(body !== undefined && { body: isForm ? body : JSON.stringify(body) }),
      },
    )
    const text = await response.text()
    const json = /^[[{"]/.test(text) ? JSON.parse(text) : text
    return { status: response.status, json, text, headers: response.headers }
  }

  return {
    url,
    engine,
    store,
    users,
    clock,
    seen,
    call,
    async issue(userId = 'alice', more = {}): Promise<{ id: string; token: string }> {
      const body = { user_id: userId, name: 'nightly upload', scopes: ['read'], ...more }
      const { status, json } = await call('POST /tokens', { as: 'root', body })
      if (status !== 201) throw new Error(JSON.stringify(json))
      return json
    },
    change(id: string, changes: Partial<User>): void {
      const index = users.findIndex((user) => user.id === id)
      users[index] = { ...(users[index] as User), ...changes }
    },
  }
}
