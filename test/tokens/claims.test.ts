import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  audience,
  claims,
  clock,
  encode,
  expectInvalid,
  forge,
  header,
  issuer,
  noon,
  payload,
  secret,
  tokensOf,
} from './fixtures.ts'

const parts = (token: string) =>
  token.split('.').map((part) => Buffer.from(part, 'base64url').toString())
const written = async (given = claims) => JSON.parse(parts(await tokensOf().sign(given))[1] ?? '')

describe('sign', () => {
  it('writes header and claims as they are promised, and gives them back', async () => {
    const tokens = tokensOf()
    const token = await tokens.sign(claims)
    const [head = '', body = ''] = parts(token)
    expect(JSON.parse(head)).toEqual({ typ: 'imp+jwt', alg: 'HS256', kid: 'default' })
    expect(JSON.parse(body)).toEqual(payload)
    expect(token).toBe(forge(header(), payload))
    expect(await tokens.verify(token)).toEqual({ ...claims, issuedAt: noon })
  })

  it('leaves out what is null', async () => {
    const bare = { ...claims, grantId: null, clientId: null, targetOrgId: null }
    const { grant_id, client_id, org_id, ...rest } = payload
    expect(await written(bare)).toStrictEqual(rest)
    const tokens = tokensOf()
    expect(await tokens.verify(await tokens.sign(bare))).toEqual({ ...bare, issuedAt: noon })
  })

  it('cuts to whole seconds, so that no token outlives its session', async () => {
    const time = clock(noon + 999)
    const tokens = tokensOf({}, time.now)
    const token = await tokens.sign({ ...claims, expiresAt: noon + 5_999 })
    expect(await tokens.verify(token)).toMatchObject({ issuedAt: noon, expiresAt: noon + 5_000 })
  })

  it('takes the claims as they are when it is called', async () => {
    const tokens = tokensOf()
    const given: { -readonly [Name in keyof typeof claims]: (typeof claims)[Name] } = { ...claims }
    const token = tokens.sign(given)
    given.targetUserId = 'bob'
    expect(await tokens.verify(await token)).toMatchObject({ targetUserId: 'alice' })
  })

  it('takes every access level, and ids of any letters', async () => {
    const tokens = tokensOf()
    const ids = ['7', '07', 'ä', '\u{1f600}', '\ud800', '"', '\\', '__proto__', '\u2028', ' a\n']
    for (const accessLevel of ['view', 'interactive', 'full'] as const) {
      for (const id of ids) {
        const given = {
          sessionId: id,
          actorId: id,
          targetUserId: id,
          targetOrgId: id,
          accessLevel,
          grantId: id,
          clientId: id,
          expiresAt: claims.expiresAt,
        }
        expect(await tokens.verify(await tokens.sign(given))).toEqual({ ...given, issuedAt: noon })
      }
    }
  })

  it.each([
    ['an empty session', { sessionId: '' }],
    ['no session', { sessionId: undefined }],
    ['an actor that is a number', { actorId: 7 }],
    ['an empty target', { targetUserId: '' }],
    ['an empty organisation', { targetOrgId: '' }],
    ['an empty grant', { grantId: '' }],
    ['an empty client', { clientId: '' }],
    ['an unknown access level', { accessLevel: 'root' }],
    ['an end that is now', { expiresAt: noon }],
    ['an end within the second', { expiresAt: noon + 999 }],
    ['an end in the past', { expiresAt: noon - 60_000 }],
    ['an end at no time', { expiresAt: Number.NaN }],
    ['an end that never comes', { expiresAt: Number.POSITIVE_INFINITY }],
  ])('refuses %s', async (_what, wrong) => {
    const given = { ...claims, ...wrong } as typeof claims
    await expect(tokensOf().sign(given)).rejects.toThrow(RangeError)
  })

  it('makes nothing by a clock that is broken', async () => {
    await expect(tokensOf({}, () => Number.NaN).sign(claims)).rejects.toThrow(RangeError)
  })

  it('makes nothing over 8 KiB, and verifies nothing over it', async () => {
    const tokens = tokensOf()
    const length = async (n: number) =>
      (await tokens.sign({ ...claims, clientId: 'x'.repeat(n) })).length
    let fits = 5_000
    while ((await length(fits + 1).catch(() => Number.POSITIVE_INFINITY)) <= 8192) fits++
    const longest = await tokens.sign({ ...claims, clientId: 'x'.repeat(fits) })
    expect(longest.length).toBeGreaterThan(8188)
    expect(longest.length).toBeLessThanOrEqual(8192)
    expect(await tokens.verify(longest)).toMatchObject({ sessionId: '01a2' })
    await expect(length(fits + 1)).rejects.toThrow('too long')
    const tooLong = forge(header(), { ...payload, client_id: 'x'.repeat(fits + 1) })
    expect(tooLong.length).toBeGreaterThan(8192)
    await expectInvalid(tokens, tooLong)
    await expectInvalid(tokens, 'a'.repeat(50_000_000))
  })
})

describe('a claim', () => {
  const names = Object.keys(payload) as (keyof typeof payload)[]
  const optional = ['grant_id', 'client_id', 'org_id']

  it.each(names)('%s is held to its type, and is missing only where it may be', async (name) => {
    const tokens = tokensOf()
    await tokens.verify(forge(header(), payload))
    for (const value of [null, '', 0, -1, 1.5, true, false, [], {}, ['alice'], { sub: 'root' }]) {
      const isRight = JSON.stringify(value) === JSON.stringify(payload[name])
      if (isRight || (name === 'iat' && value === 0)) continue
      await expectInvalid(tokens, forge(header(), { ...payload, [name]: value }))
    }
    const { [name]: _left, ...rest } = payload
    if (!optional.includes(name)) await expectInvalid(tokens, forge(header(), rest))
    else expect(await tokens.verify(forge(header(), rest))).toMatchObject({ sessionId: '01a2' })
  })

  it.each([
    ['another issuer', { iss: 'https://other.example.com' }],
    ['the issuer in capitals', { iss: issuer.toUpperCase() }],
    ['the issuer with a slash', { iss: `${issuer}/` }],
    ['the issuer in a list', { iss: [issuer] }],
    ['another audience', { aud: 'urn:example:other' }],
    ['the audience in a list', { aud: [audience] }],
    ['the audience among others', { aud: [audience, 'urn:example:other'] }],
    ['a longer audience', { aud: `${audience}x` }],
    ['an actor within the actor', { act: { sub: 'root', act: { sub: 'boss' } } }],
    ['an actor with an issuer', { act: { sub: 'root', iss: issuer } }],
    ['an actor without a name', { act: { sub: '' } }],
    ['an actor that is a number', { act: { sub: 7 } }],
    ['an actor that is no object', { act: 'root' }],
    ['an unknown access level', { access_level: 'root' }],
    ['an access level in capitals', { access_level: 'FULL' }],
    ['one claim more', { role: 'admin' }],
    ['a not-before', { nbf: noon / 1000 - 60 }],
    ['may_act', { may_act: { sub: 'boss' } }],
    ['text for a time', { exp: `${noon / 1000 + 60}` }],
    ['half a second', { exp: noon / 1000 + 60.5 }],
    ['an instant that is no safe number', { exp: 1e300 }],
    ['no end', { exp: null }],
    ['an end before the beginning', { iat: noon / 1000, exp: noon / 1000 - 1 }],
  ])('refuses %s', async (_what, wrong) => {
    await expectInvalid(tokensOf(), forge(header(), { ...payload, ...wrong }))
  })

  it('refuses JSON that is written otherwise than a token is', async () => {
    const tokens = tokensOf()
    const json = JSON.stringify(payload)
    const others = [
      JSON.stringify(payload, null, 1),
      `${json} `,
      ` ${json}`,
      `${json}\n`,
      `\u{feff}${json}`,
      json.replace('"alice"', '"\\u0061lice"'),
      json.replace('"sub":"alice"', '"sub":"bob","sub":"alice"'),
      json.replace('"sub":"alice"', '"sub":"alice","sub":"alice"'),
      json.replace('{"sub":"root"}', '{"sub":"boss","sub":"root"}'),
      json.replace(/"iat":(\d+)/, '"iat":$1.0'),
      json.replace(/"iat":(\d+)/, '"iat":$1e0'),
      json.replace(/"iat":\d+/, '"iat":-0'),
      json.replace('}', ',"__proto__":{}}'),
      JSON.stringify(Object.fromEntries(Object.entries(payload).reverse())),
      json.slice(0, -1),
      `[${json}]`,
      JSON.stringify(json),
      'null',
      '1',
      '"alice"',
      '[]',
      '{}',
      '{',
    ]
    for (const other of others) {
      expect(other).not.toBe(json)
      await expectInvalid(tokens, forge(header(), other))
    }
    const invalid = Buffer.concat([
      Buffer.from(json.slice(0, -6)),
      Buffer.from([0xff]),
      Buffer.from(json.slice(-6)),
    ])
    const input = `${encode(header())}.${invalid.toString('base64url')}`
    const mac = createHmac('sha256', secret).update(input).digest('base64url')
    await expectInvalid(tokens, `${input}.${mac}`)
  })
})

describe('the clock', () => {
  it('lets a token begin when it was issued and end at exp, both to the millisecond', async () => {
    const token = forge(header(), payload)
    for (const isRemembered of [false, true]) {
      const time = clock()
      const shared = tokensOf({}, time.now)
      if (isRemembered) await shared.verify(token)
      const fresh = () => (isRemembered ? shared : tokensOf({}, time.now))
      for (const at of [noon, noon + 59_999]) {
        time.at = at
        expect(await fresh().verify(token)).toMatchObject({ actorId: 'root' })
      }
      for (const at of [noon + 60_000, noon + 60_001, noon - 1, Number.NaN, -1, 0]) {
        time.at = at
        await expectInvalid(fresh(), token)
      }
    }
  })
})
