import { createPrivateKey, createPublicKey, KeyObject } from 'node:crypto'
import type { CryptoKey, JWK } from 'jose'
import { want } from '../checks.ts'
import { isImpersonationError } from '../errors.ts'
import { readCryptoKey, readPublicKey } from '../jwt/public-key.ts'
import type { TokenAlgorithm, TokenKeyMaterial, TokenKeySettings } from './option.ts'
import { encodedHeader, isSigned, sign, type TokenKey } from './signature.ts'

/** What a key of each kind has to be. */
const wanted: Readonly<Record<Exclude<TokenAlgorithm, 'HS256'>, string>> = {
  RS256: 'RSA, 2048 bits or more',
  PS256: 'RSA, 2048 bits or more',
  ES256: 'P-256',
  EdDSA: 'Ed25519',
}

/** @throws {TypeError} naming the option in quotes and what it wants, never the key */
export async function importKey(key: TokenKeySettings): Promise<TokenKey> {
  const { option, kid, alg } = key
  const pair = key.alg === 'HS256' ? await importSecret(key.secret) : importPair(key)
  const imported = Object.freeze({ kid, alg, header: encodedHeader(key), ...pair })
  if (imported.signs)
    want(option, await provesItself(imported), 'a key whose halves belong together')
  return imported
}

type Pair = Pick<TokenKey, 'size' | 'signs' | 'verifies' | 'jwk'>

async function importSecret(secret: Uint8Array<ArrayBuffer>): Promise<Pair> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const uses = ['sign', 'verify'] as const
  const key = await crypto.subtle.importKey('raw', secret, algorithm, false, uses)
  return { size: 32, signs: key, verifies: key, jwk: null }
}

function importPair(key: Exclude<TokenKeySettings, { alg: 'HS256' }>): Pair {
  const { option, kid, alg, part, material } = key
  const signs = part === 'privateKey' ? attempt(() => readPrivateKey(material, alg)) : null
  // Of a private key, and of no other, there is a public half; kind, curve and size are the same.
  const verifies = attempt(() => readVerifier(signs ? createPublicKey(signs) : material, alg))
  const kind = part === 'privateKey' ? 'a private key' : 'a public key'
  want(
    `${option}.${part}`,
    signs !== undefined && verifies !== undefined,
    `${kind} for ${alg} (${wanted[alg]}): PEM text, a JWK, a KeyObject, or a CryptoKey that may be exported`,
  )
  const { kty, n, e, crv, x, y } = verifies.export({ format: 'jwk' }) as JWK
  const members = Object.entries({ kty, n, e, crv, x, y }).filter(
    ([, value]) => value !== undefined,
  )
  const jwk = Object.freeze({ ...Object.fromEntries(members), kid, alg, use: 'sig' } as JWK)
  // As many as the modulus has (RFC 8017); twice 32 for both kinds of curve.
  const size = n === undefined ? 64 : Buffer.byteLength(n, 'base64url')
  return { size, signs, verifies, jwk }
}

function readVerifier(material: TokenKeyMaterial, alg: TokenAlgorithm): KeyObject {
  const { key, fits } = readPublicKey(material)
  if (!areFor(alg, fits)) throw new Error('for something else')
  return isCryptoKey(key) ? fromCryptoKey(key) : key
}

function readPrivateKey(material: TokenKeyMaterial, alg: TokenAlgorithm): KeyObject {
  if (typeof material === 'string') return createPrivateKey(material)
  if (material instanceof KeyObject) return material
  if (isCryptoKey(material)) {
    const { fits } = readCryptoKey(material)
    if (!areFor(alg, fits)) throw new Error('for something else')
    return fromCryptoKey(material)
  }
  const { use = 'sig', alg: named = alg } = material
  if (use !== 'sig' || !areFor(alg, [named])) throw new Error('for something else')
  return createPrivateKey({ key: { ...material }, format: 'jwk' })
}

/** `Ed25519` is the newer name of `EdDSA` (RFC 9864). */
function areFor(alg: TokenAlgorithm, fits: readonly string[]): boolean {
  return fits.includes(alg) || (alg === 'EdDSA' && fits.includes('Ed25519'))
}

function fromCryptoKey(key: CryptoKey): KeyObject {
  if (!key.extractable) throw new Error('not to be exported')
  return KeyObject.from(key as Parameters<typeof KeyObject.from>[0])
}

function isCryptoKey(key: unknown): key is CryptoKey {
  return Object.prototype.toString.call(key) === '[object CryptoKey]'
}

/** What goes wrong is not told further: such errors quote the members of a JWK. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

/** A JWK may hold the halves of two keys; then nobody would take what it signs. */
async function provesItself(key: TokenKey): Promise<boolean> {
  try {
    return await isSigned(await sign(Buffer.from('{}'), key), key)
  } catch (error) {
    if (isImpersonationError(error)) throw error
    return false
  }
}
