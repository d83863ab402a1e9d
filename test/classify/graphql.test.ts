import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type GraphqlClassifierOptions, graphqlClassifier } from '../../src/graphql/index.ts'
import { type Asked, asker } from './ask.ts'

const askerWith = (options?: GraphqlClassifierOptions) => asker(graphqlClassifier(options))
const ask = askerWith()
const search = (values: Record<string, string>) => `/graphql?${new URLSearchParams(values)}`
const byGet = (query: string) => ({ method: 'GET', target: search({ query }) })
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const plain = { 'content-type': 'application/graphql' }

/** Every way in which a document may come. */
const ways: Record<string, (query: string) => Asked> = {
  json: (query) => ({ json: { query } }),
  'json, parsed by the app': (query) => ({ parsed: { query } }),
  'json, left as text by the app': (query) => ({ parsed: JSON.stringify({ query }) }),
  'json, left as bytes by the app': (query) => ({
    parsed: new TextEncoder().encode(JSON.stringify({ query })),
  }),
  'graphql+json': (query) => ({
    body: JSON.stringify({ query }),
    headers: { 'content-type': 'Application/GraphQL+JSON; charset=utf-8' },
  }),
  'a batch of one': (query) => ({ json: [{ query }] }),
  'the last of a batch': (query) => ({ json: [{ query: '{ a }' }, { query: '{ b }' }, { query }] }),
  'application/graphql': (query) => ({ body: query, headers: plain }),
  'a form': (query) => ({ body: String(new URLSearchParams({ a: '1', query })), headers: form }),
  'a form, parsed by the app': (query) => ({ parsed: { query }, headers: form }),
  get: byGet,
  head: (query) => ({ ...byGet(query), method: 'HEAD' }),
  'post, in the query string': (query) => ({ target: search({ query }) }),
  'get with a body': (query) => ({ method: 'GET', json: { query } }),
  'in the query string, with a read in the body': (query) => ({
    target: search({ query }),
    json: { query: '{ a }' },
  }),
  'in the body, with a read in the query string': (query) => ({
    target: search({ query: '{ a }' }),
    json: { query },
  }),
  'in a batch, with a read in the query string': (query) => ({
    target: search({ query: '{ a }' }),
    json: [{ query: '{ b }' }, { query }],
  }),
}

const reads = [
  '{ a }',
  'query { a }',
  'query Q($x: Int = 1) @live { a(x: $x) { b ...F } } fragment F on A { c }',
  '\ufeff , # mutation { b }\n{ a }',
  '{ mutation: a }',
  '{ mutation { mutation } }',
  'query mutation { a }',
  'query A { a } query B { b } subscription C { c }',
  '{ a(x: "mutation { b }") }',
  '{ a(x: """ } mutation { b } """) }',
  '{ a(x: "\\u007d mutation { b }") }',
  '{ changePassword }',
  'subscription { paymentMade { id } }',
  '{ ... on Query { a } ...F ...F } fragment F on Query { a ...G } fragment G on Query { ...F }',
  'query { a @include(if: false) }',
  '{ __schema { queryType { name } } }',
  '{ a(x: "ünïcödé ✓ 🦜") }',
]

const writes = [
  'mutation { rename }',
  'mutation{rename}',
  ',,,mutation,,,{,rename,}',
  'mutation M { rename }',
  'mutation ($x: Int) { rename(x: $x) { password email tokens } }',
  '# { a }\nmutation { rename }',
  '{ a } mutation M { rename }',
  'query A { a } mutation B { rename } query C { c }',
  'fragment F on Query { a } mutation { ...G } fragment G on Mutation { rename }',
  'mutation { ... { ... on Mutation { rename } } }',
  'mutation { __typename }',
  'mutation { rename { email role tokens { hash } settings { passwordChangedAt } } }',
  'mutation { password: rename }',
  'query A { a } mutation A { rename }',
  '{ a(x: "\\"") } mutation M { rename } # "',
  '{ a(x: """\\""" """) } mutation M { rename }',
  '{ a } #\r mutation M { rename }',
]

const guarded: readonly (readonly [string, string])[] = [
  ['password', 'mutation { changePassword(new: "x") { id } }'],
  ['password', 'mutation { a: changePassword }'],
  ['password', 'mutation { rename ... on Mutation { x: set_password } }'],
  [
    'password',
    'mutation { ...F } fragment F on Mutation { ...G } fragment G on Mutation { updatePwd }',
  ],
  ['password', '{ a } mutation M { rename changePassword }'],
  ['password', 'mutation { user(id: 1) { changePassword(new: "x") } }'],
  ['password', 'mutation { user { ...F } } fragment F on User { changePassword(new: "x") }'],
  ['password', 'mutation { RESETPASSWORD }'],
  ['password', 'mutation { user { security { resetPassword { id } } } }'],
  ['mfa', 'mutation { user { x: disable_totp } }'],
  ['password', 'mutation { changePassword @skip(if: true) }'],
  ['email', 'mutation { updateEmail }'],
  ['email', 'mutation { update_email }'],
  ['email', 'mutation { user(id: 1) { email(new: "x") { id } } }'],
  ['credential', 'mutation { createApiKey { id } }'],
  ['credential', 'mutation { createAPIKey { id } }'],
  ['credential', 'mutation { createAccessToken }'],
  ['credential', 'mutation { addWebhook }'],
  ['account_deletion', 'mutation { deleteAccount }'],
  ['account_deletion', 'mutation { account { remove } }'],
  ['mfa', 'mutation { enable2FA }'],
  ['mfa', 'mutation { disableTwoFactor }'],
  ['mfa', 'mutation { setTOTP }'],
  ['role_grant', 'mutation { setUserRole }'],
  ['role_grant', 'mutation { grantAccess }'],
  ['payment', 'mutation { payInvoice }'],
  ['payment', 'mutation { refundOrder }'],
  ['recovery_code', 'mutation { newRecoveryCodes }'],
  ['legal_acceptance', 'mutation { acceptTerms }'],
]

const unreadable = [
  '{ a',
  '}',
  'a',
  'query',
  'mutation',
  'Query { a }',
  'fragment F on Query { a }',
  '{ a } type Query { a: Int }',
  'extend type Query { a: Int } query { a }',
  '{ ...Elsewhere }',
  'mutation { ...Elsewhere }',
  '{ a(x: "\n") }',
  '{ a } \u0000',
  `{ ${'a '.repeat(15_000)} }`,
  `{ a } #${'x'.repeat(256 * 1024)}`,
  `${'{ a '.repeat(6_000)}${'}'.repeat(6_000)}`,
  '"a text"',
  '248eb276edb4f22aced0a2848c539810b55f79d89abc531b91145e76838f5602',
]

describe.each(Object.entries(ways))('a document that comes by %s', (_, way) => {
  it.each(reads)('reads: %s', async (query) => {
    expect(await ask(way(query))).toBe('read')
  })

  it.each(writes)('writes: %s', async (query) => {
    expect(await ask(way(query))).toBe('write')
  })

  it.each(guarded)('is guarded as %s: %s', async (kind, query) => {
    expect(await ask(way(query))).toBe(kind)
  })

  it('can not be told where it is no document that can be run', async () => {
    for (const query of unreadable) expect(await ask(way(query)), query).toBe('unknown')
  })
})

describe('the operation that is meant', () => {
  const query = 'query A { a } mutation B { rename } mutation C { changePassword } query D { d }'

  it.each([
    ['A', 'read'],
    ['D', 'read'],
    ['B', 'write'],
    ['C', 'password'],
    ['a', 'password'],
    ['E', 'password'],
    ['', 'password'],
    [null, 'password'],
    [undefined, 'password'],
    [7, 'unknown'],
    [['A'], 'unknown'],
    [{ A: 1 }, 'unknown'],
    [true, 'unknown'],
  ])('by the name %j does: %s', async (operationName, said) => {
    expect(await ask({ json: { query, operationName } })).toBe(said)
    expect(await ask({ json: [{ query, operationName }] })).toBe(said)
    expect(await ask({ parsed: { query, operationName }, headers: form })).toBe(said)
    if (typeof operationName === 'string') {
      const target = search({ query, operationName })
      expect(await ask({ method: 'GET', target })).toBe(said)
      expect(await ask({ target })).toBe(said)
    }
  })

  it.each([
    ['A', 'A', 'read'],
    ['A', 'D', 'read'],
    ['A', 'B', 'write'],
    ['B', 'A', 'write'],
    ['A', 'C', 'password'],
    ['A', undefined, 'password'],
    [undefined, 'A', 'read'],
    ['A', 'nobody', 'password'],
  ])('with %s in the query string and %s in the body: %s', async (url, body, said) => {
    const target = search(url === undefined ? {} : { operationName: url })
    expect(await ask({ target, json: { query, operationName: body } })).toBe(said)
    const other = search({ query, ...(body !== undefined && { operationName: body }) })
    expect(await ask({ target: other, json: { operationName: url } })).toBe(said)
  })

  it('is any of those that share a name', async () => {
    const twice = 'query A { a } mutation A { rename } query B { b }'
    expect(await ask({ json: { query: twice, operationName: 'A' } })).toBe('write')
    expect(await ask({ json: { query: twice, operationName: 'B' } })).toBe('read')
  })

  it('is by the worst of fragments that share a name', async () => {
    const [one, other] = ['fragment F on M { rename }', 'fragment F on M { changePassword }']
    for (const fragments of [one + other, other + one])
      expect(await ask({ json: { query: `mutation { ...F } ${fragments}` } })).toBe('password')
  })

  it('may be the named one where one has no name', async () => {
    expect(await ask({ json: { query: '{ a } mutation M { rename }' } })).toBe('write')
  })
})

describe('paths', () => {
  const query = '{ a }'

  it.each(['/graphql', '/graphql?a=b', 'http://app.example/graphql'])(
    '%s is GraphQL',
    async (target) => {
      expect(await ask({ target, json: { query } })).toBe('read')
    },
  )

  it.each([
    '/GraphQL',
    '/graphql/',
    '//graphql',
    '/graphql//',
    '/./graphql',
    '/x/../graphql',
    '/%67raphql',
    '/%2567raphql',
    '/graphql;a=b',
    '/graphql%3fa',
    '/graphql%23',
    '/\\graphql',
    '/graphql/x',
    '/graphql/x/y',
    '/graphql/%2e%2e/x',
    'HTTP://app.example/GRAPHQL',
  ])('%s may be, so nothing there passes at any level', async (target) => {
    for (const text of [query, 'mutation { rename }', '', '{'])
      expect(await ask({ target, json: { query: text } }), text).toBe('unknown')
    expect(await ask({ target, method: 'GET' })).toBe('untold')
  })

  it.each(['/', '/graphqlx', '/graph', '/api/graphql', '/x?/graphql', '/graphq1'])(
    '%s is none, and is told at once',
    (target) => {
      const classify = graphqlClassifier()
      const request = { method: 'POST', target, is: () => false, mayBe: () => false }
      expect(classify(request as never)).toBe(undefined)
      return expect(ask({ target, json: { query } })).resolves.toBe('untold')
    },
  )

  it('may be several, may end in a star, may hold a parameter, a slash at the end, or be the root', async () => {
    const at = async (path: string | string[], target: string) =>
      askerWith({ path })({ target, json: { query } })
    expect(await at(['/a', '/b'], '/a')).toBe('read')
    expect(await at(['/a', '/b'], '/b')).toBe('read')
    expect(await at(['/a', '/b'], '/graphql')).toBe('untold')
    expect(await at('/a/*', '/a/b/c')).toBe('read')
    expect(await at('/a/*', '/a')).toBe('read')
    expect(await at('/a/*', '/A/b')).toBe('unknown')
    expect(await at('/:tenant/graphql', '/acme/graphql')).toBe('read')
    expect(await at('/:tenant/graphql', '/acme/graphql/x')).toBe('unknown')
    expect(await at('/graphql/', '/graphql/')).toBe('read')
    expect(await at('/graphql/', '/graphql')).toBe('unknown')
    expect(await at('/', '/')).toBe('read')
    expect(await at('/', '/x')).toBe('unknown')
  })
})

describe('methods', () => {
  it('run operations by GET, HEAD, OPTIONS, POST and QUERY; with others it can not be told', async () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'QUERY'])
      expect(await ask({ method, json: { query: '{ a }' } }), method).toBe('read')
    for (const method of ['PUT', 'PATCH', 'DELETE', 'CONNECT', 'PROPFIND', 'post'])
      expect(await ask({ method, json: { query: '{ a }' } }), method).toBe('unknown')
  })

  it('tell by themselves where there is no document: a page, a preflight', async () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      expect(await ask({ method }), method).toBe('untold')
      expect(await ask({ method, target: '/graphql?query=&variables={}' }), method).toBe('untold')
    }
    for (const method of ['POST', 'PUT', 'QUERY']) expect(await ask({ method })).toBe('unknown')
  })

  it('open no socket, through which anything could go', async () => {
    for (const upgrade of ['websocket', 'WebSocket', 'h2c, websocket']) {
      expect(await ask({ ...byGet('{ a }'), headers: { upgrade } })).toBe('unknown')
      expect(await ask({ method: 'GET', headers: { upgrade } })).toBe('unknown')
    }
  })
})

describe('query strings that are read in two ways can not be told', () => {
  const a = encodeURIComponent('{ a }')

  it.each([
    `query=${a}&query=${a}`,
    `query=${a}&query[]=x`,
    `query=${a}&query[0]=x`,
    `query=${a}&query%5B%5D=x`,
    `query=${a}&query.x=x`,
    `query=${a}&[query]=x`,
    `query=${a}&[[query]]=x`,
    `query=${a}&Query=x`,
    `query=${a}&%20query=x`,
    `query=${a}&qu%65ry=x`,
    `query[]=${a}`,
    `query=${a}&operationName=A&operationName=B`,
    `query=${a}&operationName[]=A`,
    `query=${a}&extensions[persistedQuery][sha256Hash]=x`,
    `query=${a}&id=1&id=2`,
    `query=${a}&documentId[]=2`,
    `query=${a}#x`,
    `query=${a}?x`,
    `x=1?query=${a}`,
    `x=1;query=${a}`,
    `query=${a}%ff`,
    `query=${a}%zz`,
    `query=${a}%`,
    `%ffquery=${a}`,
    `query=${a}&extensions=x`,
    `query=${a}&extensions=7`,
    `query=${a}&extensions=[]`,
    `query=${a}&extensions=%7B%22persistedQuery%22:7%7D`,
    `query=${a}&extensions=%7B%22persistedQuery%22:%7B%22version%22:1%7D%7D`,
  ])('%s', async (text) => {
    const target = `/graphql?${text}`
    expect(await ask({ method: 'GET', target })).toBe('unknown')
    expect(await ask({ target, json: { query: '{ a }' } })).toBe('unknown')
    expect(await ask({ body: text, headers: form })).toBe('unknown')
  })

  it('what is not encoded is one too: URLs lose their tabs and line breaks', async () => {
    const mutation = encodeURIComponent('mutation { rename }')
    for (const text of [
      'que\try',
      'que\nry',
      'query\r',
      'que\u00a0ry',
      'quéry',
      '\0query',
      ' query',
    ])
      expect(await ask({ method: 'GET', target: `/graphql?${text}=${mutation}` }), text).toBe(
        'unknown',
      )
  })

  it('a stray # is one too, and it need have no ?', async () => {
    const mutation = encodeURIComponent('mutation { rename }')
    for (const target of [`/graphql#query=${mutation}`, '/graphql#', '/graphql#?x'])
      expect(await ask({ method: 'GET', target }), target).toBe('unknown')
  })

  it('what means nothing here may be spelled as it likes', async () => {
    for (const text of [
      'a[]=1&a[]=2',
      'variables={}&variables={}',
      '%ff=%ff',
      'a=%zz',
      '&&=',
      'q.x',
    ])
      expect(await ask({ method: 'GET', target: `/graphql?${text}&query=${a}` }), text).toBe(
        text.startsWith('%ff') ? 'unknown' : 'read',
      )
  })
})

describe('bodies that can not be told', () => {
  const query = '{ a }'
  const text = JSON.stringify({ query })
  const json = { 'content-type': 'application/json' }

  const odd: readonly unknown[] = [
    null,
    7,
    true,
    'x',
    '{"query"',
    [],
    [null],
    [7],
    [[{ query }]],
    [{ query }, []],
    [{ query }, null],
    [{ query }, {}],
    {},
    { query: null },
    { query: 7 },
    { query: [query] },
    { query: { query } },
    { Query: query },
    { queries: [{ query }] },
    { query, extensions: 7 },
    { query, extensions: [] },
    { query, extensions: '{' },
    { query, extensions: { persistedQuery: 7 } },
    { query, extensions: { persistedQuery: {}, x: 1, id: 'x' } },
    { query, extensions: { persistedQuery: { version: 1 } } },
    { query, extensions: { persistedQuery: { sha256Hash: 7 } } },
    { query, extensions: { persistedQuery: { sha256Hash: 'x' } } },
    { query, persistedQuery: { sha256Hash: 'x' } },
    {
      query,
      persistedQuery: { sha256Hash: 'x' },
      extensions: { persistedQuery: { sha256Hash: sha256(query) } },
    },
    { query, id: 7 },
    { query, id: 'x' },
    { query, documentId: 'x' },
    { query, doc_id: 'x' },
    { query, persisted: true },
    Array.from({ length: 101 }, () => ({ query })),
  ]

  it.each(odd.map((body) => [body]))('%j', async (body) => {
    const sent = JSON.stringify(body)
    expect(await ask({ body: sent, headers: json })).toBe('unknown')
    expect(await ask({ parsed: JSON.parse(sent) })).toBe('unknown')
  })

  it('a key that a copy would turn into a prototype', async () => {
    const body = '{"query":"{ a }","__proto__":{"query":"mutation { b }"}}'
    expect(await ask({ body, headers: json })).toBe('unknown')
    expect(await ask({ parsed: JSON.parse(body) })).toBe('unknown')
    expect(await ask({ body: `[${body}]`, headers: json })).toBe('unknown')
  })

  it.each([
    'multipart/form-data; boundary=x',
    'text/plain',
    'application/xml',
    'application/octet-stream',
    'application/json, application/graphql',
    'application/json;, text/plain',
    'application/jsonp',
    'application/vnd.api+json',
    'json',
    '',
  ])('one of the type %j', async (type) => {
    const headers = { 'content-type': type }
    expect(await ask({ body: text, headers })).toBe('unknown')
    expect(await ask({ parsed: { query }, headers })).toBe('unknown')
  })

  it('one of no type, of another charset, compressed, not UTF-8, taken by somebody, a FormData', async () => {
    expect(await ask({ body: text })).toBe('unknown')
    for (const charset of [
      'charset=latin1',
      'charset=utf-7',
      'charset="utf-7"',
      'charset=utf-8; charset=utf-7',
      'charset=utf-7; charset=utf-8',
      'x="; charset=utf-8"; charset=utf-7',
      'x="; charset=utf-8; y"; charset=utf-7',
      'CharSet = utf-7',
      'charset*=utf-8',
      'charset=utf-8x',
      'charset=',
    ]) {
      const headers = { 'content-type': `application/json; ${charset}` }
      expect(await ask({ body: text, headers }), charset).toBe('unknown')
    }
    for (const charset of ['charset=utf-8', ' charset="UTF-8"', 'charset=utf8;x=y', 'x=y']) {
      const headers = { 'content-type': `application/json;${charset}` }
      expect(await ask({ body: text, headers }), charset).toBe('read')
    }
    expect(await ask({ body: text, headers: { ...json, 'content-encoding': 'gzip' } })).toBe(
      'unknown',
    )
    const bytes = Buffer.concat([
      Buffer.from('{"query":"{ a }","x":"'),
      Buffer.from([0xff, 0x22, 0x7d]),
    ])
    expect(await ask({ body: bytes, headers: json })).toBe('unknown')
    expect(await ask({ parsed: bytes, headers: json })).toBe('unknown')
    expect(await ask({ gone: true, headers: json })).toBe('unknown')
    expect(await ask({ gone: true, ...byGet(query) })).toBe('unknown')
    const data = new FormData()
    data.set('query', query)
    expect(await ask({ parsed: data, headers: form })).toBe('unknown')
    expect(await ask({ parsed: { query }, headers: plain })).toBe('unknown')
  })

  it('that of another type where the query string reads', async () => {
    const target = search({ query })
    expect(await ask({ target, body: 'x' })).toBe('unknown')
    expect(await ask({ target, method: 'GET', body: 'x' })).toBe('unknown')
    expect(await ask({ target, json: {} })).toBe('read')
    expect(await ask({ target, json: [] })).toBe('unknown')
    expect(await ask({ target })).toBe('read')
  })
})

describe('a batch', () => {
  const [read, write, guard, unknown] = [
    '{ a }',
    'mutation { b }',
    'mutation { setEmail }',
    '{',
  ].map((query) => ({ query }))

  it.each([
    [[read, read], 'read'],
    [[read, write], 'write'],
    [[write, unknown], 'unknown'],
    [[unknown, write], 'unknown'],
    [[guard, unknown, write, read], 'email'],
    [[read, write, unknown, guard], 'email'],
    [Array.from({ length: 100 }, () => read), 'read'],
  ])('is what its worst member is: %#', async (json, said) => {
    expect(await ask({ json })).toBe(said)
  })
})

describe('persisted documents', () => {
  const documents: Record<string, string> = {
    r: '{ a }',
    w: 'mutation { rename }',
    g: 'mutation { changePassword }',
    two: 'query A { a } mutation B { rename }',
    bad: '{',
  }
  const known = askerWith({ persisted: async (id) => documents[id] ?? null })
  const faulty = askerWith({
    persisted: () => {
      throw new Error('the store is away')
    },
  })
  const idNames = [
    ...['id', 'documentId', 'document_id', 'docId', 'doc_id', 'queryId', 'query_id'],
    ...['operationId', 'operation_id', 'hash', 'queryHash', 'sha256Hash', 'persistedQueryId'],
  ]

  it.each(idNames)('are found by %s', async (name) => {
    for (const [id, said] of [
      ['r', 'read'],
      ['w', 'write'],
      ['g', 'password'],
      ['bad', 'unknown'],
      ['nobody', 'unknown'],
    ] as const) {
      expect(await known({ json: { [name]: id } })).toBe(said)
      expect(await known({ json: [{ query: '{ a }' }, { [name]: id }] })).toBe(said)
      expect(await known({ json: { extensions: { [name]: id } } })).toBe(said)
      expect(await known({ method: 'GET', target: search({ [name]: id }) })).toBe(said)
      expect(await known({ parsed: { [name]: id }, headers: form })).toBe(said)
      // Which of the two a server runs is up to it.
      expect(await known({ json: { query: '{ a }', [name]: id } })).toBe(said)
      expect(await known({ target: search({ [name]: id }), json: { query: '{ a }' } })).toBe(said)
      const target = search({ query: '{ a }' })
      expect(await known({ target, json: { [name]: id } })).toBe(said)
      expect(await ask({ json: { [name]: id } })).toBe('unknown')
      expect(await faulty({ json: { [name]: id } })).toBe('unknown')
    }
    expect(await known({ json: { query: 'mutation { rename }', [name]: 'r' } })).toBe('write')
  })

  it('are run by name as others are', async () => {
    for (const [operationName, said] of [
      ['A', 'read'],
      ['B', 'write'],
      [undefined, 'write'],
    ] as const) {
      expect(await known({ json: { id: 'two', operationName } })).toBe(said)
      const target = search(operationName === undefined ? {} : { operationName })
      expect(await known({ target, json: { id: 'two', operationName: 'A' } })).toBe(
        operationName === undefined ? 'read' : said,
      )
    }
  })

  const apq = (sha256Hash: unknown, query?: string) => ({
    query,
    extensions: { persistedQuery: { version: 1, sha256Hash } },
  })

  it('by APQ: the hash must be that of the text, where there is one', async () => {
    for (const [query, said] of [
      ['{ a }', 'read'],
      ['mutation { rename }', 'write'],
      ['mutation { changePassword }', 'password'],
    ] as const) {
      const both = apq(sha256(query), query)
      expect(await ask({ json: both })).toBe(said)
      expect(await ask({ json: [both] })).toBe(said)
      const extensions = JSON.stringify(both.extensions)
      expect(await ask({ json: { query, extensions } })).toBe(said)
      expect(await ask({ method: 'GET', target: search({ query, extensions }) })).toBe(said)
      expect(await ask({ target: search({ extensions }), json: { query } })).toBe(said)
      expect(await known({ json: apq(sha256(query).toUpperCase(), query) })).toBe('unknown')
    }
    expect(await known({ json: apq('r', '{ a }') })).toBe('unknown')
    expect(await known({ json: apq(sha256('mutation { rename }'), '{ a }') })).toBe('unknown')
  })

  it('by APQ: without the text they are looked up', async () => {
    const extensions = (id: string) => JSON.stringify(apq(id).extensions)
    for (const [id, said] of [
      ['r', 'read'],
      ['w', 'write'],
      ['g', 'password'],
      ['nobody', 'unknown'],
    ] as const) {
      expect(await known({ json: apq(id) })).toBe(said)
      expect(await known({ method: 'GET', target: search({ extensions: extensions(id) }) })).toBe(
        said,
      )
      const target = search({ extensions: extensions(id) })
      expect(await known({ target, json: { query: '{ a }' } })).toBe(said)
    }
    expect(await ask({ json: apq('r') })).toBe('unknown')
  })

  it('by a flag: the id stands in the place of the document', async () => {
    for (const flag of [true, 'true', 1]) {
      expect(await known({ json: { query: 'r', persisted: flag } })).toBe('read')
      expect(await known({ json: { query: 'w', persisted: flag } })).toBe('write')
      expect(await known({ json: { query: 'nobody', persisted: flag } })).toBe('unknown')
      expect(await known({ json: { query: '{ a }', persisted: flag } })).toBe('unknown')
      const long = `mutation { ${'a '.repeat(15_000)} }`
      const any = askerWith({ persisted: () => '{ a }' })
      expect(await any({ json: { query: long, persisted: flag } })).toBe('unknown')
    }
    expect(await known({ json: { query: '{ a }', persisted: false } })).toBe('read')
    expect(await known({ json: { query: '{ a }', persisted: null } })).toBe('read')
  })
})

describe('guarded fields', () => {
  const own = askerWith({
    guardrails: { payment: ['buySeats', 'Query.exportCards'], email: [], password: ['sesame'] },
  })
  const said = (query: string) => own({ json: { query } })

  it('are those listed, wherever they stand, and the catalogue for kinds without a list', async () => {
    expect(await said('mutation { buySeats }')).toBe('payment')
    expect(await said('mutation { a: buySeats }')).toBe('payment')
    expect(await said('mutation { shop { cart { buySeats } } }')).toBe('payment')
    expect(await said('mutation { shop { ...F } } fragment F on S { buySeats }')).toBe('payment')
    expect(await said('mutation { sesame }')).toBe('password')
    expect(await said('mutation { createToken }')).toBe('credential')
  })

  it('are not those that the words would guard, where the kind has a list', async () => {
    expect(await said('mutation { payInvoice }')).toBe('write')
    expect(await said('mutation { updateEmail }')).toBe('write')
    expect(await said('mutation { changePassword }')).toBe('write')
    expect(await said('mutation { updateEmailToken }')).toBe('credential')
  })

  it('are told by their names as they are written', async () => {
    expect(await said('mutation { buyseats }')).toBe('write')
    expect(await said('mutation { buySeatsNot }')).toBe('write')
    expect(await said('{ buySeats }')).toBe('read')
    expect(await said('subscription { buySeats }')).toBe('read')
  })

  it('may be those of queries too, where a host lists them', async () => {
    expect(await said('{ exportCards }')).toBe('payment')
    expect(await said('{ me { exportCards { number } } }')).toBe('payment')
    expect(await said('mutation { exportCards }')).toBe('write')
  })

  it('are refused where they make no sense', () => {
    for (const [guardrails, message] of [
      [{ pay: ['x'] }, /"guardrails".*"pay"/],
      [{ payment: 'x' }, /"guardrails.payment"/],
      [{ payment: ['a b'] }, /"guardrails.payment"/],
      [{ payment: ['Account.pay'] }, /"guardrails.payment"/],
      [{ payment: [7] }, /"guardrails.payment"/],
    ] as const)
      expect(() => graphqlClassifier({ guardrails: guardrails as never })).toThrow(message)
    for (const path of ['graphql', '', '/a b', '/a/*/b', 7])
      expect(() => graphqlClassifier({ path: path as never })).toThrow(/"path"/)
    expect(() => graphqlClassifier({ persisted: 'x' as never })).toThrow(/"persisted"/)
  })
})

it('gives the same answers again and again, and does not mix classifiers up', async () => {
  const other = askerWith({ guardrails: { password: [] } })
  for (let round = 0; round < 3; round++) {
    expect(await ask({ json: { query: 'mutation { changePassword }' } })).toBe('password')
    expect(await other({ json: { query: 'mutation { changePassword }' } })).toBe('write')
  }
})
