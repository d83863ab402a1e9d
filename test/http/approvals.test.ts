import { afterEach, describe, expect, it } from 'vitest'
import { createImpersonation, type ImpersonationOptions, memoryStore } from '../../src/index.ts'
import { type Framework, frameworks, serve } from '../support/http-apps.ts'

interface User {
  readonly id: string
  readonly may: readonly string[]
}

const users: User[] = [
  { id: 'sup', may: ['start'] },
  { id: 'boss', may: ['start', 'approve'] },
  { id: 'lead', may: ['approve'] },
  { id: 'alice', may: [] },
]
const noon = Date.UTC(2030, 5, 1, 12)
const about = { target_user_id: 'alice', reason: 'ticket 4711', access_level: 'full' }

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

async function world(framework: Framework, options: Partial<ImpersonationOptions<User>> = {}) {
  const clock = { now: noon }
  const engine = createImpersonation<User>({
    store: memoryStore(),
    findUser: (id) => users.find((user) => user.id === id),
    can: (user, action) => user.may.includes(action),
    now: () => clock.now,
    approvals: { quorum: 2, levels: ['full'] },
    ...options,
  })
  const { call, close } = await serve(framework, engine, users)
  open.push(close)
  return { call, clock }
}

describe.each(frameworks)('approvals on %s', (framework) => {
  it('asked for, approved by two, used by one start', async () => {
    const { call, clock } = await world(framework)
    const alone = await call('sup', 'POST /start', about)
    expect([alone.status, alone.json.code]).toEqual([403, 'second_admin_required'])
    const asked = await call('sup', 'POST /approvals', { ...about, ticket: 'T-1' })
    expect([asked.status, asked.json]).toEqual([
      201,
      {
        id: expect.any(String),
        actor_id: 'sup',
        target_user_id: 'alice',
        access_level: 'full',
        reason: 'ticket 4711',
        ticket: 'T-1',
        status: 'pending',
        approved_by: [],
        denied_by: null,
        quorum: 2,
        created_at: '2030-06-01T12:00:00.000Z',
        expires_at: '2030-06-02T00:00:00.000Z',
        session_id: null,
      },
    ])
    const { id } = asked.json
    const start = () => call('sup', 'POST /start', { ...about, approval_id: id })
    expect((await start()).json).toMatchObject({
      code: 'second_admin_required',
      request_status: 'pending',
    })
    expect((await call('boss', 'GET /approvals?waiting=true')).json.items).toEqual([asked.json])
    const one = await call('boss', `POST /approvals/${id}/approve`)
    expect([one.status, one.json]).toEqual([200, { ...asked.json, approved_by: ['boss'] }])
    expect((await call('boss', `POST /approvals/${id}/approve`)).json).toEqual(one.json)
    clock.now += 60_000
    const two = await call('lead', `POST /approvals/${id}/approve`)
    expect(two.json).toEqual({
      ...asked.json,
      status: 'approved',
      approved_by: ['boss', 'lead'],
      expires_at: '2030-06-01T13:01:00.000Z',
    })
    for (const query of ['', '?waiting=false'])
      expect((await call('sup', `GET /approvals${query}`)).json.items).toEqual([two.json])
    const started = await start()
    expect([started.status, started.json.access_level]).toEqual([201, 'full'])
    expect((await call('sup', 'GET /whoami')).json).toBe('alice')
    const again = await start()
    expect([again.status, again.json.code]).toEqual([409, 'request_not_pending'])
    const [used] = (await call('sup', 'GET /approvals')).json.items
    expect(used).toMatchObject({ status: 'used', session_id: started.json.session_id })
  })

  it('refuses everybody else', async () => {
    const { call, clock } = await world(framework)
    const { id } = (await call('boss', 'POST /approvals', about)).json
    const refused = async (who: string, route: string, body?: unknown) => {
      const { status, json } = await call(who, route, body)
      return `${status} ${json.code}`
    }
    for (const verb of ['approve', 'deny']) {
      const route = `POST /approvals/${id}/${verb}`
      expect(await refused('', route)).toBe('401 unauthenticated')
      expect(await refused('alice', route)).toBe('403 not_allowed')
      expect(await refused('sup', route)).toBe('403 not_allowed')
      expect(await refused('boss', route)).toBe('403 second_admin_required')
      expect(await refused('lead', `POST /approvals/x/${verb}`)).toBe('404 request_not_found')
    }
    expect(await refused('lead', `DELETE /approvals/${id}`)).toBe('404 request_not_found')
    expect(await refused('alice', 'GET /approvals')).toBe('403 not_allowed')
    expect(await refused('sup', 'GET /approvals?waiting=true')).toBe('403 not_allowed')
    const start = { ...about, approval_id: id }
    expect(await refused('sup', 'POST /start', start)).toBe('404 request_not_found')
    const no = await call('lead', `POST /approvals/${id}/deny`)
    expect([no.status, no.json.status, no.json.denied_by]).toEqual([200, 'denied', 'lead'])
    expect(await refused('boss', 'POST /start', start)).toBe('409 request_not_pending')
    const other = (await call('boss', 'POST /approvals', about)).json
    clock.now += 12 * 60 * 60_000
    expect(await refused('lead', `POST /approvals/${other.id}/approve`)).toBe('410 request_expired')
    const third = (await call('boss', 'POST /approvals', about)).json
    const back = await call('boss', `DELETE /approvals/${third.id}`)
    expect([back.status, back.json.status]).toEqual([200, 'withdrawn'])
    expect((await call('boss', `DELETE /approvals/${third.id}`)).json).toEqual(back.json)
  })
})

describe('the routes', () => {
  it('are not there without the option', async () => {
    const { call } = await world('Hono', { approvals: undefined as never })
    for (const route of [
      'POST /approvals',
      'GET /approvals',
      'POST /approvals/x/approve',
      'POST /approvals/x/deny',
      'DELETE /approvals/x',
    ])
      expect((await call('boss', route)).json.code).toBe('route_not_found')
  })

  it.each([
    ['POST /approvals', { target_user_id: 'alice' }, 'reason'],
    ['POST /approvals', { reason: 'why' }, 'target_user_id'],
    ['POST /approvals', { ...about, quorum: 0 }, 'quorum'],
    ['POST /approvals', { ...about, access_level: 'root' }, 'access_level'],
    ['POST /approvals/x/approve', { approved_by: ['boss'] }, 'approved_by'],
    ['GET /approvals?waiting=1', undefined, 'query.waiting'],
    ['GET /approvals?status=pending', undefined, 'query.status'],
  ])('%s with %j is 400 and names %s', async (route, body, path) => {
    const { call } = await world('Hono')
    const { status, json } = await call('boss', route, body)
    expect([status, json.errors.map((error: { path: string }) => error.path)]).toEqual([
      400,
      [path],
    ])
  })

  it('give long lists by pages, each row once, also where all came at the same moment', async () => {
    const { call } = await world('Hono', { rateLimit: false })
    for (let n = 0; n < 7; n++) await call('sup', 'POST /approvals', about)
    for (const [who, route] of [
      ['sup', '/approvals?limit=3'],
      ['lead', '/approvals?waiting=true&limit=3'],
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
  })
})
