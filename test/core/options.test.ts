import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { createImpersonation, guardrailKinds, memoryStore } from '../../src/index.ts'
import { readOptions } from '../../src/settings.ts'

const required = { store: memoryStore(), findUser: () => null, can: () => false }
const noRoutes = Object.fromEntries(guardrailKinds.map((kind) => [kind, []]))

/** Makes an engine of anything, as a program without types would. */
const make = (more: object, base: object = required) =>
  createImpersonation({ ...base, ...more } as never)
const read = (more: object = {}) => readOptions({ ...required, ...more } as never)

const notNumbers = [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '60', 60n, null, {}]
const notFlags = ['true', 1, 0, null, {}]

const wrong: ReadonlyArray<readonly [option: string, values: readonly unknown[]]> = [
  ['store', [undefined, null, 'memory', () => memoryStore(), [], {}, { name: 'empty' }]],
  ['findUser', [undefined, null, 'findUser', {}, []]],
  ['can', [undefined, null, true, {}]],
  ['describe', [null, 'id', {}]],
  [
    'basePath',
    ['', '/', 'impersonation', '/a/', '//a', '/a//b', '/:id', '/a%20b', '/a/../b', '/.', 7, '/*'],
  ],
  ['basePath', ['/a b', '/a?b', '/a#b', '/a;b', '/a\\b', {}]],
  ['maxDurationMs', notNumbers],
  ['defaultDurationMs', [...notNumbers, 3_600_001]],
  ['defaultAccessLevel', ['View', 'read', '', 0, true]],
  ['requireReason', notFlags],
  ['onConflict', ['REPLACE', 'ignore', true]],
  ['exclusiveTarget', notFlags],
  ['onLapse', ['allow', true, '']],
  ['cache', [false, 30_000, 'off', [], null]],
  ['cache.ttlMs', notNumbers],
  ['cache.max', notNumbers],
  ['revocationLagMs', [...notNumbers, 2001]],
  ['storeTimeoutMs', notNumbers],
  ['freshAuth', [true, 300_000, [], null]],
  ['freshAuth.maxAgeMs', [undefined, ...notNumbers]],
  ['freshAuth.authTime', [undefined, null, 5]],
  ['rateLimit', [true, 30, [], null, {}, { starts: 3 }, { perMs: 3 }]],
  ['rateLimit.starts', notNumbers],
  ['rateLimit.perMs', notNumbers],
  [
    'allowedOrigins',
    [
      'https://a.example',
      ['*'],
      ['null'],
      ['https://a.example/'],
      ['https://a.example/x'],
      ['https://A.example'],
      ['https://a.example:443'],
      ['a.example'],
      [7],
    ],
  ],
  ['secureCookie', ['true', 1, 'always', null]],
  ['breakGlass', [true, 'on', [], null]],
  ['breakGlass.verifySecondFactor', [undefined, null, '123456', {}]],
  ['breakGlass.samePerson', [null, 'id', true]],
  ['approvals', [true, 2, [], null]],
  ['approvals.quorum', [...notNumbers, 21]],
  ['approvals.roles', ['lead', [], [7], null]],
  ['approvals.levels', ['full', [], ['Full'], null]],
  ['sandbox', [true, [], null]],
  ['sandbox.provision', [undefined, null, {}]],
  ['sandbox.dispose', [undefined, null, {}]],
  ['sandbox.orgId', [null, 7, {}]],
  ['notifier', [true, [], null]],
  ['notifier.channels', [undefined, null, ['mail']]],
  ['notifier.send', [undefined, null, {}]],
  ['notifier.words', [null, 'English', [], () => ({})]],
  ['audit.sink', [null, true, 'https://siem.example.com', () => {}, [], {}, { send: 'it' }]],
  ['apiTokens', [true, 'pv_', [], null, () => ({})]],
  [
    'apiTokens.prefix',
    [
      undefined,
      null,
      7,
      '',
      'pv',
      '_',
      '__',
      'p_',
      'pv',
      'pv-',
      'pv__',
      '_pv_',
      '1pv_',
      'p v_',
      'pä_',
    ],
  ],
  ['apiTokens.prefix', ['pv_\n', 'pv._', 'pv__live_', `${'p'.repeat(32)}_`]],
  ['apiTokens.scopes', [undefined, null, 'read', [], {}, new Set(['read']), [''], [7], [null]]],
  [
    'apiTokens.scopes',
    [['*'], ['a*'], ['a b'], ['a"'], ['a\\'], ['ä'], ['a\n'], ['a'.repeat(101)]],
  ],
  ['apiTokens.scopes', [['read', 'read']]],
  ['apiTokens.listUsers', [null, [], {}, 'users']],
  ['apiTokens.maxDurationMs', notNumbers],
  ['apiTokens.defaultDurationMs', [...notNumbers, 31_536_000_001]],
  ['apiTokens.overlapMs', [...notNumbers, 86_400_001]],
  ['apiTokens.services', [true, null, [], () => true]],
  ['apiTokens.services.is', [undefined, null, true, 'service', {}]],
  ['apiTokens.services.maxDurationMs', [...notNumbers, 31_536_000_001]],
  ['displayActor', [null, 'name', {}]],
  ['grantRequestMs', notNumbers],
  ['consent', ['on', true, null, {}]],
  ['context', ['never', true, null]],
  ['now', [null, 0, new Date(0)]],
  ['guardrails', [false, [], 'none', null]],
  ['fullAccessRoutes', ['POST /a', {}, [''], ['/a'], ['post /a'], ['POST a'], ['POST /a b'], [7]]],
  ['keepActorRoutes', [[null], ['GET  /a'], ['GET /:'], ['GET /a*'], ['GET /*/a'], ['GET /a?b']]],
]

/** Puts a value where a dotted name says, with what its neighbours need. */
function optionAt(name: string, value: unknown): object {
  const [group = '', member, part] = name.split('.')
  if (member === undefined) return { [group]: value }
  if (part !== undefined) {
    const services = { is: () => true, [part]: value }
    return { [group]: { prefix: 'pv_', scopes: ['read'], [member]: services } }
  }
  const neighbours: Record<string, object> = {
    cache: {},
    freshAuth: { maxAgeMs: 1, authTime: () => 0 },
    rateLimit: { starts: 1, perMs: 1 },
    guardrails: noRoutes,
    breakGlass: { verifySecondFactor: () => true },
    sandbox: { provision: () => ({ id: 'x' }), dispose: () => {} },
    notifier: { channels: () => [], send: () => {} },
    apiTokens: { prefix: 'pv_', scopes: ['read'] },
  }
  return { [group]: { ...neighbours[group], [member]: value } }
}

describe('a wrong option is a TypeError that names it in quotes', () => {
  it.each(wrong)('%s', (option, values) => {
    for (const value of values) {
      const [group] = option.split('.')
      const attempt = () => make(optionAt(option, value))
      expect(attempt, `${option}: ${String(value)}`).toThrow(TypeError)
      // A group that lacks a member may be named as a whole.
      expect(attempt).toThrow(new RegExp(`"(${option.replaceAll('.', '\\.')}|${group})"`))
    }
  })

  it('a store that lacks a verb, which is named', () => {
    const { endSession: _, ...store } = memoryStore()
    expect(() => make({ store })).toThrow(/"store".*endSession/)
  })

  it.each([
    ['consent', 'grants', 'required'],
    ['breakGlass', 'requests', { verifySecondFactor: () => true }],
    ['approvals', 'requests', {}],
    ['sandbox', 'outbox', { provision: () => ({ id: 'x' }), dispose: () => {} }],
    ['notifier', 'outbox', { channels: () => [], send: () => {} }],
    ['audit.key', 'chain', { key: 'k'.repeat(32) }],
    ['audit.sink', 'outbox', { sink: { send: async () => {} } }],
    ['apiTokens', 'tokens', { prefix: 'pv_', scopes: ['read'] }],
  ] as const)(
    '"%s" with a store that lacks the section "%s", or a verb of it',
    (option, name, value) => {
      const more = { [option.split('.')[0] as string]: value }
      const whole = memoryStore()
      const { [name]: section, ...without } = whole
      const [verb = '', ...verbs] = Object.keys(section ?? {})
      const part = Object.fromEntries(verbs.map((one) => [one, () => {}]))
      const sentence = `option "${option}" must be left out with this store: its section "${name}" lacks ${verb}`
      expect(() => make({ ...more, store: without })).toThrow(sentence)
      expect(() => make({ ...more, store: { ...without, [name]: part } })).toThrow(sentence)
      expect(() => make({ ...more, store: whole })).not.toThrow()
      expect(() => make({ store: without })).not.toThrow()
    },
  )

  it.each(guardrailKinds)('guardrails without %s', (kind) => {
    const { [kind]: _, ...others } = noRoutes
    expect(() => make({ guardrails: others })).toThrow(new RegExp(`"guardrails\\.${kind}"`))
    expect(() => make({ guardrails: { ...noRoutes, [kind]: ['POST'] } })).toThrow(
      new RegExp(`"guardrails\\.${kind}".*POST`),
    )
  })
})

describe('an unknown option is told by name', () => {
  it.each([
    ['maxDuration', { maxDuration: 5 }],
    ['cache.ttl', { cache: { ttl: 5 } }],
    ['freshAuth.maxAge', { freshAuth: { maxAgeMs: 5, authTime: () => 0, maxAge: 5 } }],
    ['rateLimit.per', { rateLimit: { starts: 1, perMs: 1, per: 1 } }],
    ['guardrails.passwords', { guardrails: { ...noRoutes, passwords: [] } }],
    ['breakGlass.totp', { breakGlass: { verifySecondFactor: () => true, totp: 6 } }],
    ['approvals.quora', { approvals: { quora: 2 } }],
    ['sandbox.tenant', { sandbox: { provision: () => {}, dispose: () => {}, tenant: 'x' } }],
    ['notifier.word', { notifier: { channels: () => [], send: () => {}, word: {} } }],
    [
      'notifier.words.started',
      { notifier: { channels: () => [], send: () => {}, words: { started: () => {} } } },
    ],
    ['audit.retention', { audit: { retention: 5 } }],
    ['apiTokens.scope', { apiTokens: { prefix: 'pv_', scopes: ['read'], scope: 'read' } }],
    [
      'apiTokens.services.max',
      { apiTokens: { prefix: 'pv_', scopes: ['read'], services: { is: () => true, max: 5 } } },
    ],
  ])('%s', (name, more) => {
    expect(() => make(more)).toThrow(TypeError)
    expect(() => make(more)).toThrow(`"${name}"`)
  })

  it.each([undefined, null, 5, 'options', []])(
    'and options have to be an object: %s',
    (options) => {
      expect(() => createImpersonation(options as never)).toThrow(TypeError)
    },
  )
})

describe('defaults', () => {
  it('are the ones that the design names', () => {
    expect(read()).toMatchObject({
      basePath: '/impersonation',
      maxDurationMs: 3_600_000,
      defaultDurationMs: 1_800_000,
      defaultAccessLevel: 'view',
      requireReason: true,
      onConflict: 'replace',
      exclusiveTarget: true,
      guardrails: undefined,
      onLapse: 'refuse',
      cacheTtlMs: 30_000,
      cacheMax: 10_000,
      revocationLagMs: 2000,
      storeTimeoutMs: 1000,
      freshAuth: undefined,
      rateLimit: { starts: 30, perMs: 3_600_000 },
      secureCookie: 'auto',
      context: 'always',
      now: Date.now,
    })
    expect(read().allowedOrigins.size).toBe(0)
    expect(read().fullAccessRoutes.size).toBe(0)
    expect(read().keepActorRoutes.size).toBe(0)
  })

  it('an option that is undefined is an option left out', () => {
    // What is made of several options, and of the members of a group.
    const made = ['writtenPatterns', 'onEvent', 'trail', 'query', 'sink', 'chainKeys']
    const names = Object.keys(read()).filter((name) => !(name in required || made.includes(name)))
    const given = names.map((name) => (name.startsWith('cache') ? 'cache' : name))
    const undefineds = Object.fromEntries(given.map((name) => [name, undefined]))
    expect(Object.keys(read(undefineds))).toEqual(Object.keys(read()))
    expect(read(undefineds)).toMatchObject({ maxDurationMs: 3_600_000, requireReason: true })
  })

  it('a cap below the default duration is the default duration', () => {
    expect(read({ maxDurationMs: 90_000 }).defaultDurationMs).toBe(90_000)
  })

  it('of API tokens are 90 days, 365 at most, 24 hours of services, and an hour of overlap', () => {
    const hour = 3_600_000
    const tokens = { prefix: 'pv_', scopes: ['read'], services: { is: () => true } }
    expect(read({ apiTokens: tokens }).apiTokens).toMatchObject({
      defaultDurationMs: 90 * 24 * hour,
      maxDurationMs: 365 * 24 * hour,
      overlapMs: hour,
      services: { maxDurationMs: 24 * hour },
      listUsers: undefined,
    })
    // Nothing outlives the longest.
    expect(read({ apiTokens: { ...tokens, maxDurationMs: hour } }).apiTokens).toMatchObject({
      defaultDurationMs: hour,
      services: { maxDurationMs: hour },
    })
    expect(read({ apiTokens: { ...tokens, services: undefined } }).apiTokens?.services).toBe(
      undefined,
    )
  })

  it.each(['pv_', 'pv_live_', 'Acme1_', `${'p'.repeat(31)}_`])('%s is a prefix', (prefix) => {
    expect(read({ apiTokens: { prefix, scopes: ['read'] } }).apiTokens?.prefix).toBe(prefix)
  })

  it.each([1, 7, 59_999, 2 ** 53 - 1])('any positive whole number is a duration: %d', (ms) => {
    const settings = read({ maxDurationMs: ms, storeTimeoutMs: ms, cache: { ttlMs: ms, max: 1 } })
    expect(settings).toMatchObject({ maxDurationMs: ms, storeTimeoutMs: ms, cacheTtlMs: ms })
  })

  it('rateLimit false is no limit', () => {
    expect(read({ rateLimit: false }).rateLimit).toBeUndefined()
  })
})

describe('once made', () => {
  it('the settings and the engine are frozen', () => {
    expect(Object.isFrozen(read())).toBe(true)
    const engine = make({})
    expect(Object.isFrozen(engine)).toBe(true)
    expect(() => Object.assign(engine, { current: () => null })).toThrow(TypeError)
  })

  it('changing the object that was handed in changes nothing', () => {
    const options = { ...required, allowedOrigins: ['https://a.example'], maxDurationMs: 5000 }
    const settings = readOptions(options as never)
    options.maxDurationMs = 9e9
    options.allowedOrigins.push('https://evil.example')
    expect(settings.maxDurationMs).toBe(5000)
    expect([...settings.allowedOrigins]).toEqual(['https://a.example'])
  })

  it('the scopes and the rules of API tokens are those that were given', () => {
    const services = { is: () => false as boolean, maxDurationMs: 5 }
    const apiTokens = { prefix: 'pv_', scopes: ['read'], services }
    const settings = read({ apiTokens }).apiTokens
    apiTokens.prefix = 'other_'
    apiTokens.scopes.push('write')
    services.maxDurationMs = 9e9
    services.is = () => true
    expect(settings?.prefix).toBe('pv_')
    expect([...(settings?.scopes ?? [])]).toEqual(['read'])
    expect(settings?.services?.maxDurationMs).toBe(5)
    expect(settings?.services?.is({})).toBe(false)
    expect(Object.isFrozen(settings)).toBe(true)
  })
})

it('making an engine and passing a request on loads no zod, no jose and no kysely', () => {
  const entry = new URL('../../src/index.ts', import.meta.url).href
  const script = `
    import { registerHooks } from 'node:module'
    const heavy = []
    registerHooks({
      resolve(specifier, context, next) {
        if (/^(zod|jose|kysely)(\\/|$)/.test(specifier)) heavy.push(specifier)
        return next(specifier, context)
      },
    })
    const { createImpersonation, memoryStore } = await import(${JSON.stringify(entry)})
    const engine = createImpersonation({
      store: memoryStore(), findUser: () => null, can: () => true, maxDurationMs: 5000,
    })
    const request = { url: '/notes', headers: {} }
    const adapter = engine.adapter({
      method: () => 'GET', target: (r) => r.url, path: (r) => r.url, header: () => undefined,
      hasTwoLogins: () => false, removeHeader: () => undefined, isSecure: () => false,
      ip: () => undefined, toRequest: () => { throw new Error('no route was called') },
    })
    const { context } = await adapter.enter(request, { id: 'root' })
    console.log(JSON.stringify({ heavy, context }))
  `
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--disable-warning=ExperimentalWarning', '-e', script],
    { cwd: fileURLToPath(new URL('../..', import.meta.url)), encoding: 'utf8' },
  )
  expect(stderr).toBe('')
  expect(JSON.parse(stdout)).toEqual({ heavy: [], context: null })
})
