import { describe, expect, expectTypeOf, it } from 'vitest'
import { jwtActor, type TokenUser } from '../../src/jwt/index.ts'
import { actorOf, audience, bearer, claims, issuer, noon, secret, signHs256 } from './fixtures.ts'

const base = { secret, issuer, audience, now: () => noon }
const acted = { ...claims, act: { sub: 'eve' } }

describe('a token that is an impersonation', () => {
  for (const mark of ['act', 'impersonatedBy', 'impersonated_by']) {
    it(`says so on the user record: ${mark}`, async () => {
      const token = signHs256({ ...claims, [mark]: { sub: 'eve' } })
      expect(await actorOf()(token)).toMatchObject({ id: 'ada', [mark]: { sub: 'eve' } })
      const lost = actorOf({ claims: ({ sub }: { sub: string }) => ({ id: sub }) })
      expect(await lost(token)).toStrictEqual({ id: 'ada', [mark]: { sub: 'eve' } })
      expect(await lost(token)).toStrictEqual({ id: 'ada', [mark]: { sub: 'eve' } })
      const later = actorOf({ claims: async ({ sub }: { sub: string }) => ({ id: sub }) })
      expect(await later(token)).toStrictEqual({ id: 'ada', [mark]: { sub: 'eve' } })
    })
  }

  it("does not write on the host's record, and keeps its class", async () => {
    class Member {
      id = 'ada'
      greet() {
        return `I am ${this.id}`
      }
    }
    const member = Object.freeze(new Member())
    const getActor = jwtActor({ ...base, claims: () => member })
    const user = await getActor(bearer(signHs256(acted)))
    expect(user).toBeInstanceOf(Member)
    expect(user?.greet()).toBe('I am ada')
    expect(user).toMatchObject({ act: { sub: 'eve' } })
    expect(Object.keys(user ?? {})).toEqual(['id', 'act'])
    expect(member).not.toHaveProperty('act')
    expect(await getActor(bearer(signHs256(claims)))).toBe(member)
  })

  it("leaves the host's own mark, but not an empty one", async () => {
    const own = { id: 'ada', act: 'mine' }
    expect(await actorOf({ claims: () => own })(signHs256(acted))).toBe(own)
    for (const act of [null, undefined, '', false]) {
      const emptied = await actorOf({ claims: () => ({ id: 'ada', act }) })(signHs256(acted))
      expect(emptied).toEqual({ id: 'ada', act: { sub: 'eve' } })
    }
  })

  it('is none where the claim says so', async () => {
    for (const act of [null, false, '']) {
      expect(await actorOf()(signHs256({ ...claims, act }))).not.toHaveProperty('act')
    }
  })

  it('refuses a record that can hold no mark', async () => {
    const identify = actorOf({ claims: ({ sub }: { sub: string }) => sub })
    expect(await identify(signHs256(claims))).toBe('ada')
    await expect(identify(signHs256(acted))).rejects.toThrow('"claims"')
  })
})

describe('claims', () => {
  it('may say that there is no such user', async () => {
    for (const none of [null, undefined]) {
      const identify = actorOf({ claims: () => none })
      expect(await identify(signHs256(claims))).toBeNull()
      expect(identify(signHs256(claims))).toBeNull()
      expect(await actorOf({ claims: async () => none })(signHs256(claims))).toBeNull()
    }
  })

  it('passes on what it throws, every time', async () => {
    const identify = actorOf({
      claims: () => {
        throw new Error('the user table is away')
      },
    })
    await expect(identify(signHs256(claims))).rejects.toThrow('away')
    expect(() => identify(signHs256(claims))).toThrow('away')
  })

  it('is not asked for a token that is refused', async () => {
    const asked: unknown[] = []
    const identify = actorOf({ claims: (payload: unknown) => asked.push(payload) })
    await identify(signHs256({ ...claims, aud: 'x' }))
    await identify(signHs256(claims, { alg: 'HS256' }, 'another'))
    await identify('')
    expect(asked).toEqual([])
  })
})

it('infers the user and the request', () => {
  type Given<T> = T | null | Promise<T | null>
  const plain = jwtActor(base)
  expectTypeOf(plain).returns.toEqualTypeOf<Given<TokenUser>>()
  expectTypeOf(plain).parameter(0).toEqualTypeOf<unknown>()

  const users = new Map<string, { id: string; isSuperuser: boolean }>()
  const found = jwtActor({ ...base, claims: (payload) => users.get(payload.sub) })
  expectTypeOf(found).returns.toEqualTypeOf<Given<{ id: string; isSuperuser: boolean }>>()

  const awaited = jwtActor({ ...base, claims: async ({ sub }) => users.get(sub) ?? null })
  expectTypeOf(awaited).returns.toEqualTypeOf<Given<{ id: string; isSuperuser: boolean }>>()

  const fromCookie = jwtActor({
    ...base,
    getToken: (request: { cookies: { login?: string } }) => request.cookies.login,
  })
  expectTypeOf(fromCookie).parameter(0).toEqualTypeOf<{ cookies: { login?: string } }>()

  // @ts-expect-error no key at all
  expect(() => jwtActor({ issuer, audience })).toThrow(TypeError)
  // @ts-expect-error two of them
  expect(() => jwtActor({ ...base, jwks: 'https://login.example.com/jwks' })).toThrow(TypeError)
  // @ts-expect-error an HMAC with a public key
  expect(() => jwtActor({ issuer, audience, key: '', algorithms: ['HS256'] })).toThrow(TypeError)
  // @ts-expect-error none is no algorithm
  expect(() => jwtActor({ ...base, algorithms: ['none'] })).toThrow(TypeError)
})
