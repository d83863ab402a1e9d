import express, { type Request } from 'express'
import { createImpersonation, memoryStore } from 'onbehalf'
import { impersonate, requireScope } from 'onbehalf/express'

/** A user as this application knows them; the login puts exactly this on the request. */
interface User {
  readonly id: string
  readonly name: string
  readonly kind: 'staff' | 'customer' | 'service'
}

const users: readonly User[] = [
  { id: 'root', name: 'Root', kind: 'staff' },
  { id: 'alice', name: 'Alice', kind: 'customer' },
  { id: 'backup', name: 'The nightly backup', kind: 'service' },
]

export const impersonation = createImpersonation({
  store: memoryStore(),
  findUser: (id) => users.find((user) => user.id === id),
  // Staff may do everything, `issue_token` included. Whoever may impersonate has no tokens.
  can: (user) => user.kind === 'staff',
  apiTokens: {
    prefix: 'files_live_',
    scopes: ['read', 'upload'],
    // Tokens of programs live for a day, and are rotated by themselves.
    services: { is: (user) => user.kind === 'service' },
    listUsers: ({ query, limit }) => ({
      users: users
        .filter(({ name }) => name.toLowerCase().includes(query.toLowerCase()))
        .slice(0, limit),
    }),
  },
})

/** Where the login keeps the user: `request.user`. With an API token it is the owner. */
const slot = (request: Request) => request as { user?: User | undefined }

export function createApp() {
  const files: { name: string; by: string }[] = []
  const app = express()
  // The login of the application goes here. In this one the bearer token is simply the user's id.
  app.use((request, _response, next) => {
    const [, id = ''] = (request.headers.authorization ?? '').split(' ')
    slot(request).user = users.find((user) => user.id === id)
    next()
  })
  app.use(impersonate(impersonation))

  app.get('/files', requireScope('read'), (_request, response) => {
    response.json(files)
  })
  app.post('/files', requireScope('upload'), express.json(), (request, response) => {
    const file = { name: String(request.body.name), by: slot(request).user?.name ?? 'nobody' }
    files.push(file)
    response.status(201).json(file)
  })
  return app
}
