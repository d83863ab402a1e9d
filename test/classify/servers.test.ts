import net from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { graphqlClassifier } from '../../src/graphql/index.ts'
import { type AccessLevel, createImpersonation, memoryStore } from '../../src/index.ts'
import { type Ask, type Client, createClient } from '../../src/testing/adapter/client.ts'
import { hosts, type Person } from './hosts.ts'
import { countingSchema, persistedDocuments, type Ran, sha256 } from './schema.ts'

const people = new Map<string, Person>([
  ['root', { id: 'root', isAdmin: true }],
  ['alice', { id: 'alice', isAdmin: false }],
])

/** One request: its method, what follows the path, and the rest. */
type Sent = readonly [method: string, search: string, ask: Ask]

const search = (values: Record<string, string>) => `?${new URLSearchParams(values)}`
const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
const plain = { 'Content-Type': 'application/graphql' }

/** Ways that graphql-http knows. */
const usual = (query: string): readonly Sent[] => [
  ['POST', '', { json: { query } }],
  ['POST', '', { json: { query }, chunked: true }],
  ['POST', '', { json: { query, padding: 'x'.repeat(90_000) }, chunked: true }],
  ['POST', '?a=b', { json: { query } }],
  ['GET', search({ query }), {}],
]

/** Ways that some server or other knows. */
const unusual = (query: string): readonly Sent[] => [
  ['POST', '', { json: [{ query }] }],
  ['POST', '', { json: [{ query: '{ a }' }, { query }] }],
  ['POST', search({ query }), {}],
  ['POST', search({ query }), { json: { query: '{ a }' } }],
  ['POST', search({ query: '{ a }' }), { json: { query } }],
  ['POST', '', { body: query, headers: plain }],
  ['POST', '', { body: String(new URLSearchParams({ query })), headers: form }],
  [
    'POST',
    '',
    { json: { query, extensions: { persistedQuery: { version: 1, sha256Hash: sha256(query) } } } },
  ],
]

const reads = [
  '{ a }',
  'query Q { a }',
  'query Q { a ...F } fragment F on Query { more { a } }',
  '{ mutation: a # mutation { rename }\n}',
]
const writes = [
  'mutation { rename }',
  'mutation { a: rename }',
  'mutation M { ...F } fragment F on Mutation { ... { rename } }',
  ',,mutation,{rename}#{ a }',
]
const guarded = [
  'mutation { changePassword }',
  'mutation { rename a: changePassword }',
  'mutation M { ...F } fragment F on Mutation { ... on Mutation { changePassword } }',
  'mutation { user(x: "1") { changePassword(x: "new") } }',
  'mutation { buySeats }',
]

/** Spellings of the path that some of these servers take for the plain one. */
const spellings = ['/', '//', '/x', '/%2e', '/x/../', ';x', '?', '??', '?#']

describe.each(hosts.map((host) => [host.name, host] as const))('%s', (_, host) => {
  let ran: Ran
  let client: Client
  let fresh: () => Client
  let close: () => unknown
  let url: string
  let engine: ReturnType<typeof makeEngine>
  let asked: () => void

  const makeEngine = () => {
    const store = memoryStore()
    const classify = graphqlClassifier({
      path: ['/graphql', '/greedy'],
      guardrails: { payment: ['buySeats'] },
      persisted: (id) => persistedDocuments[id],
    })
    return createImpersonation<Person>({
      store,
      findUser: (id) => people.get(id),
      can: (user) => user.isAdmin,
      rateLimit: false,
      now: () => Date.UTC(2030, 0, 1),
      classify(request) {
        asked()
        return classify(request)
      },
    })
  }

  beforeEach(async () => {
    ran = []
    asked = () => {}
    engine = makeEngine()
    const schema = countingSchema(ran, () => engine.tryCurrent()?.target.id ?? 'root')
    const login = (header: string | undefined) => people.get(header?.slice(7) ?? '')
    const mounted = await host.serve({ engine, schema, login })
    fresh = () => createClient(mounted)
    client = fresh()
    close = mounted.close
    url = mounted.url
  })

  afterEach(async () => {
    client.close()
    await close()
    await engine.close()
  })

  const start = (accessLevel: AccessLevel) =>
    engine.sessions.start(engine.caller(people.get('root') as Person), {
      targetUserId: 'alice',
      reason: 'a test',
      accessLevel,
    })

  const send = (path: string, [method, query, ask]: Sent) =>
    client.send(method, `${path}${query}`, ask)

  const refused = async (path: string, sent: Sent, codes: readonly string[]) => {
    const { status, text } = await send(path, sent)
    const what = `${sent[0]} ${path}${sent[1]} ${JSON.stringify(sent[2]).slice(0, 200)}: ${text}`
    expect([status, codes.includes(JSON.parse(text).code)], what).toEqual([403, true])
  }

  it('serves queries at every level, and their bodies arrive whole', async () => {
    for (const level of [undefined, 'view', 'interactive', 'full'] as const) {
      if (level) await start(level)
      for (const query of reads) {
        for (const sent of usual(query)) {
          const { status, text } = await send('/graphql', sent)
          expect([status, text], `${level} ${sent[0]}`).toEqual([
            200,
            expect.stringMatching(/^{"data":{"(a|mutation)":"read"/),
          ])
        }
        for (const sent of [...usual(query), ...unusual(query)]) {
          const { status, text } = await send('/greedy', sent)
          expect([status, text]).toEqual([200, expect.stringMatching(/"(a|mutation)":"read"/)])
        }
      }
      const { text } = await send('/graphql', ['POST', '', { json: { query: '{ b }' } }])
      expect(text).toBe(`{"data":{"b":"${level ? 'alice' : 'root'}"}}`)
    }
    expect(ran).toEqual([])
  })

  it('runs no mutation at view, however it is sent', async () => {
    await start('view')
    for (const query of writes)
      for (const path of ['/graphql', '/greedy'])
        for (const sent of [...usual(query), ...unusual(query)])
          await refused(path, sent, ['grant_view_only'])
    const two = 'query A { a } mutation B { rename }'
    for (const operationName of ['B', 'C', '', undefined])
      for (const sent of [
        ['POST', '', { json: { query: two, operationName } }],
        ['POST', search({ operationName: 'B' }), { json: { query: two, operationName: 'A' } }],
        ['POST', search({ operationName: 'A' }), { json: { query: two, operationName: 'B' } }],
        ['POST', search({ operationName: 'A' }), { json: { query: two } }],
        ['GET', search({ query: two, ...(operationName && { operationName }) }), {}],
        ['POST', '', { json: { id: 'w' } }],
        ['POST', '', { json: { query: 'w', persisted: true } }],
        ['POST', '', { json: { query: '{ a }', documentId: 'w' } }],
        ['POST', '', { json: { extensions: { persistedQuery: { sha256Hash: 'w' } } } }],
        ['GET', search({ extensions: '{"persistedQuery":{"sha256Hash":"w"}}' }), {}],
        ['POST', '', { json: { id: 'elsewhere' } }],
      ] as const)
        await refused('/greedy', sent, ['grant_view_only'])
    // In UTF-7 the comment ends, and there is an M.
    const body = '{"query":"query A { a } #+AFw-n mutation M { rename }","operationName":"M"}'
    for (const charset of [
      'utf-7',
      'utf-8; charset=utf-7',
      'utf-7; charset=utf-8',
      'utf-8; x="; charset=utf-8"; charset=utf-7',
    ])
      for (const path of ['/graphql', '/greedy']) {
        const headers = { 'Content-Type': `application/json; charset=${charset}` }
        await send(path, ['POST', '', { body, headers }])
      }
    const named = { query: two, operationName: 'A' }
    expect((await send('/greedy', ['POST', '', { json: named }])).json.data).toEqual({ a: 'read' })
    expect((await send('/greedy', ['POST', '', { json: { id: 'r' } }])).json.data.a).toBe('read')
    expect(ran).toEqual([])
  })

  it('runs a mutation at full, as the target, and no guarded one', async () => {
    await start('full')
    for (const query of writes) {
      const { status, text } = await send('/graphql', ['POST', '', { json: { query } }])
      expect([status, text]).toEqual([200, expect.stringContaining('"done"')])
    }
    expect(ran).toEqual(writes.map(() => 'rename by alice'))
    await send('/greedy', ['POST', '', { json: [{ query: 'mutation { rename }' }] }])
    expect(new Set(ran)).toEqual(new Set(['rename by alice']))
    ran.length = 0
    for (const query of guarded)
      for (const path of ['/graphql', '/greedy'])
        for (const sent of [...usual(query), ...unusual(query)])
          await refused(path, sent, ['impersonation_write_blocked'])
    for (const sent of [
      ['POST', '', { json: { id: 'g' } }],
      ['POST', '', { json: { query: 'g', persisted: true } }],
      ['POST', '', { json: { id: 'elsewhere' } }],
      ['POST', '', { json: { query: guarded[0], extensions: 7 } }],
    ] as const)
      await refused('/greedy', sent, ['impersonation_write_blocked'])
    expect(ran).toEqual([])
  })

  it('runs no guarded mutation by another spelling of the path', async () => {
    await start('full')
    const query = guarded[0] ?? ''
    const encoded = encodeURIComponent(query)
    for (const path of ['/graphql', '/GraphQL', '/%67raphql', '//graphql', '/./graphql', '/greedy'])
      for (const spelling of ['', ...spellings]) {
        await client.send('POST', `${path}${spelling}`, { json: { query } })
        const glue = spelling.includes('?') ? '' : '?'
        await client.send('GET', `${path}${spelling}${glue}query=${encoded}`)
        await client.send('POST', `${path}${spelling}${glue}&query=${encoded}`)
      }
    for (const tail of [`#query=${encoded}`, `?x#&query=${encoded}`, `?query%5B%5D=${encoded}`])
      await client.send('GET', `/greedy${tail}`)
    expect(ran).toEqual([])
  })

  it('serves ordinary users, and admins without a session, whatever they send', async () => {
    for (const as of ['alice', 'root', null]) {
      const { json } = await send('/graphql', [
        'POST',
        '',
        { as, json: { query: 'mutation { changePassword }' } },
      ])
      expect(json.data).toEqual({ changePassword: 'done' })
    }
    expect(ran.length).toBe(3)
  })

  it('refuses what is too large to be looked into, and goes on', async () => {
    await start('full')
    for (const chunked of [false, true]) {
      const json = { query: '{ a }', padding: 'x'.repeat(3 * 1024 * 1024) }
      const { status } = await send('/greedy', ['POST', '', { json, chunked }])
      expect(status).toBeGreaterThanOrEqual(400)
      // A server may close the connection of a body that it does not want to read to its end.
      const other = fresh()
      const next = await other.send('POST', '/greedy', { json: { query: '{ a }' } })
      other.close()
      expect(next.json.data.a).toBe('read')
    }
  })

  if (!host.name.includes('app.request'))
    it('outlives senders that break off, and runs nothing of theirs', async () => {
      await start('full')
      for (const length of ['Content-Length: 500', 'Transfer-Encoding: chunked']) {
        const { hostname, port } = new URL(url)
        const socket = net.connect(Number(port), hostname)
        socket.write(
          `POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer root\r\n` +
            `Content-Type: application/json\r\n${length}\r\n\r\n`,
        )
        socket.write('26\r\n{"query":"mutation { rename }"}       \r\n')
        const { json } = await send('/graphql', ['POST', '', { json: { query: '{ a }' } }])
        expect(json.data.a).toBe('read')
        socket.destroy()
      }
      const { json } = await send('/graphql', ['POST', '', { json: { query: '{ a }' } }])
      expect(json.data.a).toBe('read')
      expect(ran).toEqual([])
    })

  if (!host.readBefore && !host.name.includes('app.request'))
    it('runs nothing of a body that is still on its way as the session ends', async () => {
      for (const query of ['mutation { rename }', '{ a }']) {
        await start('full')
        const entered = Promise.withResolvers<void>()
        const over = Promise.withResolvers<void>()
        asked = entered.resolve
        const body = JSON.stringify({ query })
        const answer = client.send('POST', '/graphql', {
          body,
          headers: {
            'Content-Type': 'application/json',
            'Content-Length': String(Buffer.byteLength(body)),
          },
          after: over.promise,
        })
        await entered.promise
        await engine.endFor('root')
        over.resolve()
        const { status, json } = await answer
        expect([status, json.code]).toEqual([401, 'impersonation_revoked'])
      }
      expect(ran).toEqual([])
    })
})
