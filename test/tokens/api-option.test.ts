import { describe, expect, it } from 'vitest'
import { type ApiTokenOptions, checkApiTokens, isScope } from '../../src/api-tokens/option.ts'
import { memoryStore } from '../../src/index.ts'

const check = (given: unknown, store = memoryStore()) =>
  checkApiTokens(given as ApiTokenOptions<object>, store)
const good = { prefix: 'pv_live_', scopes: ['read', 'upload'] }
const day = 24 * 60 * 60_000

it('is off where it is left out', () => {
  expect(check(undefined)).toBeUndefined()
})

it('has the lives that are written down, and is frozen', () => {
  const settings = check(good)
  expect(settings).toEqual({
    prefix: 'pv_live_',
    scopes: new Set(['read', 'upload']),
    listUsers: undefined,
    maxDurationMs: 365 * day,
    defaultDurationMs: 90 * day,
    overlapMs: 60 * 60_000,
    services: undefined,
  })
  expect(Object.isFrozen(settings)).toBe(true)
  expect(check({ ...good, maxDurationMs: day })?.defaultDurationMs).toBe(day)
  expect(check({ ...good, services: { is: () => true } })?.services?.maxDurationMs).toBe(day)
})

it('what the host does to its own list later changes nothing', () => {
  const scopes = ['read']
  const settings = check({ ...good, scopes })
  scopes.push('upload')
  expect([...(settings?.scopes ?? [])]).toEqual(['read'])
})

describe('a scope', () => {
  it('is every text of visible ASCII without blanks, quotes, \\ and *', () => {
    for (let code = 0; code < 0x200; code++) {
      const letter = String.fromCharCode(code)
      const isOne = code > 0x20 && code < 0x7f && !'"\\*'.includes(letter)
      expect([code, isScope(letter), isScope(`a${letter}b`)]).toEqual([code, isOne, isOne])
    }
  })

  it.each(['read', 'files:read', 'https://api.example.com/read', 'a.b-c_d', 'x'.repeat(100)])(
    'is %j',
    (scope) => {
      expect([...(check({ ...good, scopes: [scope] })?.scopes ?? [])]).toEqual([scope])
    },
  )

  it.each([
    ['', ['']],
    ['*', ['*']],
    ['files:*', ['files:*']],
    ['two in one', ['read upload']],
    ['a line break', ['read\n']],
    ['a quote, which would end the header’s parameter', ['read", error="none']],
    ['an accent', ['lire-à']],
    ['101 letters', ['x'.repeat(101)]],
    ['a number', [7]],
    ['an object', [{}]],
    ['a list', [['read']]],
    ['null', [null]],
    ['one twice', ['read', 'read']],
    ['none', []],
    ['a text for all', 'read'],
    ['an object for all', { read: true }],
    ['nothing at all', undefined],
  ])('is not %s', (_, scopes) => {
    expect(() => check({ ...good, scopes })).toThrow('option "apiTokens.scopes" ')
  })
})

describe('a prefix', () => {
  it.each(['ab_', 'pv_live_', 'A1_', 'a1b2_c3_d4_', `${'x'.repeat(31)}_`])('is %j', (prefix) => {
    expect(check({ ...good, prefix })?.prefix).toBe(prefix)
  })

  it.each([
    '',
    '_',
    'a_',
    'pv',
    'pvlive',
    '_pv_',
    '1pv_',
    'pv__live_',
    'pv-live_',
    'pv.live_',
    'pv live_',
    'pv_live_\n',
    'pv_livé_',
    'eyJ',
    `${'x'.repeat(32)}_`,
    7,
    null,
    undefined,
    ['pv_live_'],
  ])('is not %j', (prefix) => {
    expect(() => check({ ...good, prefix })).toThrow('option "apiTokens.prefix" ')
  })
})

it.each<[string, unknown]>([
  ['apiTokens', null],
  ['apiTokens', []],
  ['apiTokens.scope', { ...good, scope: ['read'] }],
  ['apiTokens.listUsers', { ...good, listUsers: [] }],
  ['apiTokens.maxDurationMs', { ...good, maxDurationMs: 0 }],
  ['apiTokens.maxDurationMs', { ...good, maxDurationMs: 1.5 }],
  ['apiTokens.maxDurationMs', { ...good, maxDurationMs: '1' }],
  ['apiTokens.defaultDurationMs', { ...good, maxDurationMs: day, defaultDurationMs: day + 1 }],
  ['apiTokens.overlapMs', { ...good, overlapMs: day + 1 }],
  ['apiTokens.services', { ...good, services: () => true }],
  ['apiTokens.services.is', { ...good, services: {} }],
  [
    'apiTokens.services.maxDurationMs',
    { ...good, services: { is: () => true, maxDurationMs: -1 } },
  ],
])('an error names the option "%s": %#', (option, given) => {
  expect(() => check(given)).toThrow(TypeError)
  expect(() => check(given)).toThrow(`option "${option}" `)
})

it('wants a store that has the section, and all of it', () => {
  const { tokens, ...without } = memoryStore()
  expect(() => check(good, without)).toThrow(TypeError)
  if (!tokens) throw new Error('there is no such section')
  const { findToken, ...rest } = tokens
  expect(() => check(good, { ...without, tokens: rest as never })).toThrow(TypeError)
  expect(findToken).toBeTypeOf('function')
})
