import assert from 'node:assert/strict'
import { accessLevels, guardrailKinds } from '../../types.ts'
import type { AdapterTestsOptions, TestRoute } from './app.ts'
import { noGuardrails } from './headers.ts'
import { answerJson, type Rule, refusedWith, type World } from './world.ts'

/** A GET may write as well, and `view` refuses every POST before its mark is asked. */
const methods = ['GET', 'POST'] as const

const unguarded = { guardrails: noGuardrails }

/** A route of each kind, in whose handler the name of whoever stands in the user slot is written down. */
const marked = ({ written }: World): TestRoute[] =>
  guardrailKinds.flatMap((guard) =>
    methods.map((method) => ({
      method,
      path: `/marked/${guard}`,
      guard,
      handle: ({ user }) => {
        written.push((user as { id: string } | null)?.id ?? 'nobody')
        return answerJson({ done: guard })
      },
    })),
  )

const search = ({ written }: World): TestRoute => ({
  method: 'POST',
  path: '/search',
  handle: async (call) => {
    written.push((call.user as { id: string }).id)
    return answerJson({ heard: await call.body() })
  },
})

/** That marks next to handlers hold, and that what `classify` says is heeded. */
export function markRules(
  rule: Rule,
  { marksRoutes, sockets, readsBodyFirst }: Required<AdapterTestsOptions>,
): void {
  if (marksRoutes) {
    for (const level of accessLevels)
      rule(`no marked route is reached at ${level}, whatever its kind`, async (setup) => {
        const { send, start, written, store } = await setup({ engine: unguarded, routes: marked })
        const id = await start('alice', { access_level: level })
        for (const kind of guardrailKinds) {
          const reply = await send(level === 'view' ? 'GET' : 'POST', `/marked/${kind}`)
          refusedWith(reply, 403, 'impersonation_write_blocked')
          assert.equal(reply.json.guardrail, kind)
          assert.equal(reply.headers['x-impersonating'], 'true')
        }
        assert.deepEqual(written, [])
        const events = await store.listEvents({ sessionId: id }, { limit: 50 })
        const blocked = events.filter(({ action }) => action === 'impersonation.write_blocked')
        assert.deepEqual(
          blocked.map(({ details }) => details.guardrail).sort(),
          [...guardrailKinds].sort(),
        )
      })

    rule('a marked route is open to everybody who impersonates nobody', async (setup) => {
      const { send, start, call, written } = await setup({ engine: unguarded, routes: marked })
      for (const as of ['root', 'alice', null])
        assert.equal((await send('POST', '/marked/payment', { as })).status, 200)
      await start()
      assert.equal((await send('POST', '/marked/payment', { as: 'alice' })).status, 200)
      await call('POST', '/stop')
      assert.equal((await send('POST', '/marked/payment')).status, 200)
      assert.deepEqual(written, ['root', 'alice', 'nobody', 'alice', 'root'])
    })

    rule('a mark holds where the actor keeps their identity', async (setup) => {
      const { send, start, written } = await setup({
        engine: { ...unguarded, keepActorRoutes: ['POST /marked/*'] },
        routes: marked,
      })
      await start('alice', { access_level: 'full' })
      refusedWith(await send('POST', '/marked/email'), 403, 'impersonation_write_blocked')
      assert.deepEqual(written, [])
    })

    if (sockets)
      rule('a mark holds on every spelling the router takes', async (setup) => {
        const { raw, start, written } = await setup({ engine: unguarded, routes: marked })
        await start('alice', { access_level: 'full' })
        for (const path of [
          '/marked/payment/',
          '/Marked/PAYMENT',
          '/marked/%70ayment',
          '/x/../marked/payment',
          '//marked//payment',
          '/marked/payment;a=b',
          'http://evil.example/marked/payment?x#y',
        ])
          await raw([
            `POST ${path} HTTP/1.1`,
            'Host: app.example',
            'Authorization: Bearer root',
            'Content-Length: 0',
          ])
        assert.deepEqual(written, [])
      })
  }

  rule('a write that classify calls a read is done at view, with its body whole', async (setup) => {
    const { send, start, written } = await setup({
      engine: {
        ...unguarded,
        classify: (request) => (request.is('POST /search') ? 'read' : undefined),
      },
      routes: (world) => [search(world)],
    })
    await start()
    const reply = await send('POST', '/search', { json: { q: 'é✓' } })
    assert.deepEqual(reply.json, { heard: { q: 'é✓' } })
    refusedWith(await send('POST', '/notes', { json: {} }), 403, 'grant_view_only')
    const override = { 'X-HTTP-Method-Override': 'DELETE' }
    refusedWith(
      await send('POST', '/search', { json: {}, headers: override }),
      403,
      'grant_view_only',
    )
    assert.deepEqual(written, ['alice'])
  })

  rule('classify sees the body, and so does the handler', async (setup) => {
    const { send, start, written } = await setup({
      engine: {
        ...unguarded,
        async classify(request) {
          if (!request.is('POST /search')) return undefined
          const { kind } = (await request.body()) as { kind: string }
          if (kind === 'guarded') return { guard: 'payment' }
          return kind as 'read'
        },
      },
      routes: (world) => [search(world)],
    })
    const ask = (kind: string) =>
      send('POST', '/search', { json: { kind, text: 'x'.repeat(70_000) } })
    for (const level of accessLevels) {
      await start('alice', { access_level: level })
      const read = await ask('read')
      assert.equal(read.status, 200, read.text)
      assert.equal(read.json.heard.text.length, 70_000)
      const refusal = level === 'view' ? 'grant_view_only' : 'impersonation_write_blocked'
      refusedWith(await ask('unknown'), 403, refusal)
      refusedWith(await ask('no such answer'), 403, refusal)
      refusedWith(await ask('guarded'), 403, 'impersonation_write_blocked')
      const write = await ask('write')
      if (level === 'view') refusedWith(write, 403, 'grant_view_only')
      else assert.equal(write.status, 200)
      const broken = await send('POST', '/search', {
        body: '{',
        headers: { 'Content-Type': 'application/json' },
      })
      // Where the body is read first, the framework has found it broken before us.
      if (!readsBodyFirst) refusedWith(broken, 403, refusal)
      else assert.ok(broken.status >= 400)
    }
    assert.deepEqual(written, Array(5).fill('alice'))
  })

  rule('a GET that classify calls a write is none for view', async (setup) => {
    const { send, start } = await setup({
      engine: {
        ...unguarded,
        classify: (request) => (request.mayBe('GET /me') ? 'write' : undefined),
      },
    })
    await start()
    for (const path of ['/me', '/me?x=1'])
      refusedWith(await send('GET', path), 403, 'grant_view_only')
    await start('alice', { access_level: 'interactive' })
    assert.equal((await send('GET', '/me')).json.user.id, 'alice')
  })

  rule('classify that throws lets nothing through', async (setup) => {
    for (const classify of [
      () => {
        throw new Error('broken')
      },
      () => Promise.reject(new Error('broken')),
    ]) {
      const { send, start, written } = await setup({ engine: { ...unguarded, classify } })
      await start('alice', { access_level: 'full' })
      refusedWith(await send('POST', '/notes'), 403, 'impersonation_write_blocked')
      assert.equal((await send('GET', '/me', { as: 'alice' })).status, 200)
      assert.deepEqual(written, [])
    }
  })

  if (sockets)
    rule('view opens no WebSocket', async (setup) => {
      const { raw, start } = await setup({ engine: unguarded })
      await start()
      const reply = await raw([
        'GET /me HTTP/1.1',
        'Host: app.example',
        'Authorization: Bearer root',
        'Connection: Upgrade',
        'Upgrade: websocket',
      ])
      assert.equal(reply.status, 403)
    })
}
