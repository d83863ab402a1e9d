import { readFileSync } from 'node:fs'
import http from 'node:http'
import express from 'express'
import fastify, { type FastifyRequest } from 'fastify'
import { Hono } from 'hono'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { impersonate as impersonateExpress } from '../../adapters/express.ts'
import { impersonate as impersonateFastify } from '../../adapters/fastify.ts'
import { impersonate } from '../../adapters/hono.ts'
import { routes } from '../../src/http/routes.ts'
import {
  type AccessLevel,
  accessLevels,
  createImpersonation,
  type ImpersonationEngine,
  memoryStore,
} from '../../src/index.ts'
import { listen } from '../adapters/listen.ts'

/** Marks are slow on purpose; what is tested here is what happens around them. */
vi.mock(import('../../src/lifecycle/one-time-code.ts'), async (original) => ({
  ...(await original()),
  markOf: async (userId, code) => JSON.stringify([userId, code.normalize('NFKC').toLowerCase()]),
}))

/** The table of README.md: who gets what from which route. It is the contract; this holds the code to it. */
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const [head = [], , ...rows] = (/[<]!-- matrix -->\n([\s\S]*?)\n\n/.exec(readme)?.[1] ?? '')
  .split('\n')
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )

interface User {
  id: string
  may: readonly string[]
}

const users: User[] = [
  {
    id: 'root',
    may: [
      ...['start', 'list', 'revoke', 'break_glass', 'confirm_break_glass', 'approve'],
      ...['test_session', 'read_audit', 'issue_token'],
    ],
  },
  { id: 'boss', may: ['start', 'break_glass', 'approve'] },
  { id: 'sup', may: ['start'] },
  { id: 'alice', may: [] },
  { id: 'mallory', may: [] },
]

interface Caller {
  readonly token?: string
  readonly impersonates?: boolean
  readonly minted?: boolean
  readonly issued?: boolean
}

const callers: Record<string, Caller> = {
  nobody: {},
  user: { token: 'mallory' },
  target: { token: 'alice' },
  'may `start`': { token: 'sup' },
  'may everything': { token: 'root' },
  impersonating: { token: 'sup', impersonates: true },
  'with a token': { minted: true },
  'with an API token': { issued: true },
}

/** Somebody for one test session. */
function newcomer(): User {
  const user = { id: `tester-${users.length}`, may: [] }
  users.push(user)
  return user
}

/** An engine with every feature switched on, so that every route is there. */
const engineWith = (store = memoryStore()) => {
  const engine = createImpersonation<User>({
    store,
    findUser: (id) => users.find((user) => user.id === id),
    can: (user, action) => user.may.includes(action),
    consent: () => false,
    breakGlass: { verifySecondFactor: () => true },
    approvals: { levels: ['full'] },
    sandbox: { provision: newcomer, dispose: () => {} },
    impersonationTokens: {
      issuer: 'https://api.example.com',
      audience: 'https://api.example.com',
      secret: 'a secret of at least thirty-two characters',
    },
    apiTokens: {
      prefix: 'matrix_',
      scopes: ['read'],
      services: { is: () => true },
      listUsers: () => ({ users }),
    },
    now: () => Date.UTC(2030, 0, 1),
  })
  open.add(engine)
  return engine
}

/** What goes on by itself in one that is left open costs all that come after it. */
const open = new Set<ImpersonationEngine<User>>()
afterEach(async () => {
  for (const engine of open) await engine.close()
  open.clear()
})

/**
 * What there is to be seen, ended and answered: a session of `sup` with `alice`, over where it would be
 * in the way, a question of theirs to her and one to colleagues, one of `boss` to break the glass, and an API
 * token of hers.
 */
async function furnish(engine: ImpersonationEngine<User>, level: AccessLevel | undefined) {
  const callerOf = (who: string) => engine.caller(users.find(({ id }) => id === who) as User)
  const [root, sup, boss] = [callerOf('root'), callerOf('sup'), callerOf('boss')]
  const ask = { targetUserId: 'alice', reason: 'matrix' }
  const approvalFor = async (accessLevel: AccessLevel) => {
    const { id } = await engine.approvals.request(sup, { ...ask, accessLevel })
    return (await engine.approvals.approve(boss, id)).id
  }
  const { session } = await engine.sessions.start(sup, {
    ...ask,
    ...(level && { accessLevel: level }),
    ...(level === 'full' && { approvalId: await approvalFor(level) }),
  })
  if (!level) await engine.sessions.stop(sup)
  const named = { userId: 'alice', name: 'matrix', scopes: ['read'] }
  const { token, secret } = await engine.tokens.issue(root, named)
  const ids: Record<string, string> = {
    tokens: token.id,
    sessions: session.id,
    grants: (await engine.grants.request(sup, ask)).id,
    approvals: (await engine.approvals.request(sup, ask)).id,
    'break-glass': (await engine.breakGlass.open(boss, { ...ask, totp: '1' })).id,
  }
  const pathOf = (path: string) => {
    const [, noun = ''] = /([^/]+)\/:id/.exec(path) ?? []
    return `/impersonation${path === '/' ? '' : path.replace(':id', ids[noun] ?? '')}`
  }
  return { pathOf, apiToken: secret }
}

async function world(impersonates: boolean) {
  const impersonation = engineWith()
  const app = new Hono<{ Variables: { user: User | undefined } }>()
  app.use((c, next) => {
    c.set(
      'user',
      users.find(({ id }) => c.req.header('authorization') === `Bearer ${id}`),
    )
    return next()
  })
  app.use(impersonate(impersonation))
  return {
    app,
    impersonation,
    ...(await furnish(impersonation, impersonates ? 'view' : undefined)),
  }
}

/** What a program of `sup` carries, to act as `mallory`. */
async function mint(engine: ImpersonationEngine<User>): Promise<string> {
  const sup = users.find(({ id }) => id === 'sup') as User
  const ask = { targetUserId: 'mallory', reason: 'matrix', transport: 'token' } as const
  return (await engine.sessions.start(engine.caller(sup), ask)).accessToken ?? ''
}

const bodies: Record<string, unknown> = {
  '/': { target_user_id: 'alice', reason: 'matrix' },
  '/start': { target_user_id: 'alice', reason: 'matrix' },
  '/extend': { minutes: 1 },
  '/grants': { target_user_id: 'alice', reason: 'matrix' },
  '/break-glass': { target_user_id: 'alice', reason: 'matrix', totp: '2' },
  '/break-glass/:id/confirm': { totp: '3' },
  '/test-sessions': { role: 'member', reason: 'matrix' },
  '/approvals': { target_user_id: 'alice', reason: 'matrix' },
  '/tokens': { user_id: 'alice', name: 'matrix', scopes: ['read'] },
}

async function call(method: string, path: string, caller: (typeof callers)[string]) {
  const { app, impersonation, pathOf, apiToken } = await world(caller.impersonates ?? false)
  const token = caller.minted ? await mint(impersonation) : caller.issued ? apiToken : caller.token
  const body = method === 'GET' ? undefined : bodies[path]
  return app.request(pathOf(path), {
    method,
    headers: {
      'Sec-Fetch-Site': 'same-origin',
      ...(token && { Authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}

describe('the matrix in README.md', () => {
  it('has a row for every route and a column for every caller', () => {
    expect(rows.map(([route]) => route?.replaceAll('`', ''))).toEqual(
      routes.map(({ method, path }) => `${method} ${path}`),
    )
    expect(head.slice(1)).toEqual(Object.keys(callers))
  })

  for (const [route = '', ...answers] of rows) {
    const [method = '', path = ''] = route.replaceAll('`', '').split(' ')
    for (const [index, [name, caller]] of Object.entries(callers).entries()) {
      it(`${method} ${path} by ${name} is ${answers[index]}`, async () => {
        const response = await call(method, path, caller)
        expect(response.status).toBe(Number(answers[index]))
      })
    }
  }

  it.each(routes.map(({ path }) => path))('%s knows no other method than its own', async (path) => {
    const own = routes.filter((route) => route.path === path).map(({ method }) => method as string)
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY'].filter(
      (each) => !own.includes(each),
    )) {
      const response = await call(method, path, { token: 'root' })
      expect([method, response.status]).toEqual([method, 405])
      expect(response.headers.get('allow')?.split(', ')).toEqual(
        own.flatMap((each) => (each === 'GET' ? ['GET', 'HEAD'] : [each])),
      )
    }
  })
})

/** Any method at all, on any framework: what is not in the table above must not be either. */
const methods = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'QUERY',
  'propfind',
] as const
/** Only from a socket: the web's Request refuses some and mends others. */
const wireMethods = [...methods, 'TRACE', 'PROPFIND', 'post', 'patch', 'get']

interface Asked {
  readonly status: number
  readonly allow: string | null | undefined
  readonly body: string
}

type Ask = (
  method: string,
  path: string,
  headers: Record<string, string>,
  body: string | undefined,
) => Promise<Asked>

interface Framework {
  readonly methods: readonly string[]
  /** Serves this engine from now on. */
  serve(engine: ImpersonationEngine<User>): Promise<Ask> | Ask
  close?(): unknown
}

const userOf = (authorization: string | undefined) =>
  users.find(({ id }) => authorization === `Bearer ${id}`)

/** One server for all of it; behind it a new app for each engine. */
function overHttp(
  build: (
    engine: ImpersonationEngine<User>,
  ) => Promise<http.RequestListener> | http.RequestListener,
): Framework {
  let app: http.RequestListener
  const agent = new http.Agent({ keepAlive: true })
  const listening = listen(http.createServer((request, response) => app(request, response)))
  return {
    methods: wireMethods,
    close: async () => {
      agent.destroy()
      await (await listening).close()
    },
    async serve(engine) {
      app = await build(engine)
      const { hostname, port } = new URL((await listening).url)
      return (method, path, headers, body) =>
        new Promise((resolve, reject) => {
          const all = { ...headers, 'content-length': String(body?.length ?? 0) }
          // Node would send a method in upper case, whatever it is called.
          const request = http.request({ agent, hostname, port, path, method, headers: all })
          request.method = method
          request.on('error', reject)
          request.on('response', (response) => {
            let text = ''
            response.on('data', (piece) => {
              text += piece
            })
            response.on('end', () =>
              resolve({
                status: response.statusCode ?? 0,
                allow: response.headers.allow,
                body: text,
              }),
            )
          })
          request.end(body)
        })
    },
  }
}

const frameworks: Record<string, () => Framework> = {
  Express: () =>
    overHttp((engine) => {
      const app = express()
      app.use((request, _, next) => {
        Object.assign(request, { user: userOf(request.get('authorization')) })
        next()
      })
      app.use(impersonateExpress(engine))
      return app
    }),
  Fastify: () =>
    overHttp(async (engine) => {
      const app = fastify()
      app.addHook('onRequest', async (request: FastifyRequest) => {
        Object.assign(request, { user: userOf(request.headers.authorization) ?? null })
      })
      await app.register(impersonateFastify, { impersonation: engine } as never)
      await app.ready()
      return (request, response) => app.routing(request, response)
    }),
  Hono: () => ({
    methods,
    serve(engine) {
      const app = new Hono<{ Variables: { user: User | undefined } }>()
      app.use((c, next) => {
        c.set('user', userOf(c.req.header('authorization')))
        return next()
      })
      app.use(impersonate(engine))
      return async (method, path, headers, body) => {
        const init = { method, headers, ...(body !== undefined && { body }) }
        const response = await app.request(path, init)
        return {
          status: response.status,
          allow: response.headers.get('allow'),
          body: await response.text(),
        }
      }
    },
  }),
}

/** The columns of the table, and impersonating at each level: what one may do here does not depend on it. */
const everybody: [name: string, column: string, caller: Caller, level?: AccessLevel][] = [
  ...Object.entries(callers)
    .filter(([, { impersonates, minted }]) => !impersonates && !minted)
    .map(([name, caller]): [string, string, Caller] => [name, name, caller]),
  ...accessLevels.map((level): [string, string, Caller, AccessLevel] => [
    `impersonating at ${level}`,
    'impersonating',
    { token: 'sup' },
    level,
  ]),
]

const table = new Map(
  rows.flatMap(([route = '', ...answers]) =>
    answers.map((answer, index) => [
      `${route.replaceAll('`', '')} ${head[index + 1]}`,
      Number(answer),
    ]),
  ),
)
const ownMethods = (path: string) =>
  routes.filter((route) => route.path === path).map(({ method }) => method as string)

/** What the table says of a method, and of those that it does not name. */
function expected(method: string, path: string, column: string, overWire: boolean): number {
  // Node's parser knows no method in lower case.
  if (method !== method.toUpperCase() && overWire) return 400
  // CORS is the host's, and this one has no route for it.
  if (method === 'OPTIONS') return 404
  const row = table.get(`${method === 'HEAD' ? 'GET' : method} ${path} ${column}`)
  return row ?? 405
}

async function prepared(framework: Framework, level: AccessLevel | undefined) {
  const store = memoryStore()
  const engine = engineWith(store)
  const furnished = await furnish(engine, level)
  const page = { limit: 100 }
  const state = async () =>
    JSON.stringify([
      await store.listSessions({}, page),
      await store.grants?.listGrants({}, page),
      await store.requests?.listRequests({}, page),
      // When it was last used is no change that anybody asked for.
      (await store.tokens?.listTokens({}, page))?.map((token) => ({ ...token, lastUsedAt: null })),
    ])
  return { ask: await framework.serve(engine), ...furnished, state, engine }
}

describe.each(Object.keys(frameworks))('every method, on %s', (name) => {
  let framework: Framework
  beforeAll(() => {
    framework = (frameworks[name] as () => Framework)()
  })
  afterAll(() => framework.close?.())

  it.each(everybody)(
    'as the table has it for %s, and nothing else changes',
    async (_, column, caller, level) => {
      const overWire = name !== 'Hono'
      let world = await prepared(framework, level)
      let before = await world.state()
      const wrong: string[] = []
      const changedBy = new Set<string>()
      for (const path of new Set(routes.map((route) => route.path)))
        for (const method of framework.methods) {
          const body = method === 'POST' && bodies[path] ? JSON.stringify(bodies[path]) : undefined
          const token = caller.issued ? world.apiToken : caller.token
          const {
            status,
            allow,
            body: text,
          } = await world.ask(
            method,
            world.pathOf(path),
            {
              'sec-fetch-site': 'same-origin',
              ...(token && { authorization: `Bearer ${token}` }),
              ...(body && { 'content-type': 'application/json' }),
            },
            body,
          )
          const call = `${method} ${path}`
          const wanted = expected(method, path, column, overWire)
          if (status !== wanted) wrong.push(`${call}: ${status}, not ${wanted}`)
          if (method === 'HEAD' && text !== '') wrong.push(`${call}: has a body`)
          const allowed = ownMethods(path).flatMap((own) =>
            own === 'GET' ? ['GET', 'HEAD'] : [own],
          )
          if (status === 405 && allow !== allowed.join(', ')) wrong.push(`${call}: Allow: ${allow}`)
          const after = await world.state()
          if (after === before) continue
          changedBy.add(call)
          if (status > 202 || !ownMethods(path).includes(method) || method === 'GET')
            wrong.push(`${call}: ${status}, and yet something changed`)
          await world.engine.close()
          world = await prepared(framework, level)
          before = await world.state()
        }
      await world.engine.close()
      expect(wrong).toEqual([])
      // Only what succeeds may change anything, and what starts, stops or extends does.
      const changing = [
        ...['POST /', 'POST /start', 'POST /stop', 'POST /extend', 'POST /grants'],
        ...['DELETE /grants/:id', 'POST /me/grants/:id/approve', 'DELETE /me/grants/:id'],
        ...['POST /break-glass', 'POST /break-glass/:id/confirm', 'POST /approvals'],
        'POST /test-sessions',
        ...['POST /approvals/:id/approve', 'POST /approvals/:id/deny', 'DELETE /approvals/:id'],
        ...['POST /tokens', 'DELETE /tokens/:id', 'POST /tokens/:id/rotate'],
        'DELETE /me/tokens/:id',
      ]
      expect(changing.filter((call) => changedBy.has(call))).toEqual(
        changing.filter((call) => (table.get(`${call} ${column}`) ?? 0) < 300),
      )
    },
  )
})
