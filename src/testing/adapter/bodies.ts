import assert from 'node:assert/strict'
import type { AdapterTestsOptions } from './app.ts'
import { pathsOf, type Rule, reason, refusedWith, type Setup } from './world.ts'

const valid = { target_user_id: 'alice', reason }

/** What the routes take for a body, with and without a parser of the app ahead of them. */
export function bodyRules(rule: Rule, { sockets }: Required<AdapterTestsOptions>): void {
  for (const parsed of [false, true]) {
    const when = parsed ? 'parsed by the app before' : 'unparsed'
    const worldOf = (setup: Setup) =>
      setup({
        engine: { rateLimit: false },
        layers: ({ login, ours }) => [
          ...(parsed ? [{ kind: 'parser' } as const] : []),
          login,
          ours,
        ],
      })

    rule(`a body ${when} starts, and one that is missing does not`, async (setup) => {
      const { call } = await worldOf(setup)
      assert.equal((await call('POST', '/start', { json: valid })).status, 201)
      assert.equal((await call('POST', '/start', { json: valid, chunked: true })).status, 201)
      const charset = { 'Content-Type': 'Application/JSON; charset=utf-8' }
      assert.equal((await call('POST', '/start', { json: valid, headers: charset })).status, 201)
      const bare = refusedWith(await call('POST', '/start'), 400, 'invalid_request')
      assert.deepEqual(pathsOf(bare), ['body'])
    })

    rule(`values ${when} that can't be meant are 400, and nothing is stored`, async (setup) => {
      const { call, store } = await worldOf(setup)
      for (const [change, path] of [
        [{ target_user_id: ['alice'] }, 'target_user_id'],
        [{ target_user_id: { id: 'alice' } }, 'target_user_id'],
        [{ target_user_id: 7 }, 'target_user_id'],
        [{ target_user_id: null }, 'target_user_id'],
        [{ target_user_id: '' }, 'target_user_id'],
        [{ target_user_id: 'a\0b' }, 'target_user_id'],
        [{ target_user_id: 'a'.repeat(256) }, 'target_user_id'],
        [{ reason: undefined }, 'reason'],
        [{ reason: '' }, 'reason'],
        [{ reason: ' \t\n ' }, 'reason'],
        [{ reason: '\u200b\u2060\ufeff' }, 'reason'],
        [{ reason: 'x'.repeat(501) }, 'reason'],
        [{ reason: 'a\0b' }, 'reason'],
        [{ reason: ['x'] }, 'reason'],
        [{ duration_minutes: 0 }, 'duration_minutes'],
        [{ duration_minutes: -1 }, 'duration_minutes'],
        [{ duration_minutes: 0.5 }, 'duration_minutes'],
        [{ duration_minutes: '60' }, 'duration_minutes'],
        [{ duration_minutes: 1e308 }, 'duration_minutes'],
        [{ duration_minutes: 61 }, 'duration_minutes'],
        [{ duration_minutes: null }, 'duration_minutes'],
        [{ access_level: 'root' }, 'access_level'],
        [{ access_level: 'VIEW' }, 'access_level'],
        [{ transport: 'token' }, 'transport'],
        [{ ticket: 'a\0b' }, 'ticket'],
        [{ target_org_id: '' }, 'target_org_id'],
        [{ actor_id: 'boss' }, 'actor_id'],
        [{ impersonated_by: 'boss' }, 'impersonated_by'],
        [{ constructor: 1 }, 'constructor'],
      ] as const) {
        const reply = await call('POST', '/start', { json: { ...valid, ...change } })
        refusedWith(reply, 400, 'invalid_request')
        assert.deepEqual(pathsOf(reply), [path], JSON.stringify(change).slice(0, 60))
      }
      assert.equal(store.calls.claimSession, 0)
      assert.deepEqual((await call('GET', '/status')).json, { is_impersonating: false })
    })

    rule(`a body ${when} that is no object is 400`, async (setup) => {
      const { call } = await worldOf(setup)
      for (const json of [[], [valid]])
        refusedWith(await call('POST', '/start', { json }), 400, 'invalid_request')
    })

    rule(`__proto__ ${when} is refused and pollutes nothing`, async (setup) => {
      const { call } = await worldOf(setup)
      const body = `{"target_user_id":"alice","reason":"x","__proto__":{"isSuperuser":true,"reason":"y"}}`
      const reply = await call('POST', '/start', {
        body,
        headers: { 'Content-Type': 'application/json' },
      })
      refusedWith(reply, 400, 'invalid_request')
      assert.equal(({} as { isSuperuser?: boolean }).isSuperuser, undefined)
    })

    rule(`500 emoji and invisible characters ${when} are a reason, stored whole`, async (setup) => {
      const { call } = await worldOf(setup)
      for (const text of ['🦜'.repeat(500), `a${'\u200b'.repeat(600)}`]) {
        const { status, json } = await call('POST', '/start', { json: { ...valid, reason: text } })
        assert.equal(status, 201)
        assert.equal((await call('GET', `/sessions/${json.session_id}`)).json.reason, text)
      }
    })

    rule(`10,000 nested arrays ${when} are 400, soon`, async (setup) => {
      const { call } = await worldOf(setup)
      const body = `${'['.repeat(10_000)}${']'.repeat(10_000)}`
      const headers = { 'Content-Type': 'application/json' }
      const whole = await call('POST', '/start', { body, headers })
      refusedWith(whole, 400, 'invalid_request')
      const inside = `{"target_user_id":${body},"reason":"x"}`
      refusedWith(await call('POST', '/start', { body: inside, headers }), 400, 'invalid_request')
    })

    rule(`a body ${when} that is not JSON by its type is 415`, async (setup) => {
      const { call, start } = await worldOf(setup)
      await start()
      for (const [type, body] of [
        ['text/plain', JSON.stringify(valid)],
        ['application/x-www-form-urlencoded', 'target_user_id=alice&reason=x'],
        [
          'multipart/form-data; boundary=x',
          '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
        ],
        ['multipart/form-data; boundary=x', Buffer.from([0x2d, 0x2d, 0x78, 0xff, 0xfe, 0x00])],
        ['application/jsonp', JSON.stringify(valid)],
        ['text/json', JSON.stringify(valid)],
        ['application/octet-stream', Buffer.from(JSON.stringify(valid))],
      ] as const) {
        for (const path of ['/start', '/stop', '/extend']) {
          const reply = await call('POST', path, { body, headers: { 'Content-Type': type } })
          refusedWith(reply, 415, 'unsupported_media_type')
          assert.equal(reply.headers.accept, 'application/json')
        }
      }
      assert.equal((await call('GET', '/status')).json.is_impersonating, true)
    })

    rule(`a body of 64 KiB ${when} is read, a larger one is 413`, async (setup) => {
      const { call } = await worldOf(setup)
      const padded = (bytes: number) => {
        const body = JSON.stringify(valid)
        return `${body}${' '.repeat(bytes - body.length)}`
      }
      const headers = { 'Content-Type': 'application/json' }
      const post = (bytes: number, chunked: boolean) =>
        call('POST', '/start', { body: padded(bytes), headers, chunked })
      assert.equal((await post(65_536, false)).status, 201)
      refusedWith(await post(65_537, false), 413, 'payload_too_large')
      if (parsed) return
      assert.equal((await post(65_536, true)).status, 201)
      refusedWith(await post(65_537, true), 413, 'payload_too_large')
    })

    rule(`stop and revoke ${when} need no body and take an empty one`, async (setup) => {
      const { call, start } = await worldOf(setup)
      await start()
      assert.equal((await call('POST', '/stop')).status, 200)
      await start()
      assert.equal((await call('POST', '/stop', { json: {} })).status, 200)
      await start()
      const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
      assert.equal((await call('POST', '/stop', { headers: form })).status, 200, 'an empty form')
      const id = await start()
      refusedWith(await call('POST', '/stop', { json: { id } }), 400, 'invalid_request')
      const path = `/sessions/${id}/revoke`
      for (const json of [
        { reason: '' },
        { reason: 'x'.repeat(501) },
        { note: 'x' },
        { reason: 'a\0' },
      ])
        refusedWith(await call('POST', path, { json }), 400, 'invalid_request')
      assert.equal((await call('POST', path)).status, 200)
    })
  }

  rule('JSON that is broken or not UTF-8 is 400', async (setup) => {
    const { call } = await setup()
    const headers = { 'Content-Type': 'application/json' }
    const bytes = Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])
    for (const body of ['{', '{"a":1,}', 'null', '5', '"x"', "{'a':1}", bytes])
      refusedWith(await call('POST', '/start', { body, headers }), 400, 'invalid_request')
  })

  rule('extend takes whole minutes and nothing else', async (setup) => {
    const { call, start } = await setup()
    await start()
    for (const minutes of [0, -1, 0.5, '5', null, 1e308, [5]])
      refusedWith(await call('POST', '/extend', { json: { minutes } }), 400, 'invalid_request')
    refusedWith(await call('POST', '/extend'), 400, 'invalid_request')
    refusedWith(
      await call('POST', '/extend', { json: { minutes: 5, session_id: 'x' } }),
      400,
      'invalid_request',
    )
  })

  if (!sockets) return
  for (const chunked of [false, true]) {
    rule(
      `2 MB${chunked ? ' in chunks' : ''} are a clean 413, and the connection goes on`,
      async (setup) => {
        const { call } = await setup()
        const body = 'x'.repeat(2 * 1024 * 1024)
        const headers = { 'Content-Type': 'application/json' }
        for (let round = 0; round < 3; round++) {
          const reply = await call('POST', '/start', { body, headers, chunked })
          refusedWith(reply, 413, 'payload_too_large')
          const next = await call('GET', '/status')
          assert.deepEqual([next.status, next.json], [200, { is_impersonating: false }])
        }
      },
    )
  }

  for (const size of [50_000, 2_000_000])
    rule(
      `a body of ${size} that is refused unread spoils nothing for the next request`,
      async (setup) => {
        const { call, send } = await setup()
        const body = JSON.stringify({ ...valid, padding: 'x'.repeat(size) })
        const headers = { 'Content-Type': 'application/json' }
        for (const [method, path, as] of [
          ['POST', '/start', null],
          ['POST', '/nowhere', 'root'],
          ['PUT', '/start', 'root'],
          ['DELETE', '/sessions/x', 'root'],
        ] as const) {
          assert.ok((await call(method, path, { as, body, headers })).status >= 400)
          assert.equal((await send('GET', '/me')).json.user.id, 'root')
        }
      },
    )
}
