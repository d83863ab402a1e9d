import assert from 'node:assert/strict'
import type { TestUser } from './app.ts'
import { answerJson, oddId, type Rule, seen } from './world.ts'

const root = (users: Map<string, object>) => users.get('root')

export function identityRules(rule: Rule): void {
  rule('an admin without a session is themselves, in every place that tells', async (setup) => {
    const { send, users } = await setup()
    const { json } = await send('GET', '/me')
    assert.deepEqual(json, {
      user: root(users),
      context: null,
      request: null,
      actor: null,
      session: null,
    })
  })

  for (const login of ['bearer', 'cookie'] as const) {
    rule(
      `with a ${login} login a session makes requests run as exactly the target`,
      async (setup) => {
        const { send, start, users } = await setup()
        const id = await start('alice', {}, { login })
        const { json } = await send('GET', '/me', { login })
        assert.deepEqual(json, {
          user: users.get('alice'),
          context: 'alice',
          request: 'alice',
          actor: 'root',
          session: id,
        })
      },
    )

    rule(`with a ${login} login a stop gives the admin themselves back`, async (setup) => {
      const { call, start, whoami } = await setup()
      await start('alice', {}, { login })
      assert.equal(await whoami({ login }), 'alice')
      assert.equal((await call('POST', '/stop', { login })).status, 200)
      assert.equal(await whoami({ login }), 'root')
    })
  }

  rule('nothing of the actor leaks into a target that lacks it', async (setup) => {
    const { send, start, users } = await setup()
    await start('bob')
    const user: TestUser = (await send('GET', '/me')).json.user
    assert.deepEqual(user, users.get('bob'))
    assert.deepEqual(
      [user.orgId, user.role, user.email, user.isSuperuser],
      [null, null, null, false],
    )
    assert.deepEqual(user.rights, [])
  })

  rule('the target in another of their organisations is the one findUser gives', async (setup) => {
    const { send, start, users } = await setup()
    await start('alice', { target_org_id: 'second' })
    const user: TestUser = (await send('GET', '/me')).json.user
    assert.deepEqual(user, { ...users.get('alice'), orgId: 'second' })
  })

  rule('an id that fits no header is impersonated all the same', async (setup) => {
    const { start, whoami } = await setup()
    await start(oddId)
    assert.equal(await whoami(), oddId)
  })

  rule('the target, others and nobody notice nothing', async (setup) => {
    const { send, start } = await setup()
    const others = ['alice', 'mallory', 'boss', null]
    const before = await Promise.all(others.map((as) => send('GET', '/me', { as })))
    await start('alice')
    const after = await Promise.all(others.map((as) => send('GET', '/me', { as })))
    assert.deepEqual(
      after.map(({ text }) => text),
      before.map(({ text }) => text),
    )
    for (const { headers } of after)
      for (const name of Object.keys(headers)) assert.doesNotMatch(name, /impersonat/)
  })

  rule(
    'ordinary users and nobody get the bytes of an app without the middleware',
    async (setup) => {
      const routes = () =>
        [
          { method: 'GET', path: '/hello', handle: () => ({ body: 'hello' }) },
          {
            method: 'GET',
            path: '/gone',
            handle: () => ({ status: 410, headers: { Vary: 'Accept' }, body: 'x' }),
          },
          {
            method: 'POST',
            path: '/kept',
            handle: () => ({ status: 201, headers: { 'Cache-Control': 'public' } }),
          },
        ] as const
      const ours = await setup({ routes })
      const bare = await setup({ routes, layers: ({ login }) => [login] })
      await ours.start('alice')
      for (const as of ['alice', 'mallory', null]) {
        for (const [method, path] of [
          ['GET', '/hello'],
          ['HEAD', '/hello'],
          ['GET', '/gone'],
          ['POST', '/kept'],
          ['GET', '/nowhere'],
        ] as const) {
          const [one, other] = [
            await ours.send(method, path, { as }),
            await bare.send(method, path, { as }),
          ]
          assert.deepEqual(comparable(one), comparable(other), `${method} ${path} as ${as}`)
        }
      }
    },
  )

  rule('an ordinary user costs no call of the store', async (setup) => {
    const { send, start, store } = await setup()
    await start('alice')
    store.plan({})
    for (const as of ['alice', 'mallory', null]) await send('GET', '/me', { as })
    assert.equal(
      Object.values(store.calls).reduce((sum, n) => sum + n),
      0,
    )
  })

  rule('the target stops nothing: the session is the actor’s', async (setup) => {
    const { call, start, whoami } = await setup()
    await start('alice')
    assert.equal((await call('POST', '/stop', { as: 'alice' })).status, 404)
    assert.equal(await whoami(), 'alice')
  })

  for (const as of ['mallory', 'root', null]) {
    rule(
      `what ${as ?? 'nobody'} forges of our headers reaches no handler, in no form`,
      async (setup) => {
        const { send } = await setup({
          routes: () => [
            {
              method: 'GET',
              path: '/headers',
              handle: (call) =>
                answerJson({
                  names: call.headerNames(),
                  one: call.header('x-impersonating') ?? null,
                  two: call.header('x-impersonated-user-id') ?? null,
                  other: call.header('x-other') ?? null,
                }),
            },
          ],
        })
        const { json } = await send('GET', '/headers', {
          as,
          headers: {
            'X-Impersonating': ['true', 'yes'],
            'x-IMPERSONATED-user-id': 'root',
            'X-Other': 'kept',
          },
        })
        assert.deepEqual([json.one, json.two, json.other], [null, null, 'kept'])
        assert.ok(json.names.includes('x-other'))
        assert.deepEqual(
          json.names.filter((name: string) => /impersonat(ing|ed)/.test(name)),
          [],
        )
      },
    )
  }

  rule('an actor who switches target is exactly the new one', async (setup) => {
    const { start, whoami, written, send } = await setup()
    await start('alice', { access_level: 'interactive' })
    await start('bob', { access_level: 'interactive' })
    assert.equal(await whoami(), 'bob')
    await send('POST', '/notes')
    assert.deepEqual(written, ['bob'])
  })

  rule('two actors at once are each their own target', async (setup) => {
    const { start, whoami } = await setup()
    await start('alice', {}, { as: 'root' })
    await start('bob', {}, { as: 'boss' })
    assert.deepEqual(await Promise.all([whoami(), whoami({ as: 'boss' })]), ['alice', 'bob'])
  })

  rule('mounted twice it does what it does mounted once', async (setup) => {
    const { send, start, users, call } = await setup({
      layers: ({ login, ours }) => [login, ours, ours],
    })
    const id = await start('alice')
    const { json, headers } = await send('GET', '/me')
    assert.deepEqual(json, {
      user: users.get('alice'),
      context: 'alice',
      request: 'alice',
      actor: 'root',
      session: id,
    })
    assert.equal(headers['x-impersonation-session'], id)
    assert.equal((await call('POST', '/stop')).status, 200)
  })

  rule('what no route matches runs as the target too', async (setup) => {
    const { send, start } = await setup({
      notFound: (world) => (call) => answerJson(seen(world, call), 404),
    })
    const id = await start('alice', { access_level: 'full' })
    for (const [method, path] of [
      ['GET', '/nowhere'],
      ['POST', '/nowhere'],
      ['GET', '/impersonationx'],
      ['GET', '/x/impersonation/status'],
    ] as const) {
      const { status, json } = await send(method, path)
      assert.deepEqual(
        [status, json.user?.id, json.context, json.session],
        [404, 'alice', 'alice', id],
      )
    }
  })

  rule('odd spellings of our own routes never reach the app as the admin', async (setup) => {
    const { send, start } = await setup({
      notFound: (world) => (call) => answerJson(seen(world, call), 404),
    })
    await start('alice', { access_level: 'full' })
    for (const path of [
      '/%69mpersonation/status',
      '/IMPERSONATION/status',
      '//impersonation//status',
      '/impersonation;v=1/status',
      '/impersonation/%73tatus',
      '/impersonation%2fstatus',
      '/impersonation/./status',
      '/impersonation/nowhere',
      '/%69mpersonation/nowhere',
    ]) {
      for (const method of ['GET', 'POST']) {
        const { status, text, headers } = await send(method, path)
        assert.ok(status < 500, `${method} ${path}: ${status}`)
        if (status === 404 && !headers['content-type']?.includes('problem'))
          assert.equal(JSON.parse(text).user?.id, 'alice', `${method} ${path}`)
      }
    }
  })
}

/** All that a client gets, save what tells the time or the connection. */
function comparable({ status, headers, text }: { status: number; headers: object; text: string }) {
  const { date, ...rest } = headers as Record<string, string>
  return { status, headers: rest, text }
}
