import { describe, expect, it } from 'vitest'
import type { ApiTokenRequest, FieldError, ImpersonationError } from '../../src/index.ts'
import { apiTokens, tokenedWorld } from '../support/api-tokens.ts'
import { day, hour, noon, type User } from '../support/core-world.ts'

/** What is asked of a token, and what becomes of it: its life in ms, or the places that are refused. */
function world(more: object = {}) {
  const { engine, caller, users, store } = tokenedWorld({ apiTokens: { ...apiTokens, ...more } })
  users.set('robot', { id: 'robot', role: 'service' })
  const ask = { userId: 'alice', name: 'nightly upload', scopes: ['read'] }
  const issue = async (asked: object) =>
    engine.tokens.issue(caller('root'), { ...ask, ...asked } as ApiTokenRequest)
  return {
    store,
    issue,
    life: async (asked: object) => (await issue(asked)).token.expiresAt - noon,
    places: async (asked: object): Promise<readonly FieldError[]> =>
      issue(asked).then(
        () => [],
        ({ code, errors = [] }: ImpersonationError) =>
          code === 'invalid_request' ? errors : [{ path: code, message: '' }],
      ),
  }
}

const pathsOf = (errors: readonly FieldError[]) => errors.map(({ path }) => path)

describe('the name', () => {
  it.each([
    'x',
    'nightly upload',
    ' x ',
    '<b>"quoted"</b>',
    '=cmd()',
    'zeile\neins',
    'Zürich 日本語 🦊',
    '🦊'.repeat(100),
    'x'.repeat(100),
  ])('may be %j', async (name) => {
    const { issue } = world()
    expect((await issue({ name })).token.name).toBe(name)
  })

  it.each([
    '',
    ' ',
    '\t\n',
    '\u200b',
    '\u2800',
    '\u3164',
    '\u202e\u2066',
    '\ufeff',
    'a\0b',
    '\ud800',
    'x'.repeat(101),
    '🦊'.repeat(101),
    7,
    null,
    undefined,
    {},
    ['x'],
  ])('may not be %j', async (name) => {
    expect(pathsOf(await world().places({ name }))).toEqual(['name'])
  })
})

describe('the scopes', () => {
  it.each([[['read']], [['upload', 'read']]])('may be %j', async (scopes) => {
    expect((await world().issue({ scopes })).token.scopes).toEqual(scopes)
  })

  it.each<[unknown, readonly string[]]>([
    [[], ['scopes']],
    [undefined, ['scopes']],
    [null, ['scopes']],
    ['read', ['scopes']],
    ['*', ['scopes']],
    [{ 0: 'read', length: 1 }, ['scopes']],
    [{ read: true }, ['scopes']],
    [['*'], ['scopes.0']],
    [['read', 'write'], ['scopes.1']],
    [['Read'], ['scopes.0']],
    [['read '], ['scopes.0']],
    [['read upload'], ['scopes.0']],
    [['read', 'read'], ['scopes.1']],
    [[['read']], ['scopes.0']],
    [[{ toString: () => 'read' }], ['scopes.0']],
    [
      [null, 'x', 'read'],
      ['scopes.0', 'scopes.1'],
    ],
  ])('may not be %j', async (scopes, paths) => {
    expect(pathsOf(await world().places({ scopes }))).toEqual(paths)
  })

  it('what is refused tells which there are', async () => {
    const [error] = await world().places({ scopes: ['all'] })
    expect(error?.message).toBe('must be one of read, upload')
  })

  it('are those that were checked, whatever becomes of the array', async () => {
    const { issue } = world()
    const scopes = ['read']
    const { token } = await issue({ scopes })
    scopes.push('upload')
    expect(token.scopes).toEqual(['read'])
  })
})

it('every offending place is told at once', async () => {
  const { places } = world()
  expect(pathsOf(await places({ userId: '', name: '', scopes: [] }))).toEqual([
    'user_id',
    'name',
    'scopes',
  ])
  for (const userId of [7, null, {}, 'x'.repeat(256)])
    expect(pathsOf(await places({ userId }))).toEqual(['user_id'])
})

describe('the life', () => {
  const services = { is: ({ role }: User) => role === 'service' }

  it('is what was asked, or 90 days, and 365 at most', async () => {
    const { life, places } = world({ services })
    expect(await life({})).toBe(90 * day)
    expect(await life({ durationMs: 1 })).toBe(1)
    expect(await life({ durationMs: 365 * day })).toBe(365 * day)
    for (const durationMs of [365 * day + 1, 0, -1, 0.5, Number.NaN, Infinity, 2 ** 53, '60', null])
      expect([durationMs, pathsOf(await places({ durationMs }))]).toEqual([
        durationMs,
        ['expires_in_days'],
      ])
    const [error] = await places({ durationMs: 366 * day })
    expect(error?.message).toBe('must be a time of at most 365 days, the longest for this user')
  })

  it('of a service is 24 hours, at most and where nobody says', async () => {
    const { life, places } = world({ services })
    expect(await life({ userId: 'robot' })).toBe(day)
    expect(await life({ userId: 'robot', durationMs: day })).toBe(day)
    expect(await life({ userId: 'robot', durationMs: hour })).toBe(hour)
    const [error] = await places({ userId: 'robot', durationMs: day + 1 })
    expect(error).toEqual({
      path: 'expires_in_days',
      message: 'must be a time of at most 1440 minutes, the longest for this user',
    })
  })

  it('is as the options say', async () => {
    const { life, places } = world({
      maxDurationMs: 10 * day,
      defaultDurationMs: 2 * day,
      services: { ...services, maxDurationMs: hour },
    })
    expect(await life({})).toBe(2 * day)
    expect(await life({ durationMs: 10 * day })).toBe(10 * day)
    expect(pathsOf(await places({ durationMs: 10 * day + 1 }))).toEqual(['expires_in_days'])
    expect(await life({ userId: 'robot' })).toBe(hour)
    // For services it is their own longest that counts, where nobody says.
    expect(await world({ defaultDurationMs: hour, services }).life({ userId: 'robot' })).toBe(day)
  })

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('no database')
      },
    ],
    ['rejects', async () => Promise.reject(new Error('no database'))],
    ['says nothing', () => undefined],
    ['says null', async () => null],
    ['says 0', () => 0],
  ])('is the shorter one, where the rule for services %s', async (_, is) => {
    expect(await world({ services: { is } }).life({})).toBe(day)
  })

  it('is that of people where there are no services, or the rule says no', async () => {
    expect(await world().life({ userId: 'robot' })).toBe(90 * day)
    const { life } = world({ services: { is: async () => false } })
    expect(await life({ userId: 'robot' })).toBe(90 * day)
  })
})
