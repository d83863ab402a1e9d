import assert from 'node:assert/strict'
import type { AdapterTestsOptions, TestLayer, TestRoute, TestUser } from './app.ts'
import type { Reply } from './client.ts'
import { noGuardrails } from './headers.ts'
import { answerJson, makeUsers, type Rule, seen, type World } from './world.ts'

const tick = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Each warning that this process has seen, by code. */
const warnings: string[] = []
process.on('warning', (warning) => warnings.push((warning as { code?: string }).code ?? ''))

/** A fault of the wiring is told by the process's own channel, once, however often it happens. */
async function warnedOnce(code: string): Promise<void> {
  for (let n = 0; n < 1000 && !warnings.includes(code); n++) await tick()
  for (let n = 0; n < 10; n++) await tick()
  assert.deepEqual(
    warnings.filter((one) => one === code),
    [code],
  )
}

/** That what code learns of the impersonation is the same everywhere, and never another request's. */
export function contextRules(
  rule: Rule,
  { holdsSlot, tellsOrder, readsBodyFirst, requests }: Required<AdapterTestsOptions>,
): void {
  const everywhere = (world: World): readonly TestRoute[] => [
    {
      method: 'POST',
      path: '/echo',
      handle: async (call) => {
        const before = seen(world, call)
        const body = await call.body()
        await tick()
        return answerJson({ before, after: seen(world, call), body })
      },
    },
    {
      method: 'GET',
      path: '/stream',
      handle: (call) => ({
        stream: async function* () {
          for (let n = 0; n < 3; n++) {
            await tick()
            const { user, context, request } = seen(world, call)
            yield `${user?.id} ${context} ${request}\n`
          }
        },
      }),
    },
    {
      method: 'GET',
      path: '/fails',
      handle: async () => {
        await tick()
        throw new Error('the handler failed, as it was asked to')
      },
    },
    {
      method: 'GET',
      path: '/timers',
      handle: async (call) => {
        await tick()
        await new Promise((resolve) => setTimeout(resolve, 1))
        await new Promise<void>((resolve) => process.nextTick(resolve))
        await Promise.all([tick(), tick()])
        return answerJson(seen(world, call))
      },
    },
  ]

  for (const parser of [false, true]) {
    rule(
      `is kept while a body is read${parser ? ' by a layer before the handler' : ''}`,
      async (setup) => {
        let arrived = Promise.withResolvers<undefined>()
        const { send, start } = await setup({
          engine: { guardrails: noGuardrails },
          routes: everywhere,
          layers: ({ login, ours }) => [
            login,
            ours,
            { kind: 'user', find: () => arrived.resolve(undefined) as undefined },
            ...(parser ? [{ kind: 'parser' } as const] : []),
          ],
        })
        const sent = { text: 'x'.repeat(60_000) }
        const id = await start('alice', { access_level: 'interactive' })
        for (const how of [{}, { chunked: true }, { slow: true }]) {
          arrived = Promise.withResolvers()
          // The body comes when the layers have run: what the framework reads then, it reads by an event of the socket.
          const after = 'slow' in how && !readsBodyFirst ? { after: arrived.promise } : {}
          const { json } = await send('POST', '/echo', { json: sent, ...how, ...after })
          for (const moment of [json.before, json.after]) {
            const { user, ...rest } = moment
            assert.equal(user.id, 'alice')
            assert.deepEqual(rest, {
              context: 'alice',
              request: 'alice',
              actor: 'root',
              session: id,
            })
          }
          assert.deepEqual(json.body, sent)
        }
        const plain = (await send('POST', '/echo', { as: 'bob', json: sent })).json
        assert.deepEqual(
          [plain.after.user.id, plain.after.context, plain.after.request],
          ['bob', null, null],
        )
      },
    )
  }

  rule('is kept in timers, streams and what handles errors', async (setup) => {
    const { send, start } = await setup({
      routes: everywhere,
      onError: (world) => (_, call) => answerJson(seen(world, call), 500),
    })
    const id = await start()
    const { user, ...rest } = (await send('GET', '/timers')).json
    const told = { context: 'alice', request: 'alice', actor: 'root', session: id }
    assert.deepEqual([user.id, rest], ['alice', told])
    assert.equal((await send('GET', '/stream')).text, 'alice alice alice\n'.repeat(3))
    const failed = await send('GET', '/fails')
    const { user: inHandler, ...inError } = failed.json
    assert.deepEqual([failed.status, inHandler.id, inError], [500, 'alice', told])
    assert.equal((await send('GET', '/stream', { as: 'bob' })).text, 'bob null null\n'.repeat(3))
  })

  rule('is unknown outside a request: current() throws rather than guess', async (setup) => {
    const { engine, start, whoami } = await setup()
    await start()
    assert.equal(await whoami(), 'alice')
    assert.throws(() => engine.current(), /not known here/)
    assert.throws(() => engine.isImpersonating(), /not known here/)
    assert.throws(() => engine.guard('payment'), /not known here/)
    assert.equal(engine.tryCurrent(), undefined)
    assert.equal(
      engine.run(null, () => engine.current()),
      null,
    )
  })

  rule('with context `impersonating` is there when somebody is impersonated', async (setup) => {
    const { send, start } = await setup({ engine: { context: 'impersonating' } })
    const before = (await send('GET', '/me')).json
    assert.deepEqual([before.context, before.request], [null, null])
    await start()
    const { user, context, request } = (await send('GET', '/me')).json
    assert.deepEqual([user.id, context, request], ['alice', 'alice', 'alice'])
  })

  rule('tells who is behind a change, and a signal that fires at the end', async (setup) => {
    const signals: AbortSignal[] = []
    const { send, start, call } = await setup({
      routes: ({ engine }) => [
        {
          method: 'GET',
          path: '/fields',
          handle: () => {
            const now = engine.current()
            if (now) signals.push(now.signal)
            return answerJson([
              engine.auditFields(),
              engine.isImpersonating(),
              engine.currentOrgId(),
            ])
          },
        },
      ],
    })
    assert.deepEqual((await send('GET', '/fields')).json, [{}, false, null])
    await start()
    assert.deepEqual((await send('GET', '/fields')).json, [
      { impersonated_by: 'root', impersonation_target: 'alice' },
      true,
      'acme',
    ])
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [false],
    )
    await call('POST', '/stop')
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [true],
    )
  })

  rule(`of ${requests} interleaved requests is never another one's`, async (setup) => {
    const users = makeUsers()
    const [root, alice] = [users.get('root'), users.get('alice')]
    assert.ok(root && alice)
    const pairs = Array.from({ length: 8 }, (_, n) => [`admin${n}`, `user${n}`] as const)
    for (const [admin, user] of pairs) {
      users.set(admin, { ...root, id: admin })
      users.set(user, { ...alice, id: user, orgId: `org of ${user}` })
    }
    const { send, start } = await setup({
      users,
      routes: (world) => [
        {
          method: 'GET',
          path: '/twice',
          handle: async (call) => {
            const before = seen(world, call)
            for (let n = 0; n < 3; n++) await tick()
            return answerJson([before, seen(world, call)])
          },
        },
      ],
    })
    const sessions = new Map<string, string>()
    // The last ones stay themselves.
    for (const [admin, user] of pairs.slice(0, 6))
      sessions.set(admin, await start(user, {}, { as: admin }))
    let sent = 0
    const worker = async () => {
      while (sent < requests) {
        const n = sent++
        const [admin, user] = pairs[(n * 7 + (n >> 3)) % pairs.length] ?? ['', '']
        const session = sessions.get(admin)
        const as = n % 5 === 4 ? user : admin
        const { json, headers } = await send('GET', '/twice', { as })
        const under = as === admin && session !== undefined
        for (const moment of json) {
          const expected = under ? user : as
          const context = under ? user : null
          assert.deepEqual(
            [moment.user, moment.context, moment.request, moment.session],
            [users.get(expected), context, context, under ? session : null],
          )
        }
        assert.equal(headers['x-impersonation-session'], under ? session : undefined)
      }
    }
    await Promise.all(Array.from({ length: 32 }, worker))
  })

  rule('is null for whoever is not impersonating, and so is the request’s', async (setup) => {
    const { send } = await setup()
    for (const as of ['root', 'alice', null]) {
      const { context, request } = (await send('GET', '/me', { as })).json
      assert.deepEqual([context, request], [null, null])
    }
  })

  if (holdsSlot) slotRules(rule)

  if (tellsOrder)
    rule('a login after the middleware is told of, once', async (setup) => {
      const { send } = await setup({ layers: ({ login, ours }) => [ours, login] })
      for (let n = 0; n < 5; n++) await send('GET', '/me')
      await warnedOnce('ONBEHALF_WRONG_ORDER')
    })

  rule('a call with credentials that finds nobody is told of, once', async (setup) => {
    const { call } = await setup({ layers: ({ ours }) => [ours] })
    for (let n = 0; n < 3; n++) assert.equal((await call('GET', '/status')).status, 401)
    await warnedOnce('ONBEHALF_NO_ACTOR')
  })
}

/** A layer after ours that logs in again, or picks an organisation, must not bring the admin back. */
function slotRules(rule: Rule): void {
  const laterLayer =
    (find: (users: Map<string, TestUser>) => TestUser | null) =>
    (users: Map<string, TestUser>) => ({
      users,
      layers: ({ login, ours }: { login: TestLayer; ours: TestLayer }) => [
        login,
        ours,
        { kind: 'user', find: () => find(users) } as const,
      ],
    })
  const one = (users: Map<string, TestUser>, id: string) => users.get(id) as TestUser

  for (const [what, find] of [
    ['the admin back', (users) => one(users, 'root')],
    ['another user', (users) => one(users, 'bob')],
    ['the target in another organisation', (users) => ({ ...one(users, 'alice'), orgId: 'hq' })],
    ['the target in no organisation', (users) => ({ ...one(users, 'alice'), orgId: null })],
    ['something that is no user', () => ({}) as TestUser],
  ] as const satisfies readonly [string, (users: Map<string, TestUser>) => TestUser][]) {
    rule(`a later layer that puts ${what} into the user slot is stopped`, async (setup) => {
      const { send, start, written } = await setup(laterLayer(find)(makeUsers()))
      await start('alice', { access_level: 'full' })
      const replies: Reply[] = []
      for (const method of ['GET', 'POST'] as const)
        replies.push(await send(method, method === 'GET' ? '/me' : '/notes'))
      assert.deepEqual(
        replies.map(({ status }) => status),
        [500, 500],
      )
      assert.deepEqual(written, [])
      await warnedOnce('ONBEHALF_USER_OVERWRITTEN')
    })
  }

  rule('a later layer may enrich the record of the target', async (setup) => {
    const { send, start } = await setup(
      laterLayer((users) => ({ ...one(users, 'alice'), name: 'Alice, enriched' }))(makeUsers()),
    )
    await start()
    const { status, json } = await send('GET', '/me')
    assert.deepEqual([status, json.user.name, json.context], [200, 'Alice, enriched', 'alice'])
  })

  rule('a later layer may log the user out', async (setup) => {
    const { send, start } = await setup(laterLayer(() => null)(makeUsers()))
    await start()
    const { status, json } = await send('GET', '/me')
    assert.deepEqual([status, json.user, json.context], [200, null, 'alice'])
  })

  rule('a later layer may do as it likes where nobody is impersonated', async (setup) => {
    const { whoami } = await setup(laterLayer((users) => one(users, 'bob'))(makeUsers()))
    for (const as of ['root', 'alice', null]) assert.equal(await whoami({ as }), 'bob')
  })
}
