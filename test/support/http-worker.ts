/** A process that serves the library over HTTP on a store that others share. Runs as it is: Node strips the types. */
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { impersonate } from '../../adapters/hono.ts'
import { createImpersonation } from '../../src/index.ts'
import { type Address, connect } from './connect.ts'

interface User {
  id: string
  isSuperuser: boolean
}

/** Ids starting with `a` are admins. */
const findUser = (id: string): User => ({ id, isSuperuser: id.startsWith('a') })

process.on(
  'message',
  ({ address, onConflict }: { address: Address; onConflict: 'replace' | 'reject' }) => {
    const impersonation = createImpersonation<User>({
      store: connect(address, 4).store,
      findUser,
      can: (user) => user.isSuperuser,
      onConflict,
      rateLimit: false,
      storeTimeoutMs: 5000,
    })
    const app = new Hono<{ Variables: { user: User | undefined } }>()
    app.use((c, next) => {
      const token = c.req.header('authorization')?.slice(7)
      c.set('user', token === undefined ? undefined : findUser(token))
      return next()
    })
    app.use(impersonate(impersonation))
    // Says who the app thinks is asking, for reads and writes alike.
    app.all('/whoami', (c) => c.text(c.get('user')?.id ?? 'nobody'))
    const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => {
      process.send?.({ url: `http://127.0.0.1:${port}` })
    })
    process.on('disconnect', () => server.close(() => process.exit()))
  },
)
process.send?.('ready')
