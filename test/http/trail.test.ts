import { afterEach, describe, expect, it } from 'vitest'
import {
  createImpersonation,
  type ImpersonationOptions,
  memoryStore,
  type Store,
} from '../../src/index.ts'
import { type Framework, frameworks, type Handlers, serve } from '../support/http-apps.ts'

interface User {
  readonly id: string
  readonly may: readonly string[]
}

const users: User[] = [
  { id: 'root', may: ['start', 'list', 'revoke'] },
  { id: 'auditor', may: ['read_audit'] },
  { id: 'alice', may: [] },
]
const noon = Date.UTC(2030, 5, 1, 12)
const secret = 'canary-5f3a'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

type Audit = NonNullable<ImpersonationOptions<User>['audit']>

async function world(framework: Framework, audit: Audit = { trail: 'all' }, handlers?: Handlers) {
  const store = memoryStore()
  const clock = { now: noon }
  const engine = createImpersonation<User>({
    store,
    findUser: (id) => users.find((user) => user.id === id),
    can: (user, action) => user.may.includes(action),
    now: () => clock.now,
    audit,
  })
  const { call, close } = await serve(
    framework,
    engine,
    users,
    handlers ?? { '/notes/:id': () => 'a note', '/broken': () => fail() },
  )
  open.push(close)
  const level = 'full'
  const started = await call('root', 'POST /start', {
    target_user_id: 'alice',
    reason: 'ticket 7',
    access_level: level,
  })
  const session: string = started.json.session_id
  /** What is stored now, whatever waits. */
  const stored = () => entriesOf(store, session)
  const actions = async () => {
    await call('root', 'POST /stop')
    const { items } = (await call('auditor', `GET /sessions/${session}/actions`)).json
    return items as Record<string, unknown>[]
  }
  return { call, clock, engine, store, session, stored, actions }
}

function fail(): never {
  throw new Error('a fault of the app')
}

async function entriesOf(store: Store, session: string) {
  return (await store.trail?.readTrails([session], null, 1000)) ?? []
}

describe.each(frameworks)('the action trail on %s', (framework) => {
  it('tells each request under a session: method, route, path, status', async () => {
    const { call, actions } = await world(framework)
    await call('root', 'GET /app/notes/7?token=x', undefined, { 'X-Request-Id': 'r-1' })
    await call('root', 'PUT /app/notes/8', { text: 'new' })
    await call('root', 'GET /app/nothing')
    await call('root', 'DELETE /app/broken')
    const told = (await actions()).map(({ method, route, path, status, request_id: request }) =>
      [method, route, path, status, request].map((one) => one ?? '-').join(' '),
    )
    expect(told).toEqual([
      'GET /app/notes/:id /app/notes/7 200 r-1',
      'PUT /app/notes/:id /app/notes/8 200 -',
      'GET - /app/nothing 404 -',
      // Express forgets where a router was mounted once an error has left it.
      `DELETE ${framework === 'Express' ? '-' : '/app/broken'} /app/broken 500 -`,
    ])
  })

  it('puts what may change something on record before the handler runs', async () => {
    const seen: unknown[] = []
    const { call, store, session, actions } = await world(
      framework,
      { trail: 'unsafe' },
      {
        '/notes/:id': async () => {
          seen.push(...(await entriesOf(store, session)))
        },
      },
    )
    await call('root', 'GET /app/notes/7')
    expect(seen).toEqual([])
    await call('root', 'POST /app/notes/7')
    expect(seen).toMatchObject([{ method: 'POST', path: '/app/notes/7', at: noon, status: null }])
    expect(await actions()).toMatchObject([
      { method: 'POST', route: '/app/notes/:id', status: 200 },
    ])
  })

  it('runs nothing that it could not put on record', async () => {
    let ran = 0
    const { call, store } = await world(framework, { trail: 'unsafe' }, { '/notes': () => ++ran })
    const { trail } = store
    if (!trail) throw new Error('the store has no trail')
    const { appendTrail } = trail
    trail.appendTrail = async () => {
      throw new Error('disk full')
    }
    const refused = await call('root', 'POST /app/notes')
    expect(refused.status).toBe(503)
    expect(refused.json.code).toBe('impersonation_unavailable')
    expect(refused.headers.get('x-impersonating')).toBe('true')
    expect(refused.headers.get('retry-after')).toBeTruthy()
    expect(ran).toBe(0)
    // Reads are not recorded here, and nobody else's requests ever.
    expect((await call('root', 'GET /app/notes')).status).toBe(200)
    expect((await call('alice', 'POST /app/notes')).status).toBe(200)
    trail.appendTrail = appendTrail
    expect((await call('root', 'POST /app/notes')).status).toBe(200)
    expect(ran).toBe(3)
  })

  it('refuses what its session did not outlive while it was recorded', async () => {
    let ran = 0
    const { call, clock, store, session } = await world(
      framework,
      { trail: 'unsafe' },
      { '/notes': () => ++ran },
    )
    const { trail } = store
    if (!trail) throw new Error('the store has no trail')
    const { appendTrail } = trail
    trail.appendTrail = async (id, make) => {
      trail.appendTrail = appendTrail
      clock.now += 3_600_000
      return appendTrail(id, make)
    }
    const { status, json } = await call('root', 'POST /app/notes')
    expect([status, json.code]).toEqual([401, 'impersonation_expired'])
    expect(ran).toBe(0)
    const { items } = (await call('auditor', `GET /sessions/${session}/actions`)).json
    expect(items).toMatchObject([{ seq: 1, method: 'POST' }])
  })

  it('tells of what was refused, and runs it for nobody', async () => {
    const { call, actions } = await world(framework)
    expect((await call('root', 'POST /app/notes/7/password')).status).toBe(403)
    expect(await actions()).toMatchObject([
      { method: 'POST', path: '/app/notes/7/password', status: 403 },
    ])
  })

  it('holds no body, no header but the id of the request, and of the query what is allowed', async () => {
    const audit: Audit = { trail: 'all', query: ['page', 'größe'] }
    const { call, stored, actions } = await world(framework, audit)
    const query = `page=2&token=${secret}&gr%C3%B6%C3%9Fe=3&page=4&Page=${secret}`
    await call('root', `GET /app/notes/7?${query}#${secret}`, undefined, {
      Cookie: `sid=${secret}`,
      'X-Secret': secret,
    })
    await call('root', `POST /app/notes/7?token=${secret}`, { password: secret })
    await actions()
    const text = JSON.stringify(await stored())
    expect(text).not.toContain(secret)
    expect(text).toContain('/app/notes/7?page=2&gr%C3%B6%C3%9Fe=3&page=4"')
  })

  it('is counted by route in the history of the person it was done to', async () => {
    const { call, actions } = await world(framework)
    for (const id of [1, 2, 3]) await call('root', `GET /app/notes/${id}`)
    await call('root', 'POST /app/notes/1')
    await actions()
    const [entry] = (await call('alice', 'GET /me/history')).json.items
    expect(entry.actions).toEqual({ 'GET /app/notes/:id': 3, 'POST /app/notes/:id': 1 })
  })

  it('is stored before a session ends, and its head is sealed into the event of the end', async () => {
    const key = 'a key of thirty-two characters..'
    const { call, engine, stored } = await world(framework, { trail: 'all', key })
    await call('root', 'GET /app/notes/1')
    await call('root', 'GET /app/notes/2')
    await call('root', 'POST /stop')
    const entries = await stored()
    expect(entries.map(({ seq }) => seq)).toEqual([1, 2])
    const [ended] = (await call('auditor', 'GET /audit?action=impersonation.stopped')).json.items
    expect(ended.details).toMatchObject({ trail_seq: 2, trail_mac: entries.at(-1)?.mac })
    expect(await engine.audit.verify()).toEqual({ ok: true, checked: 2 })
  })
})

describe('reading the trail over HTTP', () => {
  it('goes page by page, in the order in which it was done', async () => {
    const { call, session } = await world('Hono')
    for (let id = 1; id <= 5; id++)
      await call('root', `${id % 2 ? 'GET' : 'POST'} /app/notes/${id}`)
    await call('root', 'POST /stop')
    const paths: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const route = `GET /sessions/${session}/actions?limit=2${cursor && `&cursor=${cursor}`}`
      const { json } = await call('auditor', route)
      expect(json.items.length).toBeLessThanOrEqual(2)
      paths.push(...json.items.map(({ path }: { path: string }) => path))
      cursor = json.next_cursor
    }
    expect(paths).toEqual([1, 2, 3, 4, 5].map((id) => `/app/notes/${id}`))
  })

  it('knows sessions that are there, and places in their own trails', async () => {
    const { call, session } = await world('Hono')
    for (const id of [1, 2]) await call('root', `GET /app/notes/${id}`)
    await call('root', 'POST /stop')
    const first = await call('auditor', `GET /sessions/${session}/actions?limit=1`)
    await call('root', 'POST /start', { target_user_id: 'alice', reason: 'again' })
    const { session_id: other } = (await call('root', 'GET /status')).json
    const cursor = first.json.next_cursor
    const strange = await call('auditor', `GET /sessions/${other}/actions?cursor=${cursor}`)
    expect(strange.json).toMatchObject({ status: 400, errors: [{ path: 'query.cursor' }] })
    const unknown = await call('auditor', 'GET /sessions/nowhere/actions')
    expect(unknown.json).toMatchObject({ status: 404, code: 'session_not_found' })
  })
})
