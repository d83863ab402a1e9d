import Fastify, { type FastifyRequest } from 'fastify'
import { impersonate } from 'onbehalf/fastify'
import { changePassword, listUsers, upgradePlan, whoAmI } from '../app/account.ts'
import { impersonation } from '../app/impersonation.ts'
import { authenticate, login } from '../app/login.ts'
import { type Running, runIfMain } from '../app/main.ts'
import { addNote, listNotes } from '../app/notes.ts'
import { documentOf } from '../app/problems.ts'
import type { User } from '../app/users.ts'

const userOf = (request: FastifyRequest) => request.getDecorator<User | null>('user')

export async function createApp() {
  const app = Fastify({ forceCloseConnections: true })
  app.decorateRequest('user')

  app.post<{ Body: { email?: unknown } | null }>('/login', async (request, reply) => {
    const found = await login(request.body?.email)
    return reply.code(found ? 200 : 401).send(found ?? { title: 'No such user' })
  })

  // The login of the application, as it was; then one line.
  app.addHook('onRequest', async (request) => {
    request.setDecorator('user', await authenticate(request.headers.authorization))
  })
  await app.register(impersonate, { impersonation })

  // From here on the user is the one who is impersonated, and no handler has to know.
  app.get('/whoami', async (request) => whoAmI(userOf(request)))
  app.get('/notes', async (request) => listNotes(userOf(request)))
  app.post('/notes', async (request, reply) => {
    return reply.code(201).send(addNote(userOf(request), request.body))
  })
  app.post('/account/password', async (request) => changePassword(userOf(request)))
  app.post('/plan', async (request) => upgradePlan(userOf(request)))
  app.get('/admin/users', async (request) => listUsers(userOf(request)))

  app.setErrorHandler((error, _request, reply) => {
    const document = documentOf(error)
    if (!document) throw error
    return reply.code(document.status).type(document.type).send(document.body)
  })
  app.addHook('onClose', () => impersonation.close())
  return app
}

export async function listen(port: number): Promise<Running> {
  const app = await createApp()
  const url = await app.listen({ port, host: '127.0.0.1' })
  return { url, close: () => app.close() }
}

await runIfMain(import.meta.url, listen)
