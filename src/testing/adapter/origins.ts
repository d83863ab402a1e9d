import assert from 'node:assert/strict'
import { type Rule, reason, refusedWith, type Setup } from './world.ts'

const host = { Host: 'app.example' }

/** Who may call the routes from where: what another site makes a browser send is refused. */
export function originRules(rule: Rule): void {
  const calls = [
    ['POST', '/start', { target_user_id: 'bob', reason }],
    ['POST', '/stop', undefined],
    ['GET', '/status', undefined],
    ['GET', '/sessions', undefined],
    ['POST', '/extend', { minutes: 1 }],
  ] as const

  const refusesAll = async (
    setup: Setup,
    headers: Record<string, string>,
    login: 'bearer' | 'cookie',
  ) => {
    const { call, start } = await setup()
    await start('alice', {}, { headers: { 'Sec-Fetch-Site': 'same-origin' } })
    for (const [method, path, json] of calls) {
      // The browser's words of this case, and none of those that the cookie login adds.
      const ask =
        login === 'cookie'
          ? { as: null, cookie: 'login=root', headers: { ...host, ...headers } }
          : { headers: { ...host, ...headers } }
      const reply = await call(method, path, { ...ask, json })
      refusedWith(reply, 403, 'cross_origin_blocked')
    }
    assert.equal((await call('GET', '/status')).json.target_user_id, 'alice')
  }

  for (const [what, headers] of [
    ['a call from another site', { 'Sec-Fetch-Site': 'cross-site' }],
    ['a call from a sibling of this site', { 'Sec-Fetch-Site': 'same-site' }],
    ['a value of Sec-Fetch-Site that nobody knows', { 'Sec-Fetch-Site': 'SAME-ORIGIN ' + 'x' }],
    ['an opaque origin', { Origin: 'null' }],
    [
      'an opaque origin that a browser calls its own',
      { Origin: 'null', 'Sec-Fetch-Site': 'same-origin' },
    ],
    ['another origin', { Origin: 'http://evil.example' }],
    ['a look-alike with the name in front', { Origin: 'http://app.example.evil.example' }],
    ['a look-alike with the name behind', { Origin: 'http://evilapp.example' }],
    ['a subdomain', { Origin: 'http://www.app.example' }],
    ['another port', { Origin: 'http://app.example:8080' }],
    ['another scheme', { Origin: 'https://app.example' }],
    ['the name as a user of another host', { Origin: 'http://app.example@evil.example' }],
    ['an origin with a path', { Origin: 'http://app.example/' }],
    ['two origins', { Origin: 'http://app.example, http://evil.example' }],
    ['an origin that is none', { Origin: 'app.example' }],
    [
      'its own origin from another site',
      { Origin: 'http://app.example', 'Sec-Fetch-Site': 'cross-site' },
    ],
    [
      'another origin that says it is its own',
      { Origin: 'http://evil.example', 'Sec-Fetch-Site': 'same-origin' },
    ],
  ] as const) {
    for (const login of ['bearer', 'cookie'] as const)
      rule(`${what} is refused, reads included, with a ${login} login`, (setup) =>
        refusesAll(setup, headers, login),
      )
  }

  rule('a cookie login that does not say where from is refused', (setup) =>
    refusesAll(setup, {}, 'cookie'),
  )

  rule('another scheme of Authorization shows nothing that a browser would not send', (setup) =>
    refusesAll(setup, { Authorization: 'Basic cm9vdDpyb290' }, 'cookie'),
  )

  for (const [what, headers] of [
    ['a page of the app itself', { 'Sec-Fetch-Site': 'same-origin' }],
    ['the address bar', { 'Sec-Fetch-Site': 'none' }],
    ['its own origin', { Origin: 'http://app.example' }],
    [
      'its own origin, and the browser says so',
      { Origin: 'http://app.example', 'Sec-Fetch-Site': 'same-origin' },
    ],
    // The proxy in front has ended TLS, and nobody told the framework.
    [
      'its own origin behind a proxy',
      { Origin: 'https://app.example', 'Sec-Fetch-Site': 'same-origin' },
    ],
  ] as const) {
    rule(`${what} is let through, with a cookie login too`, async (setup) => {
      const { call } = await setup()
      for (const ask of [{}, { as: null, cookie: 'login=root' }]) {
        const all = { ...host, ...headers }
        const json = { target_user_id: 'alice', reason }
        assert.equal((await call('POST', '/start', { ...ask, headers: all, json })).status, 201)
        assert.equal((await call('GET', '/status', { ...ask, headers: all })).status, 200)
      }
    })
  }

  rule('a bearer token without a word of where from is let through', async (setup) => {
    const { call, start } = await setup()
    await start()
    assert.equal((await call('GET', '/status')).json.is_impersonating, true)
  })

  rule(
    'an origin of allowedOrigins is let through, whatever the browser says, and no other',
    async (setup) => {
      const { call } = await setup({ engine: { allowedOrigins: ['https://admin.example'] } })
      const headers = { ...host, Origin: 'https://admin.example', 'Sec-Fetch-Site': 'cross-site' }
      assert.equal((await call('GET', '/status', { headers })).status, 200)
      for (const Origin of [
        'https://admin.example.evil.example',
        'http://admin.example',
        'https://ADMIN.example',
        'https://admin.example/',
      ])
        refusedWith(
          await call('GET', '/status', { headers: { ...headers, Origin } }),
          403,
          'cross_origin_blocked',
        )
    },
  )

  rule('the routes that are refused to other sites are only ours', async (setup) => {
    const { send } = await setup()
    const headers = { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }
    assert.equal((await send('GET', '/me', { headers })).status, 200)
  })
}
