import { randomUUID } from 'node:crypto'
import type { RequestHandler } from 'express'

/** Stands in for `express-session`, as far as Passport needs it: a cookie, and a record in this process. */
export function memorySession(): RequestHandler {
  const kept = new Map<string, object>()

  return (request, response, next) => {
    const [, id = ''] = /(?:^|; *)sid=([\w-]+)/.exec(request.headers.cookie ?? '') ?? []
    const open = (data: object) => Object.assign(request, { session: Object.assign(data, verbs) })
    const verbs = {
      regenerate(done: () => void) {
        const fresh = randomUUID()
        kept.delete(id)
        kept.set(fresh, open({}).session)
        response.append('Set-Cookie', `sid=${fresh}; Path=/; HttpOnly; SameSite=Lax`)
        done()
      },
      save: (done: () => void) => done(),
    }
    open(kept.get(id) ?? {})
    next()
  }
}
