import assert from 'node:assert/strict'
import type { AdapterTestsOptions } from './app.ts'
import {
  answerJson,
  iso,
  minute,
  oddId,
  pathsOf,
  type Rule,
  reason,
  refusedWith,
  seen,
  t0,
} from './world.ts'

const uuid = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/

/** Each route of ours, as it answers when all is well. */
export function routeRules(
  rule: Rule,
  { sockets, parametrisedMounts }: Required<AdapterTestsOptions>,
): void {
  for (const path of ['', '/', '/start']) {
    rule(`POST ${path || '(the base path)'} starts and tells what was started`, async (setup) => {
      const { call } = await setup()
      const reply = await call('POST', path, { json: { target_user_id: 'alice', reason } })
      assert.equal(reply.status, 201)
      assert.match(reply.headers['content-type'] ?? '', /^application\/json/)
      assert.equal(reply.headers['cache-control'], 'no-store, private')
      assert.equal(reply.headers['clear-site-data'], '"cache"')
      const { session_id: id, ...rest } = reply.json
      assert.match(id, uuid)
      assert.deepEqual(rest, {
        status: 'active',
        target_user: {
          id: 'alice',
          email: 'alice@example.com',
          name: 'The alice',
          org_id: 'acme',
          role: 'member',
        },
        access_level: 'view',
        expires_at: iso(t0 + 30 * minute),
      })
    })
  }

  rule('a start keeps everything that it was given', async (setup) => {
    const { call } = await setup()
    const given = {
      target_user_id: 'alice',
      reason: 'look at « ünïcode » ✓',
      ticket: 'T-1',
      duration_minutes: 60,
      access_level: 'full',
      target_org_id: 'second',
      client_id: 'console',
      transport: 'session',
    }
    const started = await call('POST', '/start', {
      json: given,
      headers: { 'User-Agent': 'browser/1' },
    })
    assert.equal(started.status, 201, started.text)
    const id = started.json.session_id
    const { ip_address, ...session } = (await call('GET', `/sessions/${id}`)).json
    if (sockets) assert.match(ip_address, /127\.0\.0\.1$/)
    assert.deepEqual(session, {
      id,
      actor_id: 'root',
      actor_org_id: 'hq',
      target_user_id: 'alice',
      target_org_id: 'second',
      target_role: 'member',
      access_level: 'full',
      reason: given.reason,
      ticket: 'T-1',
      grant_id: null,
      break_glass: false,
      transport: 'session',
      client_id: 'console',
      user_agent: 'browser/1',
      created_at: iso(t0),
      expires_at: iso(t0 + 60 * minute),
      ended_at: null,
      ended_reason: null,
      ended_note: null,
      ended_by: null,
      status: 'active',
    })
  })

  rule('status tells of nothing, of a session, and of how one ended', async (setup) => {
    const { call, start, clock } = await setup()
    const status = async () => (await call('GET', '/status')).json
    assert.deepEqual(await status(), { is_impersonating: false })
    const id = await start('alice')
    assert.deepEqual(await status(), {
      is_impersonating: true,
      session_id: id,
      target_user_id: 'alice',
      target_email: 'alice@example.com',
      target_name: 'The alice',
      target_org_id: 'acme',
      access_level: 'view',
      reason,
      break_glass: false,
      expires_at: iso(t0 + 30 * minute),
    })
    clock.now += 30 * minute
    assert.deepEqual(await status(), {
      is_impersonating: false,
      last_ended: {
        session_id: id,
        status: 'expired',
        ended_reason: 'expired',
        ended_at: iso(t0 + 30 * minute),
      },
    })
  })

  rule('stop answers with the session, and a second time that there is none', async (setup) => {
    const { call, start } = await setup()
    const id = await start()
    const stopped = await call('POST', '/stop')
    assert.deepEqual([stopped.status, stopped.json], [200, { status: 'stopped', session_id: id }])
    assert.equal(stopped.headers['clear-site-data'], '"cache"')
    refusedWith(await call('POST', '/stop'), 404, 'not_impersonating')
    assert.deepEqual((await call('GET', '/status')).json, { is_impersonating: false })
  })

  rule('extend adds to the end, at most to the cap', async (setup) => {
    const { call, start, clock } = await setup()
    refusedWith(await call('POST', '/extend', { json: { minutes: 5 } }), 404, 'not_impersonating')
    await start()
    clock.now += 10 * minute
    const extended = await call('POST', '/extend', { json: { minutes: 5 } })
    assert.deepEqual([extended.status, extended.json], [200, { expires_at: iso(t0 + 35 * minute) }])
    const capped = await call('POST', '/extend', { json: { minutes: 500 } })
    assert.deepEqual(capped.json, { expires_at: iso(t0 + 60 * minute) })
  })

  rule(
    'DELETE and revoke end a session with who and why, and again without harm',
    async (setup) => {
      const { call, start, clock } = await setup()
      const first = await start('alice')
      clock.now += minute
      const deleted = await call('DELETE', `/sessions/${first}`, { as: 'boss' })
      assert.equal(deleted.status, 200)
      assert.deepEqual(ending(deleted.json), [first, 'revoked', 'revoked', null, 'boss'])
      assert.equal(deleted.json.ended_at, iso(t0 + minute))
      const second = await start('alice')
      const path = `/sessions/${second}/revoke`
      const revoked = await call('POST', path, { as: 'boss', json: { reason: 'enough' } })
      assert.deepEqual(ending(revoked.json), [second, 'revoked', 'revoked', 'enough', 'boss'])
      const again = await call('POST', path, { as: 'root' })
      assert.deepEqual([again.status, again.json], [200, revoked.json])
    },
  )

  rule('who may not list or revoke is refused, whatever they know', async (setup) => {
    const { call, start } = await setup()
    const id = await start()
    for (const as of ['sup', 'alice', 'mallory']) {
      for (const [method, path] of [
        ['GET', '/sessions'],
        ['GET', `/sessions/${id}`],
        ['GET', '/sessions/made-up'],
        ['DELETE', `/sessions/${id}`],
        ['POST', `/sessions/${id}/revoke`],
      ] as const)
        refusedWith(await call(method, path, { as }), 403, 'not_allowed')
    }
    assert.equal((await call('GET', '/status')).json.session_id, id)
  })

  rule('who may not start is refused, and who is nobody is asked to log in', async (setup) => {
    const { call } = await setup()
    const json = { target_user_id: 'alice', reason }
    refusedWith(await call('POST', '/start', { as: 'mallory', json }), 403, 'not_allowed')
    for (const [method, path] of [
      ['POST', '/start'],
      ['POST', '/'],
      ['POST', '/stop'],
      ['GET', '/status'],
      ['POST', '/extend'],
      ['GET', '/sessions'],
      ['GET', '/sessions/x'],
      ['DELETE', '/sessions/x'],
      ['POST', '/sessions/x/revoke'],
    ] as const) {
      const reply = await call(method, path, {
        as: null,
        ...(method === 'POST' && { json }),
        headers: { 'Sec-Fetch-Site': 'same-origin' },
      })
      refusedWith(reply, 401, 'unauthenticated')
      assert.equal(reply.headers['www-authenticate'], 'Bearer realm="impersonation"')
    }
  })

  rule('targets that may not be are refused, each with its code', async (setup) => {
    const { call, store } = await setup()
    for (const [target, status, code] of [
      ['root', 403, 'self_impersonation'],
      [' root\u200b', 403, 'self_impersonation'],
      ['ｒｏｏｔ', 403, 'self_impersonation'],
      ['boss', 403, 'target_protected'],
      ['sup', 403, 'target_protected'],
      ['ivan', 409, 'target_inactive'],
      ['made-up', 404, 'target_not_found'],
      ['ALICE', 404, 'target_not_found'],
    ] as const) {
      const reply = await call('POST', '/start', { json: { target_user_id: target, reason } })
      refusedWith(reply, status, code)
    }
    assert.equal(store.calls.claimSession, 0)
  })

  rule('an organisation that the target is not in is refused', async (setup) => {
    const { call } = await setup()
    const json = { target_user_id: 'alice', reason, target_org_id: 'hq' }
    refusedWith(await call('POST', '/start', { json }), 403, 'not_allowed')
  })

  rule(
    'openapi.json is there for anybody and names every route where it is mounted',
    async (setup) => {
      const { call } = await setup()
      const { status, json } = await call('GET', '/openapi.json', { as: null })
      assert.equal(status, 200)
      assert.equal(json.openapi, '3.1.0')
      assert.deepEqual(Object.keys(json.paths).sort(), [
        '/impersonation',
        '/impersonation/audit',
        '/impersonation/audit/export',
        '/impersonation/extend',
        '/impersonation/me/history',
        '/impersonation/openapi.json',
        '/impersonation/sessions',
        '/impersonation/sessions/{id}',
        '/impersonation/sessions/{id}/actions',
        '/impersonation/sessions/{id}/revoke',
        '/impersonation/start',
        '/impersonation/status',
        '/impersonation/stop',
      ])
    },
  )

  rule('a path that is no route is 404, for every method', async (setup) => {
    const { call } = await setup()
    for (const path of [
      '/nowhere',
      '/sessions/a/b/c',
      // Of a feature that is switched off.
      '/grants',
      '/me/grants',
      '/break-glass',
      '/break-glass/x/confirm',
      '/jwks.json',
      '/approvals',
      '/approvals/x/approve',
      '/test-sessions',
      '/tokens',
      '/tokens/x',
      '/tokens/x/rotate',
      '/users',
      '/me/tokens',
      '/me/tokens/x',
      '/start/x',
    ]) {
      for (const method of ['GET', 'POST', 'PUT', 'DELETE'])
        refusedWith(await call(method, path), 404, 'route_not_found')
    }
  })

  rule('a method that a route does not know is 405 and told which it knows', async (setup) => {
    const { call, store } = await setup()
    for (const [path, allow, methods] of [
      ['/start', 'POST', ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE']],
      ['/stop', 'POST', ['GET', 'HEAD', 'PUT', 'DELETE']],
      ['/extend', 'POST', ['GET', 'PUT']],
      ['/status', 'GET, HEAD', ['POST', 'PUT', 'DELETE']],
      ['/sessions', 'GET, HEAD', ['POST', 'DELETE']],
      ['/sessions/x', 'GET, HEAD, DELETE', ['POST', 'PUT', 'PATCH']],
      ['/sessions/x/revoke', 'POST', ['GET', 'DELETE']],
      ['/openapi.json', 'GET, HEAD', ['POST']],
    ] as const) {
      for (const method of methods) {
        const reply = await call(method, path)
        assert.equal(reply.status, 405, `${method} ${path}`)
        assert.equal(reply.headers.allow, allow)
        if (method !== 'HEAD') refusedWith(reply, 405, 'method_not_allowed')
      }
    }
    assert.equal(store.calls.claimSession + store.calls.endSession, 0)
  })

  if (sockets)
    rule('methods that few know are refused as well', async (setup) => {
      const { call } = await setup()
      for (const method of ['PROPFIND', 'QUERY', 'TRACE', 'SEARCH']) {
        const { status, text } = await call(method, '/stop')
        assert.ok(status >= 400 && status < 500, `${method}: ${status} ${text}`)
      }
    })

  rule('HEAD follows GET, without a body', async (setup) => {
    const { call, start } = await setup()
    const id = await start()
    for (const path of ['/status', '/sessions', `/sessions/${id}`, '/openapi.json']) {
      const [get, head] = [await call('GET', path), await call('HEAD', path)]
      assert.deepEqual([head.status, head.text], [200, ''], path)
      assert.equal(head.headers['content-type'], get.headers['content-type'])
      const length = head.headers['content-length']
      if (length !== undefined && length !== '0')
        assert.equal(length, String(Buffer.byteLength(get.text)))
    }
    assert.equal((await call('HEAD', '/sessions/made-up')).status, 404)
  })

  rule('OPTIONS is the app’s own affair', async (setup) => {
    const { call, start } = await setup({
      notFound: (world) => (one) => answerJson(seen(world, one), 404),
    })
    await start()
    const reply = await call('OPTIONS', '/status', { as: null })
    assert.ok(!reply.headers['content-type']?.includes('problem'), 'none of our answers')
    assert.ok(!reply.text.includes('route_not_found'))
  })

  rule('what the app puts on every response stays on ours', async (setup) => {
    const { call } = await setup({
      layers: ({ login, ours }) => [
        { kind: 'header', name: 'X-Frame-Options', value: 'DENY' },
        { kind: 'header', name: 'Access-Control-Allow-Origin', value: 'https://app.example' },
        login,
        ours,
      ],
    })
    for (const [method, path, as] of [
      ['GET', '/status', 'root'],
      ['GET', '/status', null],
      ['POST', '/stop', 'root'],
      ['GET', '/nowhere', 'root'],
      ['PUT', '/stop', 'root'],
      ['GET', '/openapi.json', null],
    ] as const) {
      const { headers } = await call(method, path, { as })
      assert.equal(headers['x-frame-options'], 'DENY', `${method} ${path}`)
      assert.equal(headers['access-control-allow-origin'], 'https://app.example')
    }
  })

  rule('ids in paths may be percent-encoded, and made-up ones are only unknown', async (setup) => {
    const { call, start } = await setup()
    const id = await start()
    const encoded = [...id].map((char) => `%${char.charCodeAt(0).toString(16)}`).join('')
    assert.equal((await call('GET', `/sessions/${encoded}`)).json.id, id)
    for (const odd of ['a%2Fb', encodeURIComponent(oddId), '%E2%9C%93', '..%2f..', "'%3B--", '%25'])
      refusedWith(await call('GET', `/sessions/${odd}`), 404, 'session_not_found')
    for (const broken of ['a%00b', '%ff']) {
      const { status } = await call('GET', `/sessions/${broken}`)
      assert.ok([400, 404].includes(status), `${broken}: ${status}`)
    }
  })

  rule('lists are filtered, newest first, and page by page complete', async (setup) => {
    const { call, start, clock } = await setup({ engine: { rateLimit: false } })
    const ids: string[] = []
    for (let n = 0; n < 7; n++) {
      const target = n === 6 ? 'mallory' : n % 2 ? 'bob' : 'alice'
      ids.unshift(await start(target, {}, { as: n < 5 ? 'root' : 'boss' }))
      // Two at the same instant: the id decides between them.
      if (n !== 2) clock.now += minute
    }
    const all = (await call('GET', '/sessions')).json
    assert.equal(all.next_cursor, null)
    assert.deepEqual(new Set(idsOf(all)), new Set(ids))
    const paged: string[] = []
    let cursor = ''
    do {
      const page = (await call('GET', `/sessions?limit=2${cursor && `&cursor=${cursor}`}`)).json
      assert.ok(page.items.length <= 2)
      paged.push(...idsOf(page))
      cursor = page.next_cursor ?? ''
    } while (cursor)
    assert.deepEqual(paged, idsOf(all))
    for (const [query, expected] of [
      ['status=active', 2],
      ['status=replaced', 5],
      ['actor_id=boss', 2],
      ['target_user_id=bob', 3],
      ['target_user_id=bob&actor_id=boss', 1],
      ['org_id=acme', 4],
      ['org_id=hq', 0],
      [`from=${iso(t0 + minute)}&to=${t0 + 3 * minute}`, 3],
      ['actor_id=made-up', 0],
    ] as const)
      assert.equal((await call('GET', `/sessions?${query}`)).json.items.length, expected, query)
  })

  rule(
    'a filter, limit, cursor or status that is made up is 400, not an empty list',
    async (setup) => {
      const { call, start } = await setup()
      await start()
      for (const [query, path] of [
        ['limit=0', 'query.limit'],
        ['limit=201', 'query.limit'],
        ['limit=-1', 'query.limit'],
        ['limit=1e2', 'query.limit'],
        ['limit=', 'query.limit'],
        ['cursor=made-up', 'query.cursor'],
        ['cursor=WzEsImEiXQ==', 'query.cursor'],
        ['cursor=', 'query.cursor'],
        ['status=open', 'query.status'],
        ['status=', 'query.status'],
        ['from=yesterday', 'query.from'],
        ['from=2030-01-01', 'query.from'],
        ['to=1e99', 'query.to'],
        ['actor_id=', 'query.actor_id'],
        ['actor_id=%00', 'query.actor_id'],
        ['actor=root', 'query.actor'],
        ['status=active&status=active', 'query.status'],
        ['__proto__=x', 'query.__proto__'],
        ['constructor=x', 'query.constructor'],
      ] as const) {
        const reply = refusedWith(await call('GET', `/sessions?${query}`), 400, 'invalid_request')
        assert.deepEqual(pathsOf(reply), [path], query)
      }
      refusedWith(await call('GET', '/status?verbose=1'), 400, 'invalid_request')
    },
  )

  for (const [mountPath, prefix] of [
    ['/api', '/api'],
    ['/deep/er', '/deep/er'],
    ...(parametrisedMounts ? [['/:tenant', '/acme'] as const] : []),
  ] as const) {
    rule(`mounted at ${mountPath} it works as at the root`, async (setup) => {
      const { send } = await setup({ mountPath })
      const ours = `${prefix}/impersonation`
      const json = { target_user_id: 'alice', reason, access_level: 'interactive' }
      const started = await send('POST', ours, { json })
      assert.equal(started.status, 201, started.text)
      const { user, context } = (await send('GET', `${prefix}/me`)).json
      assert.deepEqual([user.id, context], ['alice', 'alice'])
      assert.equal((await send('GET', `${ours}/status`)).json.session_id, started.json.session_id)
      assert.equal((await send('GET', `${ours}/sessions?limit=1`)).json.items.length, 1)
      refusedWith(await send('PUT', `${ours}/stop`), 405, 'method_not_allowed')
      refusedWith(await send('GET', `${ours}/nowhere`), 404, 'route_not_found')
      const { paths } = (await send('GET', `${ours}/openapi.json`)).json
      assert.ok(`${ours}/start` in paths, Object.keys(paths)[0])
      const guarded = await send('POST', `${prefix}/account/password`)
      refusedWith(guarded, 403, 'impersonation_write_blocked')
      assert.equal((await send('POST', `${ours}/stop`)).status, 200)
      const headers = { Accept: 'text/html' }
      const page = await send('GET', `${prefix}/me`, { pin: started.json.session_id, headers })
      assert.ok(page.text.includes(`action="${ours}/stop"`), page.text)
    })
  }

  for (const basePath of ['/as', '/admin/act-as', '/.well-known/x'].slice(0, 2)) {
    rule(`with the base path ${basePath} the routes are there and nowhere else`, async (setup) => {
      const { send, call } = await setup({ engine: { basePath } })
      const json = { target_user_id: 'alice', reason }
      assert.equal((await send('POST', `${basePath}/start`, { json })).status, 201)
      assert.equal((await send('GET', `${basePath}/status`)).json.target_user_id, 'alice')
      assert.equal((await call('GET', '/status')).status, 404)
      assert.equal((await send('GET', `${basePath}x/status`)).status, 404)
      assert.equal((await send('POST', `${basePath}/stop`)).status, 200)
    })
  }
}

const idsOf = (list: { items: { id: string }[] }) => list.items.map(({ id }) => id)

const ending = (session: Record<string, unknown>) =>
  ['id', 'status', 'ended_reason', 'ended_note', 'ended_by'].map((name) => session[name])
