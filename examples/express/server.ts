import express, { type ErrorRequestHandler, type Request } from 'express'
import { impersonate } from 'onbehalf/express'
import { changePassword, listUsers, upgradePlan, whoAmI } from '../app/account.ts'
import { impersonation } from '../app/impersonation.ts'
import { authenticate, login } from '../app/login.ts'
import { type Running, runIfMain, running } from '../app/main.ts'
import { addNote, listNotes } from '../app/notes.ts'
import { documentOf } from '../app/problems.ts'
import type { User } from '../app/users.ts'

/** Where the login keeps the user: `request.user`. */
const slot = (request: Request) => request as { user?: User | null | undefined }
const userOf = (request: Request) => slot(request).user

export function createApp() {
  const app = express()
  app.use(express.json())

  app.post('/login', async (request, response) => {
    const found = await login(request.body?.email)
    response.status(found ? 200 : 401).json(found ?? { title: 'No such user' })
  })

  // The login of the application, as it was; then one line.
  app.use(async (request, _response, next) => {
    slot(request).user = await authenticate(request.headers.authorization)
    next()
  })
  app.use(impersonate(impersonation))

  // From here on the user is the one who is impersonated, and no handler has to know.
  app.get('/whoami', (request, response) => void response.json(whoAmI(userOf(request))))
  app.get('/notes', (request, response) => void response.json(listNotes(userOf(request))))
  app.post('/notes', (request, response) => {
    response.status(201).json(addNote(userOf(request), request.body))
  })
  app.post('/account/password', (request, response) => {
    response.json(changePassword(userOf(request)))
  })
  app.post('/plan', (request, response) => void response.json(upgradePlan(userOf(request))))
  app.get('/admin/users', (request, response) => void response.json(listUsers(userOf(request))))

  const onError: ErrorRequestHandler = (error, _request, response, next) => {
    const document = documentOf(error)
    if (!document) return next(error)
    response.status(document.status).type(document.type).send(document.body)
  }
  return app.use(onError)
}

export async function listen(port: number): Promise<Running> {
  return running(createApp().listen(port, '127.0.0.1'), impersonation.close)
}

await runIfMain(import.meta.url, listen)
