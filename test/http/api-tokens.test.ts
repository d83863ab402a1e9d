import { afterEach, describe, expect, it } from 'vitest'
import {
  createImpersonation,
  type ImpersonationOptions,
  memoryStore,
  type Store,
} from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { type Framework, frameworks, serve } from '../support/http-apps.ts'

interface User {
  readonly id: string
  readonly may: readonly string[]
  readonly orgId?: string
  readonly kind?: 'service'
}

const users: User[] = [
  { id: 'root', may: ['start', 'issue_token', 'list', 'revoke', 'read_audit'] },
  { id: 'boss', may: ['start', 'issue_token'] },
  { id: 'sup', may: ['start'] },
  { id: 'alice', may: [], orgId: 'acme' },
  { id: 'bob', may: [], orgId: 'umbrella' },
  { id: 'robot', may: [], kind: 'service' },
  { id: 'acme-admin', may: [], orgId: 'acme' },
]
const noon = Date.UTC(2030, 5, 1, 12)
const minute = 60_000
const hour = 60 * minute
const about = { user_id: 'alice', name: 'nightly upload', scopes: ['read', 'upload'] }

/** One of them on a database. */
const storeFor: Record<Framework, () => Store> = {
  Express: memoryStore,
  Fastify: () => sqliteStore({ file: ':memory:' }),
  Hono: memoryStore,
}

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

type Options = Partial<ImpersonationOptions<User>>

async function world(framework: Framework, options: Options = {}) {
  const clock = { now: noon }
  const store = storeFor[framework]()
  const engine = createImpersonation<User>({
    store,
    findUser: (id, scope) =>
      users.find((user) => user.id === id && (!scope || user.orgId === scope.orgId)),
    can: (user, action, target) =>
      user.may.includes(action) ||
      (user.id === 'acme-admin' && action === 'issue_token' && target?.orgId === 'acme'),
    now: () => clock.now,
    rateLimit: false,
    apiTokens: {
      prefix: 'pv_test_',
      scopes: ['read', 'upload'],
      services: { is: ({ kind }) => kind === 'service' },
      listUsers({ query, limit, cursor }) {
        const matching = users.filter(({ id }) => id.includes(query))
        const from = Number(cursor ?? 0)
        const more = matching.length > from + limit
        const page = matching.slice(from, from + limit)
        return more ? { users: page, nextCursor: String(from + limit) } : { users: page }
      },
    },
    ...options,
  })
  const { call, close } = await serve(framework, engine, users, {
    '/token': () => engine.apiToken()?.name,
  })
  open.push(close)
  /** What was refused, and at which places. */
  const refused = async (who: string, route: string, body?: unknown, headers = {}) => {
    const { status, json } = await call(who, route, body, headers)
    const paths = json.errors?.map(({ path }: { path: string }) => path)
    return [`${status} ${json.code}`, ...(paths ?? [])].join(' ')
  }
  const issue = async (more = {}) =>
    (await call('root', 'POST /tokens', { ...about, ...more })).json
  return { call, refused, clock, store, engine, issue }
}

describe.each(frameworks)('API tokens on %s', (framework) => {
  it('are issued, listed, used, rotated and taken back, in these very words', async () => {
    const { call, clock } = await world(framework)
    const issued = await call('root', 'POST /tokens', { ...about, expires_in_days: 30 })
    const { id, token, prefix } = issued.json
    const told = {
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      prefix: expect.stringMatching(/^pv_test_[0-9A-Za-z]{4}$/),
      user_id: 'alice',
      name: 'nightly upload',
      scopes: ['read', 'upload'],
      created_at: '2030-06-01T12:00:00.000Z',
      expires_at: '2030-07-01T12:00:00.000Z',
    }
    expect([issued.status, issued.json]).toEqual([
      201,
      { ...told, token: expect.stringMatching(/^pv_test_[0-9A-Za-z]{49}$/) },
    ])
    expect(issued.headers.get('cache-control')).toBe('no-store, private')
    expect(token.startsWith(prefix)).toBe(true)

    const listed = { ...told, last_used_at: null, revoked_at: null, issued_by: 'root' }
    const list = async (who: string, route: string) => (await call(who, `GET ${route}`)).json
    expect(await list('root', '/tokens')).toEqual({ items: [listed], next_cursor: null })
    expect(await list('alice', '/me/tokens')).toEqual({ items: [listed], next_cursor: null })
    expect(await list('bob', '/me/tokens')).toEqual({ items: [], next_cursor: null })

    clock.now += minute
    expect((await call(token, 'GET /whoami')).json).toBe('alice')
    expect((await call(token, 'GET /app/token')).json).toBe('nightly upload')
    const used = { ...listed, last_used_at: '2030-06-01T12:01:00.000Z' }
    expect((await list('root', '/tokens')).items).toEqual([used])

    const rotated = await call('boss', `POST /tokens/${id}/rotate`, { overlap_minutes: 5 })
    expect([rotated.status, rotated.json]).toEqual([
      201,
      {
        ...told,
        token: expect.any(String),
        created_at: '2030-06-01T12:01:00.000Z',
        expires_at: '2030-07-01T12:01:00.000Z',
      },
    ])
    expect(rotated.json.token).not.toBe(token)
    clock.now += 5 * minute
    expect((await call(token, 'GET /whoami')).json.code).toBe('token_invalid')
    expect((await call(rotated.json.token, 'GET /whoami')).json).toBe('alice')

    const taken = await call('alice', `DELETE /me/tokens/${rotated.json.id}`)
    expect([taken.status, taken.json]).toEqual([
      200,
      {
        ...told,
        id: rotated.json.id,
        prefix: rotated.json.prefix,
        created_at: '2030-06-01T12:01:00.000Z',
        expires_at: '2030-07-01T12:01:00.000Z',
        last_used_at: '2030-06-01T12:06:00.000Z',
        revoked_at: '2030-06-01T12:06:00.000Z',
        issued_by: 'boss',
      },
    ])
    clock.now += minute
    expect((await call('root', `DELETE /tokens/${rotated.json.id}`)).json).toEqual(taken.json)
    expect((await call('alice', `DELETE /me/tokens/${rotated.json.id}`)).json).toEqual(taken.json)
    expect((await call(rotated.json.token, 'GET /whoami')).json.code).toBe('token_invalid')
  })

  it('are in one answer each, and nowhere else: no list, no event, no refusal, no export', async () => {
    const { call, issue, store, clock } = await world(framework, {
      notifier: { channels: ({ id }) => [{ channel: 'mail', to: id }], send: () => {} },
    })
    const first = await issue()
    const next = (await call('root', `POST /tokens/${first.id}/rotate`)).json
    const secrets = [first.token, next.token].map((token: string) => token.slice(12))
    await call(first.token, 'POST /tokens', about)
    await call('root', `DELETE /tokens/${next.token}`)
    await call('root', `POST /tokens/${next.token}/rotate`)
    await call('alice', `DELETE /me/tokens/${next.token}`)
    clock.now += 1000
    const all = JSON.stringify([
      await store.tokens?.listTokens({}, { limit: 100 }),
      await store.listEvents({}, { limit: 100 }),
      await store.outbox?.listDeliveries({}, { limit: 100 }),
      (await call('root', 'GET /audit')).json,
      (await call('root', 'GET /audit/export?format=csv')).text,
      (await call('root', 'GET /tokens')).json,
      (await call('alice', 'GET /me/tokens')).json,
      (await call('root', `DELETE /tokens/${next.token}`)).json,
      (await call(`${first.token}x`, 'GET /whoami')).json,
      (await call('root', `DELETE /tokens/${next.id}`)).json,
    ])
    expect(all).toContain('token.rotated')
    expect(all).not.toContain(secrets[0])
    expect(all).not.toContain(secrets[1])
    expect(all).not.toMatch(/[0-9a-f]{64}/)
  })

  it('refuse each wrong member with its place', async () => {
    const { refused, issue } = await world(framework)
    const { id } = await issue()
    const at = (more: object) => refused('root', 'POST /tokens', { ...about, ...more })
    for (const [more, places] of [
      [{ user_id: undefined }, 'user_id'],
      [{ user_id: 7 }, 'user_id'],
      [{ user_id: '' }, 'user_id'],
      [{ name: undefined }, 'name'],
      [{ name: '\u200b' }, 'name'],
      [{ name: 'x'.repeat(101) }, 'name'],
      [{ name: 'a\0b' }, 'name'],
      [{ scopes: undefined }, 'scopes'],
      [{ scopes: [] }, 'scopes'],
      [{ scopes: '*' }, 'scopes'],
      [{ scopes: { read: true } }, 'scopes'],
      [{ scopes: ['*'] }, 'scopes.0'],
      [{ scopes: ['read', 'admin'] }, 'scopes.1'],
      [{ scopes: ['read', 'read'] }, 'scopes.1'],
      [{ scopes: ['read', 7] }, 'scopes.1'],
      [{ expires_in_days: 0 }, 'expires_in_days'],
      [{ expires_in_days: 366 }, 'expires_in_days'],
      [{ expires_in_days: 0.5 }, 'expires_in_days'],
      [{ expires_in_days: '30' }, 'expires_in_days'],
      [{ expires_in_days: 2 ** 53 }, 'expires_in_days'],
      [{ expires_in_days: null }, 'expires_in_days'],
      [{ user_id: 'robot', expires_in_days: 2 }, 'expires_in_days'],
      [{ issued_by: 'boss' }, 'issued_by'],
      [{ id: 'mine' }, 'id'],
      [{ token: 'pv_test_mine' }, 'token'],
      [{ expires_at: '2999-01-01T00:00:00.000Z' }, 'expires_at'],
      [{ user_org_id: 'umbrella' }, 'user_org_id'],
    ] as const)
      expect([more, await at(more)]).toEqual([more, `400 invalid_request ${places}`])
    for (const [body, places] of [
      [{ overlap_minutes: -1 }, 'overlap_minutes'],
      [{ overlap_minutes: 1441 }, 'overlap_minutes'],
      [{ overlap_minutes: 0.5 }, 'overlap_minutes'],
      [{ overlap_minutes: '5' }, 'overlap_minutes'],
      [{ scopes: ['upload'] }, 'scopes'],
      [{ expires_in_days: 300 }, 'expires_in_days'],
      [{ user_id: 'bob' }, 'user_id'],
    ] as const)
      expect(await refused('root', `POST /tokens/${id}/rotate`, body)).toBe(
        `400 invalid_request ${places}`,
      )
    for (const [route, place] of [
      ['/tokens?org_id=acme', 'query.org_id'],
      ['/tokens?revoked=true', 'query.revoked'],
      ['/tokens?user_id=', 'query.user_id'],
      ['/tokens?user_id=alice&user_id=bob', 'query.user_id'],
      ['/tokens?limit=0', 'query.limit'],
      ['/tokens?limit=201', 'query.limit'],
      ['/tokens?cursor=made-up', 'query.cursor'],
      ['/me/tokens?user_id=bob', 'query.user_id'],
      ['/me/tokens?cursor=made-up', 'query.cursor'],
      ['/users?role=admin', 'query.role'],
      ['/users?limit=1000', 'query.limit'],
      [`/users?query=${'x'.repeat(201)}`, 'query.query'],
      ['/users?query=%00', 'query.query'],
      ['/users?cursor=', 'query.cursor'],
    ] as const)
      expect([route, await refused('root', `GET ${route}`)]).toEqual([
        route,
        `400 invalid_request ${place}`,
      ])
  })

  it('refuse who may not, each with its code', async () => {
    const { call, refused, issue, clock } = await world(framework, {
      rateLimit: { starts: 3, perMs: hour },
      freshAuth: { maxAgeMs: hour, authTime: () => noon },
    })
    const issueAs = (who: string, more = {}) => refused(who, 'POST /tokens', { ...about, ...more })
    expect(await issueAs('')).toBe('401 unauthenticated')
    expect(await issueAs('sup')).toBe('403 not_allowed')
    expect(await issueAs('alice')).toBe('403 not_allowed')
    expect(await issueAs('root', { user_id: 'nobody' })).toBe('404 target_not_found')
    expect(await issueAs('root', { user_id: 'sup' })).toBe('403 target_protected')
    expect(await issueAs('root', { user_id: 'root' })).toBe('403 target_protected')
    const { id, token } = await issue()
    expect(await refused('sup', `DELETE /tokens/${id}`)).toBe('403 not_allowed')
    expect(await refused('sup', `POST /tokens/${id}/rotate`)).toBe('403 not_allowed')
    expect(await refused('bob', `DELETE /me/tokens/${id}`)).toBe('404 token_not_found')
    expect(await refused('root', `DELETE /me/tokens/${id}`)).toBe('404 token_not_found')
    expect(await refused('root', 'DELETE /tokens/unknown')).toBe('404 token_not_found')
    expect(await refused('root', 'POST /tokens/unknown/rotate')).toBe('404 token_not_found')

    await call('root', 'POST /start', { target_user_id: 'bob', reason: 'ticket 7' })
    expect(await issueAs('root')).toBe('409 nested_impersonation')
    expect(await refused('root', `POST /tokens/${id}/rotate`)).toBe('409 nested_impersonation')
    expect((await call('root', 'GET /tokens')).status).toBe(200)
    await call('root', 'POST /stop')
    const pinned = { 'X-Impersonation-Session': 'another' }
    expect(await refused('root', 'POST /tokens', about, pinned)).toBe(
      '409 impersonation_state_changed',
    )

    expect((await call('root', `POST /tokens/${id}/rotate`)).status).toBe(201)
    expect(await refused('root', `POST /tokens/${id}/rotate`)).toBe('409 token_not_active')
    const third = await issue()
    const late = await call('root', 'POST /tokens', about)
    expect([late.status, late.json.code, late.headers.get('retry-after')]).toEqual([
      429,
      'rate_limited',
      '3600',
    ])
    clock.now += hour + 1
    const stale = await call('root', 'POST /tokens', about)
    expect([stale.status, stale.json.code, stale.json.max_age]).toEqual([
      401,
      'insufficient_user_authentication',
      3600,
    ])
    expect(stale.headers.get('www-authenticate')).toContain('max_age="3600"')
    expect((await call('root', `DELETE /tokens/${third.id}`)).status).toBe(200)
    expect((await call(token, 'GET /whoami')).status).toBe(401)
  })

  it('let a service rotate by its own, and nothing else of ours', async () => {
    const { call, refused, issue, clock, store } = await world(framework)
    const own = await issue({ user_id: 'robot' })
    const other = await issue({ user_id: 'robot' })
    const person = await issue()
    expect(own.expires_at).toBe('2030-06-02T12:00:00.000Z')
    for (const route of [
      'GET /tokens',
      'GET /me/tokens',
      'GET /users',
      'GET /status',
      'GET /sessions',
    ])
      expect([route, await refused(own.token, route)]).toEqual([route, '403 not_allowed'])
    for (const route of [`DELETE /tokens/${own.id}`, `DELETE /me/tokens/${own.id}`, 'POST /stop'])
      expect([route, await refused(own.token, route)]).toEqual([route, '403 not_allowed'])
    expect(await refused(own.token, 'POST /tokens', about)).toBe('403 not_allowed')
    expect(await refused(own.token, 'GET /nowhere')).toBe('404 route_not_found')
    expect(await refused(own.token, 'PUT /tokens')).toBe('405 method_not_allowed')

    const rotate = (who: string, id: string, body?: unknown) =>
      refused(who, `POST /tokens/${id}/rotate`, body)
    expect(await rotate(own.token, other.id)).toBe('404 token_not_found')
    expect(await rotate(person.token, person.id)).toBe('403 not_allowed')
    expect(await rotate(own.token, own.id, { scopes: ['upload'] })).toBe(
      '400 invalid_request scopes',
    )
    expect(await rotate(own.token, own.id, { overlap_minutes: 1441 })).toBe(
      '400 invalid_request overlap_minutes',
    )
    clock.now += minute
    const rotated = await call(own.token, `POST /tokens/${own.id}/rotate`, { overlap_minutes: 0 })
    expect(rotated.status).toBe(201)
    expect((await call(own.token, 'GET /whoami')).status).toBe(401)
    expect((await call(rotated.json.token, 'GET /whoami')).json).toBe('robot')
    const [event] = await store.listEvents({ action: 'token.rotated' }, { limit: 9 })
    expect(event).toMatchObject({
      actorId: 'robot',
      targetUserId: 'robot',
      ipAddress: expect.any(String),
    })
    expect(
      (await store.listEvents({ action: 'impersonation.refused' }, { limit: 99 })).map(
        ({ actorId, code, details }) => [actorId, code, details.token_id],
      ),
    ).toEqual(
      expect.arrayContaining([
        ['robot', 'not_allowed', undefined],
        ['robot', 'token_not_found', own.id],
        ['alice', 'not_allowed', person.id],
        ['robot', 'invalid_request', own.id],
      ]),
    )
  })

  it('are of one organisation for whoever may only there: the rest is not there', async () => {
    const { call, refused, issue } = await world(framework)
    const [acme, other] = [await issue(), await issue({ user_id: 'bob' })]
    const list = async (query = '') => (await call('acme-admin', `GET /tokens${query}`)).json.items
    expect((await list()).map(({ id }: { id: string }) => id)).toEqual([acme.id])
    expect(await list('?user_id=bob')).toEqual([])
    expect(await refused('acme-admin', `DELETE /tokens/${other.id}`)).toBe('404 token_not_found')
    expect(await refused('acme-admin', `POST /tokens/${other.id}/rotate`)).toBe(
      '404 token_not_found',
    )
    const bob = { ...about, user_id: 'bob' }
    expect(await refused('acme-admin', 'POST /tokens', bob)).toBe('404 target_not_found')
    expect((await call(other.token, 'GET /whoami')).json).toBe('bob')
    const own = await call('acme-admin', 'POST /tokens', about)
    expect([own.status, own.json.user_id]).toEqual([201, 'alice'])
    expect((await call('acme-admin', 'GET /users')).json.items.map(({ id }: User) => id)).toEqual([
      'alice',
      'acme-admin',
    ])
    expect((await call('acme-admin', `DELETE /tokens/${acme.id}`)).status).toBe(200)
  })

  it('are chosen for from a list that is searched and paged', async () => {
    const { call } = await world(framework)
    const all = await call('root', 'GET /users')
    expect(all.json).toEqual({
      items: ['alice', 'bob', 'robot', 'acme-admin'].map((id) => ({
        id,
        email: null,
        name: null,
        org_id: users.find((user) => user.id === id)?.orgId ?? null,
        role: null,
      })),
      next_cursor: null,
    })
    expect((await call('root', 'GET /users?query=ali')).json.items).toHaveLength(1)
    expect((await call('root', 'GET /users?query=')).json).toEqual(all.json)
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const more: string = cursor === null ? '' : `&cursor=${cursor}`
      const { json } = await call('root', `GET /users?limit=2${more}`)
      seen.push(...json.items.map(({ id }: User) => id))
      cursor = json.next_cursor
    } while (cursor !== null)
    expect(seen).toEqual(['alice', 'bob', 'robot', 'acme-admin'])
    for (const who of ['sup', 'alice']) expect((await call(who, 'GET /users')).status).toBe(403)
  })
})

describe('the lists', () => {
  it('come by pages, each row once, also where all were issued at the same moment', async () => {
    const { call, issue } = await world('Hono')
    for (let n = 0; n < 7; n++) await issue()
    await issue({ user_id: 'bob' })
    for (const [who, route] of [
      ['root', '/tokens?user_id=alice&issued_by=root&limit=3'],
      ['alice', '/me/tokens?limit=3'],
    ] as const) {
      const ids: string[] = []
      let cursor: string | null = null
      do {
        const more: string = cursor === null ? '' : `&cursor=${cursor}`
        const { json } = await call(who, `GET ${route}${more}`)
        ids.push(...json.items.map(({ id }: { id: string }) => id))
        cursor = json.next_cursor
      } while (cursor !== null)
      expect([ids.length, new Set(ids).size]).toEqual([7, 7])
    }
    expect((await call('root', 'GET /tokens?issued_by=boss')).json.items).toEqual([])
  })

  it('of the host answers 503 where it fails', async () => {
    const apiTokens = {
      prefix: 'pv_test_',
      scopes: ['read'],
      listUsers: async () => Promise.reject(new Error('password=hunter2')),
    }
    const { call } = await world('Hono', { apiTokens })
    const { status, json, text, headers } = await call('root', 'GET /users')
    expect([status, json.code, headers.get('retry-after')]).toEqual([
      503,
      'impersonation_unavailable',
      '1',
    ])
    expect(text).not.toContain('hunter2')
  })
})

describe('the routes', () => {
  const own = [
    ...['POST /tokens', 'GET /tokens', 'DELETE /tokens/x', 'POST /tokens/x/rotate'],
    ...['GET /me/tokens', 'DELETE /me/tokens/x'],
  ]

  it('are not there without the option, nor is the list of users without its own', async () => {
    const without = await world('Hono', { apiTokens: undefined as never })
    for (const route of [...own, 'GET /users'])
      expect((await without.call('root', route)).json.code).toBe('route_not_found')
    const apiTokens = { prefix: 'pv_test_', scopes: ['read'] }
    const { call } = await world('Hono', { apiTokens })
    expect((await call('root', 'GET /tokens')).status).toBe(200)
    expect((await call('root', 'GET /users')).json.code).toBe('route_not_found')
    const { paths } = (await call('root', 'GET /openapi.json')).json
    expect(Object.keys(paths)).toContain('/impersonation/tokens')
    expect(Object.keys(paths)).not.toContain('/impersonation/users')
  })

  it('take JSON, of this origin, and nothing else', async () => {
    const { refused } = await world('Hono')
    const cross = { 'Sec-Fetch-Site': 'cross-site' }
    for (const route of [...own, 'GET /users'])
      expect(await refused('root', route, undefined, cross)).toBe('403 cross_origin_blocked')
    const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
    expect(await refused('root', 'POST /tokens', about, form)).toBe('415 unsupported_media_type')
    expect(await refused('root', 'POST /tokens', { ...about, name: 'x'.repeat(70_000) })).toBe(
      '413 payload_too_large',
    )
    expect(await refused('root', 'POST /tokens', [])).toMatch(/^400 invalid_request/)
    expect(await refused('root', 'POST /tokens')).toMatch(/^400 invalid_request/)
  })
})
