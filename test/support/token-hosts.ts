import http from 'node:http'
import fastifyJwt from '@fastify/jwt'
import { getRequestListener } from '@hono/node-server'
import type { Request, RequestHandler } from 'express'
import express5 from 'express'
import express4 from 'express4'
import fastify, { type FastifyRequest } from 'fastify'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { jwt } from 'hono/jwt'
import { jwtVerify } from 'jose'
import passport from 'passport'
import {
  impersonate as impersonateExpress,
  requireScope as scopeInExpress,
} from '../../adapters/express.ts'
import {
  impersonate as impersonateFastify,
  requireScope as scopeInFastify,
} from '../../adapters/fastify.ts'
import { impersonate as impersonateHono, requireScope as scopeInHono } from '../../adapters/hono.ts'
import { createImpersonation, type ImpersonationEngine, memoryStore } from '../../src/index.ts'
import { listen } from '../adapters/listen.ts'
import { audience, forge, issuer, secret } from '../tokens/fixtures.ts'

/** Apps that log in by a JWT and a library of others, as they are out there. */
export interface User {
  readonly id: string
  readonly may: readonly string[]
}

const users: readonly User[] = [
  { id: 'root', may: ['start', 'list', 'revoke', 'issue_token'] },
  { id: 'alice', may: [] },
  { id: 'mallory', may: [] },
]
const find = (id: unknown) => users.find((user) => user.id === id)

/**
 * `authenticate`: the login is handed to the middleware. `aside`: it stands above, and leaves requests alone
 * that carry a token. `above`: it stands above, and knows of nothing.
 */
export type Wiring = 'authenticate' | 'aside' | 'above'

export interface Host {
  readonly impersonation: ImpersonationEngine<User>
  /** The secret of the host's own logins. */
  readonly secret: string
  readonly wiring: Wiring
  /** Told of each Authorization header that the host's login looks at. */
  readonly looked: (authorization: string | undefined) => void
}

type Build = (host: Host) => http.RequestListener | Promise<http.RequestListener>

const ownSecret = 'the secret of the logins of the host, 32+'
const cookieUser = (cookie: string | undefined) => find(/who=(\w+)/.exec(cookie ?? '')?.[1])

/** Stands in for `passport-jwt`, which does not look at `typ` either. */
class JwtStrategy extends passport.Strategy {
  override readonly name = 'jwt'
  private readonly host: Host

  constructor(host: Host) {
    super()
    this.host = host
  }

  override authenticate({ headers: { authorization } }: Request) {
    this.host.looked(authorization)
    const token = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1]
    if (!token) return this.fail(401)
    jwtVerify(token, Buffer.from(this.host.secret), { algorithms: ['HS256'] }).then(
      ({ payload }) => {
        const user = find(payload.sub)
        if (user) this.success(user)
        else this.fail(401)
      },
      () => this.fail(401),
    )
  }
}

const onExpress =
  (express: typeof express5): Build =>
  (host) => {
    const { impersonation, wiring } = host
    const logins = new passport.Passport()
    logins.use(new JwtStrategy(host))
    const login: RequestHandler = logins.authenticate('jwt', { session: false })
    const app = express()
    app.use((request, _response, next) => {
      const user = cookieUser(request.headers.cookie)
      if (user) Object.assign(request, { user })
      next()
    })
    if (wiring === 'authenticate')
      app.use(impersonateExpress(impersonation, { authenticate: login }))
    else {
      app.use((request, response, next) => {
        const { authorization } = request.headers
        if (wiring === 'aside' && impersonation.carriesToken(authorization)) next()
        else login(request, response, next)
      })
      app.use(impersonateExpress(impersonation))
    }
    app.all('/me', (request, response) => {
      const { user } = request as { user?: unknown }
      response.json([(user as User | undefined)?.id ?? null, actorOf(impersonation)])
    })
    app.post('/files', scopeInExpress('upload'), (request, response) => {
      const { user } = request as { user?: unknown }
      response.json([(user as User | undefined)?.id ?? null, request.apiToken?.name ?? null])
    })
    return app
  }

const onFastify: Build = async ({ impersonation, secret: key, wiring, looked }) => {
  const app = fastify()
  await app.register(fastifyJwt, {
    secret: key,
    verify: { algorithms: ['HS256'] },
    formatUser: (payload) => find((payload as { sub: string }).sub) as never,
  })
  const login = async (request: FastifyRequest) => {
    looked(request.headers.authorization)
    await request.jwtVerify()
  }
  app.addHook('onRequest', async (request) => {
    const user = cookieUser(request.headers.cookie)
    if (user) Object.assign(request, { user })
  })
  if (wiring === 'authenticate')
    await app.register(impersonateFastify, { impersonation, authenticate: login } as never)
  else {
    app.addHook('onRequest', async (request) => {
      const { authorization } = request.headers
      if (wiring === 'above' || !impersonation.carriesToken(authorization)) await login(request)
    })
    await app.register(impersonateFastify, { impersonation } as never)
  }
  app.all('/me', async ({ user }, reply) => {
    const { id = null } = (user as unknown as User | null) ?? {}
    return reply.send([id, actorOf(impersonation)])
  })
  app.post('/files', { preHandler: scopeInFastify('upload') }, async (request, reply) => {
    const { id = null } = (request.user as unknown as User | null) ?? {}
    return reply.send([id, request.apiToken?.name ?? null])
  })
  await app.ready()
  return (request, response) => app.routing(request, response)
}

const onHono: Build = ({ impersonation, secret: key, wiring, looked }) => {
  const app = new Hono<{ Variables: { user: User | undefined; jwtPayload: unknown } }>()
  const verifies = jwt({ secret: key, alg: 'HS256' })
  const login: MiddlewareHandler = (c, next) => {
    looked(c.req.header('authorization'))
    return verifies(c, next)
  }
  const options = {
    getActor: (c: Context) =>
      find((c.get('jwtPayload') as { sub?: string } | undefined)?.sub) ?? null,
  }
  app.use((c, next) => {
    const user = cookieUser(c.req.header('cookie'))
    if (user) c.set('user', user)
    return next()
  })
  if (wiring === 'authenticate')
    app.use(impersonateHono(impersonation, { ...options, authenticate: login }))
  else {
    app.use((c, next) =>
      wiring === 'aside' && impersonation.carriesToken(c.req.header('authorization'))
        ? next()
        : login(c, next),
    )
    app.use(impersonateHono(impersonation, options))
  }
  app.all('/me', (c) => {
    return c.json([whoIn(c), actorOf(impersonation)])
  })
  app.post('/files', scopeInHono('upload'), (c) =>
    c.json([whoIn(c), c.get('apiToken')?.name ?? null]),
  )
  return getRequestListener(app.fetch)
}

/** Its logins leave what they found where they want it, and ours is in the slot. */
function whoIn(c: Context): string | null {
  const { sub } = (c.get('jwtPayload') as { sub?: string } | undefined) ?? {}
  return (c.get('impersonation') ? undefined : sub) ?? c.get('user')?.id ?? null
}

const actorOf = (impersonation: ImpersonationEngine<User>) =>
  impersonation.current()?.actor.id ?? null

export const hosts: Readonly<Record<string, Build>> = {
  'Passport on Express 5': onExpress(express5),
  'Passport on Express 4': onExpress(express4 as typeof express5),
  '@fastify/jwt': onFastify,
  'hono/jwt': onHono,
}

const open: (() => Promise<void>)[] = []

export async function closeHosts(): Promise<void> {
  for (const close of open.splice(0)) await close()
}

/** A running host. `shared`: its logins and our tokens are signed with one secret, which they should not. */
export async function hostWith(name: string, wiring: Wiring, { shared = false } = {}) {
  const impersonation = createImpersonation<User>({
    store: memoryStore(),
    findUser: find,
    can: (user, action) => user.may.includes(action),
    rateLimit: false,
    impersonationTokens: { issuer, audience, secret },
    apiTokens: { prefix: 'pv_live_', scopes: ['read', 'upload'] },
  })
  const looked: (string | undefined)[] = []
  const key = shared ? secret : ownSecret
  const build = hosts[name]
  if (!build) throw new Error(`there is no host ${name}`)
  const app = await build({
    impersonation,
    secret: key,
    wiring,
    looked: (authorization) => looked.push(authorization),
  })
  const { url, close } = await listen(http.createServer(app))
  open.push(async () => {
    await impersonation.close()
    await close()
  })

  // Once, so that the login of a person is always the same text.
  const now = Math.floor(Date.now() / 1000)
  const login = (id: string) =>
    forge({ alg: 'HS256', typ: 'JWT' }, { sub: id, iat: now, exp: now + 600 }, 'HS256', key)

  /** @param bearer a token, null for none; @param cookie whose cookie comes along */
  async function call(bearer: string | null, route: string, body?: unknown, cookie?: string) {
    const [method = '', path = ''] = route.split(' ')
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(bearer !== null && { Authorization: `Bearer ${bearer}` }),
        ...(cookie !== undefined && { Cookie: `who=${cookie}` }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const json = /^[[{"]/.test(text) ? JSON.parse(text) : text
    return { status: response.status, json, headers: response.headers }
  }

  return {
    url,
    impersonation,
    looked,
    call,
    login,
    key,
    async mint(): Promise<string> {
      const caller = impersonation.caller(find('root') as User)
      const { accessToken = '' } = await impersonation.sessions.start(caller, {
        targetUserId: 'alice',
        reason: 'ticket 7',
        transport: 'token',
      })
      return accessToken
    },
    /** An API token, and its id. */
    issue(userId: string, scopes: readonly string[]) {
      const caller = impersonation.caller(find('root') as User)
      return impersonation.tokens.issue(caller, { userId, name: 'a script', scopes })
    },
  }
}
