import { describe, expect, it } from 'vitest'
import { actorCredentials, type ImpersonationOptions } from '../../src/index.ts'
import { adapterOf, codeOf, requestOf, type User, worldOf } from '../support/core-world.ts'

const oddId = 'usér✓ "\n'

async function under(
  level: 'view' | 'interactive' | 'full',
  options: Partial<ImpersonationOptions<User>> = {},
) {
  const world = worldOf(options)
  world.users.set(oddId, { id: oddId })
  const session = await world.start('root', oddId, { accessLevel: level })
  const { engine } = world
  const { context } = await adapterOf(engine).enter(requestOf(), world.users.get('root') as User)
  if (!context) throw new Error('the session is live')
  const inside = <T>(code: () => T): T => engine.run(context, code)
  const free = <T>(code: () => T): T => engine.run(null, code)
  return { world, engine, session, context, inside, free }
}

describe('requireLevel', () => {
  it.each([
    ['view', 'view', 'done'],
    ['view', 'interactive', 'grant_view_only'],
    ['view', 'full', 'full_access_required'],
    ['interactive', 'interactive', 'done'],
    ['interactive', 'full', 'full_access_required'],
    ['full', 'interactive', 'done'],
    ['full', 'full', 'done'],
  ] as const)('at %s, %s is wanted: %s', async (level, wanted, answer) => {
    const { engine, world, inside, free, session } = await under(level)
    const code = await codeOf(
      (async () => inside(() => engine.requireLevel(wanted, { what: 'a call' })))(),
    )
    expect(code).toBe(answer)
    const events = await world.store.listEvents(
      { action: 'impersonation.write_blocked' },
      { limit: 9 },
    )
    expect(events.map(({ code, sessionId, details }) => [code, sessionId, details])).toEqual(
      answer === 'done' ? [] : [[answer, session.id, { what: 'a call' }]],
    )
    expect(free(() => engine.requireLevel(wanted))).toBeUndefined()
    expect(() => engine.requireLevel(wanted)).toThrow(/context is not known here/)
  })

  it('wants a level there is', async () => {
    const { engine } = await under('view')
    expect(() => engine.requireLevel('root' as never)).toThrow(/one of view, interactive, full/)
  })
})

describe('shouldTrack', () => {
  it('is true for a user’s own doing only', async () => {
    const { engine, inside, free } = await under('view')
    expect([inside(engine.shouldTrack), free(engine.shouldTrack), engine.shouldTrack()]).toEqual([
      false,
      true,
      false,
    ])
  })
})

describe('rateLimitKey', () => {
  const alice = { id: 'alice' }

  it('charges the actor while impersonating, by request, by context, in Hono', async () => {
    const { engine, context, inside } = await under('view')
    expect(engine.rateLimitKey({ user: alice, impersonation: context })).toBe('user:root')
    expect(engine.rateLimitKey({ var: { user: alice, impersonation: context } })).toBe('user:root')
    expect(inside(() => engine.rateLimitKey({ user: alice }))).toBe('user:root')
    expect(inside(() => engine.rateLimitKey({}, alice))).toBe('user:root')
  })

  it('charges the same as when the actor is themselves', async () => {
    const { engine, context, world } = await under('view')
    const root = world.users.get('root') as User
    expect(engine.rateLimitKey({ user: root, impersonation: null })).toBe(
      engine.rateLimitKey({ user: alice, impersonation: context }),
    )
  })

  it('charges the user otherwise, and nobody when nobody is there', async () => {
    const { engine, free } = await under('view')
    expect(engine.rateLimitKey({ user: alice })).toBe('user:alice')
    expect(engine.rateLimitKey({ var: { user: alice } })).toBe('user:alice')
    expect(engine.rateLimitKey({ account: alice }, alice)).toBe('user:alice')
    expect(free(() => engine.rateLimitKey({ user: alice, impersonation: null }))).toBe('user:alice')
    for (const nobody of [{}, { user: null }, { var: {} }])
      expect(engine.rateLimitKey(nobody)).toBeUndefined()
  })

  it('believes no header that Express’s get would read', async () => {
    const { engine } = await under('view')
    const get = (name: string) => (name === 'impersonation' ? 'forged' : undefined)
    expect(engine.rateLimitKey({ get, user: alice })).toBe('user:alice')
  })
})

describe('forwardHeaders', () => {
  const incoming = {
    Authorization: 'Bearer root',
    cookie: 'sid=root',
    'x-api-key': 'root',
    'x-amzn-oidc-identity': 'root',
    'x-forwarded-user': 'root',
    traceparent: '00-1-2-01',
    tracestate: 't=1',
    'x-correlation-id': 'c1',
    'x-none': undefined,
    'my-x-impersonator': 'mine',
    'x-request-id': 'r1',
    'accept-language': 'fr',
    'x-tenant': 'acme',
    'x-impersonating': 'false',
    'X-Impersonator-Id': 'mallory',
    'content-length': '7',
    host: 'app.example',
  }
  const told = (id: string) => ({
    'X-Impersonating': 'true',
    'X-Impersonated-User-Id': encodeURIComponent(oddId),
    'X-Impersonator-Id': 'root',
    'X-Impersonation-Access-Level': 'view',
    'X-Impersonation-Id': id,
  })
  const passed = {
    traceparent: '00-1-2-01',
    tracestate: 't=1',
    'x-correlation-id': 'c1',
    'x-request-id': 'r1',
    'accept-language': 'fr',
  }

  it('tells both people and carries no credential of the actor', async () => {
    const { engine, inside, session } = await under('view')
    expect(inside(() => engine.forwardHeaders())).toEqual(told(session.id))
    expect(inside(() => engine.forwardHeaders(incoming))).toEqual({
      ...passed,
      ...told(session.id),
    })
    const { 'x-none': _, ...filled } = incoming
    const web = new Headers(filled)
    expect(inside(() => engine.forwardHeaders(web))).toEqual({ ...passed, ...told(session.id) })
    const all = { allow: Object.keys(incoming) }
    expect(inside(() => engine.forwardHeaders(incoming, all))).toEqual({
      ...passed,
      'my-x-impersonator': 'mine',
      'x-tenant': 'acme',
      'content-length': '7',
      host: 'app.example',
      ...told(session.id),
    })
    expect(() => new Headers(inside(() => engine.forwardHeaders(incoming, all)))).not.toThrow()
  })

  it('lets the actor’s credentials out only where told so by the symbol', async () => {
    const { engine, inside } = await under('view')
    const allow = ['Authorization', 'Cookie']
    const bare = inside(() => engine.forwardHeaders(incoming, { allow }))
    expect(bare).not.toHaveProperty('authorization')
    const forged = { allow, credentials: Symbol('onbehalf.actorCredentials') as never }
    expect(inside(() => engine.forwardHeaders(incoming, forged))).not.toHaveProperty(
      'authorization',
    )
    const out = inside(() =>
      engine.forwardHeaders(incoming, { allow, credentials: actorCredentials }),
    )
    expect(out).toMatchObject({ authorization: 'Bearer root', cookie: 'sid=root' })
  })

  it('passes a user’s own credentials on where they are named, and tells of nobody', async () => {
    const { engine, free } = await under('view')
    expect(free(() => engine.forwardHeaders(incoming))).toEqual(passed)
    expect(free(() => engine.forwardHeaders(incoming, { allow: ['authorization'] }))).toEqual({
      authorization: 'Bearer root',
      ...passed,
    })
    expect(free(() => engine.forwardHeaders({ 'x-request-id': ['a', 'b'] }))).toEqual({
      'x-request-id': 'a, b',
    })
    expect(() => engine.forwardHeaders()).toThrow(/context is not known here/)
  })

  it('headers that tell of an impersonation are taken from clients before any handler', async () => {
    const { world } = await under('view')
    const request = requestOf({
      headers: Object.fromEntries(
        Object.keys(told('x')).map((name) => [name.toLowerCase(), 'forged']),
      ),
    })
    await adapterOf(world.engine).enter(request, world.users.get('mallory') as User)
    expect(Object.keys(request.headers)).toEqual(['sec-fetch-site'])
  })
})

describe('sqlSettings', () => {
  it('binds who is behind it, and makes view read-only', async () => {
    const { engine, inside, free, session } = await under('view')
    const { text, values } = inside(engine.sqlSettings)
    expect(values).toEqual(['view', 'root', oddId, session.id])
    expect(text).toBe(
      "select set_config('onbehalf.access_level', $1, true), set_config('onbehalf.actor_id', $2, true), " +
        "set_config('onbehalf.target_user_id', $3, true), set_config('onbehalf.session_id', $4, true), " +
        "set_config('transaction_read_only', 'on', true)",
    )
    expect(free(engine.sqlSettings)).toEqual({
      text: text.replace(", set_config('transaction_read_only', 'on', true)", ''),
      values: ['none', '', '', ''],
    })
    expect(() => engine.sqlSettings()).toThrow(/context is not known here/)
  })

  it('leaves transactions of other levels open for writes', async () => {
    for (const level of ['interactive', 'full'] as const) {
      const { engine, inside } = await under(level)
      expect(inside(engine.sqlSettings).text).not.toContain('read_only')
      expect(inside(engine.sqlSettings).values[0]).toBe(level)
    }
  })
})

describe('the store’s own work', () => {
  it('is nobody’s, whatever request it serves', async () => {
    const { world } = await under('view')
    const seen: unknown[] = []
    const { store } = world
    const engine: typeof world.engine = world.another({
      store: Object.assign(Object.create(store), store, {
        appendEvents: (events: never) => {
          seen.push(engine.tryCurrent())
          return store.appendEvents(events)
        },
        readStanding: (id: string) => {
          seen.push(engine.tryCurrent())
          return store.readStanding(id)
        },
      }),
    })
    const outcome = await world.send('root', { method: 'POST' }, engine)
    expect(outcome.code).toBe('grant_view_only')
    const { context } = await adapterOf(engine).enter(requestOf(), world.users.get('root') as User)
    expect(() => engine.run(context, () => engine.guard('email'))).toThrow()
    expect(seen).toEqual([null, null, null])
  })
})
