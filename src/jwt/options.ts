import type { KeyObject } from 'node:crypto'
import type { CryptoKey, JSONWebKeySet, JWK } from 'jose'
import type { PublicAlgorithm, SecretAlgorithm } from './algorithms.ts'
import type { VerifiedClaims } from './user.ts'

/** Lets the key set come over plain `http` from another machine. See {@link JwtSettings}. */
export const allowPlainHttp: unique symbol = Symbol('onbehalf.allowPlainHttp')

type Awaitable<T> = T | Promise<T>

/** Exactly one of `jwks`, `key` and `secret`. */
export type JwtKeyOptions =
  | {
      /**
       * Where the issuer publishes its keys (`https`, or `http` on this machine), or the keys themselves
       * as a JSON Web Key Set (RFC 7517). A set with several keys of one kind needs a `kid` in the token.
       */
      jwks: string | URL | JSONWebKeySet
      key?: never
      secret?: never
      /** @default RS256, PS256, ES256, EdDSA, Ed25519 */
      algorithms?: readonly PublicAlgorithm[]
    }
  | {
      /** The issuer's one public key: CryptoKey, KeyObject, JWK, or SPKI as PEM text. */
      key: CryptoKey | KeyObject | JWK | string
      jwks?: never
      secret?: never
      /** @default what the key is for; RS256 and PS256 where an RSA key leaves it open */
      algorithms?: readonly PublicAlgorithm[]
    }
  | {
      /**
       * What the issuer signs with too: text (its UTF-8 bytes) or bytes, at least as many as the longest
       * hash of `algorithms` has: 32, 48 or 64 (RFC 7518, section 3.2).
       */
      secret: string | Uint8Array
      jwks?: never
      key?: never
      /** @default HS256 */
      algorithms?: readonly SecretAlgorithm[]
    }

export interface JwtSettings<User, Request> {
  /** The claim `iss` has to be this, or one of these. */
  issuer: string | readonly string[]
  /** The claim `aud` has to be or to hold this, or one of these. */
  audience: string | readonly string[]
  /**
   * What the header `typ` has to be, without `application/` and in any case; then it may not be missing.
   * Never `imp+jwt`: impersonation tokens are no login (RFC 8725, section 3.11).
   * @default missing, `JWT` or `at+jwt` (RFC 9068)
   */
  typ?: string | readonly string[]
  /** Claims that have to be there, beside `iss`, `aud`, `exp` and `sub`. @default none */
  requiredClaims?: readonly string[]
  /** How far the issuer's clock may be off, for `exp` and `nbf`, in ms. @default 0 */
  clockToleranceMs?: number
  /**
   * How old the keys of a `jwks` URL may get, in ms. A key that the issuer withdraws stops working
   * within this time, also for tokens verified before. @default 300_000 (5 minutes)
   */
  jwksMaxAgeMs?: number
  /**
   * Makes the user record of a verified token, as your own login would put it on the request; null or
   * undefined when there is no such user. Runs on every request, so that a user you disable is out at
   * once; a value rather than a promise keeps the request synchronous. What it throws goes to the host.
   * @default `{ id: sub, email, name, orgId: org_id, role }`
   */
  claims?: (payload: VerifiedClaims) => Awaitable<User | null | undefined>
  /** Takes the token from elsewhere, such as a cookie; the header is then not read. @default `Authorization: Bearer` */
  getToken?: (request: Request) => Awaitable<string | null | undefined>
  /** How many verified tokens are remembered; 0 verifies on every request. @default 1000 */
  cacheMax?: number
  /** The clock, in ms since the epoch. @default Date.now */
  now?: () => number
  /**
   * > [!WARNING]
   * > Whoever sits between this process and the issuer can then log in as anybody.
   *
   * @default false
   */
  [allowPlainHttp]?: boolean
}

export type JwtActorOptions<User, Request = unknown> = JwtSettings<User, Request> & JwtKeyOptions
