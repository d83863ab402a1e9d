import { randomBytes } from 'node:crypto'
import type { Server } from 'node:http'
import { serve } from '@hono/node-server'
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { admin } from 'better-auth/plugins'
import { Hono } from 'hono'
import { createImpersonation, memoryStore } from 'onbehalf'
import { impersonate } from 'onbehalf/hono'
import { type Running, runIfMain, running } from '../app/main.ts'

/*
 * better-auth on Hono. Its `admin` plugin brings an impersonation of its own, which swaps the cookie
 * and marks the session with `impersonatedBy`. The mark is carried into the actor, so that nobody
 * impersonates from within an impersonation.
 */

const auth = betterAuth({
  database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
  secret: process.env.BETTER_AUTH_SECRET ?? randomBytes(32).toString('hex'),
  emailAndPassword: { enabled: true },
  baseURL: { allowedHosts: ['127.0.0.1:*', 'localhost:*'], fallback: 'http://localhost:3000' },
  plugins: [admin()],
})

type Login = typeof auth.$Infer.Session
type User = Login['user'] & { impersonatedBy?: string | null | undefined }

const impersonation = createImpersonation({
  store: memoryStore(),
  findUser: async (id) => {
    const { internalAdapter } = await auth.$context
    return (await internalAdapter.findUserById(id)) as User | null
  },
  can: (user) => user.role === 'admin',
  describe: ({ id, email, name, role, banned }) => ({ id, email, name, role, active: !banned }),
})

export function createApp() {
  const app = new Hono<{ Variables: { user: User | null; login: Login | null } }>()

  // better-auth's own routes stand above the line, so they always mean who is really there.
  app.on(['GET', 'POST'], '/api/auth/*', (c) => auth.handler(c.req.raw))
  app.use(async (c, next) => {
    const login = await auth.api.getSession({ headers: c.req.raw.headers })
    c.set('login', login)
    c.set('user', login?.user ?? null)
    await next()
  })
  app.use(
    impersonate(impersonation, {
      getActor(c) {
        const login: Login | null = c.get('login')
        return login && { ...login.user, impersonatedBy: login.session.impersonatedBy }
      },
    }),
  )

  app.get('/me', (c) => c.json(c.var.user))
  return app
}

/** The people of the demo; the password of each is `a long password`. */
async function seed(): Promise<void> {
  for (const [name, role] of [
    ['root', 'admin'],
    ['alice', 'user'],
    ['bob', 'user'],
  ] as const) {
    const email = `${name}@app.example`
    await auth.api.createUser({ body: { email, name, role, password: 'a long password' } })
  }
}

export async function listen(port: number): Promise<Running> {
  await seed()
  const server = serve({ fetch: createApp().fetch, port, hostname: '127.0.0.1' }) as Server
  return running(server, impersonation.close)
}

await runIfMain(import.meta.url, listen)
