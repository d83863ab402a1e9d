import { describe, expect, it } from 'vitest'
import { actorOf, audience, claims, clock, issuer, noon, signHs256 } from './fixtures.ts'

const at = (changes: object, header?: object) =>
  actorOf()(signHs256({ ...claims, ...changes }, header))
const typed = (typ: unknown, options: object = {}) =>
  actorOf(options)(signHs256(claims, { alg: 'HS256', typ }))

describe('claims', () => {
  it('makes the user record of a good token', async () => {
    expect(await at({})).toStrictEqual({
      id: 'ada',
      email: 'ada@example.com',
      name: 'Ada',
      orgId: 'acme',
      role: 'support',
    })
    expect(await at({ email: 1, name: undefined, org_id: {}, role: ['admin'] })).toStrictEqual({
      id: 'ada',
      email: null,
      name: null,
      orgId: null,
      role: null,
    })
  })

  for (const claim of ['iss', 'aud', 'exp', 'sub']) {
    it(`wants ${claim}`, async () => {
      for (const value of [undefined, null, '', [], {}, true]) {
        expect(await at({ [claim]: value })).toBeNull()
      }
    })
  }

  it('refuses another issuer and another audience, and close spellings of them', async () => {
    for (const iss of [`${issuer}/`, issuer.toUpperCase(), [issuer], `${issuer} `]) {
      expect(await at({ iss })).toBeNull()
    }
    for (const aud of [`${audience}/`, [`${audience}/`], [[audience]], { [audience]: 1 }]) {
      expect(await at({ aud })).toBeNull()
    }
    expect(await at({ aud: ['https://elsewhere.example.com', audience] })).not.toBeNull()
  })

  it('takes one of several issuers and audiences', async () => {
    const many = { issuer: ['https://b.example', issuer], audience: ['x', audience] }
    expect(await actorOf(many)(signHs256(claims))).toMatchObject({ id: 'ada' })
    const none = { issuer: ['https://b.example'], audience: ['x'] }
    expect(await actorOf(none)(signHs256(claims))).toBeNull()
  })

  it('takes sub as text only: ids are never coerced', async () => {
    expect(await at({ sub: 7 })).toBeNull()
    expect(await at({ sub: '07' })).toMatchObject({ id: '07' })
    expect(await at({ sub: ' ada\n' })).toMatchObject({ id: ' ada\n' })
  })

  it('wants what requiredClaims names, beside exp and sub', async () => {
    const strict = actorOf({ requiredClaims: ['jti'] })
    expect(await strict(signHs256(claims))).toBeNull()
    expect(await strict(signHs256({ ...claims, jti: '1' }))).toMatchObject({ id: 'ada' })
    expect(await strict(signHs256({ ...claims, jti: '1', exp: undefined }))).toBeNull()
    expect(await strict(signHs256({ ...claims, jti: '1', sub: undefined }))).toBeNull()
  })

  it('refuses a payload that is no JSON object', async () => {
    for (const payload of ['', 'x', '[]', 'null', '1', '"text"', '{}', '{"sub":', '\u{feff}{}']) {
      expect(await actorOf()(signHs256(payload))).toBeNull()
    }
  })
})

describe('time', () => {
  it('ends at exp and begins at nbf, to the millisecond', async () => {
    const time = clock()
    const identify = actorOf({ now: time.now, cacheMax: 0 })
    const token = signHs256({ ...claims, nbf: noon / 1000 + 10 })
    for (const [after, isValid] of [
      [9_999, false],
      [10_000, true],
      [59_999, true],
      [60_000, false],
    ] as const) {
      time.at = noon + after
      expect([after, (await identify(token)) !== null]).toEqual([after, isValid])
    }
  })

  it('counts parts of a second', async () => {
    const time = clock()
    const identify = actorOf({ now: time.now, cacheMax: 0 })
    const token = signHs256({ ...claims, nbf: noon / 1000 + 0.25, exp: noon / 1000 + 0.5 })
    for (const [after, isValid] of [
      [249, false],
      [250, true],
      [499, true],
      [500, false],
    ] as const) {
      time.at = noon + after
      expect([after, (await identify(token)) !== null]).toEqual([after, isValid])
    }
  })

  it('gives clockToleranceMs at both ends, no more', async () => {
    const time = clock()
    const identify = actorOf({ now: time.now, cacheMax: 0, clockToleranceMs: 1500 })
    const token = signHs256({ ...claims, nbf: noon / 1000 + 10 })
    for (const [after, isValid] of [
      [8_499, false],
      [8_500, true],
      [61_499, true],
      [61_500, false],
    ] as const) {
      time.at = noon + after
      expect([after, (await identify(token)) !== null]).toEqual([after, isValid])
    }
  })

  it('refuses instants that are none', async () => {
    const text = JSON.stringify({ ...claims, exp: 0 })
    for (const exp of ['1e999', '"1e12"', '[1]', '-1', 'null']) {
      const token = signHs256(text.replace('"exp":0', `"exp":${exp}`))
      expect(await actorOf()(token)).toBeNull()
    }
    for (const nbf of ['x', null, {}]) expect(await at({ nbf })).toBeNull()
    expect(
      await actorOf()(signHs256(text.replace('"exp":0', '"exp":9e12,"nbf":-1e999'))),
    ).toBeNull()
  })

  it('lets nobody in by a broken clock', async () => {
    for (const cacheMax of [0, 10]) {
      const time = clock()
      const identify = actorOf({ now: time.now, cacheMax })
      const token = signHs256(claims)
      expect(await identify(token)).not.toBeNull()
      time.at = Number.NaN
      expect(await identify(token)).toBeNull()
    }
  })
})

describe('header', () => {
  it('takes a login by its typ: none, JWT, at+jwt', async () => {
    for (const typ of [
      undefined,
      'JWT',
      'jwt',
      'at+jwt',
      'application/at+jwt',
      'Application/JWT',
    ]) {
      expect(await typed(typ)).not.toBeNull()
    }
    for (const typ of ['', 'imp+jwt', 'application/imp+jwt', 'logout+jwt', 'dpop+jwt', 'JWS']) {
      expect(await typed(typ)).toBeNull()
    }
    for (const typ of [null, 1, ['JWT'], { toLowerCase: 1 }]) expect(await typed(typ)).toBeNull()
  })

  it('holds to the option typ, and then wants one', async () => {
    expect(await typed('AT+JWT', { typ: 'at+jwt' })).not.toBeNull()
    expect(await typed('acme+jwt', { typ: ['at+jwt', 'application/acme+jwt'] })).not.toBeNull()
    for (const typ of [undefined, 'JWT', 'imp+jwt']) {
      expect(await typed(typ, { typ: 'at+jwt' })).toBeNull()
    }
  })

  it('understands no extension: crit and b64 are refused', async () => {
    for (const extra of [
      { crit: ['b64'], b64: true },
      { crit: ['b64'], b64: false },
      { b64: false },
      { b64: true },
      { crit: [] },
      { crit: ['exp'], exp: 1 },
      { crit: null },
    ]) {
      expect(await at({}, { alg: 'HS256', ...extra })).toBeNull()
    }
  })
})
