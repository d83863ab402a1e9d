import type { KeyObject } from 'node:crypto'
import type { CryptoKey, JWK } from 'jose'
import { ImpersonationError } from '../errors.ts'
import type { TokenAlgorithm } from './option.ts'

/** A key, imported. */
export interface TokenKey {
  readonly kid: string
  readonly alg: TokenAlgorithm
  /** The header of every token under this key, encoded: there is no second one. */
  readonly header: string
  /** How many bytes its signatures have. */
  readonly size: number
  /** Null where it verifies only. */
  readonly signs: KeyObject | CryptoKey | null
  readonly verifies: KeyObject | CryptoKey
  /** What may be published of it; null for a secret. */
  readonly jwk: JWK | null
}

const headerOf = ({ alg, kid }: Pick<TokenKey, 'alg' | 'kid'>) => ({ alg, typ: 'imp+jwt', kid })

export function encodedHeader(key: Pick<TokenKey, 'alg' | 'kid'>): string {
  return Buffer.from(JSON.stringify(headerOf(key))).toString('base64url')
}

/** The whole token (RFC 7515, section 7.1). */
export async function sign(payload: Uint8Array, key: TokenKey | undefined): Promise<string> {
  if (!key?.signs) throw new Error('no key to sign with')
  const { CompactSign } = await jose(import('jose/jws/compact/sign'))
  const token = await new CompactSign(payload).setProtectedHeader(headerOf(key)).sign(key.signs)
  return key.alg === 'ES256' ? withLowS(token) : token
}

/** Whether a token has the key's header and, under that, its signature. */
export async function isSigned(token: string, key: TokenKey): Promise<boolean> {
  if (!token.startsWith(`${key.header}.`)) return false
  // OpenSSL takes an RSA-PSS signature without its leading zeros too (RFC 8017, section 8.1.2, does not).
  if (Buffer.byteLength(token.slice(token.lastIndexOf('.') + 1), 'base64url') !== key.size)
    return false
  if (key.alg === 'ES256' && withLowS(token) !== token) return false
  const { compactVerify } = await jose(import('jose/jws/compact/verify'))
  try {
    await compactVerify(token, key.verifies, { algorithms: [key.alg] })
    return true
  } catch {
    return false
  }
}

/** The order of P-256. */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/**
 * An ECDSA signature (r, s) has a twin, (r, order − s), which anybody can make of it and which is as
 * good. The smaller one is the token, the other is none.
 */
function withLowS(token: string): string {
  const at = token.lastIndexOf('.') + 1
  const bytes = Buffer.from(token.slice(at), 'base64url')
  const s = BigInt(`0x${bytes.toString('hex', 32)}`)
  if (s <= order / 2n || s >= order) return token
  bytes.write((order - s).toString(16).padStart(64, '0'), 32, 'hex')
  return token.slice(0, at) + bytes.toString('base64url')
}

/** A part of jose that can't be loaded says nothing of a token. */
async function jose<T>(loading: Promise<T>): Promise<T> {
  try {
    return await loading
  } catch (cause) {
    throw new ImpersonationError('impersonation_unavailable', {
      message: 'Tokens cannot be signed or checked at the moment. Try again soon.',
      cause,
    })
  }
}
