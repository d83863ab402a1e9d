/** A process that serves requests with API tokens on a store that others share. Runs as it is: Node strips the types. */
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import pg from 'pg'
import { impersonate } from '../../adapters/hono.ts'
import { createImpersonation, type Store } from '../../src/index.ts'
import { kyselyStore } from '../../src/stores/kysely/index.ts'
import { type Address, connect, kyselyOn, servers } from './connect.ts'

interface User {
  readonly id: string
  readonly may: readonly string[]
  readonly isService: boolean
}

const findUser = (id: string): User => ({
  id,
  may: id === 'root' ? ['start', 'revoke', 'issue_token'] : [],
  isService: id.startsWith('robot'),
})

function storeAt(address: Address, listens: boolean): Store {
  if (!listens || address.kind !== 'postgres') return connect(address, 4).store
  const { database } = address
  const listen = () => new pg.Client({ ...servers.postgres, database })
  return kyselyStore(kyselyOn('postgres', database, 4), { listen })
}

process.on('message', ({ address, listens }: { address: Address; listens: boolean }) => {
  const impersonation = createImpersonation<User>({
    store: storeAt(address, listens),
    findUser,
    can: (user, action) => user.may.includes(action),
    rateLimit: false,
    storeTimeoutMs: 5000,
    apiTokens: { prefix: 'pv_test_', scopes: ['read'], services: { is: (user) => user.isService } },
  })
  const app = new Hono<{ Variables: { user: User | undefined } }>()
  app.use((c, next) => {
    c.set('user', c.req.header('cookie') === 'sid=root' ? findUser('root') : undefined)
    return next()
  })
  app.use(impersonate(impersonation))
  app.all('/whoami', (c) => c.text(c.get('user')?.id ?? 'nobody'))
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => {
    process.send?.({ url: `http://127.0.0.1:${port}` })
  })
  process.on('disconnect', () =>
    server.close(() => impersonation.close().finally(() => process.exit())),
  )
})
process.send?.('ready')
