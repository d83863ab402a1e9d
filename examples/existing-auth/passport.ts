import express, { type Request } from 'express'
import { createImpersonation, memoryStore } from 'onbehalf'
import { impersonate } from 'onbehalf/express'
import passport from 'passport'
import { type Running, runIfMain, running } from '../app/main.ts'
import { findByEmail, findUser, type User } from '../app/users.ts'
import { memorySession } from './memory-session.ts'

/*
 * Passport on Express: the user is in `req.user`, where impersonation looks by default. So there is
 * nothing to say; it only has to come after `passport.session()`.
 */

const impersonation = createImpersonation({
  store: memoryStore(),
  findUser,
  can: (user) => user.role === 'superuser',
})

/** Stands in for `passport-local`: believes every email address. */
class EmailStrategy extends passport.Strategy {
  override readonly name = 'email'

  override authenticate(request: Request) {
    const user = findByEmail(String(request.body?.email))
    if (user?.active) this.success(user)
    else this.fail(401)
  }
}

const userOf = (request: Request) => request.user as User | undefined

export function createApp() {
  const login = new passport.Passport()
  login.use(new EmailStrategy())
  login.serializeUser((user, done) => done(null, (user as User).id))
  login.deserializeUser((id: string, done) => done(null, findUser(id) ?? false))

  const app = express()
  app.use(express.json(), memorySession(), login.session())
  app.post('/login', login.authenticate('email'), (_request, response) => void response.json({}))
  // The login's own routes stand above the line below, so they always mean who is really there.
  app.post('/logout', async (request, response, next) => {
    const user = userOf(request)
    if (user) await impersonation.endFor(user.id)
    request.logout((error) => (error ? next(error) : response.json({})))
  })

  app.use(impersonate(impersonation))

  app.get('/me', (request, response) => void response.json(userOf(request) ?? null))
  return app
}

export async function listen(port: number): Promise<Running> {
  return running(createApp().listen(port, '127.0.0.1'), impersonation.close)
}

await runIfMain(import.meta.url, listen)
