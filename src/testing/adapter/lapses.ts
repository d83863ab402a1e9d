import assert from 'node:assert/strict'
import { createImpersonation } from '../../impersonation.ts'
import type { AdapterTestsOptions } from './app.ts'
import type { Reply } from './client.ts'
import { minute, type Rule, reason, refusedWith, type World } from './world.ts'

const day = 24 * 60 * minute
const cleared = 'onbehalf=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax'
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** What a client that believes in another state is told, instead of being served as somebody else. */
export function lapseRules(rule: Rule, { sockets }: Required<AdapterTestsOptions>): void {
  for (const [how, code, end] of [
    ['expired', 'impersonation_expired', expire],
    ['revoked', 'impersonation_revoked', revoke],
    ['stopped', 'impersonation_ended', stop],
  ] as const) {
    for (const by of ['header', 'cookie'] as const) {
      rule(`a ${by} pin of a session that was ${how} is 401, for every method`, async (setup) => {
        const world = await setup()
        const id = await world.start('alice', { access_level: 'full' })
        await end(world, id)
        const pin = by === 'header' ? { pin: id } : { cookie: `onbehalf=${id}` }
        for (const method of methods) {
          const reply = refusedWith(
            await world.send(method, method === 'GET' ? '/me' : '/notes', pin),
            401,
            code,
          )
          assert.deepEqual([reply.json.session_id, reply.json.ended_reason], [id, how])
          assert.deepEqual(reply.cookies, [cleared])
        }
        assert.deepEqual(world.written, [])
      })
    }
  }

  rule(
    'the right pin goes through, by header, by cookie, and `none` with no session',
    async (setup) => {
      const { start, whoami } = await setup()
      assert.equal(await whoami({ pin: 'none' }), 'root')
      assert.equal(await whoami({ pin: ' none ' }), 'root')
      const id = await start()
      assert.equal(await whoami({ pin: id }), 'alice')
      assert.equal(await whoami({ cookie: `onbehalf=${id}` }), 'alice')
      assert.equal(await whoami({ cookie: `a=b; onbehalf=${id}; onbehalf=${id}; c` }), 'alice')
    },
  )

  rule('a pin of anything else than the live session is 409, before any handler', async (setup) => {
    const { start, send, written } = await setup()
    const foreign = await start('bob', { access_level: 'full' }, { as: 'boss' })
    const old = await start('alice', { access_level: 'full' })
    const id = await start('mallory', { access_level: 'full' })
    for (const pin of ['none', 'made-up', foreign, old, `${id}x`, id.toUpperCase()]) {
      for (const method of methods) {
        const path = method === 'GET' ? '/me' : '/notes'
        refusedWith(await send(method, path, { pin }), 409, 'impersonation_state_changed')
        if (pin === 'none') continue
        const cookie = `onbehalf=${pin}`
        refusedWith(await send(method, path, { cookie }), 409, 'impersonation_state_changed')
      }
    }
    assert.deepEqual(written, [])
  })

  rule('the header wins over the cookie', async (setup) => {
    const { start, send, whoami } = await setup()
    const id = await start()
    assert.equal(await whoami({ pin: id, cookie: 'onbehalf=made-up' }), 'alice')
    const reply = await send('GET', '/me', { pin: 'none', cookie: `onbehalf=${id}` })
    refusedWith(reply, 409, 'impersonation_state_changed')
  })

  rule('two pins, or one that can be none, are 400', async (setup) => {
    const { start, send, written } = await setup()
    const id = await start('alice', { access_level: 'full' })
    for (const ask of [
      { headers: { 'X-Impersonation-Session': [id, id] } },
      { headers: { 'X-Impersonation-Session': [id, 'none'] } },
      { pin: `${id},none` },
      { pin: '' },
      { pin: 'a b' },
      { pin: '%00' },
      { pin: 'x'.repeat(256) },
      { cookie: `onbehalf=${id}; onbehalf=other` },
      { cookie: `onbehalf="${'x'.repeat(300)}"` },
    ])
      refusedWith(await send('POST', '/notes', ask), 400, 'invalid_request')
    assert.deepEqual(written, [])
  })

  rule('a cookie that can’t be read is cleared, so that it locks nobody out', async (setup) => {
    const { send, whoami } = await setup()
    const reply = await send('GET', '/me', { cookie: 'onbehalf=a; onbehalf=b' })
    refusedWith(reply, 400, 'invalid_request')
    assert.deepEqual(reply.cookies, [cleared])
    const ordinary = await send('GET', '/me', { as: 'alice', cookie: 'onbehalf=a; onbehalf=b' })
    assert.deepEqual([ordinary.status, ordinary.cookies], [200, [cleared]])
    assert.equal(await whoami({ cookie: 'onbehalf=' }), 'root')
  })

  rule('a cookie of another name is none of ours', async (setup) => {
    const { whoami } = await setup()
    for (const cookie of [
      'xonbehalf=x',
      'onbehalfx=x',
      '__Host-onbehalf=x',
      'ONBEHALF=x',
      'a=onbehalf',
    ])
      assert.equal(await whoami({ cookie }), 'root', cookie)
  })

  if (sockets) {
    rule('two Authorization headers are 400, on the app’s routes and on ours', async (setup) => {
      const { start, raw, written } = await setup()
      await start('alice', { access_level: 'full' })
      for (const [path, second] of [
        ['/notes', 'Bearer root'],
        ['/notes', 'Bearer alice'],
        ['/notes', 'Basic x'],
        ['/impersonation/stop', 'Bearer alice'],
      ]) {
        for (const name of ['Authorization', 'AUTHORIZATION']) {
          const reply = await raw([
            `POST ${path} HTTP/1.1`,
            'Host: app.example',
            'Authorization: Bearer root',
            `${name}: ${second}`,
            'Content-Length: 0',
          ])
          assert.equal(reply.status, 400, `${path} ${second}`)
          assert.match(reply.text, /invalid_request/)
        }
      }
      assert.deepEqual(written, [])
    })

    rule('two pins that differ in the case of the name are 400', async (setup) => {
      const { start, raw } = await setup()
      const id = await start()
      const reply = await raw([
        'GET /me HTTP/1.1',
        'Host: app.example',
        'Authorization: Bearer root',
        `X-Impersonation-Session: ${id}`,
        'x-IMPERSONATION-session: none',
      ])
      assert.equal(reply.status, 400)
    })
  }

  rule('another login in the same browser is not held to the cookie', async (setup) => {
    const { start, send, whoami } = await setup()
    const id = await start()
    const cookie = `onbehalf=${id}`
    const ordinary = await send('GET', '/me', { as: 'mallory', cookie })
    assert.deepEqual([ordinary.status, ordinary.json.user.id], [200, 'mallory'])
    assert.deepEqual(ordinary.cookies, [cleared])
    for (const name of Object.keys(ordinary.headers)) assert.doesNotMatch(name, /x-impersonat/)
    const admin = await send('GET', '/me', { as: 'boss', cookie })
    refusedWith(admin, 409, 'impersonation_state_changed')
    assert.deepEqual(admin.cookies, [cleared])
    assert.equal(await whoami({ as: null, cookie }), 'nobody')
    assert.equal(await whoami({ cookie }), 'alice', 'it goes on for whom it belongs to')
  })

  rule('a header pin of somebody who may not start, or of nobody, is refused', async (setup) => {
    const { start, send, written } = await setup()
    const id = await start()
    for (const as of ['alice', 'mallory'])
      refusedWith(await send('POST', '/notes', { as, pin: id }), 409, 'impersonation_state_changed')
    refusedWith(await send('POST', '/notes', { as: null, pin: id }), 401, 'unauthenticated')
    assert.equal((await send('POST', '/notes', { as: 'alice', pin: 'none' })).status, 200)
    assert.deepEqual(written, ['alice'])
  })

  rule(
    'an actor who loses the right is out at once, and stays what they are now',
    async (setup) => {
      const { start, send, call, users, written, whoami } = await setup()
      const id = await start('alice', { access_level: 'full' })
      assert.equal(await whoami(), 'alice')
      const root = users.get('root')
      if (root) users.set('root', { ...root, rights: [] })
      const first = refusedWith(await send('POST', '/notes'), 401, 'impersonation_revoked')
      assert.equal(first.json.ended_reason, 'actor_not_allowed')
      for (const ask of [{ pin: id }, { cookie: `onbehalf=${id}` }]) {
        const reply = refusedWith(await send('GET', '/me', ask), 401, 'impersonation_revoked')
        assert.deepEqual(reply.cookies, [cleared])
      }
      assert.deepEqual(written, [])
      const stopped = await call('POST', '/stop')
      assert.deepEqual([stopped.status, stopped.json.ended_reason], [200, 'actor_not_allowed'])
      assert.equal(await whoami(), 'root')
    },
  )

  rule('a demoted actor with only the cookie is out too', async (setup) => {
    const { start, send, users, store } = await setup()
    const id = await start()
    const root = users.get('root')
    if (root) users.set('root', { ...root, rights: ['list'] })
    const reply = await send('POST', '/notes', { cookie: `onbehalf=${id}` })
    refusedWith(reply, 401, 'impersonation_revoked')
    assert.deepEqual(reply.cookies, [cleared])
    assert.equal((await store.readSession(id))?.status, 'revoked')
  })

  for (const [how, code, end] of [
    ['expired', 'impersonation_expired', expire],
    ['revoked', 'impersonation_revoked', revoke],
  ] as const) {
    rule(
      `without a pin, after a session was ${how}, writes are 401 and reads are told`,
      async (setup) => {
        const world = await setup()
        const { send, start, written, whoami } = world
        const id = await start('alice', { access_level: 'full' })
        await end(world, id)
        for (const method of methods.slice(1)) refusedWith(await send(method, '/notes'), 401, code)
        for (const headers of [
          { 'X-HTTP-Method-Override': 'POST' },
          { 'X-Method-Override': 'PUT' },
        ])
          refusedWith(await send('GET', '/me', { headers }), 401, code)
        refusedWith(await send('GET', '/me?_method=DELETE'), 401, code)
        assert.deepEqual(written, [])
        const read = await send('GET', '/me')
        assert.deepEqual([read.status, read.json.user.id, read.json.context], [200, 'root', null])
        assert.equal(read.headers['x-impersonation-ended'], how)
        assert.equal(read.headers['cache-control'], 'no-store, private')
        assert.equal(read.headers['x-impersonating'], undefined)
        // A client that says it knows goes on; so does everybody else.
        assert.equal((await send('POST', '/notes', { pin: 'none' })).status, 200)
        assert.equal(await whoami({ as: 'alice' }), 'alice')
        assert.deepEqual(written, ['root'])
      },
    )

    rule(`stop acknowledges that a session was ${how}, status does not`, async (setup) => {
      const world = await setup()
      const { send, call, start, written } = world
      const id = await start()
      await end(world, id)
      const status = (await call('GET', '/status')).json
      assert.deepEqual([status.last_ended.session_id, status.last_ended.status], [id, how])
      refusedWith(await send('POST', '/notes'), 401, code)
      const stopped = await call('POST', '/stop')
      const body = { status: 'stopped', session_id: id, ended_reason: how }
      assert.deepEqual([stopped.status, stopped.json, stopped.cookies], [200, body, [cleared]])
      assert.equal((await send('POST', '/notes')).status, 200)
      assert.equal((await send('GET', '/me')).headers['x-impersonation-ended'], undefined)
      assert.deepEqual(written, ['root'])
    })
  }

  rule('a start acknowledges as well', async (setup) => {
    const world = await setup()
    await expire(world, await world.start())
    await world.start('bob', { access_level: 'interactive' })
    assert.equal((await world.send('POST', '/notes')).status, 200)
    await stop(world)
    assert.equal((await world.send('POST', '/notes')).status, 200)
    assert.deepEqual(world.written, ['bob', 'root'])
  })

  rule('a lapse of yesterday holds nobody up', async (setup) => {
    const world = await setup()
    const id = await world.start()
    await expire(world, id)
    world.clock.now += day - 1
    refusedWith(await world.send('POST', '/notes'), 401, 'impersonation_expired')
    world.clock.now += 1
    assert.equal((await world.send('POST', '/notes')).status, 200)
    refusedWith(await world.send('POST', '/notes', { pin: id }), 401, 'impersonation_expired')
  })

  rule(
    'with onLapse `pass` what is not pinned passes, and what is pinned does not',
    async (setup) => {
      const world = await setup({ engine: { onLapse: 'pass' } })
      const id = await world.start()
      await expire(world, id)
      assert.equal((await world.send('POST', '/notes')).status, 200)
      refusedWith(await world.send('POST', '/notes', { pin: id }), 401, 'impersonation_expired')
      assert.deepEqual(world.written, ['root'])
    },
  )

  rule('a session is over at its very end, not a millisecond later or sooner', async (setup) => {
    const { start, send, whoami, clock } = await setup()
    await start('alice', { access_level: 'full', duration_minutes: 1 })
    clock.now += minute - 1
    assert.equal(await whoami(), 'alice')
    clock.now += 1
    refusedWith(await send('POST', '/notes'), 401, 'impersonation_expired')
    clock.now -= 60 * minute
    refusedWith(await send('POST', '/notes'), 401, 'impersonation_expired')
  })

  rule('start sets the hint cookie, stop clears it; on http it is not secure', async (setup) => {
    const { call, start } = await setup()
    const started = await call('POST', '/start', { json: { target_user_id: 'alice', reason } })
    const { session_id: id } = started.json
    const maxAge = (30 * minute + day) / 1000
    const lasting = (seconds: number) =>
      `onbehalf=${id}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax`
    assert.deepEqual(started.cookies, [lasting(maxAge)])
    const extended = await call('POST', '/extend', { json: { minutes: 10 } })
    assert.deepEqual(extended.cookies, [lasting(maxAge + 600)])
    assert.deepEqual((await call('POST', '/stop')).cookies, [cleared])
    assert.deepEqual((await call('POST', '/stop')).cookies, [cleared], 'also with nothing to stop')
    await start()
  })

  rule('with secureCookie it is a __Host- cookie, set, read and cleared', async (setup) => {
    const world = await setup({ engine: { secureCookie: true } })
    const { call, send, whoami } = world
    const started = await call('POST', '/start', { json: { target_user_id: 'alice', reason } })
    const id = started.json.session_id
    const attributes = 'HttpOnly; SameSite=Lax; Secure'
    const gone = `__Host-onbehalf=; Path=/; Max-Age=0; ${attributes}`
    assert.deepEqual(started.cookies, [
      `__Host-onbehalf=${id}; Path=/; Max-Age=${(30 * minute + day) / 1000}; ${attributes}`,
    ])
    assert.equal(await whoami({ cookie: `__Host-onbehalf=${id}` }), 'alice')
    assert.equal(await whoami({ cookie: 'onbehalf=made-up' }), 'alice')
    assert.deepEqual((await call('POST', '/stop')).cookies, [gone])
    const late = await send('GET', '/me', { cookie: `__Host-onbehalf=${id}` })
    refusedWith(late, 401, 'impersonation_ended')
    assert.deepEqual(late.cookies, [gone])
  })

  rule(
    'a page request gets a page with a way on, a program the problem document',
    async (setup) => {
      const world = await setup()
      const { send, start, call } = world
      const id = await start()
      await expire(world, id)
      const html = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
      for (const [ask, status, title] of [
        [{ headers: html, cookie: `onbehalf=${id}` }, 401, /<h1>The impersonation is over<\/h1>/],
        [{ headers: html, pin: id }, 401, /<h1>The impersonation is over<\/h1>/],
        [{ headers: html, pin: 'made-up' }, 409, /<h1>Another impersonation is active<\/h1>/],
      ] as const) {
        const page = await send('GET', '/me', ask)
        assert.equal(page.status, status)
        assert.match(page.headers['content-type'] ?? '', /^text\/html/)
        assert.equal(page.headers['cache-control'], 'no-store, private')
        assert.equal(page.headers['www-authenticate'] !== undefined, status === 401)
        assert.match(page.text, title)
        assert.match(page.text, /<form method="post" action="\/impersonation\/stop">/)
        if (status === 401) assert.deepEqual(page.cookies, [cleared])
      }
      assert.match((await send('POST', '/notes', { headers: html })).text, /impersonation is over/)
      for (const Accept of ['application/json', '*/*', 'application/json, text/htmlx'])
        refusedWith(
          await send('GET', '/me', { headers: { Accept }, pin: id }),
          401,
          'impersonation_expired',
        )
      const form = { 'Content-Type': 'application/x-www-form-urlencoded', ...html }
      const stopped = await call('POST', '/stop', { headers: form })
      assert.deepEqual([stopped.status, stopped.cookies], [200, [cleared]])
      assert.match(stopped.text, /You are yourself again/)
    },
  )

  rule(
    'start and extend heed a wrong pin, stop, status, list and revoke ignore any',
    async (setup) => {
      const { call, start } = await setup()
      const json = { target_user_id: 'alice', reason }
      const changed = async (path: string, pin: string, body: unknown) =>
        refusedWith(
          await call('POST', path, { pin, json: body }),
          409,
          'impersonation_state_changed',
        )
      await changed('/start', 'made-up', json)
      assert.equal((await call('POST', '/start', { pin: 'none', json })).status, 201)
      await changed('/start', 'none', json)
      await changed('/extend', 'none', { minutes: 1 })
      await changed('/extend', 'made-up', { minutes: 1 })
      for (const pin of ['none', 'made-up', 'a, b', '']) {
        const id = await start()
        assert.equal((await call('GET', '/status', { pin })).json.session_id, id)
        assert.equal((await call('GET', '/sessions', { pin })).status, 200)
        assert.equal((await call('DELETE', `/sessions/${id}`, { pin, as: 'boss' })).status, 200)
        assert.equal((await call('POST', '/stop', { pin })).status, 200)
      }
      assert.equal((await call('POST', '/start', { cookie: 'onbehalf=made-up', json })).status, 201)
    },
  )

  rule('a pin looks past the cache: a start on another process counts at once', async (setup) => {
    const { send, store, users, clock, whoami, written } = await setup()
    assert.equal(await whoami(), 'root')
    const other = createImpersonation({
      store,
      findUser: (id) => users.get(id),
      can: (user, action) => user.rights.includes(action),
      now: () => clock.now,
    })
    const root = users.get('root')
    assert.ok(root)
    const ask = { targetUserId: 'alice', reason, accessLevel: 'interactive' } as const
    const { session } = await other.sessions.start(other.caller({ ...root }), ask)
    assert.equal((await send('POST', '/notes', { pin: session.id })).status, 200)
    assert.deepEqual(written, ['alice'])
    await other.sessions.stop(other.caller({ ...root }))
    clock.now += 2000
    refusedWith(await send('POST', '/notes', { pin: session.id }), 401, 'impersonation_ended')
    assert.deepEqual(written, ['alice'])
    await other.close()
  })
}

async function expire({ clock, call }: World, _id: string): Promise<Reply> {
  clock.now += 30 * minute
  return call('GET', '/status')
}

const revoke = async ({ call }: World, id: string) =>
  call('DELETE', `/sessions/${id}`, { as: 'boss' })

const stop = async ({ call }: World) => call('POST', '/stop')
