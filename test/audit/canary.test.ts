import { afterEach, expect, it, vi } from 'vitest'
import { createImpersonation, type ImpersonationEngine, memoryStore } from '../../src/index.ts'
import { type Framework, frameworks, serve } from '../support/http-apps.ts'

/** What nobody but its owner may ever see, wherever a client puts it. */
const canary = 'canary-9c1f7e'
/** What an operator writes down as their reason is meant to be seen. */
const said = 'said-4be2d0'

interface User {
  readonly id: string
  readonly may: readonly string[]
}

const all = ['start', 'list', 'revoke', 'break_glass', 'confirm_break_glass', 'read_audit']
const users: User[] = [
  { id: 'root', may: all },
  { id: 'boss', may: all },
  { id: 'alice', may: [] },
]

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const close of open.splice(0)) await close()
})

async function world(framework: Framework) {
  const heard: unknown[] = []
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      heard.push(String(text))
      return true
    })
  }
  for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const)
    vi.spyOn(console, method).mockImplementation((...words) => void heard.push(words))
  vi.spyOn(process, 'emitWarning').mockImplementation((...words) => void heard.push(words))
  const store = memoryStore()
  const engine: ImpersonationEngine<User> = createImpersonation<User>({
    store,
    findUser: (id) => users.find((user) => user.id === id),
    can: (user, action) => user.may.includes(action),
    breakGlass: { verifySecondFactor: () => false },
    consent: () => false,
    notifier: {
      channels: ({ id }) => [{ channel: 'mail', to: `${id}@example.com` }],
      send: async (notification) => void heard.push(notification),
    },
    impersonationTokens: {
      issuer: 'https://api.example.com',
      audience: 'https://api.example.com',
      secret: `${canary} and thirty-two characters`,
    },
    audit: {
      key: `${canary} and thirty-two characters`,
      trail: 'all',
      onEvent: (event) => heard.push(event, engine.logFields()),
      sink: { send: async (event) => heard.push(event) },
    },
  })
  const { call, close } = await serve(framework, engine, users, {
    '/notes': () => heard.push(engine.logFields(), engine.forwardHeaders()),
    '/broken': () => {
      throw new Error('a fault of the app')
    },
  })
  open.push(close)
  return { call, engine, store, heard }
}

const headers = {
  Cookie: `sid=${canary}; theme=${canary}`,
  'X-Api-Key': canary,
  'Proxy-Authorization': `Basic ${canary}`,
  'X-Forwarded-For': canary,
  Referer: `https://app.example.com/?token=${canary}`,
  'X-CSRF-Token': canary,
  'Accept-Language': canary,
  Forwarded: `for=${canary}`,
  'X-Impersonating': canary,
}

it.each(frameworks)(
  'on %s, no secret of a request is put on record anywhere',
  async (framework) => {
    const { call, engine, store, heard } = await world(framework)
    const as = (who: string, route: string, body?: unknown, more = {}) =>
      call(who, route, body, { ...headers, ...more })
    const answers: unknown[] = []
    const ask = { target_user_id: 'alice', reason: said, access_level: 'full' }

    // Refusals of every kind.
    answers.push(await as('', 'POST /start', { ...ask, password: canary }))
    answers.push(await as('alice', 'POST /start', ask))
    answers.push((await as('root', 'POST /start', { ...ask, [canary]: 1 })).status)
    answers.push((await as('root', 'POST /start', { ...ask, target_user_id: { canary } })).status)
    answers.push(await as('root', 'POST /break-glass', { ...ask, totp: canary }))
    answers.push(await as('root', `GET /sessions?cursor=${canary}`))
    answers.push(
      (await as('', 'GET /whoami', undefined, { Authorization: `Bearer ${canary}` })).status,
    )
    const [header, , seal] = (
      (await as('root', 'POST /start', { ...ask, transport: 'token' })).json.access_token as string
    ).split('.')
    const payload = Buffer.from(JSON.stringify({ sub: canary })).toString('base64url')
    const forged = { Authorization: `Bearer ${header}.${payload}.${seal}` }
    answers.push(await as('', 'POST /app/notes', undefined, forged))

    // A session with everything that may happen in one.
    const started = await as('root', 'POST /start', ask)
    expect(started.status).toBe(201)
    for (const route of [
      `GET /app/notes?token=${canary}`,
      `POST /app/notes?token=${canary}`,
      'PUT /app/broken',
      `POST /app/notes/password?code=${canary}`,
      'GET /app/nowhere',
    ])
      await as(
        'root',
        route,
        route.startsWith('GET') ? undefined : { password: canary, deep: [canary] },
      )
    answers.push(await as('root', 'POST /extend', { minutes: 1 }))
    answers.push(
      await as('boss', `POST /sessions/${started.json.session_id}/revoke`, { reason: said }),
    )
    answers.push((await as('root', 'POST /app/notes', { password: canary })).status)
    await engine.outbox.deliver()

    const page = { limit: 1000 }
    const sessions = await store.listSessions({}, page)
    const places = {
      answers,
      heard,
      events: await store.listEvents({}, page),
      trail: await store.trail?.readTrails(
        sessions.map(({ id }) => id),
        null,
        1000,
      ),
      deliveries: await store.outbox?.listDeliveries({}, page),
      requests: await store.requests?.listRequests({}, page),
      links: await store.chain?.readLinks(0, 1000),
      sessions,
      audit: await call('boss', 'GET /audit'),
      history: await call('alice', 'GET /me/history'),
      list: await call('boss', 'GET /sessions'),
      jsonl: await call('boss', 'GET /audit/export'),
      csv: await call('boss', 'GET /audit/export?format=csv'),
      cloudevents: await call('boss', 'GET /audit/export?format=cloudevents'),
      document: await call('', 'GET /openapi.json'),
      keys: await call('', 'GET /jwks.json'),
    }
    for (const [place, what] of Object.entries(places))
      expect([place, JSON.stringify(what).includes(canary)]).toEqual([place, false])
    // The test would see it: the reason is where a reason belongs.
    for (const place of [
      'events',
      'audit',
      'jsonl',
      'csv',
      'cloudevents',
      'heard',
      'links',
    ] as const)
      expect([place, JSON.stringify(places[place]).includes(said)]).toEqual([place, true])
    expect(places.trail?.length).toBeGreaterThan(4)
    expect(await engine.audit.verify()).toMatchObject({ ok: true })
  },
)
