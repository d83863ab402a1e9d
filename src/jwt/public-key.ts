import { createPublicKey, KeyObject } from 'node:crypto'
import type { CryptoKey, JWK } from 'jose'
import type { PublicAlgorithm } from './algorithms.ts'

export interface PublicKey {
  readonly key: CryptoKey | KeyObject
  /** What the key can verify. More than one only where its kind leaves that open. */
  readonly fits: readonly PublicAlgorithm[]
  /** What it verifies unless the options say otherwise. */
  readonly byDefault: readonly PublicAlgorithm[]
}

const rs: readonly PublicAlgorithm[] = ['RS256', 'RS384', 'RS512']
const ps: readonly PublicAlgorithm[] = ['PS256', 'PS384', 'PS512']
const ed: readonly PublicAlgorithm[] = ['EdDSA', 'Ed25519']
const byCurve: Readonly<Record<string, PublicAlgorithm>> = {
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
}

/** Reads the option `key`: a public key in any of its usual shapes. */
export function readPublicKey(given: unknown): PublicKey {
  if (Object.prototype.toString.call(given) === '[object CryptoKey]') {
    return fromCryptoKey(given as CryptoKey)
  }
  if (given instanceof KeyObject) return fromKeyObject(given)
  if (typeof given === 'string') {
    if (!given.trimStart().startsWith('-----BEGIN PUBLIC KEY-----')) throw wrong()
    return fromKeyObject(parse(given))
  }
  if (typeof given === 'object' && given !== null) return fromJwk(given as JWK)
  throw wrong()
}

/** Whether a JWK holds nothing that has to stay secret. */
export function isPublicJwk(jwk: JWK): boolean {
  return typeof jwk.kty === 'string' && jwk.kty !== 'oct' && !('d' in jwk) && !('k' in jwk)
}

function fromJwk(jwk: JWK): PublicKey {
  if (!isPublicJwk(jwk)) throw wrong()
  if (jwk.use !== undefined && jwk.use !== 'sig') {
    throw new TypeError('"key" must be for signatures; this JWK\'s "use" says otherwise')
  }
  const read = fromKeyObject(parse({ key: { ...jwk }, format: 'jwk' }))
  if (jwk.alg === undefined) return read
  const fits = read.fits.filter((name) => name === jwk.alg)
  if (fits.length === 0)
    throw new TypeError(`"key" has an "alg" that is not its kind's: ${jwk.alg}`)
  return { key: read.key, fits, byDefault: fits }
}

function parse(given: Parameters<typeof createPublicKey>[0]): KeyObject {
  try {
    return createPublicKey(given)
  } catch (cause) {
    throw wrong(cause)
  }
}

function fromKeyObject(key: KeyObject): PublicKey {
  if (key.type !== 'public') throw wrong()
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa') {
    checkSize(modulusLength)
    return { key, fits: [...rs, ...ps], byDefault: ['RS256', 'PS256'] }
  }
  if (key.asymmetricKeyType === 'ed25519') return { key, fits: ed, byDefault: ed }
  return forCurve(key, namedCurve)
}

function fromCryptoKey(key: CryptoKey): PublicKey {
  if (key.type !== 'public' || !key.usages.includes('verify')) throw wrong()
  return readCryptoKey(key)
}

/** What a CryptoKey is for, public or private: it is bound to one algorithm, its hash included. */
export function readCryptoKey(key: CryptoKey): PublicKey {
  const algorithm = key.algorithm as {
    name: string
    hash?: { name: string }
    namedCurve?: string
    modulusLength?: number
  }
  if (algorithm.name === 'Ed25519') return { key, fits: ed, byDefault: ed }
  if (algorithm.name === 'ECDSA') return forCurve(key, algorithm.namedCurve)
  const family = { 'RSASSA-PKCS1-v1_5': rs, 'RSA-PSS': ps }[algorithm.name] ?? []
  const fits = family.filter((name) => algorithm.hash?.name === `SHA-${name.slice(2)}`)
  if (fits.length === 0) throw wrong()
  checkSize(algorithm.modulusLength)
  return { key, fits, byDefault: fits }
}

function forCurve(key: PublicKey['key'], curve: string | undefined): PublicKey {
  const name = curve === undefined ? undefined : byCurve[curve]
  if (name === undefined) throw wrong()
  return { key, fits: [name], byDefault: [name] }
}

function checkSize(bits: number | undefined): void {
  if (bits === undefined || bits < 2048) {
    throw new TypeError('"key" must have 2048 bits or more for RSA (RFC 7518, section 3.3)')
  }
}

function wrong(cause?: unknown): TypeError {
  return new TypeError(
    '"key" must be a public key (RSA, P-256, P-384, P-521 or Ed25519): a CryptoKey for verifying, a KeyObject, a JWK or a PEM text that begins with "-----BEGIN PUBLIC KEY-----"',
    cause === undefined ? {} : { cause },
  )
}
