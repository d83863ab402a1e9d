import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { impersonate } from '../../adapters/hono.ts'
import { createImpersonation, type ImpersonationOptions, memoryStore } from '../../src/index.ts'

interface User {
  readonly id: string
  readonly name: string
  readonly role: string
  readonly may: readonly string[]
}

const users: User[] = [
  { id: 'root', name: 'Root', role: 'support', may: ['start', 'list', 'revoke'] },
  { id: 'boss', name: 'Boss', role: 'admin', may: ['start'] },
  { id: 'alice', name: 'Alice', role: 'customer', may: [] },
  { id: 'bob', name: 'Bob', role: 'customer', may: [] },
]
const noon = Date.UTC(2030, 5, 1, 12)

/** The app of README, with consent, asked as a browser on the same site would. */
function world(options: Partial<ImpersonationOptions<User>> = {}) {
  const clock = { now: noon }
  const impersonation = createImpersonation<User>({
    store: memoryStore(),
    findUser: (id) => users.find((user) => user.id === id),
    can: (user, action) => user.may.includes(action),
    consent: 'required',
    now: () => clock.now,
    ...options,
  })
  const app = new Hono<{ Variables: { user: User | undefined } }>()
  app.use((c, next) => {
    c.set(
      'user',
      users.find(({ id }) => c.req.header('authorization') === `Bearer ${id}`),
    )
    return next()
  })
  app.use(impersonate(impersonation))
  app.all('/whoami', (c) => c.text(c.get('user')?.id ?? 'nobody'))

  async function call(who: string, route: string, body?: unknown, headers = {}) {
    const [method = '', path = ''] = route.split(' ')
    const response = await app.request(
      path.startsWith('/whoami') ? path : `/impersonation${path}`,
      {
        method,
        headers: {
          'Sec-Fetch-Site': 'same-origin',
          Authorization: `Bearer ${who}`,
          ...(body !== undefined && { 'Content-Type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      },
    )
    const text = await response.text()
    const json = text.startsWith('{') ? JSON.parse(text) : text
    return { status: response.status, json, headers: response.headers }
  }
  const asked = (more = {}) =>
    call('root', 'POST /grants', { target_user_id: 'alice', reason: 'ticket 4711', ...more })
  return { call, asked, clock, impersonation }
}

describe('the whole story', () => {
  it('asked, allowed less, entered, taken back, and told of', async () => {
    const { call, asked, clock } = world()
    const refused = await call('root', 'POST /start', { target_user_id: 'alice', reason: 'why' })
    expect([refused.status, refused.json.code]).toEqual([403, 'grant_required'])

    const grant = await asked({
      access_level: 'full',
      ticket: 'T-4711',
      duration_minutes: 120,
    })
    expect(grant.status).toBe(201)
    expect(grant.json).toEqual({
      id: expect.any(String),
      actor_id: 'root',
      target_user_id: 'alice',
      access_level: 'full',
      requested_access_level: 'full',
      reason: 'ticket 4711',
      ticket: 'T-4711',
      status: 'pending',
      created_at: '2030-06-01T12:00:00.000Z',
      decided_at: null,
      expires_at: '2030-06-02T00:00:00.000Z',
    })
    const { id } = grant.json
    const mine = await call('alice', 'GET /me/grants')
    expect(mine.json).toEqual({ items: [grant.json], next_cursor: null })
    expect((await call('root', 'GET /grants')).json.items).toEqual([grant.json])

    clock.now += 60_000
    const yes = await call('alice', `POST /me/grants/${id}/approve`, {
      access_level: 'interactive',
      duration_minutes: 60,
    })
    expect([yes.status, yes.json]).toEqual([
      200,
      {
        ...grant.json,
        access_level: 'interactive',
        status: 'granted',
        decided_at: '2030-06-01T12:01:00.000Z',
        expires_at: '2030-06-01T13:01:00.000Z',
      },
    ])

    const other = { target_user_id: 'bob', reason: 'why', grant_id: id }
    expect((await call('root', 'POST /start', other)).json.code).toBe('not_allowed')
    const start = await call('root', 'POST /start', {
      ...other,
      target_user_id: 'alice',
      access_level: 'interactive',
    })
    expect([start.status, start.json.expires_at]).toEqual([201, '2030-06-01T12:31:00.000Z'])
    expect((await call('root', 'GET /whoami')).json).toBe('alice')

    const back = await call('alice', `DELETE /me/grants/${id}`)
    expect([back.status, back.json.status]).toEqual([200, 'revoked'])
    const write = await call('root', 'POST /whoami', {})
    expect([write.status, write.json.code]).toEqual([401, 'grant_revoked'])
    const session = (await call('root', 'GET /sessions')).json.items[0]
    expect(session).toMatchObject({
      grant_id: id,
      status: 'revoked',
      ended_reason: 'grant_revoked',
      ended_by: 'alice',
    })

    const history = await call('alice', 'GET /me/history')
    expect(history.json).toEqual({
      items: [
        {
          session_id: session.id,
          actor: { name: 'Root', role: 'support' },
          reason: 'why',
          ticket: null,
          access_level: 'interactive',
          break_glass: false,
          started_at: '2030-06-01T12:01:00.000Z',
          ended_at: '2030-06-01T12:01:00.000Z',
          status: 'revoked',
          ended_reason: 'grant_revoked',
          actions: {},
        },
      ],
      next_cursor: null,
    })
    for (const who of ['root', 'boss', 'bob'])
      expect((await call(who, 'GET /me/history')).json.items).toEqual([])
  })
})

describe('the routes of consent', () => {
  it('are not there while it is off; history is', async () => {
    const { call, asked } = world({ consent: 'off' })
    expect((await asked()).json.code).toBe('route_not_found')
    for (const route of ['GET /grants', 'GET /me/grants', 'POST /me/grants/x/deny', 'PUT /grants'])
      expect((await call('alice', route)).json.code).toBe('route_not_found')
    expect((await call('alice', 'GET /me/history')).status).toBe(200)
    const start = { target_user_id: 'alice', reason: 'why', grant_id: 'x' }
    expect((await call('root', 'POST /start', start)).json.code).toBe('grant_not_found')
    const { paths } = (await call('alice', 'GET /openapi.json')).json
    expect(Object.keys(paths)).toContain('/impersonation/me/history')
    expect(Object.keys(paths)).not.toContain('/impersonation/grants')
  })

  it('give no consent by GET, for somebody else, or as the operator', async () => {
    const { call, asked } = world()
    const { id } = (await asked()).json
    const approve = `/me/grants/${id}/approve`
    const get = await call('alice', `GET ${approve}`)
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST'])
    for (const who of ['root', 'boss', 'bob'])
      for (const route of [
        `POST ${approve}`,
        `POST /me/grants/${id}/deny`,
        `DELETE /me/grants/${id}`,
      ])
        expect((await call(who, route)).json.code).toBe('grant_not_found')
    expect((await call('boss', `DELETE /grants/${id}`)).json.code).toBe('grant_not_found')
    expect((await call('alice', `DELETE /grants/${id}`)).json.code).toBe('grant_not_found')
    expect((await call('nobody', `POST ${approve}`)).status).toBe(401)
    expect((await call('alice', 'GET /me/grants')).json.items[0].status).toBe('pending')
  })

  it('give none while the operator acts as the target', async () => {
    const { call, asked } = world({ consent: (_actor, target) => target.id === 'alice' })
    const { id } = (await asked({ target_user_id: 'bob' })).json
    await call('root', 'POST /start', {
      target_user_id: 'bob',
      reason: 'why',
      access_level: 'full',
    })
    expect((await call('root', 'GET /whoami')).json).toBe('bob')
    expect((await call('root', `POST /me/grants/${id}/approve`)).json.code).toBe('grant_not_found')
    expect((await call('bob', 'GET /me/grants')).json.items[0].status).toBe('pending')
  })

  it('are closed to other sites', async () => {
    const { call, asked } = world()
    const { id } = (await asked()).json
    const site = { 'Sec-Fetch-Site': 'cross-site' }
    const reply = await call('alice', `POST /me/grants/${id}/approve`, {}, site)
    expect(reply.json.code).toBe('cross_origin_blocked')
    expect((await call('alice', 'GET /me/history', undefined, site)).status).toBe(403)
  })

  it.each([
    ['POST /grants', { target_user_id: 'alice', reason: 'why', actor_id: 'boss' }, 'actor_id'],
    ['POST /grants', { target_user_id: 'alice' }, 'reason'],
    ['POST /grants', { reason: 'why' }, 'target_user_id'],
    [
      'POST /grants',
      { target_user_id: 'alice', reason: 'why', duration_minutes: 43_201 },
      'duration_minutes',
    ],
    [
      'POST /grants',
      { target_user_id: 'alice', reason: 'why', access_level: 'root' },
      'access_level',
    ],
    ['GET /grants?limit=0', undefined, 'query.limit'],
    ['GET /grants?status=pending', undefined, 'query.status'],
    ['GET /grants?cursor=made-up', undefined, 'query.cursor'],
  ])('%s with %j is 400 and names %s', async (route, body, path) => {
    const { call } = world()
    const reply = await call('root', route, body)
    expect([reply.status, reply.json.errors.map((error: { path: string }) => error.path)]).toEqual([
      400,
      [path],
    ])
  })

  it('name what may not be more than was asked', async () => {
    const { call, asked } = world()
    const { id } = (await asked({ access_level: 'view', duration_minutes: 5 })).json
    const reply = await call('alice', `POST /me/grants/${id}/approve`, {
      access_level: 'full',
      duration_minutes: 6,
    })
    expect(reply.json.errors).toEqual([
      { path: 'access_level', message: 'must be at most view' },
      { path: 'duration_minutes', message: 'must be a whole number of minutes, at most 5' },
    ])
  })

  it('give long lists by pages, each row once, also where all came at the same moment', async () => {
    const { call, asked } = world({ rateLimit: false })
    for (let n = 0; n < 7; n++) await asked()
    for (const [who, route] of [
      ['root', '/grants'],
      ['alice', '/me/grants'],
    ] as const) {
      const ids: string[] = []
      let cursor: string | null = null
      do {
        const more: string = cursor === null ? '' : `&cursor=${cursor}`
        const { json } = await call(who, `GET ${route}?limit=3${more}`)
        ids.push(...json.items.map(({ id }: { id: string }) => id))
        cursor = json.next_cursor
      } while (cursor !== null)
      expect([ids.length, new Set(ids).size]).toEqual([7, 7])
    }
  })
})
