import express, { type Request } from 'express'
import type { ImpersonationEngine } from 'onbehalf'
import { impersonate } from 'onbehalf/express'
import { findPerson, type Person } from './people.ts'

/** Where the login keeps the user: `request.user`. */
const slot = (request: Request) => request as { user?: unknown } as { user?: Person | null }

export function createApp(impersonation: ImpersonationEngine<Person>) {
  const app = express()
  // The login of the application goes here. In this one the bearer token is simply the user's id.
  app.use((request, _response, next) => {
    const [, id = ''] = (request.headers.authorization ?? '').split(' ')
    slot(request).user = findPerson(id)
    next()
  })
  app.use(impersonate(impersonation))

  app.get('/whoami', (request, response) => {
    const { id = null, role = null } = slot(request).user ?? {}
    response.json({ id, role, impersonated_by: impersonation.current()?.actor.id ?? null })
  })
  app.post('/notes', (request, response) => {
    response.status(201).json({ written_by: slot(request).user?.id ?? null })
  })
  return app
}
