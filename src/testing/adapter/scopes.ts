import assert from 'node:assert/strict'
import { by, issue, withApiTokens } from './api-token-world.ts'
import type { AdapterTestsOptions, TestLayer, TestRoute } from './app.ts'
import { answerJson, type Rule, refusedWith, type Setup, type World } from './world.ts'

const impersonationTokens = {
  issuer: 'https://api.example.com',
  audience: 'https://api.example.com',
  secret: 'a secret of the tests, of more than 32 characters',
}

/** Routes that want scopes, in whose handler the name of whoever stands in the user slot is written down. */
const scoped = ({ written }: World): readonly TestRoute[] =>
  [['upload'], ['read'], ['read', 'upload'], ['unknown']].flatMap((scopes) =>
    (['GET', 'POST'] as const).map((method) => ({
      method,
      path: `/scoped/${scopes.join('-')}`,
      scopes,
      handle: async (call) => {
        if (method === 'POST') await call.body()
        written.push((call.user as { id: string } | null)?.id ?? 'nobody')
        return answerJson({ done: scopes })
      },
    })),
  )

const setUp = (setup: Setup, options: Parameters<Setup>[0] = {}) =>
  setup({ routes: scoped, engine: { ...withApiTokens, impersonationTokens }, ...options })

/** That a route which wants scopes is closed to tokens that lack them, and to nobody else. */
export function scopeRules(rule: Rule, { marksScopes }: Required<AdapterTestsOptions>): void {
  if (!marksScopes) return

  rule('a route that wants a scope is closed to API tokens without it', async (setup) => {
    const world = await setUp(setup)
    const { ask } = await issue(world)
    for (const [path, scope] of [
      ['/scoped/upload', 'upload'],
      ['/scoped/read-upload', 'read upload'],
      ['/scoped/unknown', 'unknown'],
    ] as const)
      for (const cookie of [undefined, 'login=root', 'login=alice'])
        for (const how of [
          {},
          { json: { text: 'x'.repeat(60_000) } },
          { json: {}, chunked: true },
        ]) {
          const method = 'json' in how ? 'POST' : 'GET'
          const headers = { ...ask.headers, ...(cookie && { Cookie: cookie }) }
          const reply = await world.send(method, path, { ...ask, ...how, headers })
          refusedWith(reply, 403, 'insufficient_scope')
          assert.equal(reply.json.scope, scope)
          const challenge = `error="insufficient_scope", scope="${scope}"`
          assert.ok(reply.headers['www-authenticate']?.endsWith(challenge), reply.text)
        }
    const head = await world.send('HEAD', '/scoped/upload', ask)
    assert.deepEqual([head.status, head.text], [403, ''])
    assert.deepEqual(world.written, [])
  })

  rule('a route that wants scopes is open to API tokens with all of them', async (setup) => {
    const world = await setUp(setup)
    const { send, written } = world
    const both = (await issue(world, 'bob', ['upload', 'read'])).ask
    for (const path of ['/scoped/upload', '/scoped/read', '/scoped/read-upload'])
      assert.equal((await send('POST', path, { ...both, json: {} })).status, 200)
    const reader = (await issue(world)).ask
    assert.equal((await send('GET', '/scoped/read', reader)).status, 200)
    assert.deepEqual(written, ['bob', 'bob', 'bob', 'alice'])
  })

  rule('a route that wants a scope is open to every login', async (setup) => {
    const { send, start, call, written } = await setUp(setup)
    for (const as of ['root', 'alice', 'mallory'])
      for (const login of ['bearer', 'cookie'] as const)
        assert.equal((await send('POST', '/scoped/upload', { as, login, json: {} })).status, 200)
    await start('bob', { access_level: 'full' })
    assert.equal((await send('POST', '/scoped/upload', { json: {} })).status, 200)
    await call('POST', '/stop')
    assert.deepEqual(written, ['root', 'root', 'alice', 'alice', 'mallory', 'mallory', 'bob'])
  })

  rule('a route that wants a scope is open to an impersonation by token', async (setup) => {
    const { send, call, written } = await setUp(setup)
    const json = { target_user_id: 'alice', reason: 'ticket 4711', access_level: 'full' }
    const started = await call('POST', '/start', { json: { ...json, transport: 'token' } })
    const ask = by(started.json.access_token)
    assert.equal((await send('POST', '/scoped/upload', { ...ask, json: {} })).status, 200)
    assert.deepEqual(written, ['alice'])
  })

  rule('a route that wants a scope asks nobody to log in', async (setup) => {
    const { send, written } = await setUp(setup)
    for (const method of ['GET', 'POST'] as const)
      for (const cookie of ['', 'login=made-up', 'onbehalf=made-up'])
        refusedWith(
          await send(method, '/scoped/read', { as: null, cookie }),
          401,
          'unauthenticated',
        )
    assert.deepEqual(written, [])
  })

  rule('a route that wants a scope is closed where there are no API tokens', async (setup) => {
    const { send, start, written } = await setup({ routes: scoped })
    for (const as of ['root', 'alice', null])
      assert.equal((await send('GET', '/scoped/read', { as })).status, 500)
    await start()
    assert.equal((await send('GET', '/scoped/read')).status, 500)
    assert.deepEqual(written, [])
  })

  rule(
    'a route that wants a scope is closed to what the middleware has not seen',
    async (setup) => {
      const layers = ({ login }: { login: TestLayer }) => [login]
      const { send, written } = await setUp(setup, { layers })
      for (const as of ['root', 'alice', null])
        assert.equal((await send('GET', '/scoped/read', { as })).status, 500)
      assert.deepEqual(written, [])
    },
  )
}
