import { hash } from 'node:crypto'
import type { JWK } from 'jose'
import { LRUCache } from 'lru-cache'
import { ImpersonationError } from '../errors.ts'
import { isCompact } from '../jwt/spelling.ts'
import {
  areClaims,
  readPayload,
  type TokenClaims,
  type VerifiedTokenClaims,
  writePayload,
} from './claims.ts'
import { importKey } from './keys.ts'
import type { TokenSettings } from './option.ts'
import { isSigned, sign, type TokenKey } from './signature.ts'

/** Longer ones are neither made nor looked at. In characters, each a byte. */
const longestToken = 8192

/** How many verified tokens are remembered. */
const remembered = 1000

/** Impersonation tokens: access only, never renewed; whether the session still holds is for its store. */
export interface Tokens {
  /**
   * Makes a token, by the first key, that holds from the current second on.
   * @throws {RangeError} the claims are none that a token may have: an id is empty, the end is not
   *   a whole second away, or the token would be longer than 8 KiB
   */
  sign(claims: TokenClaims): Promise<string>
  /**
   * Gives the claims of a token that {@link Tokens.sign} made under one of the keys and that holds now.
   * @throws {ImpersonationError} `token_invalid`: any other text; `impersonation_unavailable`: jose
   *   can't be loaded, so that it can't be told
   * @throws {TypeError} a key of the options is none
   */
  verify(token: string): Promise<VerifiedTokenClaims>
  /** The public keys as a JSON Web Key Set (RFC 7517); a secret is never among them. */
  jwks(): Promise<{ keys: JWK[] }>
  /** Imports every key, as the first use would. @throws {TypeError} a key of the options is none */
  ready(): Promise<void>
}

/** @param now the clock, in ms since the epoch; one that gives NaN makes and verifies nothing */
export function createTokens(settings: TokenSettings, now: () => number): Tokens {
  /** By the SHA-256 of the token, so that no working token lies about in memory. */
  const known = new LRUCache<string, VerifiedTokenClaims>({ max: remembered })
  let importing: Promise<readonly TokenKey[]> | undefined

  function keys(): Promise<readonly TokenKey[]> {
    importing ??= Promise.all(settings.keys.map(importKey)).catch((error: unknown) => {
      importing = undefined
      throw error
    })
    return importing
  }

  /** The clock's say, asked each time. */
  function current(claims: VerifiedTokenClaims | null | undefined): VerifiedTokenClaims {
    const at = now()
    if (claims && at >= claims.issuedAt && at < claims.expiresAt) return claims
    throw new ImpersonationError('token_invalid')
  }

  async function check(token: string): Promise<VerifiedTokenClaims | null> {
    const [header, payload = ''] = token.split('.')
    const key = (await keys()).find((one) => one.header === header)
    return key && (await isSigned(token, key)) ? readPayload(payload, settings) : null
  }

  return Object.freeze({
    async sign(claims) {
      // Before anything is waited for: the caller may go on to change them.
      const dated = {
        ...claims,
        issuedAt: wholeSeconds(now()),
        expiresAt: wholeSeconds(claims.expiresAt),
      }
      if (!areClaims(dated)) {
        throw new RangeError(
          'a token needs ids that are not empty and an end at least a second away',
        )
      }
      const payload = writePayload(dated, settings)
      const [key] = await keys()
      const token = await sign(payload, key)
      if (token.length > longestToken) throw new RangeError('the ids are too long for a token')
      return token
    },

    async verify(token) {
      const isOne = typeof token === 'string' && token.length <= longestToken && isCompact(token)
      if (!isOne) throw new ImpersonationError('token_invalid')
      const digest = hash('sha256', token, 'base64')
      const before = known.get(digest)
      if (before) return current(before)
      const claims = current(await check(token))
      known.set(digest, claims)
      return claims
    },

    async jwks() {
      return { keys: (await keys()).flatMap(({ jwk }) => (jwk ? [{ ...jwk }] : [])) }
    },

    async ready() {
      await keys()
    },
  } satisfies Tokens)
}

const wholeSeconds = (ms: number) => Math.floor(ms / 1000) * 1000
