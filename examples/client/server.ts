import express, { type Request } from 'express'
import { createImpersonation, memoryStore } from 'onbehalf'
import { impersonate } from 'onbehalf/express'

/** A user as this application knows them; the login puts exactly this on the request. */
interface User {
  readonly id: string
  readonly name: string
  readonly role: 'support' | 'customer'
}

const users: readonly User[] = [
  { id: 'root', name: 'Root', role: 'support' },
  { id: 'alice', name: 'Alice', role: 'customer' },
]

export const impersonation = createImpersonation({
  store: memoryStore(),
  findUser: (id) => users.find((user) => user.id === id),
  can: (user) => user.role === 'support',
  // Lets programs act by a token of their own, beside whatever their caller does meanwhile.
  impersonationTokens: {
    issuer: 'https://app.example.com',
    audience: 'https://app.example.com',
    secret: process.env.TOKEN_SECRET ?? 'at least thirty-two characters, kept safe',
  },
})

/** Where the login keeps the user: `request.user`. */
const slot = (request: Request) => request as { user?: User | undefined }

export function createApp() {
  const app = express()
  // The login of the application goes here. In this one the bearer token is simply the user's id.
  app.use((request, _response, next) => {
    const [, id = ''] = (request.headers.authorization ?? '').split(' ')
    slot(request).user = users.find((user) => user.id === id)
    next()
  })
  app.use(impersonate(impersonation))

  app.get('/invoices', (request, response) => {
    const { user } = slot(request)
    if (!user) return void response.status(401).json({ title: 'Log in first' })
    response.json(user.id === 'alice' ? ['Invoice 7 of Alice'] : [])
  })
  app.post('/notes', (request, response) => {
    response.status(201).json({ writtenBy: slot(request).user?.name ?? 'nobody' })
  })
  return app
}
