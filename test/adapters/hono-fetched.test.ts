import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { impersonate } from '../../adapters/hono.ts'
import { createImpersonation, memoryStore } from '../../src/index.ts'

const users = [
  { id: 'root', isAdmin: true },
  { id: 'alice', isAdmin: false },
]

/** Responses whose headers the runtime itself has frozen. */
describe.each([
  ['a fetched Response', () => fetch('data:text/plain,fetched'), 200, 'fetched'],
  ['a Response made by redirect()', () => Response.redirect('http://localhost/x', 307), 307, ''],
] as const)('%s', (_, make, status, text) => {
  it('carries our headers, each once, and what it carried before', async () => {
    const engine = createImpersonation({
      store: memoryStore(),
      findUser: (id) => users.find((user) => user.id === id),
      can: (user) => user.isAdmin,
    })
    const root = { id: 'root', isAdmin: true }
    const app = new Hono<{ Variables: { user: typeof root } }>()
    app.use((c, next) => {
      c.set('user', root)
      return next()
    })
    app.use(impersonate(engine))
    app.get('/', () => make())
    const { session } = await engine.sessions.start(engine.caller(root), {
      targetUserId: 'alice',
      reason: 'a test',
    })
    const response = await app.request('/')
    expect([response.status, await response.text()]).toEqual([status, text])
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'x-impersonating': 'true',
      'x-impersonated-user-id': 'alice',
      'x-impersonation-session': session.id,
      'cache-control': 'no-store, private',
      vary: 'Cookie, Authorization',
      ...(status === 307 ? { location: 'http://localhost/x' } : { 'content-type': 'text/plain' }),
    })
  })
})
