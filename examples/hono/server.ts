import type { Server } from 'node:http'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { impersonate } from 'onbehalf/hono'
import { changePassword, listUsers, upgradePlan, whoAmI } from '../app/account.ts'
import { impersonation } from '../app/impersonation.ts'
import { authenticate, login } from '../app/login.ts'
import { type Running, runIfMain, running } from '../app/main.ts'
import { addNote, listNotes } from '../app/notes.ts'
import { documentOf } from '../app/problems.ts'
import type { User } from '../app/users.ts'

export function createApp() {
  const app = new Hono<{ Variables: { user: User | null } }>()

  app.post('/login', async (c) => {
    const found = await login((await c.req.json()).email)
    return found ? c.json(found) : c.json({ title: 'No such user' }, 401)
  })

  // The login of the application, as it was; then one line.
  app.use(async (c, next) => {
    c.set('user', await authenticate(c.req.header('Authorization')))
    await next()
  })
  app.use(impersonate(impersonation))

  // From here on the user is the one who is impersonated, and no handler has to know.
  app.get('/whoami', (c) => c.json(whoAmI(c.var.user)))
  app.get('/notes', (c) => c.json(listNotes(c.var.user)))
  app.post('/notes', async (c) => c.json(addNote(c.var.user, await c.req.json()), 201))
  app.post('/account/password', (c) => c.json(changePassword(c.var.user)))
  app.post('/plan', (c) => c.json(upgradePlan(c.var.user)))
  app.get('/admin/users', (c) => c.json(listUsers(c.var.user)))

  app.onError((error) => {
    const document = documentOf(error)
    if (!document) throw error
    const { status, body, type } = document
    return new Response(body, { status, headers: { 'Content-Type': type } })
  })
  return app
}

export async function listen(port: number): Promise<Running> {
  const server = serve({ fetch: createApp().fetch, port, hostname: '127.0.0.1' }) as Server
  return running(server, impersonation.close)
}

await runIfMain(import.meta.url, listen)
