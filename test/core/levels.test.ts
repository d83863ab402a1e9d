import { describe, expect, it } from 'vitest'
import {
  type AccessLevel,
  type Classification,
  type ClassifyRequest,
  type Guardrail,
  guardrailKinds,
  type ImpersonationOptions,
} from '../../src/index.ts'
import { type Ask, requestOf, type User, view, type World, worldOf } from '../support/core-world.ts'

const none = Object.fromEntries(guardrailKinds.map((kind) => [kind, []])) as never as Record<
  Guardrail,
  readonly never[]
>
type Options = Partial<ImpersonationOptions<User>>

async function under(level: AccessLevel, options: Options = {}): Promise<World> {
  const world = worldOf({ guardrails: none, ...options })
  await world.start('root', 'alice', { accessLevel: level })
  return world
}

/** What one request comes to, in one line: who ran, or the refusal. */
async function line(level: AccessLevel, ask: Ask, options: Options = {}): Promise<string> {
  return (await (await under(level, options)).send('root', ask)).line
}

const viewOnly = '403 grant_view_only'
const blocked = '403 impersonation_write_blocked'
const wantsFull = '403 full_access_required'

describe('what counts as a read', () => {
  it.each(['GET', 'HEAD', 'OPTIONS'])('%s does', async (method) => {
    expect(await line('view', { method })).toBe('alice')
  })

  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'QUERY', 'TRACE', 'get', 'Post', 'X', ''])(
    '%j does not',
    async (method) => {
      expect(await line('view', { method })).toBe(viewOnly)
      expect(await line('interactive', { method })).toBe('alice')
    },
  )

  it.each([
    'X-HTTP-Method-Override',
    'X-HTTP-Method',
    'X-Method-Override',
    'X-Method',
    'X-HTTP-Override',
    'HTTP-Method-Override',
    'Method-Override',
  ])('a GET with %s does not', async (name) => {
    for (const value of ['DELETE', 'GET', ''])
      expect(await line('view', { headers: { [name]: value } })).toBe(viewOnly)
  })

  it.each([
    '_method=DELETE',
    '_METHOD=x',
    '_method',
    '__method=PUT',
    '%5Fmethod=PUT',
    '+_method=PUT',
    '%20_method=PUT',
    'a=1;_method=PUT',
    'a=1&_method[]=PUT',
    '_httpMethod=PUT',
    '_http_method=PUT',
    '$method=PUT',
    '.method=PUT',
    '-method=PUT',
    'httpMethod=PUT',
    'http-method=PUT',
    'x-http-method-override=PUT',
    'x_method_override=PUT',
    'methodOverride=PUT',
    'method=DELETE',
    'method=+post+',
    'METHOD=Patch',
    'method=merge',
    'method[]=put',
    'method=%50ut',
    'method=%zz',
    '%zz=1',
  ])('a GET with ?%s does not', async (query) => {
    expect(await line('view', { path: `/notes?${query}` })).toBe(viewOnly)
  })

  it.each([
    'method=express',
    'method=',
    'method',
    'method=deleted',
    'method=undelete',
    'a=x-http-method',
    'anhttp-method=1',
    'a&method',
    'the_method=PUT',
    'q=_method',
    'q=method%20x',
    'payment_method=card',
    'shipping-method=PUT',
    'methods=PUT',
    'a=%41',
  ])('a GET with ?%s does', async (query) => {
    expect(await line('view', { path: `/notes?${query}` })).toBe('alice')
  })

  it('a path that speaks of methods does', async () => {
    expect(await line('view', { path: '/_method=PUT' })).toBe('alice')
    expect(await line('view', { path: '/method?a=1' })).toBe('alice')
  })

  it('a GET with a body does not, one that announces none does', async () => {
    const form = 'application/x-www-form-urlencoded'
    for (const headers of [
      { 'content-length': '2' },
      { 'content-length': '00' },
      { 'transfer-encoding': 'chunked' },
      { 'content-type': form },
      { 'content-type': 'Multipart/mixed' },
    ] as Record<string, string>[])
      expect(await line('view', { headers })).toBe(viewOnly)
    for (const headers of [
      { 'content-length': '0' },
      { 'content-length': ' 0 ' },
      { 'content-type': 'application/json' },
      { 'content-type': `text/x-${form}` },
    ] as Record<string, string>[])
      expect(await line('view', { headers })).toBe('alice')
  })

  it('a GET that becomes a WebSocket does not', async () => {
    for (const upgrade of ['websocket', 'WebSocket', 'h2c, websocket'])
      expect(await line('view', { headers: { upgrade } })).toBe(viewOnly)
    expect(await line('view', { headers: { upgrade: 'h2c' } })).toBe('alice')
    expect(await line('interactive', { headers: { upgrade: 'websocket' } })).toBe('alice')
  })
})

describe('marks', () => {
  it.each(guardrailKinds)('%s is refused at every level, reads too', async (marked) => {
    for (const level of ['view', 'interactive', 'full'] as const)
      for (const method of ['GET', 'POST']) {
        const world = await under(level)
        const outcome = await world.send('root', { method, marked })
        expect([outcome.line, outcome.body]).toEqual([
          blocked,
          expect.objectContaining({ guardrail: marked }),
        ])
      }
  })

  it('are for those who impersonate', async () => {
    const world = worldOf()
    expect((await world.send('root', { marked: 'payment' })).line).toBe('root')
    expect((await world.send('alice', { marked: 'payment' })).line).toBe('alice')
  })

  it('come before the actor’s own routes', async () => {
    const keepActorRoutes = ['* /notes'] as const
    expect(await line('full', { marked: 'email' }, { keepActorRoutes })).toBe(blocked)
    expect(await line('full', {}, { keepActorRoutes })).toBe('root')
  })
})

describe('the order of the walls', () => {
  const guardrails = { ...none, payment: ['POST /pay'], email: ['GET /mail'] } as const

  it('guardrails, the actor’s routes, view, full', async () => {
    const all = {
      guardrails,
      keepActorRoutes: ['* /pay', 'POST /console'],
      fullAccessRoutes: ['* /pay', '* /console', '* /report'],
    } as const
    const at = (level: AccessLevel, method: string, path: string) =>
      line(level, { method, path }, all)
    expect(await at('full', 'POST', '/pay')).toBe(blocked)
    expect(await at('view', 'POST', '/console')).toBe('root')
    expect(await at('view', 'POST', '/report')).toBe(viewOnly)
    expect(await at('view', 'GET', '/report')).toBe(wantsFull)
    expect(await at('interactive', 'POST', '/report')).toBe(wantsFull)
    expect(await at('full', 'POST', '/report')).toBe('alice')
    expect(await at('full', 'GET', '/mail')).toBe(blocked)
    expect(await at('full', 'HEAD', '/mail')).toBe(blocked)
    expect(await at('full', 'GET', '/pay')).toBe('root')
  })

  it('reads are guarded where patterns speak of nothing else', async () => {
    const reads = Object.fromEntries(guardrailKinds.map((kind) => [kind, ['GET /mail']]))
    expect(await line('full', { path: '/mail' }, { guardrails: reads as never })).toBe(blocked)
    expect(await line('full', { path: '/notes' }, { guardrails: reads as never })).toBe('alice')
  })

  it('a method that is overridden may be any', async () => {
    const headers = { 'X-HTTP-Method-Override': 'POST' }
    expect(await line('full', { path: '/pay', headers }, { guardrails })).toBe(blocked)
    expect(await line('full', { path: '/pay' }, { guardrails })).toBe('alice')
    const keepActorRoutes = ['GET /console'] as const
    expect(await line('full', { path: '/console', headers }, { keepActorRoutes })).toBe('alice')
    const fullAccessRoutes = ['POST /report'] as const
    expect(await line('interactive', { path: '/report', headers }, { fullAccessRoutes })).toBe(
      wantsFull,
    )
  })

  it('a method in small letters is the method', async () => {
    expect(await line('full', { method: 'post', path: '/pay' }, { guardrails })).toBe(blocked)
  })

  it.each([
    'application/x-www-form-urlencoded',
    'Multipart/form-data; boundary=x',
    ' application/x-www-form-urlencoded; charset=utf-8',
  ])('a form (%s) may hold another method', async (type) => {
    const deletes = { ...none, account_deletion: ['DELETE /me'] } as const
    const ask = (headers: Record<string, string>) =>
      line('full', { method: 'POST', path: '/me', headers }, { guardrails: deletes })
    expect(await ask({ 'content-type': type })).toBe(blocked)
    expect(await ask({ 'content-type': 'application/json' })).toBe('alice')
  })
})

describe('the catalogue', () => {
  const shipped = { guardrails: undefined } as never

  it.each(['/me', '/users/7', '/api/users/7/', '/Members/7', '/workspaces/w1'])(
    'deletes nobody: DELETE %s',
    async (path) => {
      expect(await line('full', { method: 'DELETE', path }, shipped)).toBe(blocked)
      const headers = { 'X-HTTP-Method-Override': 'DELETE' }
      expect(await line('full', { method: 'POST', path, headers }, shipped)).toBe(blocked)
    },
  )

  it('lets a person be saved, and other things be deleted', async () => {
    const headers = { 'content-type': 'application/json', 'content-length': '2' }
    for (const method of ['POST', 'PUT', 'PATCH'])
      expect(await line('full', { method, path: '/users/7', headers }, shipped)).toBe('alice')
    for (const path of ['/notes/7', '/users/7/notes/1', '/me/notes'])
      expect(await line('full', { method: 'DELETE', path }, shipped)).toBe('alice')
  })
})

describe('classify', () => {
  const says = (said: unknown): Options => ({ classify: () => said as Classification })
  const later = (said: unknown): Options => ({ classify: async () => said as Classification })

  for (const [how, options] of [
    ['at once', says],
    ['later', later],
  ] as const) {
    it.each([
      ['view', 'POST', 'read', 'alice'],
      ['view', 'GET', 'read', 'alice'],
      ['view', 'GET', 'write', viewOnly],
      ['view', 'POST', 'write', viewOnly],
      ['view', 'GET', 'unknown', viewOnly],
      ['view', 'GET', undefined, 'alice'],
      ['view', 'POST', undefined, viewOnly],
      ['interactive', 'POST', 'write', 'alice'],
      ['interactive', 'GET', 'unknown', blocked],
      ['full', 'POST', 'read', 'alice'],
      ['full', 'POST', undefined, 'alice'],
      ['full', 'POST', 'unknown', blocked],
      ['full', 'GET', { guard: 'mfa' }, blocked],
      ['view', 'GET', { guard: 'mfa' }, blocked],
      ['full', 'GET', { guard: 'nothing' }, blocked],
      ['full', 'GET', {}, blocked],
      ['full', 'GET', null, blocked],
      ['full', 'GET', true, blocked],
      ['full', 'GET', 'READ', blocked],
    ] as const)(`${how}: %s, %s, %j is %s`, async (level, method, said, answer) => {
      expect(await line(level, { method }, options(said))).toBe(answer)
    })
  }

  it('tells of the kind, and of what can’t be told', async () => {
    const guard = await (await under('full', says({ guard: 'mfa' }))).send('root')
    expect(guard.body).toMatchObject({ guardrail: 'mfa' })
    const unknown = await (await under('full', says('unknown'))).send('root')
    expect(unknown.body).toMatchObject({
      guardrail: null,
      detail: 'What this request would do can not be told, so it is not done while impersonating.',
    })
  })

  it('that throws or rejects is refused', async () => {
    const thrown = () => {
      throw new Error('broken')
    }
    for (const classify of [thrown, async () => thrown()]) {
      expect(await line('full', {}, { classify })).toBe(blocked)
      expect(await line('view', { method: 'POST' }, { classify })).toBe(viewOnly)
    }
  })

  it('lifts no guardrail, no override, no wish for full', async () => {
    const guardrails = { ...none, payment: ['POST /pay'] } as const
    const read = says('read')
    expect(await line('full', { method: 'POST', path: '/pay' }, { ...read, guardrails })).toBe(
      blocked,
    )
    const headers = { 'X-Method-Override': 'PUT' }
    expect(await line('view', { headers }, read)).toBe(viewOnly)
    expect(await line('view', { method: 'POST', headers }, read)).toBe(viewOnly)
    const fullAccessRoutes = ['POST /report'] as const
    const ask = { method: 'POST', path: '/report' }
    expect(await line('interactive', ask, { ...read, fullAccessRoutes })).toBe(wantsFull)
  })

  it('what it guards or can’t tell holds on the actor’s own routes', async () => {
    const keepActorRoutes = ['GET /console'] as const
    const at = (options: Options) =>
      line('full', { path: '/console' }, { ...options, keepActorRoutes })
    expect(await at(says({ guard: 'email' }))).toBe(blocked)
    expect(await at(says('unknown'))).toBe(blocked)
    expect(await at(says('write'))).toBe('root')
  })

  it('is asked under a session only', async () => {
    let asked = 0
    const world = worldOf({
      classify: () => {
        asked++
        return undefined
      },
    })
    await world.send('root', { method: 'POST' })
    await world.send('alice', { method: 'POST' })
    expect(asked).toBe(0)
    await world.start('root', 'alice')
    await world.send('root', { method: 'GET' })
    expect(asked).toBe(1)
  })

  it('that is no function is refused', () => {
    expect(() => worldOf({ classify: 'read' as never })).toThrow('option "classify"')
  })
})

/** What the hook is told of a request. */
async function asked(ask: Ask, look: (request: ClassifyRequest) => unknown): Promise<unknown> {
  let seen: unknown
  const classify = async (request: ClassifyRequest): Promise<Classification> => {
    seen = await look(request)
    return 'write'
  }
  const outcome = await (await under('full', { classify })).send('root', ask)
  return outcome.line === 'alice' ? seen : outcome.line
}

describe('what classify is told', () => {
  it('method, path, query, headers and the framework’s own request', async () => {
    const ask = {
      method: 'POST',
      path: '/s%65arch?a=1&b=%32#c',
      mount: '/api',
      headers: { 'X-Thing': 'x' },
    }
    const seen = await asked(ask, (request) => [
      request.method,
      request.path,
      [...request.query],
      request.header('x-THING'),
      request.header('y'),
      (request.native as { method: string }).method,
    ])
    expect(seen).toEqual([
      'POST',
      '/api/s%65arch',
      [
        ['a', '1'],
        ['b', '2'],
      ],
      'x',
      undefined,
      'POST',
    ])
    expect(await asked({ path: '/a' }, (request) => [...request.query])).toEqual([])
  })

  it.each([
    ['/search', true, true],
    ['/search?x', true, true],
    ['/Search', false, true],
    ['/search/', false, true],
    ['//search', false, true],
    ['/s%65arch', false, true],
    ['/x/../search', false, true],
    ['/search;a=b', false, true],
    ['/notes;/../search', false, true],
    ['/searches', false, false],
  ])('%s is the route: %s, may be: %s', async (path, is, mayBe) => {
    const ask = { method: 'POST', path }
    const seen = await asked(ask, (request) => [
      request.is('POST /search'),
      request.mayBe('POST /search'),
      request.is('PUT /search') || request.mayBe('PUT /search'),
      request.is('* /search'),
    ])
    expect(seen).toEqual([is, mayBe, false, is])
  })

  it('the route that was matched may be meant, never is', async () => {
    const ask = { method: 'POST', path: '/short', route: '/search' }
    expect(
      await asked(ask, (request) => [request.is('POST /search'), request.mayBe('POST /search')]),
    ).toEqual([false, true])
  })

  it('a pattern is written in any case', async () => {
    const look = (request: ClassifyRequest) => [
      request.is('POST /Search/All'),
      request.mayBe('POST /SEARCH/all'),
    ]
    expect(await asked({ method: 'POST', path: '/Search/All' }, look)).toEqual([true, true])
    expect(await asked({ method: 'POST', path: '/search/all' }, look)).toEqual([false, true])
  })

  it('parameters hold one segment, and a path that may mean another is none', async () => {
    const look = (request: ClassifyRequest) => request.is('POST /teams/:team/search')
    expect(await asked({ method: 'POST', path: '/teams/7/search' }, look)).toBe(true)
    expect(await asked({ method: 'POST', path: '/teams//search' }, look)).toBe(false)
    expect(await asked({ method: 'POST', path: '/teams/..%2fx/search' }, look)).toBe(false)
    expect(await asked({ method: 'POST', path: '/teams/%2e%2e/search' }, look)).toBe(false)
  })

  it('a pattern that is none throws, and so refuses', async () => {
    expect(await asked({}, (request) => request.is('search' as never))).toBe(blocked)
  })

  it('patterns made from requests cost no memory for ever', async () => {
    const look = (request: ClassifyRequest) => {
      for (let n = 0; n < 1100; n++) request.mayBe(`POST /a${n}`)
      return [request.mayBe('* /notes'), request.mayBe('* /a1099')]
    }
    expect(await asked({}, look)).toEqual([true, false])
  })
})

async function taken(): Promise<undefined> {}

function cutOff(): Promise<undefined> {
  return Promise.reject(new Error('cut off'))
}

describe('the body that classify reads', () => {
  const json = { 'content-type': 'application/json' }
  const bytes = (text: string) => ({ bytes: new TextEncoder().encode(text) })
  const body = (ask: Ask) => asked({ method: 'POST', ...ask }, (request) => request.body())

  it.each([
    ['what a parser made of it', { peeked: { parsed: { a: 1 } } }, { a: 1 }],
    ['what a parser made of nothing', { peeked: { parsed: undefined } }, undefined],
    ['JSON', { headers: json, peeked: bytes('{"a":[1]}') }, { a: [1] }],
    [
      'JSON by a suffix, in UTF-8',
      {
        headers: { 'content-type': 'Application/problem+JSON; charset="UTF-8"' },
        peeked: bytes('7'),
      },
      7,
    ],
    [
      'JSON that says utf8',
      { headers: { 'content-type': 'application/json;charset=utf8' }, peeked: bytes('8') },
      8,
    ],
    ['text', { headers: { 'content-type': 'text/plain' }, peeked: bytes('{"a"') }, '{"a"'],
    ['text without a type', { peeked: bytes('abc✓') }, 'abc✓'],
    [
      'text that only looks like JSON’s type',
      { headers: { 'content-type': 'text/json-seq' }, peeked: bytes('x') },
      'x',
    ],
    ['nothing', { headers: json, peeked: bytes('') }, undefined],
    ['as it is', { headers: { ...json, 'content-encoding': ' Identity ' }, peeked: bytes('1') }, 1],
  ] as const)('%s', async (_what, ask, expected) => {
    expect(await body(ask as Ask)).toEqual(expected)
  })

  it.each([
    ['was taken, or is too long', { peeked: taken }],
    ['is not told', {}],
    ['is broken', { headers: json, peeked: bytes('{') }],
    ['begins with a mark of order', { headers: json, peeked: bytes('\u{feff}{}') }],
    ['is compressed', { headers: { ...json, 'content-encoding': 'gzip' }, peeked: bytes('1') }],
    [
      'is UTF-16',
      { headers: { 'content-type': 'application/json; charset=utf-16' }, peeked: bytes('1') },
    ],
    [
      'is Latin-1',
      { headers: { 'content-type': 'text/plain;  charset = "ISO-8859-1"' }, peeked: bytes('1') },
    ],
    ['is not UTF-8', { headers: json, peeked: { bytes: new Uint8Array([34, 0xff, 34]) } }],
    ['can not be read', { peeked: cutOff }],
  ] as const)('one that %s refuses the request', async (_what, ask) => {
    expect(await body(ask as Ask)).toBe(blocked)
  })

  it('may be a MiB long', async () => {
    let limit = 0
    const world = await under('full', {
      classify: async (request) => (await request.body()) as never,
    })
    const adapter = world.engine.adapter({
      ...view,
      peekBody: async (_, most) => {
        limit = most
        return undefined
      },
    })
    const { answer } = await adapter.enter(requestOf(), world.users.get('root') as User)
    expect([answer?.status, limit]).toEqual([403, 1024 * 1024])
  })
})

describe('a session that ends while its request is being read', () => {
  async function slow(change: (world: World) => unknown): Promise<[string, string | undefined]> {
    let world: World
    const classify = async (): Promise<Classification> => {
      await change(world)
      return 'read'
    }
    world = await under('full', { classify })
    const { line, headers } = await world.send('root', { method: 'POST' })
    return [line, headers['X-Impersonating']]
  }

  it('refuses it: revoked, expired, stopped, replaced', async () => {
    const revoke = async (world: World) => {
      const [session] = await world.active()
      await world.engine.sessions.revoke(world.caller('boss'), session?.id ?? '')
    }
    expect(await slow(revoke)).toEqual(['401 impersonation_revoked', undefined])
    const expire = (world: World) => {
      world.clock.tick(31 * 60_000)
    }
    expect(await slow(expire)).toEqual(['401 impersonation_expired', undefined])
    const stop = (world: World) => world.engine.sessions.stop(world.caller('root'))
    expect(await slow(stop)).toEqual(['409 impersonation_state_changed', undefined])
    const replace = (world: World) => world.start('root', 'bob')
    expect(await slow(replace)).toEqual(['409 impersonation_state_changed', undefined])
  })

  it('lets it on where it lives', async () => {
    expect(await slow(() => {})).toEqual(['alice', 'true'])
  })
})
