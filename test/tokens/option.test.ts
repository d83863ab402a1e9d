import { createPublicKey, createSecretKey } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  checkImpersonationTokens,
  type ImpersonationTokenOptions,
  tokenAlgorithms,
} from '../../src/tokens/option.ts'
import { audience, claims, issuer, privateKeys, secret, tokensOf } from './fixtures.ts'

const check = (given: unknown) =>
  checkImpersonationTokens(given as ImpersonationTokenOptions | undefined)
const withKeys = (...keys: unknown[]) => check({ issuer, audience, keys })
const pem = privateKeys.ES256.export({ type: 'pkcs8', format: 'pem' }) as string
const publicPem = createPublicKey(pem).export({ type: 'spki', format: 'pem' }) as string
const good = { kid: 'one', alg: 'ES256', privateKey: pem }

it('is off where it is left out', () => {
  expect(check(undefined)).toBeUndefined()
})

it('takes a secret as the one key, under the kid default', () => {
  const bytes = new TextEncoder().encode(secret)
  for (const given of [secret, bytes, Buffer.from(secret)]) {
    expect(check({ issuer, audience, secret: given })).toEqual({
      issuer,
      audience,
      keys: [{ option: 'impersonationTokens', kid: 'default', alg: 'HS256', secret: bytes }],
    })
  }
})

it('is copied and frozen: what the host does to its own later changes nothing', async () => {
  for (const bytes of [new TextEncoder().encode(secret), Buffer.from(secret)]) {
    const tokens = tokensOf({ secret: bytes })
    bytes.fill(0)
    const token = await tokens.sign(claims)
    expect(await tokensOf().verify(token)).toMatchObject({ actorId: 'root' })
  }
  const jwk = privateKeys.EdDSA.export({ format: 'jwk' })
  const keys = [{ kid: 'one', alg: 'EdDSA', privateKey: jwk }]
  const tokens = tokensOf({ keys })
  keys[0] = { ...(keys[0] as (typeof keys)[0]), kid: 'two' }
  jwk.d = 'AA'
  expect(await tokens.verify(await tokens.sign(claims))).toMatchObject({ actorId: 'root' })
  const settings = withKeys(good)
  expect([settings, settings?.keys, settings?.keys[0]].every(Object.isFrozen)).toBe(true)
})

it('takes kids of 1 to 64 letters', () => {
  for (const kid of ['a', '2026-11', 'a.b:c_d-E', 'x'.repeat(64)]) {
    expect(withKeys({ ...good, kid })?.keys[0]).toMatchObject({ kid, alg: 'ES256' })
  }
})

it('knows exactly these algorithms', () => {
  expect(tokenAlgorithms).toEqual(['HS256', 'RS256', 'PS256', 'ES256', 'EdDSA'])
})

describe('an error names the option', () => {
  const base = { issuer, audience, secret }
  it.each<[string, unknown]>([
    ['impersonationTokens', null],
    ['impersonationTokens', 'a secret'],
    ['impersonationTokens', []],
    ['impersonationTokens', { issuer, audience }],
    ['impersonationTokens', { ...base, keys: [good] }],
    ['impersonationTokens.kid', { ...base, kid: 'one' }],
    ['impersonationTokens.issuer', { audience, secret }],
    ['impersonationTokens.issuer', { ...base, issuer: '' }],
    ['impersonationTokens.issuer', { ...base, issuer: [issuer] }],
    ['impersonationTokens.audience', { issuer, secret }],
    ['impersonationTokens.audience', { ...base, audience: '' }],
    ['impersonationTokens.audience', { ...base, audience: [audience] }],
    ['impersonationTokens.secret', { ...base, secret: 'x'.repeat(31) }],
    ['impersonationTokens.secret', { ...base, secret: new Uint8Array(31) }],
    ['impersonationTokens.secret', { ...base, secret: '' }],
    ['impersonationTokens.secret', { ...base, secret: null }],
    ['impersonationTokens.secret', { ...base, secret: 12345678901234567890123456789012n }],
    ['impersonationTokens.secret', { ...base, secret: createSecretKey(Buffer.from(secret)) }],
    ['impersonationTokens.secret', { ...base, secret: new ArrayBuffer(32) }],
    ['impersonationTokens.secret', { ...base, secret: publicPem }],
    ['impersonationTokens.secret', { ...base, secret: Buffer.from(`\n${pem}`) }],
    ['impersonationTokens.keys', { issuer, audience, keys: [] }],
    ['impersonationTokens.keys', { issuer, audience, keys: null }],
    ['impersonationTokens.keys', { issuer, audience, keys: good }],
  ])('"%s": %#', (option, given) => {
    expect(() => check(given)).toThrow(TypeError)
    expect(() => check(given)).toThrow(`option "${option}" `)
  })

  it.each<[string, unknown]>([
    ['[1]', undefined],
    ['[1]', 'a key'],
    ['[1].use', { ...good, kid: 'two', use: 'sig' }],
    ['[1].kid', { ...good, kid: undefined }],
    ['[1].kid', { ...good, kid: '' }],
    ['[1].kid', { ...good, kid: 7 }],
    ['[1].kid', { ...good, kid: 'x'.repeat(65) }],
    ['[1].kid', { ...good, kid: 'two\n' }],
    ['[1].kid', { ...good, kid: '../two' }],
    ['[1].kid', good],
    ['[1].alg', { ...good, kid: 'two', alg: undefined }],
    ['[1].alg', { ...good, kid: 'two', alg: 'none' }],
    ['[1].alg', { ...good, kid: 'two', alg: 'HS512' }],
    ['[1].alg', { ...good, kid: 'two', alg: 'es256' }],
    ['[1].alg', { ...good, kid: 'two', alg: ['ES256'] }],
    ['[1]', { kid: 'two', alg: 'ES256' }],
    ['[1]', { ...good, kid: 'two', publicKey: publicPem }],
    ['[1]', { ...good, kid: 'two', secret }],
    ['[1]', { kid: 'two', alg: 'RS256', secret }],
    ['[1]', { kid: 'two', alg: 'HS256', secret, privateKey: pem }],
    ['[1]', { kid: 'two', alg: 'HS256', publicKey: publicPem }],
    ['[1].secret', { kid: 'two', alg: 'HS256' }],
    ['[1].secret', { kid: 'two', alg: 'HS256', secret: 'short' }],
    ['[1].secret', { kid: 'two', alg: 'HS256', secret: publicPem }],
    ['[1].privateKey', { ...good, kid: 'two', privateKey: publicPem }],
    ['[1].privateKey', { ...good, kid: 'two', privateKey: 'abc' }],
    ['[1].privateKey', { ...good, kid: 'two', privateKey: Buffer.from(pem) }],
    [
      '[1].privateKey',
      {
        ...good,
        kid: 'two',
        privateKey: privateKeys.ES256.export({
          type: 'pkcs8',
          format: 'pem',
          cipher: 'aes-256-cbc',
          passphrase: 'swordfish',
        }),
      },
    ],
    ['[1].publicKey', { kid: 'two', alg: 'ES256', publicKey: pem }],
    ['[1].publicKey', { kid: 'two', alg: 'ES256', publicKey: '' }],
    ['[1].publicKey', { kid: 'two', alg: 'ES256', publicKey: 7 }],
  ])('"impersonationTokens.keys%s": %#', (option, second) => {
    expect(() => withKeys(good, second)).toThrow(TypeError)
    expect(() => withKeys(good, second)).toThrow(`option "impersonationTokens.keys${option}" `)
  })

  it('where the first key only verifies', () => {
    expect(() => withKeys({ kid: 'two', alg: 'ES256', publicKey: publicPem }, good)).toThrow(
      'option "impersonationTokens.keys[0].privateKey" must be given',
    )
  })

  it('and never shows the key', () => {
    const body = pem.split('\n')[1] ?? ''
    const given = [
      { ...base, secret: 'swordfish' },
      { ...base, secret: `-----BEGIN X-----${body}` },
      { issuer, audience, keys: [{ ...good, privateKey: body }] },
      { issuer, audience, keys: [{ kid: 'one', alg: 'ES256', publicKey: pem }] },
      { issuer, audience, keys: [good, { kid: 'two', alg: 'HS256', secret: 'swordfish' }] },
    ]
    for (const one of given) {
      expect(() => check(one)).toThrow('option "')
      expect(() => check(one)).not.toThrow(/swordfish|[A-Za-z0-9+/]{40}/)
    }
  })
})
