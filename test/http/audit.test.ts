import { afterEach, describe, expect, it } from 'vitest'
import {
  createImpersonation,
  type ImpersonationOptions,
  memoryStore,
  type Store,
} from '../../src/index.ts'
import { type Framework, frameworks, serve } from '../support/http-apps.ts'

interface User {
  readonly id: string
  readonly may: readonly string[]
}

const users: User[] = [
  { id: 'root', may: ['start', 'list', 'revoke', 'test_session'] },
  { id: 'auditor', may: ['read_audit'] },
  { id: 'alice', may: [] },
  { id: 'bob', may: [] },
]
const noon = Date.UTC(2030, 5, 1, 12)

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

async function world(framework: Framework, options: Partial<ImpersonationOptions<User>> = {}) {
  const clock = { now: noon }
  const store = options.store ?? memoryStore()
  const engine = createImpersonation<User>({
    store,
    findUser: (id) => users.find((user) => user.id === id),
    can: (user, action) => user.may.includes(action),
    now: () => clock.now,
    rateLimit: false,
    ...options,
  })
  const { call, close } = await serve(framework, engine, users)
  open.push(close)
  const start = (target: string, reason = 'ticket 7') =>
    call('root', 'POST /start', { target_user_id: target, reason })
  return { call, clock, engine, store, start }
}

describe.each(frameworks)('the record on %s', (framework) => {
  it('is read newest first, by page and by filter, by those who may', async () => {
    const { call, clock, start } = await world(framework)
    for (const target of ['alice', 'bob', 'alice']) {
      clock.now += 1000
      await start(target)
      clock.now += 1000
      await call('root', 'POST /stop')
    }
    const all = (await call('auditor', 'GET /audit')).json
    const told = all.items.map(
      ({ action, target_user_id: target }: Record<string, string>) => `${action} ${target}`,
    )
    expect(told).toEqual(
      ['alice', 'bob', 'alice'].flatMap((target) => [
        `impersonation.stopped ${target}`,
        `impersonation.started ${target}`,
      ]),
    )
    const pages: unknown[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = await call('auditor', `GET /audit?limit=4${cursor && `&cursor=${cursor}`}`)
      pages.push(...page.json.items)
      cursor = page.json.next_cursor
    }
    expect(pages).toEqual(all.items)

    const [{ session_id: session }] = all.items
    for (const [query, count] of [
      ['action=impersonation.*', 6],
      ['action=*', 6],
      ['action=grant.*', 0],
      ['action=impersonation.started', 3],
      ['target_user_id=bob', 2],
      ['actor_id=root', 6],
      ['actor_id=alice', 0],
      [`session_id=${session}`, 2],
      [`from=${noon + 5000}`, 2],
      [`to=${new Date(noon + 2000).toISOString()}`, 1],
    ] as const) {
      const found = await call('auditor', `GET /audit?${query}`)
      expect([query, found.json.items?.length]).toEqual([query, count])
    }
    for (const query of [
      ...['action=', 'action=impersonation', 'action=grants.*', 'action=**', 'outcome=refused'],
      ...['from=yesterday', 'limit=201', 'cursor=x', 'format=csv'],
    ])
      expect([query, (await call('auditor', `GET /audit?${query}`)).status]).toEqual([query, 400])
    for (const who of ['root', 'alice']) {
      expect((await call(who, 'GET /audit')).status, who).toBe(403)
      expect((await call(who, 'GET /audit/export')).status, who).toBe(403)
    }
  })

  it('leaves as a file in each format, with everything that matches', async () => {
    const { call, start } = await world(framework)
    for (let n = 0; n < 450; n++) await start(n % 2 ? 'alice' : 'bob', '=cmd()\n"x",\u001b[31m')
    const lines = async (query: string) => {
      const file = await call('auditor', `GET /audit/export${query}`)
      expect(file.status).toBe(200)
      expect(file.headers.get('content-disposition')).toContain('attachment; filename=')
      expect(file.headers.get('cache-control')).toContain('no-store')
      return file.text.trim().split(/\r?\n/)
    }
    const jsonl = await lines('')
    expect(jsonl).toHaveLength(899)
    const ids = new Set(jsonl.map((line) => JSON.parse(line).id))
    expect(ids.size).toBe(899)
    expect(JSON.parse(jsonl[0] ?? '').reason).toBe('=cmd()\n"x",\u001b[31m')
    expect(await lines('?target_user_id=alice&action=impersonation.started')).toHaveLength(225)
    const csv = await lines('?format=csv')
    expect(csv).toHaveLength(900)
    expect(csv[0]).toContain('"action"')
    expect(csv[1]).toContain(`"'=cmd() ""x"", [31m"`)
    const [event] = await lines('?format=cloudevents&action=impersonation.replaced')
    expect(JSON.parse(event ?? '')).toMatchObject({
      specversion: '1.0',
      type: 'onbehalf.impersonation.replaced',
      source: '/impersonation',
      data: { actor_id: 'root' },
    })
    expect((await call('auditor', 'GET /audit/export?format=xml')).status).toBe(400)
    expect((await call('auditor', 'GET /audit/export?limit=5')).status).toBe(400)
  })

  it('is cut off, and not ended, where the store fails in the middle of a file', async () => {
    const store = memoryStore()
    let pages = 0
    const failing: Store = {
      ...store,
      async listEvents(filter, page) {
        if (page.limit === 200 && ++pages > 1) throw new Error('disk on fire')
        return store.listEvents(filter, page)
      },
    }
    const { call, start } = await world(framework, { store: failing })
    for (let n = 0; n < 150; n++) await start(n % 2 ? 'alice' : 'bob')
    // Hono's server on Node ends the answer; the others cut the connection.
    const text = await call('auditor', 'GET /audit/export').then(
      (file) => file.text,
      () => 'cut off',
    )
    expect(text).toMatch(/^cut off$|\n!!! THIS FILE IS INCOMPLETE: .*\n$/)
    if (framework !== 'Hono') expect(text).toBe('cut off')
  })

  it('a test session pins the browser that asked for it', async () => {
    const made: string[] = []
    const { call, engine } = await world(framework, {
      sandbox: {
        provision() {
          const id = `tester-${crypto.randomUUID()}`
          users.push({ id, may: [] })
          made.push(id)
          return { id, may: [] }
        },
        dispose: ({ id }) =>
          users.splice(
            users.findIndex((user) => user.id === id),
            1,
          ),
      },
    })
    const begun = await call('root', 'POST /test-sessions', { role: 'member', reason: 'why' })
    expect([begun.status, begun.json.target_user.id]).toEqual([201, made[0]])
    expect(begun.headers.get('set-cookie')).toContain(begun.json.session_id)
    for (const body of [
      { role: 'member', reason: 'why', target_user_id: 'alice' },
      ...[{ reason: 'why' }, { role: 'member' }, { role: 7, reason: 'why' }],
    ])
      expect((await call('root', 'POST /test-sessions', body)).status).toBe(400)
    expect(made).toHaveLength(1)
    await call('root', 'POST /stop')
    while ((await engine.outbox.deliver()) > 0);
    expect(users.some(({ id }) => id === made[0])).toBe(false)
  })
})

describe('the chain of an engine', () => {
  const key = 'a key of 32 characters or more …'

  it('holds, and grows behind its checkpoint', async () => {
    const { call, engine, start } = await world('Hono', { audit: { key } })
    expect(await engine.audit.checkpoint()).toBeNull()
    await start('alice')
    const checkpoint = await engine.audit.checkpoint()
    await start('bob')
    await call('root', 'POST /stop')
    await call('alice', 'POST /start', { target_user_id: 'bob', reason: 'curious' })
    await expect
      .poll(() => engine.audit.verify(checkpoint ? { checkpoint } : {}))
      .toEqual({ ok: true, checked: 5 })
    const other = { ...(checkpoint ?? { seq: 1, at: 0 }), mac: 'A'.repeat(43) }
    expect(await engine.audit.verify({ checkpoint: other })).toMatchObject({
      ok: false,
      firstBad: { seq: 1, problem: 'rewritten' },
    })
  })

  it('finds what an engine without the key has stored', async () => {
    const store = memoryStore()
    const { engine, start } = await world('Hono', { audit: { key }, store })
    await start('alice')
    const without = await world('Hono', { store })
    without.clock.now += 1000
    await without.call('root', 'POST /stop')
    expect(await engine.audit.verify()).toMatchObject({ firstBad: { problem: 'event_added' } })
    const after = without.clock.now + 1
    expect(await engine.audit.verify({ from: after })).toEqual({ ok: true, checked: 1 })
  })

  it('goes on with another key, and holds with both', async () => {
    const store = memoryStore()
    const first = await world('Hono', { audit: { key }, store })
    await first.start('alice')
    const next = { id: '2031', secret: new Uint8Array(32).fill(7) }
    const second = await world('Hono', {
      audit: { key: next, oldKeys: [{ id: 'default', secret: key }] },
      store,
    })
    await second.start('bob')
    expect(await second.engine.audit.verify()).toEqual({ ok: true, checked: 3 })
    expect(await first.engine.audit.verify()).toMatchObject({
      firstBad: { problem: 'key_unknown' },
    })
  })

  it('has a key of its own, whatever its giver does to theirs', async () => {
    const given = Buffer.from(key)
    const { start, store } = await world('Hono', { audit: { key: given } })
    given.fill(0)
    await start('alice')
    const { engine } = await world('Hono', { audit: { key }, store })
    expect(await engine.audit.verify()).toEqual({ ok: true, checked: 1 })
  })

  it('is not there without a key, and says so', async () => {
    const { engine } = await world('Hono')
    await expect(engine.audit.verify()).rejects.toThrow(/"audit.key"/)
    await expect(engine.audit.checkpoint()).rejects.toThrow(/"audit.key"/)
  })

  it.each([
    ['audit.key', { key: 'short' }],
    ['audit.key', { key: new Uint8Array(31) }],
    ['audit.key', { key: 7 }],
    ['audit.key.id', { key: { id: '', secret: key } }],
    ['audit.key.ids', { key: { ids: 'x', secret: key } }],
    ['audit.oldKeys', { oldKeys: [{ id: 'a', secret: key }] }],
    ['audit.oldKeys', { key, oldKeys: [{ id: 'default', secret: key }] }],
    ['audit.oldKeys', { key, oldKeys: 'x' }],
    ['audit.oldKeys[0]', { key, oldKeys: ['x'] }],
    ['audit.trail', { trail: 'some' }],
    ['audit.query', { query: 'page' }],
    ['audit.query', { query: [7] }],
    ['audit.sinks', { sinks: [] }],
  ])('option "%s" refuses what is wrong, without repeating a key', async (option, audit) => {
    const error = await world('Hono', { audit: audit as never }).catch((thrown) => thrown)
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain(`option "${option}"`)
    expect(error.message).not.toContain(key)
  })

  it('needs a store that has one', async () => {
    const { chain, ...without } = memoryStore()
    await expect(world('Hono', { audit: { key }, store: without })).rejects.toThrow(
      /option "audit.key" .*its section "chain" lacks readHead, readLinks, readUnsealed/,
    )
  })
})
