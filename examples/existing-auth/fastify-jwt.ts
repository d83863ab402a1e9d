import { randomBytes } from 'node:crypto'
import fastifyJwt from '@fastify/jwt'
import Fastify, { type FastifyRequest } from 'fastify'
import { createImpersonation, memoryStore } from 'onbehalf'
import { impersonate } from 'onbehalf/fastify'
import { type Running, runIfMain } from '../app/main.ts'
import { findByEmail, findUser, type User } from '../app/users.ts'

/*
 * @fastify/jwt, where each route says for itself that it wants a login (`onRequest: authenticate`).
 * Those hooks run after the ones of any plugin, so impersonation is told to wait (`hook`) and how to
 * find the user on routes that don't ask for one, its own among them (`getActor`).
 */

const impersonation = createImpersonation({
  store: memoryStore(),
  findUser,
  can: (user) => user.role === 'superuser',
})

const userOf = (request: FastifyRequest) => request.user as unknown as User | null

async function authenticate(request: FastifyRequest) {
  await request.jwtVerify()
}

async function getActor(request: FastifyRequest): Promise<User | null> {
  // Where the route has done it already, it must not be done again: that would log the admin in anew.
  if (!userOf(request)) await request.jwtVerify().catch(() => {})
  return userOf(request)
}

export async function createApp() {
  const app = Fastify({ forceCloseConnections: true })
  await app.register(fastifyJwt, {
    secret: randomBytes(32),
    sign: { algorithm: 'HS256', expiresIn: '8h' },
    verify: { algorithms: ['HS256'], requiredClaims: ['sub', 'exp'] },
    // `request.user` becomes the record of the user rather than the payload of the token.
    formatUser: (payload) => findUser((payload as { sub: string }).sub) as never,
  })
  await app.register(impersonate, { impersonation, hook: 'preParsing', getActor })

  app.post<{ Body: { email: string } }>('/login', async (request, reply) => {
    const user = findByEmail(request.body.email)
    return user?.active ? { token: app.jwt.sign({ sub: user.id }) } : reply.code(401).send()
  })
  app.get('/me', { onRequest: authenticate }, async (request) => userOf(request))
  app.addHook('onClose', () => impersonation.close())
  return app
}

export async function listen(port: number): Promise<Running> {
  const app = await createApp()
  const url = await app.listen({ port, host: '127.0.0.1' })
  return { url, close: () => app.close() }
}

await runIfMain(import.meta.url, listen)
