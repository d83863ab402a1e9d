import { createHmac, generateKeyPairSync, KeyObject } from 'node:crypto'
import { exportJWK, exportSPKI, generateKeyPair } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import { publicAlgorithms } from '../../src/jwt/index.ts'
import { actorOf, claims, secret, sign, signHs256 } from './fixtures.ts'

describe('a secret', () => {
  for (const alg of ['HS256', 'HS384', 'HS512']) {
    it(`verifies ${alg}, as text and as bytes`, async () => {
      const long = secret.repeat(2)
      const bytes = new TextEncoder().encode(long)
      const token = await sign(bytes, { alg })
      for (const given of [long, bytes]) {
        const user = await actorOf({ secret: given, algorithms: [alg] })(token)
        expect(user).toMatchObject({ id: 'ada' })
      }
      const others = ['HS256', 'HS384', 'HS512'].filter((other) => other !== alg)
      expect(await actorOf({ secret: long, algorithms: others })(token)).toBeNull()
    })
  }

  it('is copied: what the host does to its bytes later changes nothing', async () => {
    const bytes = new TextEncoder().encode(secret)
    const identify = actorOf({ secret: bytes })
    bytes.fill(0)
    expect(await identify(signHs256(claims))).toMatchObject({ id: 'ada' })
  })

  it('refuses another secret', async () => {
    expect(await actorOf()(signHs256(claims, { alg: 'HS256' }, 'another'))).toBeNull()
  })
})

for (const alg of publicAlgorithms) {
  describe(alg, () => {
    let pair: Awaited<ReturnType<typeof generateKeyPair>>
    let token: string
    beforeAll(async () => {
      pair = await generateKeyPair(alg, { extractable: true })
      token = await sign(pair.privateKey, { alg, kid: 'one' })
    })

    it('verifies with a CryptoKey, a KeyObject, a JWK, a PEM text and a key set', async () => {
      const jwk = await exportJWK(pair.publicKey)
      const keys = [
        pair.publicKey,
        KeyObject.from(pair.publicKey as Parameters<typeof KeyObject.from>[0]),
        jwk,
        { ...jwk, alg },
        await exportSPKI(pair.publicKey),
      ]
      for (const key of keys) {
        expect(await actorOf({ key, algorithms: [alg] })(token)).toMatchObject({ id: 'ada' })
      }
      const jwks = { keys: [{ ...jwk, kid: 'one' }] }
      expect(await actorOf({ jwks, algorithms: [alg] })(token)).toMatchObject({ id: 'ada' })
    })

    it('refuses the same kind of key of somebody else', async () => {
      const foreign = await generateKeyPair(alg)
      const forged = await sign(foreign.privateKey, { alg, kid: 'one' })
      expect(await actorOf({ key: pair.publicKey })(forged)).toBeNull()
    })

    it('refuses none, and its public key as the secret of an HMAC', async () => {
      const pem = await exportSPKI(pair.publicKey)
      const jwk = await exportJWK(pair.publicKey)
      const identifiers = [
        actorOf({ key: pem }),
        actorOf({ key: jwk }),
        actorOf({ key: pair.publicKey }),
        actorOf({ jwks: { keys: [{ ...jwk, kid: 'one' }] } }),
      ]
      const der = Buffer.from(pem.replace(/-----.*?-----|\s/g, ''), 'base64')
      const forged = [
        ...[pem, `${pem}\n`, JSON.stringify(jwk), der.toString('latin1')].map((key) =>
          signHs256(claims, { alg: 'HS256', kid: 'one' }, key),
        ),
        ...['none', 'None', 'NONE', ''].map((name) => unsigned(name)),
        ...['none', 'nOnE'].map((name) => `${unsigned(name)}AAAA`),
        withDer(der),
      ]
      for (const identify of identifiers) {
        for (const one of forged) expect(await identify(one)).toBeNull()
      }
    })
  })
}

it('takes none where a secret is set neither', async () => {
  for (const alg of ['none', 'None', 'NONE', 'nonE', '']) {
    expect(await actorOf()(unsigned(alg))).toBeNull()
    expect(await actorOf()(signHs256(claims, { alg }))).toBeNull()
  }
  for (const alg of [null, 256, ['HS256'], {}, undefined]) {
    expect(await actorOf()(signHs256(claims, { alg }))).toBeNull()
  }
})

it('holds a JWK to its own alg, and a curve to its hash', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const key = { ...(await exportJWK(publicKey)), alg: 'PS256' }
  expect(await actorOf({ key })(await sign(privateKey, { alg: 'PS256' }))).not.toBeNull()
  expect(await actorOf({ key })(await sign(privateKey, { alg: 'RS256' }))).toBeNull()
  const jwks = { keys: [{ ...key, kid: 'one' }] }
  expect(await actorOf({ jwks })(await sign(privateKey, { alg: 'RS256', kid: 'one' }))).toBeNull()
})

function unsigned(alg: string): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${encode({ alg, kid: 'one' })}.${encode(claims)}.`
}

function withDer(der: Buffer): string {
  const [header, payload] = signHs256(claims, { alg: 'HS256', kid: 'one' }).split('.')
  const mac = createHmac('sha256', der).update(`${header}.${payload}`).digest('base64url')
  return `${header}.${payload}.${mac}`
}
