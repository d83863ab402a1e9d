import { TOTP } from 'otpauth'
import { afterEach, describe, expect, it } from 'vitest'
import { createImpersonation, type ImpersonationOptions, memoryStore } from '../../src/index.ts'
import { totp } from '../../src/totp/index.ts'
import { type Framework, frameworks, serve } from '../support/http-apps.ts'

interface User {
  readonly id: string
  readonly may: readonly string[]
  readonly secret?: string
}

const users: User[] = [
  {
    id: 'root',
    may: ['start', 'break_glass', 'list'],
    secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
  },
  { id: 'boss', may: ['confirm_break_glass'], secret: 'KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU' },
  { id: 'sup', may: ['start'], secret: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ' },
  { id: 'alice', may: [] },
]
const noon = Date.UTC(2030, 5, 1, 12)
const about = { target_user_id: 'alice', reason: 'the shop is down' }

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

/** Real codes of real apps, by a clock that stands still. */
async function world(framework: Framework, options: Partial<ImpersonationOptions<User>> = {}) {
  const clock = { now: noon }
  const store = memoryStore()
  const engine = createImpersonation<User>({
    store,
    findUser: (id) => users.find((user) => user.id === id),
    can: (user, action) => user.may.includes(action),
    now: () => clock.now,
    breakGlass: {
      verifySecondFactor: totp<User>({ secret: ({ secret }) => secret, now: () => clock.now }),
    },
    ...options,
  })
  const { call, close } = await serve(framework, engine, users)
  open.push(close)
  const codeOf = (who: string) => {
    const secret = users.find(({ id }) => id === who)?.secret ?? ''
    return new TOTP({ secret }).generate({ timestamp: clock.now })
  }
  return { call, clock, codeOf, store }
}

describe.each(frameworks)('break-glass on %s', (framework) => {
  it('asked, confirmed by another, entered by the first, and over', async () => {
    const { call, clock, codeOf, store } = await world(framework)
    const body = { ...about, access_level: 'interactive', ticket: 'T-1', totp: codeOf('root') }
    const asked = await call('root', 'POST /break-glass', body)
    expect([asked.status, asked.json]).toEqual([
      202,
      { id: expect.any(String), status: 'pending', expires_at: '2030-06-01T12:05:00.000Z' },
    ])
    const { id } = asked.json
    const waiting = await call('boss', 'GET /break-glass?waiting=true')
    const item = {
      id,
      actor_id: 'root',
      target_user_id: 'alice',
      access_level: 'interactive',
      reason: 'the shop is down',
      ticket: 'T-1',
      status: 'pending',
      created_at: '2030-06-01T12:00:00.000Z',
      expires_at: '2030-06-01T12:05:00.000Z',
      session_id: null,
      confirmed_by: null,
    }
    expect(waiting.json).toEqual({ items: [item], next_cursor: null })
    expect((await call('root', 'GET /whoami')).json).toBe('root')

    const code = codeOf('boss')
    const headers = { 'User-Agent': 'boss-browser' }
    const route = `POST /break-glass/${id}/confirm`
    const confirmed = await call('boss', route, { totp: code }, headers)
    expect(confirmed.status).toBe(201)
    expect(confirmed.json).toEqual({
      status: 'active',
      session_id: expect.any(String),
      target_user: { id: 'alice', email: null, name: null, org_id: null, role: null },
      access_level: 'interactive',
      expires_at: '2030-06-01T12:15:00.000Z',
    })
    expect(confirmed.headers.get('set-cookie')).toBeNull()
    expect(confirmed.headers.get('cache-control')).toBe('no-store, private')

    expect((await call('boss', 'GET /whoami')).json).toBe('boss')
    expect((await call('root', 'POST /whoami')).json).toBe('alice')
    const status = await call('root', 'GET /status')
    expect(status.json).toMatchObject({ is_impersonating: true, break_glass: true })
    const session = (await call('root', 'GET /sessions')).json.items[0]
    expect(session).toMatchObject({ break_glass: true, ip_address: null, user_agent: null })
    const history = await call('alice', 'GET /me/history')
    expect(history.json.items[0]).toMatchObject({ break_glass: true, actor: { name: null } })
    const own = (await call('root', 'GET /break-glass')).json.items
    const { session_id } = confirmed.json
    expect(own).toEqual([{ ...item, status: 'used', session_id, confirmed_by: 'boss' }])

    const extended = await call('root', 'POST /extend', { minutes: 30 })
    expect([extended.status, extended.json]).toEqual([
      200,
      { expires_at: '2030-06-01T12:15:00.000Z' },
    ])
    clock.now += 15 * 60_000
    expect((await call('root', 'POST /whoami')).json.code).toBe('impersonation_expired')

    const events = await store.listEvents({}, { limit: 100 })
    const [confirmation] = events.filter(({ action }) => action === 'break_glass.confirmed')
    expect(confirmation).toMatchObject({ actorId: 'root', userAgent: 'boss-browser' })
    for (const typed of [body.totp, code]) expect(JSON.stringify(events)).not.toContain(typed)
  })

  it('refuses everybody else, and each code but the first time', async () => {
    const { call, clock, codeOf } = await world(framework)
    const refused = async (who: string, route: string, body: unknown) => {
      const { status, json } = await call(who, route, body)
      return `${status} ${json.code}`
    }
    const ask = (who: string, totp: string) => refused(who, 'POST /break-glass', { ...about, totp })
    expect(await ask('', '123456')).toBe('401 unauthenticated')
    expect(await ask('alice', '123456')).toBe('403 not_allowed')
    expect(await ask('sup', codeOf('sup'))).toBe('403 not_allowed')
    expect(await ask('root', codeOf('boss'))).toBe('403 second_factor_invalid')
    const code = codeOf('root')
    const opened = await call('root', 'POST /break-glass', { ...about, totp: code })
    expect(opened.status).toBe(202)
    expect(await ask('root', code)).toBe('403 second_factor_invalid')
    expect(await ask('root', `${code.slice(0, 3)} ${code.slice(3)}`)).toBe(
      '403 second_factor_invalid',
    )
    const confirm = (who: string, totp: string, id = opened.json.id) =>
      refused(who, `POST /break-glass/${id}/confirm`, { totp })
    expect(await confirm('', '123456')).toBe('401 unauthenticated')
    expect(await confirm('alice', '123456')).toBe('403 not_allowed')
    expect(await confirm('root', codeOf('root'))).toBe('403 not_allowed')
    expect(await confirm('boss', codeOf('boss'), 'made-up')).toBe('404 request_not_found')
    expect(await confirm('boss', codeOf('root'))).toBe('403 second_factor_invalid')
    for (let n = 0; n < 2; n++)
      expect(await confirm('boss', codeOf('root'))).toBe('403 second_factor_invalid')
    const last = await call('boss', `POST /break-glass/${opened.json.id}/confirm`, {
      totp: codeOf('root'),
    })
    expect(last.json).toMatchObject({ code: 'second_factor_invalid', locked: true })
    clock.now += 30_000
    expect(await confirm('boss', codeOf('boss'))).toBe('409 request_not_pending')
    const late = await call('root', 'POST /break-glass', { ...about, totp: codeOf('root') })
    expect(late.status).toBe(202)
    clock.now += 5 * 60_000
    expect(await confirm('boss', codeOf('boss'), late.json.id)).toBe('410 request_expired')
    expect((await call('root', 'GET /whoami')).json).toBe('root')
  })
})

describe('the routes', () => {
  it('are not there without the option', async () => {
    const { call } = await world('Hono', { breakGlass: undefined as never })
    for (const route of ['POST /break-glass', 'GET /break-glass', 'POST /break-glass/x/confirm'])
      expect((await call('root', route)).json.code).toBe('route_not_found')
    const { paths } = (await call('root', 'GET /openapi.json')).json
    expect(Object.keys(paths).filter((path) => path.includes('break-glass'))).toEqual([])
  })

  it.each([
    ['POST /break-glass', { target_user_id: 'alice', totp: '123456' }, 'reason'],
    ['POST /break-glass', about, 'totp'],
    ['POST /break-glass', { ...about, totp: 123456 }, 'totp'],
    ['POST /break-glass', { ...about, totp: '1'.repeat(65) }, 'totp'],
    ['POST /break-glass', { ...about, totp: '---' }, 'totp'],
    ['POST /break-glass', { ...about, totp: '1', duration_minutes: 5 }, 'duration_minutes'],
    ['POST /break-glass/x/confirm', {}, 'totp'],
    ['POST /break-glass/x/confirm', { totp: '1', actor_id: 'root' }, 'actor_id'],
    ['GET /break-glass?waiting=yes', undefined, 'query.waiting'],
    ['GET /break-glass?limit=0', undefined, 'query.limit'],
  ])('%s with %j is 400 and names %s', async (route, body, path) => {
    const { call } = await world('Hono')
    const { status, json } = await call('root', route, body)
    expect([status, json.errors.map((error: { path: string }) => error.path)]).toEqual([
      400,
      [path],
    ])
  })

  it('are closed to other sites', async () => {
    const { call, codeOf } = await world('Hono')
    const body = { ...about, totp: codeOf('root') }
    const reply = await call('root', 'POST /break-glass', body, { 'Sec-Fetch-Site': 'cross-site' })
    expect(reply.json.code).toBe('cross_origin_blocked')
  })
})
