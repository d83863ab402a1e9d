import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest'
import { jwtActor } from '../../src/jwt/index.ts'
import {
  actorOf,
  audience,
  bearer,
  claims,
  clock,
  issuer,
  noon,
  secret,
  signHs256,
} from './fixtures.ts'

let verifications: MockInstance<SubtleCrypto['verify']>
beforeEach(() => {
  verifications = vi.spyOn(crypto.subtle, 'verify')
})
afterEach(() => {
  verifications.mockRestore()
})

const numbered = (n: number) => signHs256({ ...claims, sub: `user-${n}` })

describe('a token seen before', () => {
  it('is not verified again, and the answer is a value', async () => {
    const identify = actorOf()
    const token = signHs256(claims)
    const first = identify(token)
    expect(first).toBeInstanceOf(Promise)
    await first
    for (let i = 0; i < 100; i++) expect(identify(token)).toMatchObject({ id: 'ada' })
    expect(verifications).toHaveBeenCalledTimes(1)
  })

  it('ends with exp, by the clock of the options', async () => {
    const time = clock()
    const identify = actorOf({ now: time.now })
    const token = signHs256(claims)
    await identify(token)
    time.at = noon + 59_999
    expect(identify(token)).toMatchObject({ id: 'ada' })
    time.at = noon + 60_000
    expect(await identify(token)).toBeNull()
    expect(await identify(token)).toBeNull()
    expect(verifications.mock.calls.length).toBeLessThanOrEqual(2)
  })

  it('ends with exp and the tolerance', async () => {
    const time = clock()
    const identify = actorOf({ now: time.now, clockToleranceMs: 250 })
    const token = signHs256(claims)
    await identify(token)
    time.at = noon + 60_249
    expect(identify(token)).not.toBeNull()
    time.at = noon + 60_250
    expect(await identify(token)).toBeNull()
  })

  it('is not taken before nbf, where the clock went back', async () => {
    const time = clock(noon + 10_000)
    const identify = actorOf({ now: time.now })
    const token = signHs256({ ...claims, nbf: noon / 1000 + 10 })
    expect(await identify(token)).not.toBeNull()
    time.at = noon + 9_999
    expect(await identify(token)).toBeNull()
    time.at = noon + 10_000
    expect(await identify(token)).not.toBeNull()
  })

  it('is another token when one letter differs', async () => {
    const identify = actorOf()
    const token = signHs256(claims)
    await identify(token)
    for (const other of [`${token}=`, token.slice(0, -1), `x${token}`]) {
      expect(await identify(other)).toBeNull()
    }
  })

  it('is asked for its user each time, so that a disabled one is out at once', async () => {
    const users = new Map([['ada', { id: 'ada', active: true }]])
    const getActor = jwtActor({
      secret,
      issuer,
      audience,
      now: () => noon,
      claims: ({ sub }) => users.get(sub),
    })
    const request = bearer(signHs256(claims))
    expect(await getActor(request)).toBe(users.get('ada'))
    expect(getActor(request)).toBe(users.get('ada'))
    users.delete('ada')
    expect(getActor(request)).toBeNull()
  })

  it('gives a new default record each time, and frozen claims', async () => {
    const identify = actorOf()
    const token = signHs256(claims)
    const first = await identify(token)
    expect(identify(token)).not.toBe(first)
    let seen: Record<string, unknown> = {}
    await actorOf({
      claims: (payload: Record<string, unknown>) => {
        seen = payload
      },
    })(signHs256({ ...claims, deep: { list: [{}] } }))
    const deep = seen.deep as { list: object[] }
    for (const one of [seen, deep, deep.list, deep.list[0]]) expect(Object.isFrozen(one)).toBe(true)
  })
})

describe('memory', () => {
  it('keeps at most cacheMax tokens, the last used', async () => {
    const identify = actorOf({ cacheMax: 2 })
    await identify(numbered(1))
    await identify(numbered(2))
    expect(identify(numbered(1))).not.toBeInstanceOf(Promise)
    await identify(numbered(3))
    expect(identify(numbered(1))).not.toBeInstanceOf(Promise)
    const evicted = identify(numbered(2))
    expect(evicted).toBeInstanceOf(Promise)
    expect(await evicted).toMatchObject({ id: 'user-2' })
  })

  it('verifies every time with cacheMax 0', async () => {
    const identify = actorOf({ cacheMax: 0 })
    for (let i = 0; i < 3; i++) expect(await identify(numbered(1))).not.toBeNull()
    expect(verifications).toHaveBeenCalledTimes(3)
  })

  it('holds no refused token, so that garbage pushes nobody out', async () => {
    const identify = actorOf({ cacheMax: 1 })
    await identify(numbered(1))
    for (let i = 0; i < 50; i++) {
      expect(await identify(signHs256(claims, { alg: 'HS256' }, `wrong ${i}`))).toBeNull()
      expect(await identify(signHs256({ ...claims, exp: noon / 1000 }))).toBeNull()
    }
    expect(identify(numbered(1))).toMatchObject({ id: 'user-1' })
  })
})

describe('at once', () => {
  it('verifies a token once for any number of requests', async () => {
    const identify = actorOf()
    const users = await Promise.all(Array.from({ length: 1000 }, () => identify(numbered(1))))
    expect(users.every((user) => user?.id === 'user-1')).toBe(true)
    expect(verifications).toHaveBeenCalledTimes(1)
  })

  it('keeps different tokens apart', async () => {
    const identify = actorOf()
    const users = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => identify(numbered(i % 10))),
    )
    expect(users.map((user) => user?.id)).toEqual(users.map((_, i) => `user-${i % 10}`))
    expect(verifications).toHaveBeenCalledTimes(10)
  })

  it('asks the clock for each of them when the answer is there', async () => {
    const time = clock()
    const identify = actorOf({ now: time.now })
    const before = identify(numbered(1))
    const joined = identify(numbered(1))
    time.at = noon + 60_000
    expect([await before, await joined]).toEqual([null, null])
    expect(await identify(numbered(1))).toBeNull()
  })
})
