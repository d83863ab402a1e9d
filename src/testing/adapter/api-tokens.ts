import assert from 'node:assert/strict'
import { by, issue, plain, prefix, seen, setUp, tokenRoutes } from './api-token-world.ts'
import type { AdapterTestsOptions, TestCall, TestLayer, TestUser } from './app.ts'
import type { Ask } from './client.ts'
import { answerJson, makeUsers, type Rule, refusedWith } from './world.ts'

/** That a request with an API token runs as its owner, and as nobody else whatever happens. */
export function apiTokenRules(
  rule: Rule,
  { holdsSlot, sockets, readsBodyFirst, requests }: Required<AdapterTestsOptions>,
): void {
  rule('a request with an API token runs as its owner, whoever is logged in', async (setup) => {
    const { send, ask, expected, users, written } = await setUp(setup)
    for (const cookie of [undefined, 'login=root', 'login=mallory', 'login=alice']) {
      const headers = { ...ask.headers, ...(cookie && { Cookie: cookie }) }
      const reply = await send('GET', '/token', { ...ask, headers })
      assert.deepEqual(reply.json, expected)
      assert.equal(reply.headers['x-impersonating'], undefined)
      const { user } = (await send('GET', '/me', { ...ask, headers })).json
      assert.deepEqual(user, users.get('alice'))
      assert.equal((await send('POST', '/notes', { ...ask, headers })).status, 200)
    }
    assert.deepEqual(written, Array(4).fill('alice'))
  })

  rule('an API token is nobody’s who came without one', async (setup) => {
    const { send, start, expected, ask } = await setUp(setup)
    assert.deepEqual((await send('GET', '/token', ask)).json, expected)
    for (const as of ['root', 'alice', null])
      assert.deepEqual((await send('GET', '/token', { as })).json, { user: as, ...plain })
    await start()
    const impersonated = [true, true]
    assert.deepEqual((await send('GET', '/token')).json, { user: 'alice', ...plain, impersonated })
    // The owner's own program is no impersonation, also while somebody impersonates them.
    assert.deepEqual((await send('GET', '/token', ask)).json, expected)
  })

  rule('without the option an API token is a login like any other', async (setup) => {
    const { send } = await setup({ routes: tokenRoutes })
    for (const ask of [by(`${prefix}abc`), { as: 'alice' }]) {
      const { json } = await send('GET', '/token', ask)
      const user = ask.as ?? null
      assert.deepEqual(json, { ...plain, user, request: 'unknown' })
    }
  })

  for (const context of ['always', 'impersonating'] as const)
    rule(`with context \`${context}\` a request inside another has its own`, async (setup) => {
      const { send, ask, expected, start } = await setUp(setup, { engine: { context } })
      const inner = ['alice', null].map((user) => ({ user, ...plain }))
      assert.deepEqual((await send('GET', '/token/within', ask)).json, { inner, own: expected })
      await start()
      assert.deepEqual((await send('GET', '/token/within')).json.inner, inner)
    })

  rule(
    'an API token is known while a body is read, in streams and where errors go',
    async (setup) => {
      let arrived = Promise.withResolvers<undefined>()
      const { send, id, ask, expected } = await setUp(setup, {
        layers: ({ login, ours }) => [
          login,
          ours,
          { kind: 'user', find: () => arrived.resolve(undefined) as undefined },
        ],
        onError: (world) => (_, call) => answerJson(seen(world, call), 500),
      })
      const json = { text: 'x'.repeat(60_000) }
      for (const how of [{}, { chunked: true }, { slow: true }]) {
        arrived = Promise.withResolvers()
        const after = 'slow' in how && !readsBodyFirst ? { after: arrived.promise } : {}
        const reply = await send('POST', '/token', { ...ask, json, ...how, ...after })
        assert.deepEqual(reply.json, [expected, expected])
      }
      assert.equal((await send('GET', '/token/stream', ask)).text, `alice ${id}\n`.repeat(3))
      const failed = await send('GET', '/token/fails', ask)
      assert.deepEqual([failed.status, failed.json], [500, expected])
    },
  )

  rule('what looks like an API token and is none reaches nobody', async (setup) => {
    const { send, call, token, id, written } = await setUp(setup)
    const last = token.at(-1) === 'A' ? 'B' : 'A'
    const bad = [
      `Bearer ${prefix}`,
      `Bearer ${token.slice(0, -1)}${last}`,
      `Bearer ${token}x`,
      `Bearer ${token} x`,
      `Bearer "${token}"`,
      `Token ${token}`,
      token,
      `Bearer root, Bearer ${token}`,
    ]
    const refused = async (authorization: string) => {
      for (const Cookie of ['', 'login=root', 'login=alice']) {
        const ask = { as: null, headers: { Authorization: authorization, Cookie } }
        for (const method of ['GET', 'POST'] as const) {
          const { status, json } = await send(method, '/notes', ask)
          const isTwo = authorization.includes(',')
          assert.deepEqual(
            [status, json.code],
            isTwo && status === 400 ? [400, 'invalid_request'] : [401, 'token_invalid'],
          )
        }
      }
    }
    for (const authorization of bad) await refused(authorization)
    assert.equal((await call('DELETE', `/tokens/${id}`)).status, 200)
    await refused(`Bearer ${token}`)
    assert.deepEqual(written, [])
  })

  rule('an API token ends with its time, and with its owner', async (setup) => {
    for (const change of ['expires', 'inactive', 'gone', 'privileged'] as const) {
      const { send, ask, clock, users, engine, expected } = await setUp(setup)
      assert.deepEqual((await send('GET', '/token', ask)).json, expected)
      const alice = users.get('alice') as TestUser
      if (change === 'expires') clock.now += 90 * 24 * 60 * 60_000
      else if (change === 'inactive') users.set('alice', { ...alice, active: false })
      else if (change === 'gone') users.delete('alice')
      else users.set('alice', { ...alice, rights: ['start'] })
      await engine.userChanged('alice')
      refusedWith(await send('GET', '/token', ask), 401, 'token_invalid')
    }
  })

  rule('no session overlays an API token, and no query carries one', async (setup) => {
    const { send, start, token, ask, expected, written } = await setUp(setup)
    const session = await start('bob')
    for (const pin of [session, 'made-up'])
      refusedWith(await send('POST', '/notes', { ...ask, pin }), 409, 'impersonation_state_changed')
    assert.deepEqual((await send('GET', '/token', { ...ask, pin: 'none' })).json, expected)
    const browser = { ...ask, cookie: `onbehalf=${session}` }
    assert.deepEqual((await send('GET', '/token', browser)).json, expected)
    const path = `/token?access_token=${token}&token=${token}`
    assert.deepEqual((await send('GET', path, { as: null })).json, { user: null, ...plain })
    assert.deepEqual(written, [])
  })

  rule('what comes with an API token is rid of our headers', async (setup) => {
    const { send, ask } = await setUp(setup, {
      routes: () => [
        { method: 'GET', path: '/names', handle: (call) => answerJson(call.headerNames()) },
      ],
    })
    const forged = { 'X-Impersonating': 'true', 'X-Impersonated-User-Id': 'root' }
    const reply = await send('GET', '/names', { ...ask, headers: { ...ask.headers, ...forged } })
    assert.deepEqual(
      [reply.status, reply.json.filter((name: string) => /^x-/.test(name))],
      [200, []],
    )
  })

  if (sockets)
    rule('two Authorization headers, one with an API token, are one too many', async (setup) => {
      const { raw, token, written } = await setUp(setup)
      for (const pair of [
        [token, 'root'],
        ['root', token],
        [token, token],
      ]) {
        const { status } = await raw([
          'POST /notes HTTP/1.1',
          'Host: app.example',
          ...pair.map((each) => `Authorization: Bearer ${each}`),
          'Content-Length: 0',
        ])
        assert.equal(status, 400)
      }
      assert.deepEqual(written, [])
    })

  rule('our routes take an API token for no login, whoever is logged in', async (setup) => {
    const { call, send, id, ask, expected } = await setUp(setup)
    for (const Cookie of ['', 'login=root', 'login=alice']) {
      const asked = { ...ask, headers: { ...ask.headers, Cookie } }
      const start = { target_user_id: 'bob', reason: 'mine' }
      for (const [method, path, json] of [
        ['POST', '/start', start],
        ['GET', '/sessions'],
        ['GET', '/tokens'],
        ['DELETE', `/tokens/${id}`],
        ['GET', '/me/tokens'],
      ] as const)
        refusedWith(await call(method, path, { ...asked, json }), 403, 'not_allowed')
    }
    assert.deepEqual((await send('GET', '/token', ask)).json, expected)
  })

  rule('mounted twice it takes an API token once', async (setup) => {
    const layers = ({ login, ours }: { login: TestLayer; ours: TestLayer }) => [login, ours, ours]
    const { send, ask, expected } = await setUp(setup, { layers })
    assert.deepEqual((await send('GET', '/token', ask)).json, expected)
  })

  if (holdsSlot) slotRules(rule)

  rule(`of ${requests} requests with and without API tokens none is mixed up`, async (setup) => {
    const { send, world } = await setUp(setup)
    const callers: { ask: Ask; user: string | null; id: string | undefined }[] = []
    for (const user of ['alice', 'bob', 'mallory']) {
      const { ask, id } = await issue(world, user)
      callers.push({ ask, user, id }, { ask: { as: user }, user, id: undefined })
    }
    callers.push({ ask: { as: null }, user: null, id: undefined })
    let sent = 0
    const worker = async () => {
      while (sent < requests) {
        const n = sent++
        const { ask, user, id } = callers[(n * 5 + (n >> 3)) % callers.length] ?? {}
        const { json } = await send('POST', '/token', { ...ask, json: {} })
        for (const moment of json)
          assert.deepEqual(
            [moment.user, moment.token?.id, moment.request?.id, moment.impersonated],
            [user, id, id, [false, false]],
          )
      }
    }
    await Promise.all(Array.from({ length: 16 }, worker))
  })
}

/** A layer after ours that logs in again must not put anybody in the place of the owner. */
function slotRules(rule: Rule): void {
  const laterLayer = (find: (users: Map<string, TestUser>) => TestUser | null) => {
    const users = makeUsers()
    const layers = ({ login, ours }: { login: TestLayer; ours: TestLayer }) => [
      login,
      ours,
      {
        kind: 'user',
        find: (call: TestCall) => (call.apiToken ? find(users) : undefined),
      } as const,
    ]
    return { users, layers }
  }
  const one = (users: Map<string, TestUser>, id: string) => users.get(id) as TestUser

  for (const [what, find] of [
    ['an admin', (users) => one(users, 'root')],
    ['another user', (users) => one(users, 'bob')],
    ['the owner in another organisation', (users) => ({ ...one(users, 'alice'), orgId: 'hq' })],
    ['something that is no user', () => ({}) as TestUser],
  ] as const satisfies readonly [string, (users: Map<string, TestUser>) => TestUser][]) {
    rule(`a later layer that puts ${what} in the place of an owner is stopped`, async (setup) => {
      const { send, ask, written } = await setUp(setup, laterLayer(find))
      assert.equal((await send('POST', '/notes', ask)).status, 500)
      assert.deepEqual(written, [])
    })
  }

  rule('a later layer may enrich the record of an owner, or log them out', async (setup) => {
    const enriched = await setUp(
      setup,
      laterLayer((users) => ({ ...one(users, 'alice'), name: 'Alice, enriched' })),
    )
    assert.equal(
      (await enriched.send('GET', '/me', enriched.ask)).json.user.name,
      'Alice, enriched',
    )
    const { send, ask } = await setUp(
      setup,
      laterLayer(() => null),
    )
    assert.equal((await send('GET', '/me', ask)).json.user, null)
  })
}
