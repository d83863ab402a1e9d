import { afterEach, describe, expect, it, vi } from 'vitest'
import { bearer, faultyWorld, gate, madeUp } from '../support/api-tokens.ts'
import { second, type User } from '../support/core-world.ts'

const invalid = '401 token_invalid'
const unavailable = '503 impersonation_unavailable'

afterEach(() => void vi.restoreAllMocks())

describe('a lookup of a token that', () => {
  const wrong: Record<string, (other: object) => unknown> = {
    'gives nothing': () => undefined,
    'gives a text': () => 'alice',
    'gives a list': () => [],
    'gives something else': () => ({ id: 'x', userId: 'alice' }),
    'gives the row of another token': (other) => other,
    'gives it with an end that is a text': (other) => ({ ...other, expiresAt: '2999-01-01' }),
    'gives it without an end': (other) => ({ ...other, expiresAt: null }),
    'gives it with an end that is no number': (other) => ({ ...other, expiresAt: Number.NaN }),
    'gives it with scopes that are a text': (other) => ({ ...other, scopes: 'read upload' }),
    'gives it without an owner': (other) => ({ ...other, userId: '' }),
    'gives it without a revocation': (other) => ({ ...other, revokedAt: undefined }),
  }
  it.each(Object.keys(wrong))(
    '%s is no answer: nobody runs, whoever has logged in',
    async (how) => {
      const { faulty, issue, send, another } = faultyWorld()
      const { secret } = await issue()
      const { token } = await issue('bob')
      faulty.plan({ findToken: { garbage: wrong[how]?.(token) } })
      const other = another()
      for (const who of [null, 'root', 'mallory']) {
        const outcome = await send(who, { headers: bearer(secret) }, other)
        expect([who, outcome.line, outcome.ran]).toEqual([who, unavailable, null])
      }
      // For a token that nobody has made it is none either.
      if (how !== 'gives nothing')
        expect((await send('root', { headers: bearer(madeUp()) }, other)).ran).toBeNull()
      faulty.plan({})
      expect((await send('root', { headers: bearer(secret) }, other)).line).toBe('alice')
    },
  )

  it.each(['before', 'after', 'hang'] as const)(
    'fails (%s) is no answer, and the sentence speaks of tokens',
    async (fault) => {
      const { faulty, issue, send, engine } = faultyWorld()
      const { secret } = await issue()
      faulty.plan({ findToken: fault })
      for (const who of [null, 'root', 'mallory']) {
        const outcome = await send(who, { headers: bearer(secret) })
        expect([who, outcome.line]).toEqual([who, unavailable])
        expect(JSON.stringify(outcome.body)).toMatch(/token/)
        expect(outcome.answer?.headers.get('retry-after')).toBe('1')
      }
      // Nor is it on the routes.
      const asked = await send('root', { headers: bearer(secret), path: '/impersonation/status' })
      expect(asked.line).toBe(unavailable)
      faulty.plan({})
      faulty.release()
      expect((await send('root', { headers: bearer(secret) })).line).toBe('alice')
      await engine.close()
    },
  )

  it('hangs and comes back after the token was taken back, revives nothing', async () => {
    const { faulty, issue, revoke, line } = faultyWorld()
    const { token, secret } = await issue()
    faulty.plan({ findToken: 'hang' })
    expect(await line(secret)).toBe(unavailable)
    faulty.plan({})
    await revoke(token.id)
    faulty.release()
    expect(await line(secret)).toBe(invalid)
  })

  it('fails says nothing against those whose answer is known, until it is too old', async () => {
    const { clock, faulty, issue, line } = faultyWorld()
    const { secret } = await issue()
    expect(await line(secret)).toBe('alice')
    faulty.plan({ findToken: 'before' })
    clock.tick(2 * second - 1)
    expect(await line(secret)).toBe('alice')
    clock.tick(1)
    expect(await line(secret)).toBe(unavailable)
    faulty.plan({})
    expect(await line(secret)).toBe('alice')
  })
})

it.each<[string, (user: User | null | undefined) => unknown, string]>([
  ['throws', () => Promise.reject(new Error('down')), unavailable],
  [
    'throws a TypeError',
    () => Promise.reject(new TypeError('undefined is not a user')),
    unavailable,
  ],
  ['gives somebody else', (user) => ({ ...user, id: 'bob' }), invalid],
  ['gives the owner under another spelling', (user) => ({ ...user, id: 'ALICE' }), invalid],
  ['gives nobody', () => null, invalid],
])('a host whose lookup %s lets nobody run', async (_, answer, expected) => {
  let broken = false
  const made = faultyWorld({
    findUser: async (id) => {
      const user = made.users.get(id)
      return broken ? (answer(user) as User) : user
    },
  })
  const { secret } = await made.issue()
  broken = true
  for (const who of [null, 'root', 'mallory'])
    expect((await made.send(who, { headers: bearer(secret) })).line).toBe(expected)
})

it.each<[string, () => never]>([
  [
    'throws',
    () => {
      throw new Error('down')
    },
  ],
])('a host whose judgement %s lets nobody run', async (_, answer) => {
  let broken = false
  const made = faultyWorld({
    can: (user, action) => (broken ? answer() : (user.may?.includes(action) ?? false)),
  })
  const { secret } = await made.issue()
  broken = true
  expect(await made.line(secret)).toBe(invalid)
})

it('a host that can not say who somebody is lets nobody run', async () => {
  let fault: Error | null = null
  const made = faultyWorld({
    describe({ id }) {
      if (fault && id === 'alice') throw fault
      return { id }
    },
  })
  const { secret } = await made.issue()
  fault = new Error('down')
  for (const who of [null, 'root', 'mallory'])
    expect((await made.send(who, { headers: bearer(secret) })).line).toBe(unavailable)
  // A fault of the wiring is told as one.
  fault = new TypeError('undefined is no user')
  for (const who of [null, 'root', 'mallory'])
    await expect(made.send(who, { headers: bearer(secret) })).rejects.toThrow(
      'undefined is no user',
    )
})

it('what is taken back while the owner is looked up runs no request', async () => {
  const door = gate()
  let held = false
  const made = faultyWorld({
    findUser: async (id) => {
      if (held) {
        held = false
        await door.pass()
      }
      return made.users.get(id)
    },
  })
  const { token, secret } = await made.issue()
  held = true
  const asked = made.line(secret)
  await door.waiting
  await made.revoke(token.id)
  door.open()
  expect(await asked).toBe(invalid)
})
