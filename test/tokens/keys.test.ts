import {
  createPublicKey,
  generateKeyPairSync,
  type KeyExportOptions,
  type KeyObject,
  type webcrypto,
} from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { importKey } from '../../src/tokens/keys.ts'
import { isSigned } from '../../src/tokens/signature.ts'
import {
  anotherKey,
  claims,
  expectInvalid,
  forge,
  header,
  keyOf,
  noon,
  type PairAlgorithm,
  pairAlgorithms,
  payload,
  privateKeys,
  secret,
  tokensOf,
} from './fixtures.ts'

const asPem = (key: KeyObject, type: 'pkcs8' | 'pkcs1' | 'sec1' | 'spki') =>
  key.export({ type, format: 'pem' } as KeyExportOptions<'pem'>) as string
const asJwk = (key: KeyObject) => key.export({ format: 'jwk' })

const cryptoNames = {
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  EdDSA: { name: 'Ed25519' },
}
const asCryptoKey = (key: KeyObject, alg: PairAlgorithm, extractable = true) =>
  key.toCryptoKey(
    cryptoNames[alg] as Parameters<KeyObject['toCryptoKey']>[0],
    extractable,
    key.type === 'private' ? ['sign'] : ['verify'],
  ) as webcrypto.CryptoKey

const signer = (alg: string, privateKey: unknown) =>
  tokensOf({ keys: [{ kid: 'one', alg, privateKey }] })
const verifier = (alg: string, publicKey: unknown) =>
  tokensOf({
    keys: [
      { kid: 'now', alg: 'HS256', secret },
      { kid: 'one', alg, publicKey },
    ],
  })

describe.each(pairAlgorithms)('%s', (alg) => {
  const privateKey = privateKeys[alg]
  const publicKey = createPublicKey(privateKey)

  it('signs by a key in every shape, and verifies by each shape of its public half', async () => {
    const legacy = { RS256: 'pkcs1', PS256: 'pkcs1', ES256: 'sec1', EdDSA: undefined } as const
    const type = legacy[alg]
    const signers: unknown[] = [
      privateKey,
      asPem(privateKey, 'pkcs8'),
      `\n${asPem(privateKey, 'pkcs8')}`,
      ...(type ? [asPem(privateKey, type)] : []),
      asJwk(privateKey),
      { ...asJwk(privateKey), alg, use: 'sig' },
      asCryptoKey(privateKey, alg),
    ]
    const verifiers: unknown[] = [
      publicKey,
      asPem(publicKey, 'spki'),
      asJwk(publicKey),
      { ...asJwk(publicKey), alg, use: 'sig' },
      asCryptoKey(publicKey, alg),
    ]
    const all = verifiers.map((one) => verifier(alg, one))
    for (const one of signers) {
      const tokens = signer(alg, one)
      const token = await tokens.sign(claims)
      for (const other of [tokens, ...all]) {
        expect(await other.verify(token)).toEqual({ ...claims, issuedAt: noon })
      }
    }
  })

  it('refuses the same kind of key of somebody else', async () => {
    const token = await signer(alg, anotherKey(alg)).sign(claims)
    await expectInvalid(signer(alg, privateKey), token)
    await expectInvalid(verifier(alg, publicKey), token)
  })

  it('publishes the public half, and nothing else', async () => {
    const { keys } = await signer(alg, { ...asJwk(privateKey), key_ops: ['sign'] }).jwks()
    const wanted = { ...asJwk(publicKey), kid: 'one', alg, use: 'sig' }
    expect(keys).toStrictEqual([wanted])
    expect((await verifier(alg, publicKey).jwks()).keys).toStrictEqual([wanted])
  })

  it('refuses keys of another kind, size or use, with a sentence of what it wants', async () => {
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
    const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey
    const curve = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
    const ed448 = generateKeyPairSync('ed448').privateKey
    const kin = (other: PairAlgorithm) =>
      other === alg || (other.endsWith('S256') && alg.endsWith('S256') && other !== 'ES256')
    const strangers = pairAlgorithms.filter((other) => !(kin(other) && alg !== 'ES256'))
    const wrong: unknown[] = [
      small,
      pss,
      curve,
      ed448,
      ...strangers.filter((other) => other !== alg).map((other) => privateKeys[other]),
      publicKey,
      asJwk(publicKey),
      { ...asJwk(privateKey), use: 'enc' },
      { ...asJwk(privateKey), alg: 'ES512' },
      { ...asJwk(privateKey), d: 7 },
      { kty: 'oct', k: Buffer.from(secret).toString('base64url') },
      { kty: 'RSA' },
      {},
      new Date(),
      '-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----',
      asCryptoKey(privateKey, alg, false),
      asCryptoKey(publicKey, alg),
      await crypto.subtle.importKey(
        'raw',
        Buffer.from(secret),
        { name: 'HMAC', hash: 'SHA-256' },
        true,
        ['sign'],
      ),
    ]
    for (const one of wrong) await expectBad(signer(alg, one), 'keys[0].privateKey', alg)
    const unfit = [
      createPublicKey(small),
      createPublicKey(pss),
      createPublicKey(curve),
      createPublicKey(ed448),
      privateKey,
      asJwk(privateKey),
      { ...asJwk(publicKey), use: 'enc' },
      { ...asJwk(publicKey), alg: 'ES512' },
      asCryptoKey(privateKey, alg),
      asCryptoKey(publicKey, alg, false),
      '-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----',
    ]
    for (const one of unfit) await expectBad(verifier(alg, one), 'keys[1].publicKey', alg)
  })
})

async function expectBad(tokens: ReturnType<typeof tokensOf>, option: string, alg: string) {
  const token = await tokensOf().sign(claims)
  const uses = [
    () => tokens.ready(),
    () => tokens.sign(claims),
    () => tokens.verify(token),
    () => tokens.jwks(),
  ]
  for (const use of uses) {
    const error = await use().then(
      () => 'fulfilled',
      (reason: Error) => reason,
    )
    expect(error).toBeInstanceOf(TypeError)
    const { message, cause } = error as Error
    expect(message).toMatch(`option "impersonationTokens.${option}" must be a `)
    expect(message).toMatch(` key for ${alg} (`)
    expect(message).not.toMatch(/[\w+/-]{40}/)
    expect(cause).toBeUndefined()
  }
}

it('holds a CryptoKey to its own algorithm and hash', async () => {
  const { RS256, PS256 } = privateKeys
  const sha512 = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512' }
  await expectBad(signer('PS256', asCryptoKey(RS256, 'RS256')), 'keys[0].privateKey', 'PS256')
  await expectBad(signer('RS256', asCryptoKey(PS256, 'PS256')), 'keys[0].privateKey', 'RS256')
  const longer = RS256.toCryptoKey(sha512, true, ['sign'])
  await expectBad(signer('RS256', longer), 'keys[0].privateKey', 'RS256')
  const verifying = createPublicKey(RS256)
  await expectBad(verifier('PS256', asCryptoKey(verifying, 'RS256')), 'keys[1].publicKey', 'PS256')
})

it('takes Ed25519, the newer name of EdDSA, in a JWK', async () => {
  const jwk = { ...asJwk(privateKeys.EdDSA), alg: 'Ed25519' }
  const token = await signer('EdDSA', jwk).sign(claims)
  const { d: _left, ...publicJwk } = jwk
  expect(await verifier('EdDSA', publicJwk).verify(token)).toMatchObject({ actorId: 'root' })
})

it('refuses a JWK that holds the halves of two keys', async () => {
  const [one, two] = [asJwk(privateKeys.RS256), asJwk(anotherKey('RS256'))]
  const { d, p, q, dp, dq, qi } = one
  const mixed = { ...two, d, p, q, dp, dq, qi }
  await expect(signer('RS256', mixed).ready()).rejects.toThrow(
    /option "impersonationTokens\.keys\[0\]/,
  )
  const curve = { ...asJwk(anotherKey('ES256')), d: asJwk(privateKeys.ES256).d }
  await expect(signer('ES256', curve).ready()).rejects.toThrow(
    /option "impersonationTokens\.keys\[0\]/,
  )
})

it('tells of any bad key at the start, wherever it stands in the list', async () => {
  const good = tokensOf({ keys: pairAlgorithms.map((alg) => keyOf(alg, alg)) })
  await expect(good.ready()).resolves.toBeUndefined()
  const bad = { kid: 'bad', alg: 'ES256', publicKey: createPublicKey(privateKeys.EdDSA) }
  const tokens = tokensOf({ keys: [...pairAlgorithms.map((alg) => keyOf(alg, alg)), bad] })
  await expect(tokens.ready()).rejects.toThrow('option "impersonationTokens.keys[4].publicKey"')
})

it('publishes no secret, and an empty list where there are only such', async () => {
  expect(await tokensOf().jwks()).toStrictEqual({ keys: [] })
  const secrets = [
    { kid: 'one', alg: 'HS256', secret },
    { kid: 'two', alg: 'HS256', secret: `${secret} of old` },
  ]
  expect(await tokensOf({ keys: secrets }).jwks()).toStrictEqual({ keys: [] })
  const mixed = tokensOf({ keys: [...secrets, ...pairAlgorithms.map((alg) => keyOf(alg, alg))] })
  const { keys } = await mixed.jwks()
  expect(keys.map(({ kid }) => kid)).toEqual(pairAlgorithms)
  for (const key of keys) {
    const allowed = ['kty', 'n', 'e', 'crv', 'x', 'y', 'kid', 'alg', 'use']
    expect(Object.keys(key).filter((name) => !allowed.includes(name))).toEqual([])
  }
})

it('hands out a list of keys that a caller may change', async () => {
  const tokens = tokensOf({ keys: [keyOf('ES256')] })
  const { keys } = await tokens.jwks()
  if (keys[0]) keys[0].x = 'another'
  keys.length = 0
  expect((await tokens.jwks()).keys).toMatchObject([{ kid: 'one', kty: 'EC' }])
  expect((await tokens.jwks()).keys[0]?.x).not.toBe('another')
})

it('reads the key of RFC 8037, appendix A.1, and publishes that of A.2', async () => {
  const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'
  const d = 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A'
  const tokens = signer('EdDSA', { kty: 'OKP', crv: 'Ed25519', d, x })
  expect(await tokens.jwks()).toStrictEqual({
    keys: [{ kty: 'OKP', crv: 'Ed25519', x, kid: 'one', alg: 'EdDSA', use: 'sig' }],
  })
})

it('reads the key of RFC 7515, appendix A.3', async () => {
  const x = 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU'
  const y = 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0'
  const d = 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI'
  const tokens = signer('ES256', { kty: 'EC', crv: 'P-256', x, y, d })
  expect(await tokens.jwks()).toStrictEqual({
    keys: [{ kty: 'EC', crv: 'P-256', x, y, kid: 'one', alg: 'ES256', use: 'sig' }],
  })
})

it('finds the signature only under the one header of its key', async () => {
  const bytes = new TextEncoder().encode(secret)
  const key = await importKey({ option: 'x', kid: 'default', alg: 'HS256', secret: bytes })
  expect(await isSigned(forge(header(), payload), key)).toBe(true)
  for (const other of [{ alg: 'HS256', typ: 'JWT', kid: 'default' }, header('HS256', 'other')]) {
    expect(await isSigned(forge(other, payload), key)).toBe(false)
  }
})
