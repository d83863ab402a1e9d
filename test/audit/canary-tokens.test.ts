import { type Kysely, sql } from 'kysely'
import { afterEach, expect, it, vi } from 'vitest'
import { hashOf } from '../../src/api-tokens/format.ts'
import { createImpersonation, type ImpersonationEngine, memoryStore } from '../../src/index.ts'
import type { Tables } from '../../src/stores/kysely/schema.ts'
import { onLogEntry } from '../support/canary-ears.ts'
import { type Connection, connect, kyselyOn, sqliteKysely } from '../support/connect.ts'
import { describeOn, dropDatabase, type Kind, kinds, makeDatabase } from '../support/databases.ts'
import { type Framework, frameworks, serve } from '../support/http-apps.ts'
import { migrateAt } from '../support/migrate.ts'

interface User {
  readonly id: string
  readonly may: readonly string[]
  readonly kind?: 'service'
}

const all = ['start', 'list', 'revoke', 'read_audit', 'issue_token']
const users: User[] = [
  { id: 'root', may: all },
  { id: 'boss', may: all },
  { id: 'alice', may: [] },
  { id: 'robot', may: [], kind: 'service' },
]
const prefix = 'pv_canary_'
/** What an admin calls a token is meant to be seen. */
const called = 'called-4be2d0'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const close of open.splice(0).reverse()) await close()
})

/** A store, and everything that lies in it, column by column. */
async function storeOf(kind: Kind | 'memory') {
  if (kind === 'memory') {
    const store = memoryStore()
    const page = { limit: 1000 }
    const dump = async () => ({
      events: await store.listEvents({}, page),
      sessions: await store.listSessions({}, page),
      tokens: await store.tokens?.listTokens({}, page),
      deliveries: await store.outbox?.listDeliveries({}, page),
      links: await store.chain?.readLinks(0, 1000),
    })
    return { store, dump }
  }
  const address = await makeDatabase(kind)
  open.push(() => dropDatabase(address))
  await migrateAt(address)
  const connection: Connection = connect(address)
  open.push(() => connection.close())
  const db: Kysely<Tables> =
    address.kind === 'sqlite'
      ? sqliteKysely(address.file)
      : kyselyOn(address.kind, address.database, 1)
  open.push(() => db.destroy())
  async function dump() {
    const tables = (await db.introspection.getTables()).map(({ name }) => name)
    const rows = tables.map(async (name) => {
      const { rows } = await sql`select * from ${sql.id(name)}`.execute(db)
      return [name, rows] as const
    })
    return Object.fromEntries(await Promise.all(rows))
  }
  return { store: connection.store, dump }
}

async function world(framework: Framework, kind: Kind | 'memory') {
  const { store, dump } = await storeOf(kind)
  const heard: unknown[] = []
  open.push(onLogEntry((entry) => heard.push(entry)))
  const engine: ImpersonationEngine<User> = createImpersonation<User>({
    store,
    findUser: (id) => users.find((user) => user.id === id),
    can: (user, action) => user.may.includes(action),
    storeTimeoutMs: 5000,
    notifier: {
      channels: ({ id }) => [{ channel: 'mail', to: `${id}@example.com` }],
      send: async (notification) => void heard.push(notification),
    },
    apiTokens: {
      prefix,
      scopes: ['read', 'upload'],
      listUsers: () => ({ users }),
      services: { is: (user) => user.kind === 'service' },
    },
    audit: {
      key: 'a key of at least thirty-two characters',
      trail: 'all',
      onEvent: (event) => heard.push(event, engine.logFields()),
      sink: { send: async (event) => heard.push(event) },
    },
  })
  const served = await serve(framework, engine, users, {
    '/notes': () => heard.push(engine.logFields(), engine.forwardHeaders(), engine.apiToken()),
    '/scoped': () => engine.requireScope('upload'),
    '/broken': () => {
      throw new Error('a fault of the app')
    },
  })
  open.push(served.close)
  return { call: served.call, engine, dump, heard }
}

const onMemory = frameworks.map((framework) => [framework, 'memory'] as const)

async function proved(framework: Framework, kind: Kind | 'memory'): Promise<void> {
  const { call, engine, dump, heard } = await world(framework, kind)
  const answers: unknown[] = []
  const secrets: string[] = []
  const keep = async (asked: ReturnType<typeof call>) => {
    const { status, text, headers } = await asked
    answers.push(status, text, [...headers])
    return { status, text }
  }
  /** The one answer that holds it; what else it says is kept. */
  const made = async (asked: ReturnType<typeof call>): Promise<{ id: string; token: string }> => {
    const { status, json, headers } = await asked
    expect([status, json.token]).toEqual([201, expect.stringContaining(prefix)])
    const { token, ...rest } = json
    secrets.push(token)
    answers.push(rest, [...headers])
    return json
  }
  const ask = { name: called, scopes: ['read'] }
  const one = await made(call('root', 'POST /tokens', { ...ask, user_id: 'alice' }))
  const robot = await made(call('root', 'POST /tokens', { ...ask, user_id: 'robot' }))
  const next = await made(call('root', `POST /tokens/${one.id}/rotate`, {}))
  const own = await made(call(robot.token, `POST /tokens/${robot.id}/rotate`, {}))

  for (const token of [one.token, next.token, own.token]) {
    for (const route of [
      'GET /app/notes',
      `GET /app/notes?token=${'x'}`,
      'POST /app/scoped',
      'POST /app/broken',
      'GET /app/nowhere',
      'GET /whoami',
      'GET /status',
      'GET /tokens',
      'POST /start',
      'POST /tokens',
      `POST /tokens/${one.id}/rotate`,
      `DELETE /tokens/${own.id}`,
    ])
      await keep(call(token, route, route.startsWith('POST') ? { token: 'x' } : undefined))
    const last = token.endsWith('0') ? '1' : '0'
    for (const odd of [`${token.slice(0, -1)}${last}`, `"${token}"`, `${token}, Bearer ${token}`])
      await keep(call(odd, 'GET /whoami'))
    // Where a token has no business to be: in paths and bodies of our routes.
    await keep(call('root', `DELETE /tokens/${token}`))
    await keep(call('root', `POST /tokens/${token}/rotate`, {}))
    await keep(call('root', `GET /tokens?user_id=${token}`))
    await keep(call('root', `GET /tokens?cursor=${token}`))
    await keep(call('root', `GET /nowhere/${token}`))
    // The name of a member that is unknown is told to whoever wrote it.
    const strange = await call('root', 'POST /tokens', { ...ask, user_id: 'alice', [token]: 1 })
    answers.push(strange.status)
    await keep(call('root', 'POST /tokens', { ...ask, user_id: 'alice', scopes: [token] }))
    await keep(call('root', 'POST /start', { target_user_id: { [token]: 1 }, reason: 'r' }))
  }
  for (const route of [
    'GET /tokens',
    'GET /users',
    'GET /me/tokens',
    'GET /me/history',
    'GET /audit',
    'GET /audit/export',
    'GET /audit/export?format=csv',
    'GET /audit/export?format=cloudevents',
    'GET /openapi.json',
    'GET /sessions',
  ])
    for (const who of ['root', 'alice']) await keep(call(who, route))
  await keep(call('alice', `DELETE /me/tokens/${next.id}`))
  await keep(call('root', `DELETE /tokens/${one.id}`))
  await keep(call('root', `DELETE /tokens/${own.id}`))
  for (const token of secrets) await keep(call(token, 'GET /whoami'))
  await engine.outbox.deliver()

  const tables = await dump()
  const places = { answers, heard, ...tables }
  expect(secrets).toHaveLength(4)
  for (const [place, what] of Object.entries(places)) {
    const text = JSON.stringify(what)
    for (const secret of secrets) {
      // The whole, and each half of it alone.
      const half = secret.slice(prefix.length + 4, prefix.length + 26)
      for (const part of [secret, half, secret.slice(-23)])
        expect([place, text.includes(part)]).toEqual([place, false])
      if (place !== 'impersonation_tokens')
        expect([place, text.includes(hashOf(secret))]).toEqual([place, false])
    }
  }
  // The test would see it: a name is where a name belongs, and a hash in its column.
  expect(JSON.stringify(answers)).toContain(called)
  expect(JSON.stringify(heard)).toContain('token.issued')
  const kept = JSON.stringify(tables)
  expect(kept).toContain(called)
  for (const secret of secrets) {
    expect(kept).toContain(secret.slice(0, prefix.length + 4))
    if (kind !== 'memory') expect(kept).toContain(hashOf(secret))
  }
  expect(await engine.audit.verify()).toMatchObject({ ok: true })
}

it.each(onMemory)('on %s, a raw API token is in one answer and nowhere else', proved)

for (const kind of kinds)
  describeOn(kind, 'tables', () => {
    it('hold the hash of an API token, and nothing the raw one', () => proved('Express', kind))
  })
