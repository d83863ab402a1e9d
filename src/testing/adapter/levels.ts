import assert from 'node:assert/strict'
import type { AdapterTestsOptions, TestRoute } from './app.ts'
import { noGuardrails } from './headers.ts'
import { answerJson, type Rule, refusedWith, type World } from './world.ts'

const writes = ['POST', 'PUT', 'PATCH', 'DELETE'] as const
const levels = ['view', 'interactive', 'full'] as const
const overrides = ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'] as const

/** The spellings of a path that some router or other takes for the plain one. */
const spellings = [
  '/account/password',
  '/account/password/',
  '/account/password//',
  '//account/password',
  '/account//password',
  '/ACCOUNT/password',
  '/account/Password',
  '/account/%70assword',
  '/account/%70%61%73%73%77%6f%72%64',
  '/account/%2570assword',
  '/account%2fpassword',
  '/account%2Fpassword',
  '/account\\password',
  '/account%5cpassword',
  '/x/../account/password',
  '/account/./password',
  '/account/x/../password',
  '/%2e%2e/account/password',
  '/account/%2e/password',
  '/x/%2e%2e/account/password',
  '/x%2f..%2faccount/password',
  '/account/password;a=b',
  '/account;a=b/password',
  '/account/password;/x',
  '/account/password?x=/safe',
  '/account/password?_method=GET',
  '/account/password#f',
  '/account/password%3fx',
  '/account/password%23x',
  '/account/password%00',
  '/account/password%20',
  '/account/password%0a',
  'http://evil.example/account/password',
  'HTTP://evil.example//account/password',
  'http://evil.example:80/x/../account/password?y',
]

/** That access levels and guardrails hold on everything that comes in. */
export function levelRules(
  rule: Rule,
  { sockets, spellings: own }: Required<AdapterTestsOptions>,
): void {
  rule('view refuses every write before its handler', async (setup) => {
    const { send, start, written } = await setup({ engine: { guardrails: noGuardrails } })
    await start()
    for (const method of writes) refusedWith(await send(method, '/notes'), 403, 'grant_view_only')
    refusedWith(await send('POST', '/nowhere'), 403, 'grant_view_only')
    assert.deepEqual(written, [])
  })

  if (sockets)
    rule('view refuses methods that few know', async (setup) => {
      const { raw, start } = await setup()
      await start()
      for (const method of ['QUERY', 'PROPFIND', 'MKCOL', 'LOCK', 'TRACE']) {
        const reply = await raw(
          [
            `${method} /me HTTP/1.1`,
            'Host: app.example',
            'Authorization: Bearer root',
            'Content-Type: application/json',
            'Content-Length: 2',
          ],
          '{}',
        )
        assert.ok(reply.status >= 400 && reply.status < 500, `${method}: ${reply.status}`)
        assert.doesNotMatch(reply.text, /"session"/)
      }
    })

  rule('view refuses a read that asks to be taken for something else', async (setup) => {
    const { send, start } = await setup({ engine: { guardrails: noGuardrails } })
    await start()
    for (const name of overrides)
      for (const value of ['DELETE', 'post', 'GET', ''])
        refusedWith(
          await send('GET', '/me', { headers: { [name]: value } }),
          403,
          'grant_view_only',
        )
    for (const query of [
      '_method=DELETE',
      '_METHOD=put',
      '%5fmethod=POST',
      '_%6dethod=POST',
      'a=1&_method=PATCH',
      'a=1;_method=PATCH',
      '_method[]=PUT',
      '%20_method=PUT',
    ])
      refusedWith(await send('GET', `/me?${query}`), 403, 'grant_view_only')
    assert.equal((await send('GET', '/me?the_method=PUT&q=_method')).status, 200)
  })

  rule('interactive and full write, as the target', async (setup) => {
    for (const level of ['interactive', 'full']) {
      const { send, start, written } = await setup()
      await start('alice', { access_level: level })
      for (const method of writes) assert.equal((await send(method, '/notes')).status, 200)
      assert.deepEqual(written, ['alice', 'alice', 'alice', 'alice'])
    }
  })

  rule('fullAccessRoutes want the level full, for reads as well', async (setup) => {
    const report: TestRoute = { method: 'GET', path: '/report', handle: () => ({ body: 'report' }) }
    const world = await setup({
      engine: { fullAccessRoutes: ['GET /report', 'POST /notes'], guardrails: noGuardrails },
      routes: () => [report],
    })
    const { send, start, written } = world
    for (const level of ['view', 'interactive'] as const) {
      await start('alice', { access_level: level })
      refusedWith(await send('GET', '/report'), 403, 'full_access_required')
      const write = await send('POST', '/notes')
      refusedWith(write, 403, level === 'view' ? 'grant_view_only' : 'full_access_required')
    }
    await start('alice', { access_level: 'full' })
    assert.equal((await send('GET', '/report')).text, 'report')
    assert.equal((await send('POST', '/notes')).status, 200)
    assert.deepEqual(written, ['alice'])
  })

  for (const level of levels) {
    rule(`no password is changed at ${level}, and the block is on record`, async (setup) => {
      const { send, start, written, store } = await setup()
      const id = await start('alice', { access_level: level })
      const reply = await send('POST', '/account/password', { json: { password: 'x' } })
      refusedWith(reply, 403, 'impersonation_write_blocked')
      assert.equal(reply.json.guardrail, 'password')
      assert.deepEqual(written, [])
      const events = await store.listEvents({ sessionId: id }, { limit: 10 })
      const blocked = events.find(({ action }) => action === 'impersonation.write_blocked')
      assert.deepEqual(
        [blocked?.outcome, blocked?.code, blocked?.actorId, blocked?.targetUserId],
        ['refused', 'impersonation_write_blocked', 'root', 'alice'],
      )
    })

    rule(`guard() stops at ${level} and lets everybody else through`, async (setup) => {
      const { send, start } = await setup({
        engine: { guardrails: noGuardrails },
        routes: ({ engine }) => [
          {
            method: 'GET',
            path: '/pay',
            handle: async () => {
              engine.guard('payment')
              return { body: 'paid' }
            },
          },
        ],
      })
      for (const as of ['root', 'alice', null])
        assert.equal((await send('GET', '/pay', { as })).text, 'paid')
      await start('alice', { access_level: level })
      assert.equal((await send('GET', '/pay')).status, 403)
      assert.equal((await send('GET', '/pay', { as: 'alice' })).text, 'paid')
    })
  }

  if (sockets) {
    for (const [what, guardrails] of [
      ['the host’s own pattern', { ...noGuardrails, password: ['POST /account/password'] }],
      ['the shipped catalogue', undefined],
    ] as const) {
      rule(`a guarded path is guarded in every spelling, by ${what}`, async (setup) => {
        const world = await setup({
          engine: { ...(guardrails && { guardrails }) },
          notFound: (its) => (call) => {
            its.written.push('notFound')
            return answerJson({ at: call.header('x-at') }, 404)
          },
        })
        await world.start('alice', { access_level: 'full' })
        for (const path of [...spellings, ...own]) {
          const reply = await post(world, path)
          assert.ok(
            !world.written.includes('alice') && !world.written.includes('root'),
            `${path} reached the handler: ${reply.status}`,
          )
        }
      })
    }

    rule(
      'a guarded path is reached by some of these spellings where nothing guards it',
      async (setup) => {
        const world = await setup({ engine: { guardrails: noGuardrails } })
        await world.start('alice', { access_level: 'full' })
        for (const path of [...spellings, ...own]) await post(world, path)
        assert.ok(world.written.length >= 3, `${world.written.length} spellings reach the handler`)
        assert.deepEqual(new Set(world.written), new Set(['alice']))
      },
    )
  }

  rule(
    'on keepActorRoutes the actor stays, the context tells, guardrails and levels hold',
    async (setup) => {
      const world = await setup({
        engine: {
          keepActorRoutes: ['GET /admin/search', 'POST /admin/*'],
          guardrails: { ...noGuardrails, payment: ['POST /admin/refund'] },
        },
        routes: ({ engine, written }) =>
          (
            [
              ['GET', '/admin/search'],
              ['GET', '/admin/other'],
              ['POST', '/admin/notes'],
              ['POST', '/admin/refund'],
            ] as const
          ).map(([method, path]) => ({
            method,
            path,
            handle: ({ user }) => {
              const id = (user as { id: string }).id
              if (method === 'POST') written.push(`${id} at ${path}`)
              return answerJson([id, engine.current()?.target.id ?? null])
            },
          })),
      })
      const { send, start, written } = world
      assert.deepEqual((await send('GET', '/admin/search')).json, ['root', null])
      await start('alice', { access_level: 'full' })
      assert.deepEqual((await send('GET', '/admin/search')).json, ['root', 'alice'])
      assert.deepEqual((await send('GET', '/admin/search?q=x')).json, ['root', 'alice'])
      assert.deepEqual((await send('GET', '/admin/other')).json, ['alice', 'alice'])
      refusedWith(await send('POST', '/admin/refund'), 403, 'impersonation_write_blocked')
      assert.deepEqual(written, [])
      // An unusual spelling, wherever the router takes it, runs as the target.
      for (const path of ['/ADMIN/search', '/admin/search/', '/admin/%73earch', '/admin//search']) {
        const { status, text } = await send('GET', path)
        if (status === 200) assert.deepEqual(JSON.parse(text), ['alice', 'alice'], path)
        else assert.equal(status, 404, path)
      }
      for (const path of ['/admin/search?_method=POST', '/admin/search?%5Fmethod=x']) {
        const { status, text } = await send('GET', path)
        if (status === 200) assert.deepEqual(JSON.parse(text), ['alice', 'alice'], path)
      }
    },
  )

  rule('our own routes are past levels and guardrails', async (setup) => {
    const { call, start, send } = await setup({
      engine: { guardrails: { ...noGuardrails, role_grant: ['* /*'] } },
    })
    const id = await start()
    refusedWith(await send('GET', '/me'), 403, 'impersonation_write_blocked')
    assert.equal((await call('GET', '/status')).json.session_id, id)
    assert.equal((await call('POST', '/extend', { json: { minutes: 1 } })).status, 200)
    assert.equal((await call('GET', `/sessions/${id}`)).status, 200)
    assert.equal((await call('POST', `/sessions/${id}/revoke`)).status, 200)
    assert.equal((await call('POST', '/stop')).status, 200)
  })

  rule('a start under a session replaces it: nobody is impersonated twice over', async (setup) => {
    const { call, start, store, whoami } = await setup()
    const first = await start('alice')
    const second = await start('bob')
    assert.equal(await whoami(), 'bob')
    const { json } = await call('GET', `/sessions/${first}`)
    assert.deepEqual([json.status, json.actor_id], ['replaced', 'root'])
    assert.equal((await store.readSession(second))?.actorId, 'root')
  })
}

const post = ({ raw }: World, path: string) =>
  raw([
    `POST ${path} HTTP/1.1`,
    'Host: app.example',
    'Authorization: Bearer root',
    'Content-Length: 0',
  ])
