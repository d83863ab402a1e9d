import assert from 'node:assert/strict'
import type { AdapterTestsOptions, TestAnswer, TestRoute } from './app.ts'
import type { Reply } from './client.ts'
import { answerJson, oddId, type Rule, refusedWith, type World } from './world.ts'

/** Everything a handler could say against us. */
const lies = {
  'X-Impersonating': 'false',
  'X-Impersonated-User-Id': 'root',
  'X-Impersonation-Session': 'none',
  'Cache-Control': 'public, max-age=3600',
  'CDN-Cache-Control': 'max-age=3600',
  'Cloudflare-CDN-Cache-Control': 'max-age=3600',
  'Vercel-CDN-Cache-Control': 'max-age=3600',
  'Netlify-CDN-Cache-Control': 'max-age=3600',
  'Surrogate-Control': 'max-age=3600',
  'X-Accel-Expires': '3600',
  Expires: 'Thu, 01 Jan 2099 00:00:00 GMT',
  Vary: 'Accept-Encoding',
  'X-Kept': 'kept',
}

const gone = Object.keys(lies).filter((name) => /cdn|surrogate|accel|expires/i.test(name))

type Kind = readonly [what: string, answer: () => TestAnswer | Promise<TestAnswer>, status: number]

/** The headers of every answer under impersonation, whatever the handler does. */
export function headerRules(rule: Rule, { rawWays }: Required<AdapterTestsOptions>): void {
  const kinds: readonly Kind[] = [
    ['an answer', () => ({ body: 'fine' }), 200],
    ['an answer without a body', () => ({ status: 201 }), 201],
    ['204', () => ({ status: 204 }), 204],
    ['304', () => ({ status: 304, headers: { ETag: '"x"' } }), 304],
    ['a redirect', () => ({ redirect: '/elsewhere' }), 302],
    ['a stream', () => ({ stream: pieces }), 200],
    ['an error thrown', () => fail(), 500],
    ['an error rejected', async () => fail(), 500],
    ['an error rejected later', () => later().then(fail), 500],
    ['an answer that says otherwise', () => ({ headers: lies, body: 'lies' }), 200],
    ['a refusal that says otherwise', () => ({ status: 403, headers: lies, body: 'no' }), 403],
    ...rawWays.flatMap((raw): Kind[] => [
      [`${raw}`, () => ({ raw, body: 'raw' }), 200],
      [`${raw} that says otherwise`, () => ({ raw, status: 202, headers: lies, body: 'raw' }), 202],
    ]),
  ]
  const route = (handle: TestRoute['handle']) => ({
    routes: () =>
      [
        { method: 'GET', path: '/it', handle },
        { method: 'POST', path: '/it', handle },
      ] as const,
  })

  for (const [what, answer, status] of kinds) {
    rule(`are on ${what}`, async (setup) => {
      const world = await setup(route(answer))
      const id = await world.start('alice', { access_level: 'full' })
      for (const method of ['GET', 'HEAD', 'POST']) {
        const reply = await world.send(method, '/it')
        assert.equal(reply.status, status, reply.text)
        assertTold(reply, 'alice', id, method)
      }
      // Nothing of it stays behind in whatever the framework shares between requests.
      const other = await world.send('GET', '/it', { as: 'mallory' })
      if (!what.includes('otherwise')) assertUntold(other)
    })
  }

  rule('are on what no route matches and on what is refused', async (setup) => {
    const { send, start } = await setup()
    const id = await start()
    const missing = await send('GET', '/nowhere')
    assert.equal(missing.status, 404)
    assertTold(missing, 'alice', id)
    const refused = refusedWith(await send('POST', '/notes'), 403, 'grant_view_only')
    assertTold(refused, 'alice', id)
    const guarded = await send('POST', '/account/password')
    assertTold(refusedWith(guarded, 403, 'impersonation_write_blocked'), 'alice', id)
  })

  rule('are on what guard() refuses', async (setup) => {
    const { send, start } = await setup({
      routes: ({ engine }) => [
        {
          method: 'POST',
          path: '/pay',
          handle: () => {
            engine.guard('payment')
            return { body: 'paid' }
          },
        },
      ],
      engine: { guardrails: noGuardrails },
    })
    assert.equal((await send('POST', '/pay')).text, 'paid')
    const id = await start('alice', { access_level: 'full' })
    const reply = await send('POST', '/pay')
    assert.equal(reply.status, 403, reply.text)
    assertTold(reply, 'alice', id)
  })

  rule('are on what the app’s own error handler answers', async (setup) => {
    const { send, start } = await setup({
      ...route(() => fail()),
      onError: () => () => ({ status: 418, headers: lies, body: 'handled' }),
    })
    const id = await start('alice', { access_level: 'full' })
    const reply = await send('GET', '/it')
    assert.deepEqual([reply.status, reply.text], [418, 'handled'])
    assertTold(reply, 'alice', id)
  })

  rule('replace what the handler said of caching and leave the rest as it was', async (setup) => {
    for (const raw of [undefined, ...rawWays]) {
      const { send, start } = await setup(
        route(() => ({ ...(raw && { raw }), headers: lies, body: 'x' })),
      )
      await start()
      const { headers, text } = await send('GET', '/it')
      assert.equal(headers['x-kept'], 'kept')
      assert.equal(headers.vary, 'Accept-Encoding, Cookie, Authorization')
      for (const name of gone) assert.equal(headers[name.toLowerCase()], undefined, name)
      assert.match(text, /x/)
    }
  })

  for (const [present, expected] of [
    ['Accept', 'Accept, Cookie, Authorization'],
    ['cookie', 'cookie, Authorization'],
    ['Authorization, Cookie', 'Authorization, Cookie'],
    ['X-Cookie', 'X-Cookie, Cookie, Authorization'],
    ['*', '*'],
  ] as const) {
    rule(`make Vary: ${present} into ${expected}`, async (setup) => {
      const { send, start } = await setup(route(() => ({ headers: { Vary: present }, body: 'x' })))
      await start()
      const { headers } = await send('GET', '/it')
      assert.equal(headers.vary?.replace(/, accept-encoding/i, ''), expected)
    })
  }

  rule(
    'are exposed where the handler answers CORS, beside what it exposes, and not elsewhere',
    async (setup) => {
      const ours =
        'X-Impersonating, X-Impersonated-User-Id, X-Impersonation-Session, X-Impersonation-Ended'
      for (const raw of [undefined, ...rawWays]) {
        const cors = { 'Access-Control-Allow-Origin': 'https://app.example' }
        const more = { ...cors, 'Access-Control-Expose-Headers': 'X-Total, x-impersonating' }
        for (const [headers, expected] of [
          [cors, ours],
          [more, `X-Total, x-impersonating, ${ours.slice(17)}`],
          [{}, undefined],
        ] as const) {
          const { send, start } = await setup(
            route(() => ({ ...(raw && { raw }), headers, body: 'x' })),
          )
          await start()
          const reply = await send('GET', '/it')
          assert.equal(reply.headers['access-control-expose-headers'], expected)
          const plain = await send('GET', '/it', { as: 'mallory' })
          assert.equal(
            plain.headers['access-control-expose-headers'],
            (headers as Record<string, string>)['Access-Control-Expose-Headers'],
          )
        }
      }
    },
  )

  rule('are merged with the Vary of a layer ahead of us', async (setup) => {
    const { send, start } = await setup({
      layers: ({ login, ours }) => [{ kind: 'header', name: 'Vary', value: 'Origin' }, login, ours],
    })
    await start()
    assert.equal((await send('GET', '/me')).headers.vary, 'Origin, Cookie, Authorization')
  })

  rule('are exposed where a layer ahead of us answers CORS', async (setup) => {
    const { send, start } = await setup({
      layers: ({ login, ours }) => [
        { kind: 'header', name: 'Access-Control-Allow-Origin', value: '*' },
        login,
        ours,
      ],
    })
    const id = await start()
    const reply = await send('GET', '/me')
    assertTold(reply, 'alice', id)
    assert.match(reply.headers['access-control-expose-headers'] ?? '', /X-Impersonation-Session/)
  })

  rule('carry an id that is neither Latin-1 nor one line, percent-encoded', async (setup) => {
    const world = await setup({
      routes: () => [
        ...rawWays.map(
          (raw, n): TestRoute => ({
            method: 'GET',
            path: `/raw${n}`,
            handle: () => ({ raw, body: 'x' }),
          }),
        ),
        { method: 'GET', path: '/throws', handle: () => fail() },
      ],
    })
    const id = await world.start(oddId)
    for (const path of ['/me', '/throws', '/nowhere', ...rawWays.map((_, n) => `/raw${n}`)]) {
      const reply = await world.send('GET', path)
      assert.notEqual(reply.status, 0)
      assert.equal(reply.headers['x-impersonated-user-id'], 'us%C3%A9r%E2%9C%93%20%0A')
      assertTold(reply, oddId, id)
    }
  })

  rule('leave the cookies of the handler alone', async (setup) => {
    for (const raw of [undefined, ...rawWays]) {
      const { send, start } = await setup(
        route(() => ({ ...(raw && { raw }), headers: { 'Set-Cookie': 'a=b' }, body: 'x' })),
      )
      await start()
      assert.deepEqual((await send('GET', '/it')).cookies, ['a=b'])
      const dropped = await send('GET', '/it', { as: 'mallory', cookie: 'onbehalf=made-up' })
      assert.deepEqual(dropped.cookies.length, 2)
      assert.ok(dropped.cookies.includes('a=b'))
    }
  })

  rule('change neither status nor body: the target alone gets the same', async (setup) => {
    const answers = kinds.filter(([what]) => !what.includes('error'))
    const { send, start } = await setup({
      routes: () => answers.map(([, handle], n) => ({ method: 'GET', path: `/it${n}`, handle })),
    })
    await start()
    for (const [n, [what]] of answers.entries()) {
      const [alone, under] = [
        await send('GET', `/it${n}`, { as: 'alice' }),
        await send('GET', `/it${n}`),
      ]
      assert.deepEqual([under.status, under.text], [alone.status, alone.text], what)
      for (const name of ['content-type', 'content-length', 'location', 'etag'].filter(
        (each) => alone.headers[each] !== undefined,
      ))
        assert.equal(plain(under.headers[name]), plain(alone.headers[name]), `${name} of ${what}`)
    }
  })

  rule('of one answer leave the next one alone, HEAD or not', async (setup) => {
    const { send, start } = await setup({
      routes: () =>
        [5, 500, 0, 50].map((size) => ({
          method: 'GET',
          path: `/size${size}`,
          handle: () => ({ body: 'x'.repeat(size) }),
        })),
    })
    const id = await start()
    for (const method of ['HEAD', 'GET', 'HEAD', 'GET'])
      for (const size of [5, 500, 0, 50]) {
        const reply = await send(method, `/size${size}`)
        assert.deepEqual([reply.status, reply.text.length], [200, method === 'GET' ? size : 0])
        assertTold(reply, 'alice', id, method)
      }
  })

  rule(
    'are on nothing else: not without a session, not on our routes, not for others',
    async (setup) => {
      const { send, call, start } = await setup()
      assertUntold(await send('GET', '/me'))
      await start()
      for (const path of ['/status', '/sessions', '/openapi.json', '/nowhere'])
        assertUntold(await call('GET', path))
      for (const as of ['alice', 'mallory', 'boss', null])
        assertUntold(await send('GET', '/me', { as }))
      assertUntold(await call('POST', '/stop'))
      assertUntold(await send('GET', '/me'))
    },
  )

  rule('tell of the session on a route that keeps the actor', async (setup) => {
    const { send, start } = await setup({
      engine: { keepActorRoutes: ['GET /admin/*'] },
      routes: (world: World) => [
        {
          method: 'GET',
          path: '/admin/search',
          handle: (call) =>
            answerJson([(call.user as { id: string }).id, world.engine.current()?.target.id]),
        },
      ],
    })
    const id = await start()
    const reply = await send('GET', '/admin/search')
    assert.deepEqual(reply.json, ['root', 'alice'])
    assertTold(reply, 'alice', id)
  })
}

export const noGuardrails = {
  password: [],
  mfa: [],
  email: [],
  recovery_code: [],
  role_grant: [],
  payment: [],
  legal_acceptance: [],
  account_deletion: [],
  credential: [],
}

function fail(): never {
  throw new Error('the handler failed, as it was asked to')
}

const plain = (value: string | undefined) => value?.replaceAll(' ', '').toLowerCase()

const later = () => new Promise<void>((resolve) => setImmediate(resolve))

async function* pieces() {
  for (const piece of ['one ', 'two ', 'three']) {
    await later()
    yield piece
  }
}

/** What every answer under impersonation carries. */
function assertTold({ headers }: Reply, target: string, id: string, method = 'GET'): void {
  assert.deepEqual(
    {
      impersonating: headers['x-impersonating'],
      user: headers['x-impersonated-user-id'],
      session: headers['x-impersonation-session'],
      cache: headers['cache-control'],
    },
    {
      impersonating: 'true',
      user: encodeURIComponent(target),
      session: id,
      cache: 'no-store, private',
    },
    method,
  )
  assert.match(headers.vary ?? '', /cookie/i)
  assert.match(headers.vary ?? '', /authorization/i)
  for (const name of gone) assert.equal(headers[name.toLowerCase()], undefined, name)
}

function assertUntold({ headers }: Reply): void {
  for (const name of Object.keys(headers)) assert.doesNotMatch(name, /^x-impersonat/)
  assert.doesNotMatch(headers.vary ?? '', /authorization/i)
}
