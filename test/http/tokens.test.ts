import { afterEach, describe, expect, it } from 'vitest'
import { createImpersonation, type ImpersonationOptions, memoryStore } from '../../src/index.ts'
import { type Framework, frameworks, serve } from '../support/http-apps.ts'

interface User {
  readonly id: string
  readonly may: readonly string[]
  readonly active?: boolean
}

const noon = Date.UTC(2030, 5, 1, 12)
const minute = 60_000
const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

const impersonationTokens = {
  issuer: 'https://api.example.com',
  audience: 'https://api.example.com',
  secret: 'a secret of at least thirty-two characters',
}

async function world(framework: Framework, options: Partial<ImpersonationOptions<User>> = {}) {
  const users: User[] = [
    { id: 'root', may: ['start', 'list', 'revoke', 'read_audit'] },
    { id: 'boss', may: ['start', 'list', 'revoke'] },
    { id: 'alice', may: [] },
    { id: 'bob', may: [] },
  ]
  const clock = { now: noon }
  const store = options.store ?? memoryStore()
  const engine = createImpersonation<User>({
    store,
    findUser: (id) => users.find((user) => user.id === id),
    can: (user, action) => user.may.includes(action),
    now: () => clock.now,
    rateLimit: false,
    impersonationTokens,
    ...options,
  })
  const served = await serve(framework, engine, users, {
    '/notes': () => engine.current()?.session.id ?? 'as oneself',
  })
  open.push(served.close)
  const { call } = served
  const start = (more = {}) =>
    call('root', 'POST /start', {
      target_user_id: 'alice',
      reason: 'ticket 7',
      transport: 'token',
      ...more,
    })
  /** A request with nothing but a token. */
  const by = (token: string, route: string, body?: unknown, headers = {}) =>
    call('', route, body, { Authorization: `Bearer ${token}`, ...headers })
  return { call, clock, engine, store, start, by, users }
}

describe.each(frameworks)('impersonation tokens on %s', (framework) => {
  it('are handed out once, name both people, and carry their session alone', async () => {
    const { call, start, by, store } = await world(framework)
    const { status, json, headers } = await start({ client_id: 'importer' })
    expect(status).toBe(201)
    expect(json).toMatchObject({ status: 'active', token_type: 'Bearer', expires_in: 1800 })
    expect(headers.get('set-cookie')).toBeNull()
    const [header, payload] = json.access_token
      .split('.')
      .slice(0, 2)
      .map((part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()))
    expect(header).toMatchObject({ typ: 'imp+jwt' })
    expect(payload).toMatchObject({
      sub: 'alice',
      act: { sub: 'root' },
      jti: json.session_id,
      client_id: 'importer',
    })

    const answer = await by(json.access_token, 'GET /whoami')
    expect(answer.json).toBe('alice')
    expect(answer.headers.get('x-impersonating')).toBe('true')
    expect(answer.headers.get('x-impersonation-session')).toBe(json.session_id)
    expect((await by(json.access_token, 'GET /app/notes')).json).toBe(json.session_id)
    // The actor goes on as themselves.
    expect((await call('root', 'GET /whoami')).json).toBe('root')
    expect((await call('root', 'GET /status')).json).toMatchObject({ is_impersonating: false })
    // Nobody keeps it.
    const all = JSON.stringify([
      await store.listSessions({}, { limit: 10 }),
      await store.listEvents({}, { limit: 10 }),
      (await call('root', 'GET /sessions')).json,
      (await call('root', 'GET /audit')).json,
    ])
    expect(all).not.toContain(json.access_token.split('.')[2])
  })

  it('keep to the access level and the guardrails', async () => {
    const { start, by } = await world(framework)
    const { access_token: token } = (await start()).json
    expect((await by(token, 'POST /app/notes')).json.code).toBe('grant_view_only')
    const { access_token: full } = (await start({ access_level: 'full', target_user_id: 'bob' }))
      .json
    expect((await by(full, 'POST /app/notes')).status).toBe(200)
    expect((await by(full, 'POST /app/password')).json.code).toBe('impersonation_write_blocked')
  })

  it.each([
    ['stopped by the token', 'impersonation_ended'],
    ['revoked', 'impersonation_revoked'],
    ['expired', 'token_invalid'],
    ['of an actor who may not any more', 'impersonation_revoked'],
    ['of a target who is gone', 'impersonation_revoked'],
    ['of an actor who has logged out', 'impersonation_revoked'],
  ])('%s: 401 %s, at once', async (how, code) => {
    const { call, clock, engine, start, by, users } = await world(framework)
    const { access_token: token, session_id: session } = (await start()).json
    expect((await by(token, 'GET /whoami')).json).toBe('alice')
    const change = async (id: string, changes: Partial<User>) => {
      const index = users.findIndex((user) => user.id === id)
      users[index] = { ...(users[index] as User), ...changes }
      await engine.userChanged(id)
    }
    const ends: Record<string, () => Promise<unknown>> = {
      'stopped by the token': () => by(token, 'POST /stop'),
      revoked: () => call('boss', `DELETE /sessions/${session}`),
      expired: async () => {
        clock.now += 30 * minute
      },
      'of an actor who may not any more': () => change('root', { may: [] }),
      'of a target who is gone': () => change('alice', { active: false }),
      'of an actor who has logged out': () => engine.endFor('root'),
    }
    await ends[how]?.()
    const answer = await by(token, 'GET /whoami')
    expect([answer.status, answer.json.code]).toEqual([401, code])
    expect(answer.headers.get('www-authenticate')).toContain('Bearer')
  })

  it('end by their own stop, and tell how they stand', async () => {
    const { start, by } = await world(framework)
    const { access_token: token, session_id: session } = (await start()).json
    const status = (await by(token, 'GET /status')).json
    expect(status).toMatchObject({
      is_impersonating: true,
      session_id: session,
      target_user_id: 'alice',
    })
    const stopped = await by(token, 'POST /stop')
    expect(stopped.json).toEqual({ status: 'stopped', session_id: session })
    expect((await by(token, 'GET /status')).json.code).toBe('impersonation_ended')
  })

  it('open nothing: no start, no renewal, no list, nothing of the target', async () => {
    const { start, by, call } = await world(framework)
    const { access_token: token } = (await start()).json
    const body = { target_user_id: 'bob', reason: 'more', transport: 'token' }
    for (const [route, json] of [
      ['POST /start', body],
      ['POST /', body],
      ['POST /extend', { minutes: 5 }],
      ['GET /sessions', undefined],
      ['GET /me/history', undefined],
      ['GET /audit', undefined],
    ] as const) {
      const answer = await by(token, route, json)
      expect([route, answer.status, answer.json.code]).toEqual([route, 409, 'nested_impersonation'])
    }
    const events = (await call('root', 'GET /audit?action=impersonation.refused')).json.items
    expect(events).toMatchObject([
      { code: 'nested_impersonation', actor_id: 'root' },
      { code: 'nested_impersonation', actor_id: 'root' },
    ])
  })

  it('are 400 where they are off, and start nothing', async () => {
    const { start, store } = await world(framework, { impersonationTokens: undefined as never })
    const { status, json } = await start()
    expect([status, json.errors]).toEqual([
      400,
      [{ path: 'transport', message: 'must be "session"; tokens are not switched on' }],
    ])
    expect(await store.listSessions({}, { limit: 1 })).toEqual([])
  })

  it('win over another login in the same request, also over a bad one', async () => {
    const { start, by, call } = await world(framework)
    const { access_token: token } = (await start()).json
    const forged = `${token.slice(0, -4)}AAAA`
    expect((await by(forged, 'GET /whoami')).json).toMatchObject({ code: 'token_invalid' })
    for (const authorization of [`bearer  ${token}`, `BEARER ${token}`])
      expect(
        (await call('', 'GET /whoami', undefined, { Authorization: authorization })).json,
      ).toBe('alice')
    for (const authorization of [
      token,
      `Token ${token}`,
      `Bearer ${token}, Basic eDp5`,
      `Bearer ${token} x`,
    ]) {
      const answer = await call('', 'GET /whoami', undefined, { Authorization: authorization })
      expect(answer.json.code).toMatch(/token_invalid|invalid_request/)
    }
  })

  it('heed a pin', async () => {
    const { start, by } = await world(framework)
    const { access_token: token, session_id: session } = (await start()).json
    const pinned = (pin: string) =>
      by(token, 'GET /whoami', undefined, { 'X-Impersonation-Session': pin })
    expect((await pinned(session)).json).toBe('alice')
    for (const pin of ['none', 'another'])
      expect((await pinned(pin)).json.code).toBe('impersonation_state_changed')
  })
})
