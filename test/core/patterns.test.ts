import { describe, expect, it } from 'vitest'
import { type AccessLevel, type Guardrail, guardrailKinds } from '../../src/index.ts'
import { catalogueKind } from '../../src/pipeline/catalogue.ts'
import { compilePatterns, pathOf, readingsOf } from '../../src/pipeline/patterns.ts'
import { type Ask, random, type World, worldOf } from '../support/core-world.ts'

const noRoutes = Object.fromEntries(guardrailKinds.map((kind) => [kind, []])) as unknown as Record<
  Guardrail,
  readonly []
>

const guardrails = {
  ...noRoutes,
  password: ['POST /account/password'],
  account_deletion: ['DELETE /users/:id'],
  payment: ['* /billing/*'],
  credential: ['POST /teams/:team/keys/:key/rotate'],
  email: ['PATCH /straße'],
} as const

const blocked = '403 impersonation_write_blocked'

async function under(level: AccessLevel, options: object = {}): Promise<World> {
  const world = worldOf(options)
  await world.start('root', 'alice', { accessLevel: level })
  return world
}

async function line(world: World, method: string, path: string, more: Ask = {}): Promise<string> {
  return (await world.send('root', { ...more, method, path })).line
}

describe('a guarded route', () => {
  it.each(
    [
      '/account/password',
      '/account/password/',
      '/account/password///',
      '/account/password?a=b',
      '/account/password#f',
      '/account/password?#',
      '//account/password',
      '/account//password',
      '/ACCOUNT/Password',
      '/account/%70assword',
      '/account/%70%61%73%73word',
      '/account%2Fpassword',
      '/account%2fpassword',
      '/%61ccount/%50assword',
      '/account/%2570assword',
      '/account%252Fpassword',
      '/./account/password',
      '/account/./password',
      '/account/password/.',
      '/account/password/./',
      '/x/../account/password',
      '/account/x/../password',
      '/account/password/x/..',
      '/../../account/password',
      '/x/%2e%2e/account/password',
      '/x/.%2E/account/password',
      '/x/%252e%252e/account/password',
      '/x%2f..%2faccount/password',
      '/x/..;/account/password',
      '/x/..;a=b/account/password',
      '/x/%2e%2e;/account/password',
      '/account;a=b/password',
      '/account/password;a=b',
      '/account/password;jsessionid=1?x',
      '/account;/password;',
      '/account/password;a/b',
      '/account/password%3Ba=b',
      '/account\\password',
      '\\account\\password',
      '/account%5Cpassword',
      '/x\\..\\account\\password',
      'http://evil/account/password',
      'HTTPS://evil:8443/account/password?x',
      'http://user@evil/account/%70assword/',
      '/account/ｐａｓｓｗｏｒｄ',
      '/account/%EF%BD%90assword',
      '/account/pa\u017fsword',
      '/account/password%3Fx=1',
      '/account/password%23f',
      '//x/..//account//password//',
      '/account/password%2F',
      '/account/%2e/password',
      '/account/password%',
      '/account/password%zz',
    ].filter((path) => !/%(?:zz)?$/.test(path)),
  )('%s', async (path) => {
    for (const level of ['view', 'interactive', 'full'] as const) {
      const world = await under(level, { guardrails })
      expect(await line(world, 'POST', path), level).toBe(blocked)
    }
  })

  it.each([
    '/users/1',
    '/users/a%2Fb',
    '/users/a%2Fb%2Fc',
    '/USERS/%41',
    '/users/1/',
    '/users/ö',
    '/users/%',
    '/users/%zz',
    '/users/1;v=2',
    '/users//1',
    '/users/x%2F..',
    '/users/%25',
    '/x/../users/a%2Fb',
    '/%75sers/a%2Fb',
    '/users/a%252Fb',
    '/users/%2e%2e%2fb',
  ])('a parameter takes %s', async (path) => {
    expect(await line(await under('full', { guardrails }), 'DELETE', path)).toBe(blocked)
  })

  it.each([
    '/billing',
    '/billing/',
    '/billing/a/b',
    '/x/../Billing/a',
    '/billing%2fa',
    '//billing',
  ])('a star at the end takes %s by any method', async (path) => {
    const world = await under('full', { guardrails })
    for (const method of ['GET', 'HEAD', 'POST', 'OPTIONS', 'QUERY', 'PROPFIND']) {
      expect(await line(world, method, path), method).toBe(blocked)
    }
  })

  it.each([
    '/account/passwords',
    '/account/password/reset',
    '/account',
    '/',
    '/my/account/password',
    '/accountpassword',
    '/users',
    '/billings',
    '/notes/account-password',
  ])('is another one than %s', async (path) => {
    expect(await line(await under('full', { guardrails }), 'POST', path)).toBe('alice')
  })

  it('is guarded for its method only, and for whatever says it is another', async () => {
    const world = await under('full', { guardrails })
    const path = '/account/password'
    expect(await line(world, 'GET', path)).toBe('alice')
    expect(await line(world, 'PUT', path)).toBe('alice')
    for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override']) {
      expect(await line(world, 'GET', path, { headers: { [name]: 'POST' } })).toBe(blocked)
      expect(await line(world, 'PUT', path, { headers: { [name]: 'post' } })).toBe(blocked)
    }
    for (const query of ['_method=POST', 'a=1&_method=POST', '%5Fmethod=x', 'a;_METHOD=x']) {
      expect(await line(world, 'GET', `${path}?${query}`), query).toBe(blocked)
    }
    for (const query of ['method=x', 'x_method=y', 'a=_method', '']) {
      expect(await line(world, 'GET', `${path}?${query}`), query).toBe('alice')
    }
  })

  it('GET covers HEAD', async () => {
    const world = await under('full', { guardrails: { ...noRoutes, mfa: ['GET /mfa/codes'] } })
    expect(await line(world, 'HEAD', '/mfa/codes')).toBe(blocked)
    expect(await line(world, 'GET', '/MFA/codes/')).toBe(blocked)
    expect(await line(world, 'GET', '/mfa')).toBe('alice')
  })

  it('is known by the route that the framework has matched, and below a mount path', async () => {
    const world = await under('full', { guardrails })
    expect(await line(world, 'POST', '/legacy/pw', { route: '/account/password' })).toBe(blocked)
    expect(await line(world, 'DELETE', '/legacy', { route: '/users/:id' })).toBe(blocked)
    expect(await line(world, 'POST', '/account/password', { mount: '/v1' })).toBe(blocked)
    expect(await line(world, 'POST', '/password', { mount: '/account' })).toBe(blocked)
  })

  it('tells its kind, and the attempt is written down', async () => {
    const world = await under('full', { guardrails })
    const outcome = await world.send('root', { method: 'DELETE', path: '/users/7?secret=1' })
    expect(outcome.body).toMatchObject({ guardrail: 'account_deletion' })
    expect(outcome.headers['X-Impersonating']).toBe('true')
    const [event] = await world.store.listEvents(
      { action: 'impersonation.write_blocked' },
      { limit: 9 },
    )
    expect(event).toMatchObject({
      outcome: 'refused',
      code: 'impersonation_write_blocked',
      actorId: 'root',
      targetUserId: 'alice',
      details: { method: 'DELETE', path: '/users/7', guardrail: 'account_deletion' },
    })
  })

  it('is none for somebody who does not impersonate', async () => {
    const world = worldOf({ guardrails })
    for (const who of ['root', 'mallory', null]) {
      const outcome = await world.send(who, { method: 'POST', path: '/account/password' })
      expect(outcome.ran).toBe(who ?? 'nobody')
    }
  })
})

/** What routers undo, each by itself; put on top of each other they make the paths below. */
type Mangle = (path: string, dice: ReturnType<typeof random>) => string

const encoded = (char: string, dice: ReturnType<typeof random>) => {
  const hex = `%${char.charCodeAt(0).toString(16)}`
  return dice.below(2) ? hex : hex.toUpperCase()
}
const anywhere = (path: string, dice: ReturnType<typeof random>, insert: string) => {
  const slashes = [...path.matchAll(/\//g)].map(({ index }) => index)
  if (slashes.length === 0) return path
  const at = dice.pick(slashes)
  return path.slice(0, at) + insert + path.slice(at)
}
const some = (path: string, dice: ReturnType<typeof random>, change: (char: string) => string) =>
  [...path].map((char) => (dice.below(3) === 0 ? change(char) : char)).join('')

const structure: readonly Mangle[] = [
  (path, dice) => anywhere(path, dice, '/'),
  (path, dice) => anywhere(path, dice, '/.'),
  (path, dice) => anywhere(path, dice, '/x/..'),
  (path, dice) => anywhere(path, dice, '/x/y/../..'),
  (path, dice) => anywhere(path, dice, '/x/..;'),
  (path) => `${path}/`,
  (path) => `${path}//`,
  (path) => `${path}/.`,
  (path) => `/..${path}`,
  (path, dice) => path.replaceAll('/', () => (dice.below(4) ? '/' : '\\')),
]
const segments: readonly Mangle[] = [
  (path) => `${path};a=b`,
  (path) => `${path};`,
  (path, dice) => some(path, dice, (char) => char.toUpperCase()),
  (path, dice) =>
    some(path, dice, (char) =>
      /[a-z]/.test(char) ? String.fromCharCode(char.charCodeAt(0) + 0xfee0) : char,
    ),
]
const ascii = /^[\x21-\x24\x26-\x7e]$/
const characters: readonly Mangle[] = [
  (path, dice) =>
    some(path, dice, (char) => (/[a-z0-9.;]/i.test(char) ? encoded(char, dice) : char)),
  (path, dice) => some(path, dice, (char) => (ascii.test(char) ? encoded(char, dice) : char)),
  (path, dice) => some(path, dice, (char) => (char === '.' ? encoded(char, dice) : char)),
  (path) => path.replaceAll('%', '%25'),
  (path) => [...path].map((char) => (char > '~' ? encodeURIComponent(char) : char)).join(''),
]
const frame: readonly Mangle[] = [
  (path) => `${path}?q=/x/../y`,
  (path) => `${path}#fragment`,
  (path) => (path.startsWith('/') ? `http://evil.example${path}` : path),
]

function mangled(path: string, dice: ReturnType<typeof random>): string {
  let result = path
  for (let n = dice.below(3); n > 0; n--) result = dice.pick(structure)(result, dice)
  for (let n = dice.below(2); n > 0; n--) result = dice.pick(segments)(result, dice)
  if (dice.below(2)) result = dice.pick(characters)(result, dice)
  if (dice.below(4) === 0) result = dice.pick(frame)(result, dice)
  return result
}

describe('property', () => {
  const seed = Number(process.env.SEED ?? 7)
  const routes = [
    ['POST', '/account/password'],
    ['DELETE', '/users/1'],
    ['PUT', '/billing/cards/4'],
    ['POST', '/teams/a/keys/b/rotate'],
  ] as const

  it('whatever a router undoes, the guard undoes too', async () => {
    const dice = random(seed)
    const world = await under('full', { guardrails })
    for (let n = 0; n < 6000; n++) {
      const [method, path] = dice.pick(routes)
      const spelling = mangled(path, dice)
      expect(await line(world, method, spelling), `${path} as ${spelling} (seed ${seed})`).toBe(
        blocked,
      )
    }
  }, 60_000)

  it('whatever a router undoes, the catalogue undoes too', () => {
    const dice = random(seed + 1)
    for (let n = 0; n < 6000; n++) {
      const path = dice.pick(['/account/password', '/me/api-keys', '/login/totp/setup', '/pay'])
      const spelling = mangled(path, dice)
      expect(catalogueKind(readingsOf(spelling)), `${path} as ${spelling}`).toBeDefined()
    }
  })

  it('the actor’s own routes are found as they are written and in no other way', async () => {
    const dice = random(seed + 2)
    const keepActorRoutes = ['GET /admin/users/:id', 'GET /console/*', 'GET /panel/home'] as const
    const world = await under('full', { guardrails: noRoutes, keepActorRoutes })
    for (const path of [
      '/panel/home',
      '/admin/users/7',
      '/admin/users/a@b.example',
      '/admin/users/a%40b%20c',
      '/console',
      '/console/a.b/c',
      '/console/',
    ]) {
      expect(await line(world, 'GET', path)).toBe('root')
      expect(await line(world, 'GET', `${path}?a=b`)).toBe('root')
      expect(await line(world, 'HEAD', path)).toBe('root')
      expect(await line(world, 'POST', path)).toBe('alice')
    }
    for (let n = 0; n < 4000; n++) {
      const path = '/panel/home'
      const once = dice.pick([...structure, ...segments.slice(0, 2)])(path, dice)
      const spelling = dice.below(2) ? dice.pick(characters)(once, dice) : once
      if (spelling === path) continue
      expect(await line(world, 'GET', spelling), spelling).toBe('alice')
    }
  })
})

describe('keepActorRoutes', () => {
  const options = {
    guardrails: { ...noRoutes, payment: ['POST /console/pay'] },
    keepActorRoutes: ['* /console/*', 'GET /admin/users/:id'],
  } as const

  it('leave the slot to the actor, while context and headers tell of the session', async () => {
    const world = await under('view', options)
    const outcome = await world.send('root', { path: '/console/home' })
    expect(outcome.ran).toBe('root')
    expect(outcome.context?.target.id).toBe('alice')
    expect(outcome.headers['X-Impersonated-User-Id']).toBe('alice')
  })

  it('guardrails hold there too', async () => {
    const world = await under('full', options)
    expect(await line(world, 'POST', '/console/pay')).toBe(blocked)
    expect(await line(world, 'POST', '/console/other')).toBe('root')
    const override = { headers: { 'x-http-method-override': 'PUT' } }
    expect(await line(world, 'GET', '/console/x', override)).toBe('alice')
  })

  it.each([
    '/console/../account',
    '/console/..',
    '/console/x/../../account',
    '/console/%2e%2e/account',
    '/console/%2e%2e%2faccount',
    '/console/..%2faccount',
    '/console/..;/account',
    '/console/..;a/account',
    '/console/..%3b/account',
    '/console/..\\account',
    '/console/..%5caccount',
    '/console//account',
    '/console/%252e%252e/account',
    '/admin/users/..',
    '/admin/users/.',
    '/admin/users/%2e%2e',
    '/admin/users/..%2f..%2faccount',
    '/admin/users/7;x',
    '/Console/x',
    '/console/x%3f',
  ])('%s may be another route for some router: it runs as the target', async (path) => {
    expect(await line(await under('full', options), 'GET', path)).toBe('alice')
  })
})

describe('levels', () => {
  const unsafe = ['POST', 'PUT', 'PATCH', 'DELETE', 'QUERY', 'PROPFIND', 'MADEUP', 'post', 'get']
  const safe = ['GET', 'HEAD', 'OPTIONS']

  it('view reads only, whatever else the method is called', async () => {
    const world = await under('view')
    for (const method of safe) expect(await line(world, method, '/notes')).toBe('alice')
    for (const method of unsafe) {
      expect(await line(world, method, '/notes'), method).toBe('403 grant_view_only')
    }
    const [event] = await world.store.listEvents(
      { action: 'impersonation.write_blocked' },
      { limit: 1 },
    )
    expect(event).toMatchObject({ code: 'grant_view_only' })
  })

  it('view refuses a read that asks to be a write', async () => {
    const world = await under('view')
    for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override']) {
      for (const value of ['DELETE', 'GET', '']) {
        const more = { headers: { [name]: value } }
        expect(await line(world, 'GET', '/notes', more)).toBe('403 grant_view_only')
      }
    }
    for (const query of [
      '_method=DELETE',
      '_method',
      'x&_method=',
      '%5f%6dethod=PUT',
      '+_method=a',
    ]) {
      expect(await line(world, 'GET', `/notes?${query}`), query).toBe('403 grant_view_only')
    }
  })

  it('interactive writes, but for what needs full', async () => {
    const fullAccessRoutes = ['POST /exports', '* /danger/*'] as const
    const world = await under('interactive', { fullAccessRoutes })
    expect(await line(world, 'POST', '/notes')).toBe('alice')
    for (const path of ['/exports', '/Exports/', '/x/../exports', '/%65xports;v=1']) {
      expect(await line(world, 'POST', path), path).toBe('403 full_access_required')
      expect(await line(world, 'GET', path)).toBe('alice')
    }
    expect(await line(world, 'GET', '/danger/zone')).toBe('403 full_access_required')
    const override = { headers: { 'x-http-method-override': 'POST' } }
    expect(await line(world, 'GET', '/exports', override)).toBe('403 full_access_required')
  })

  it('full does what the target may, but for guardrails', async () => {
    const world = await under('full', { fullAccessRoutes: ['POST /exports'] })
    for (const method of [...safe, 'POST', 'DELETE']) {
      expect(await line(world, method, '/exports')).toBe('alice')
    }
    expect(await line(world, 'POST', '/account/password')).toBe(blocked)
    expect(await line(world, 'GET', '/account/password')).toBe('alice')
  })
})

describe('the catalogue, where the host has written no guardrails', () => {
  it.each<[Guardrail, readonly string[]]>([
    [
      'password',
      ['/password', '/users/1/password', '/changePassword2', '/auth/reset-password', '/me/pwd'],
    ],
    [
      'mfa',
      ['/mfa', '/2fa/disable', '/totp', '/two-factor', '/webauthn/register', '/otp', '/passkeys'],
    ],
    ['recovery_code', ['/recovery', '/recovery-codes', '/backup-codes', '/account-recovery']],
    ['email', ['/email', '/me/email', '/changeEmail', '/e-mail', '/emails/1/verify']],
    [
      'role_grant',
      ['/roles', '/users/1/role', '/permissions', '/admins', '/grants', '/privileges'],
    ],
    [
      'payment',
      ['/payments', '/pay', '/billing/x', '/checkout', '/invoices/1/settle', '/refunds', '/iban'],
    ],
    ['legal_acceptance', ['/legal', '/terms/accept', '/consents', '/agreements/1', '/contracts']],
    [
      'account_deletion',
      ['/account', '/accounts/1', '/deactivate', '/close-account', '/delete-account'],
    ],
    [
      'credential',
      [
        '/tokens',
        '/api-keys',
        '/apikeys/1',
        '/oauth/authorize',
        '/webhooks',
        '/ssh-keys',
        '/keys/1',
        '/secrets',
        '/sso',
      ],
    ],
  ])('%s', async (kind, paths) => {
    for (const level of ['interactive', 'full'] as const) {
      const world = await under(level)
      for (const path of paths) {
        for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
          const outcome = await world.send('root', { method, path })
          expect(outcome.line, `${method} ${path}`).toBe(blocked)
          expect((outcome.body as { guardrail: string }).guardrail, path).toBe(kind)
        }
        expect(await line(world, 'GET', path), 'reading is no write').toBe('alice')
      }
    }
  })

  it.each([
    '/notes',
    '/notes/1',
    '/comments/5/likes',
    '/orders/7/items',
    '/projects/1/tasks/2',
    '/messages',
    '/files/upload',
    '/cart/items',
    '/search',
    '/profile/avatar',
    '/settings/theme',
    '/keyboards',
    '/monkeys/1',
    '/paypaya',
    '/bankers',
    '/adminton',
    '/',
  ])('leaves POST %s alone', async (path) => {
    expect(await line(await under('interactive'), 'POST', path)).toBe('alice')
  })
})

describe('paths that are made to be slow', () => {
  const size = 16 * 1024
  const of = (unit: string) => unit.repeat(Math.ceil(size / unit.length)).slice(0, size)

  it.each([
    '/',
    '/.',
    '/..',
    '/../',
    '/a/..',
    ';',
    ';a=b',
    ';/',
    '\\',
    '%',
    '%2',
    '%25',
    '%2525',
    '%2f',
    '%2e%2e%2f',
    '%5c',
    '%c3%a4',
    '%ff',
    'a',
    'ﬃ',
    '\u{1d15e}',
    '/a%2Fb;c/..',
    '#',
    '?_method&',
    '-key-',
    '/account/password'.slice(0, -1),
  ])('16 KiB of %j come to an end', async (unit) => {
    const world = await under('full', {
      guardrails: { ...guardrails, mfa: ['POST /:a/:b/:c/:d/*'] },
    })
    const catalogued = await under('full')
    for (const path of [`/${of(unit)}`, of(unit), `/account/password${of(unit)}`]) {
      for (const each of [world, catalogued]) {
        const outcome = await each.send('root', { method: 'POST', path })
        expect([200, 403]).toContain(outcome.status)
      }
    }
  })

  it('the readings of a path stay few, however it is made up', () => {
    const dice = random(11)
    for (let n = 0; n < 300; n++) {
      let path = ''
      while (path.length < 400) {
        path += dice.pick(['/', '/.', '/..', ';a', '\\', '%2f', '%252e', '%5c', 'A', 'ﬀ', '%', '?'])
      }
      expect(readingsOf(path).length).toBeLessThan(1000)
    }
  })
})

describe('patterns', () => {
  it.each([
    ['/a?b', '/a'],
    ['/a#b', '/a'],
    ['http://h/a', '/a'],
    ['http://h', '/'],
    ['http://h?x', '/'],
    ['h2c+x://h/a?b', 'h2c+x://h/a'],
    ['http:///h/a?b', 'http:///h/a'],
    ['', '/'],
    ['?x', '/'],
    ['*', '*'],
    ['/http://h/a', '/http://h/a'],
  ])('the path of %j is %j', (target, path) => {
    expect(pathOf(target)).toBe(path)
  })

  it.each([
    'POST',
    '/a',
    'post /a',
    'POST a',
    'POST  /a',
    'POST /a ',
    'POST /a/*/b',
    'POST /a*',
    'POST /:',
    'POST /:1a',
    'POST /:a?',
    'POST /(a|b)',
    'POST /[a]',
    'POST /{a}',
    'POST /a+',
    'POST /a?b',
    'POST /a#b',
    'POST /a;b',
    'POST /a%2f',
    'POST /a\\b',
    '** /a',
    ' /a',
  ])('%j is none', (pattern) => {
    expect(() => compilePatterns('fullAccessRoutes', [pattern as never])).toThrow(TypeError)
    expect(() => compilePatterns('fullAccessRoutes', [pattern as never])).toThrow(
      /"fullAccessRoutes".*no route pattern/,
    )
  })

  it('characters that mean something to a RegExp mean themselves', () => {
    const set = compilePatterns('x', ['GET /a.b/c-d/$e/~f'])
    expect(set.find('GET', readingsOf('/a.b/c-d/$e/~f'))).toBeDefined()
    expect(set.find('GET', readingsOf('/aXb/c-d/$e/~f'))).toBeUndefined()
  })

  it('a pattern is folded as paths are', () => {
    const set = compilePatterns('x', ['GET /Konto/Straße//Über/'])
    expect(set.find('GET', readingsOf('/konto/STRAßE/über'))).toBeDefined()
    expect(set.find('GET', readingsOf('/konto/stra%C3%9Fe/%C3%BCBER'))).toBeDefined()
  })

  it('one on the root is the root', () => {
    const set = compilePatterns('x', ['POST /'])
    for (const path of ['/', '//', '/.', '/x/..', 'http://h', '/;a', '?x']) {
      expect(set.find('POST', readingsOf(path)), path).toBeDefined()
    }
    expect(set.find('POST', readingsOf('/a'))).toBeUndefined()
  })
})

/** Found by the fuzz of raw requests (test/fuzz), or by reading how routers and parsers take a target apart. */
describe('spellings that only some parser undoes', () => {
  it.each([
    // node:url, which Express asks as soon as there is a fragment or white space.
    '//x@y/account/password#',
    '/\\x@y/account/password#f',
    'mailto://h/account/password',
    'http:///account/password',
    'HTTP:///account//password',
    '/account/password\xa0',
    '/account/password\t',
    // The web's URL, which Hono asks.
    '/acc\tount/pass\r\nword',
    'http:///x/account/password',
    'http:////x/account/password',
    // find-my-way, which takes the first character for a slash.
    '*account/password',
    'xaccount/password',
  ])('%j is the guarded route', async (path) => {
    expect(await line(await under('full', { guardrails }), 'POST', path)).toBe(blocked)
  })

  it.each(['/%75sers/a%EF%BC%8Fb', '/%75sers/%E2%84%80', '/%55SERS/a%E2%84%85b', '/users/1/..'])(
    'a parameter takes %s, whatever its letters are normalised to',
    async (path) => {
      expect(await line(await under('full', { guardrails }), 'DELETE', path)).toBe(blocked)
    },
  )

  it('whatever is guarded guards the target * too', async () => {
    const world = await under('full', { guardrails: { ...noRoutes, mfa: ['* /*'] } })
    for (const path of ['*', '*x', 'x', 'foo://h/x']) {
      expect(await line(world, 'POST', path), path).toBe(blocked)
    }
    const root = await under('full', { guardrails: { ...noRoutes, mfa: ['POST /'] } })
    expect(await line(root, 'POST', '*')).toBe(blocked)
  })

  it.each([
    'http:///console/account',
    'http:////console/account',
    'x://h/console/account',
    '//u@h/console/x#',
    '/console/.\t./account',
    '/console/x\xa0',
    '*/console/x',
  ])('%j keeps no actor', async (path) => {
    const world = await under('full', {
      guardrails: noRoutes,
      keepActorRoutes: ['* /console/*', 'GET /:any/console/x'],
    })
    expect(await line(world, 'GET', path)).toBe('alice')
  })

  it('letters that fold to each other are the same, all of Unicode through', () => {
    const wrong: string[] = []
    for (let code = 0x41; code <= 0x1ffff; code++) {
      if (code >= 0xd800 && code < 0xe000) continue
      const char = String.fromCodePoint(code)
      const others = [char.toLowerCase(), char.toUpperCase(), char.normalize('NFKC')]
      for (const other of new Set(others)) {
        if (other === char || /[\s/*:()[\]{}?+\\%;#.]/.test(other + char)) continue
        const set = compilePatterns('x', [`GET /x${other}` as never])
        if (!set.find('GET', readingsOf(`/x${encodeURIComponent(char)}`)))
          wrong.push(`${char} (${code.toString(16)}) is not ${other}`)
      }
    }
    expect(wrong).toEqual([])
  })
})

describe('a method that hides', () => {
  it.each([
    '[_method]=POST',
    '%5B_method%5D=POST',
    '[_method][]=POST',
    'a=1&[_method]=POST',
    '_met\thod=POST',
  ])('in the query %j', async (query) => {
    const world = await under('full', { guardrails })
    expect(await line(world, 'GET', `/account/password?${query}`)).toBe(blocked)
    const viewing = await under('view', { guardrails: noRoutes })
    expect(await line(viewing, 'GET', `/notes?${query}`)).toBe('403 grant_view_only')
  })

  it.each([
    { 'content-length': '12' },
    { 'transfer-encoding': 'chunked' },
    { 'content-type': 'application/x-www-form-urlencoded' },
    { 'content-type': 'multipart/form-data; boundary=b' },
    { 'content-type': 'application/json', 'content-length': '18' },
  ])('in the body of a read: %j', async (headers) => {
    const world = await under('view', { guardrails: noRoutes })
    for (const method of ['GET', 'HEAD', 'OPTIONS'])
      expect(await line(world, method, '/notes', { headers })).toBe('403 grant_view_only')
    const catalogued = await under('full')
    expect(await line(catalogued, 'GET', '/account/password', { headers })).toBe(blocked)
  })

  it.each([{}, { 'content-length': '0' }, { 'content-type': 'application/json' }])(
    'not in a read without a body: %j',
    async (headers) => {
      const world = await under('view', { guardrails: noRoutes })
      expect(await line(world, 'GET', '/notes', { headers })).toBe('alice')
    },
  )

  it('in JSON that is posted; other methods of JSON are what they say', async () => {
    const world = await under('full', { guardrails })
    const headers = { 'content-type': 'application/json', 'content-length': '20' }
    expect(await line(world, 'POST', '/users/1', { headers })).toBe(blocked)
    expect(await line(world, 'PATCH', '/users/1', { headers })).toBe('alice')
    expect(await line(world, 'POST', '/users', { headers })).toBe('alice')
  })
})
