import type { KeyObject } from 'node:crypto'
import type { CryptoKey, JWK } from 'jose'
import { isRecord, noOthers, want } from '../checks.ts'
import { isPem, secretBytes } from '../jwt/secret.ts'

/** What an impersonation token may be signed with (RFC 7518; RFC 8037 for `EdDSA`, with Ed25519). */
export const tokenAlgorithms = ['HS256', 'RS256', 'PS256', 'ES256', 'EdDSA'] as const
export type TokenAlgorithm = (typeof tokenAlgorithms)[number]

/**
 * A key in any of its usual shapes: PEM text (PKCS #8, PKCS #1 or SEC 1 for a private key, not encrypted;
 * SPKI for a public one), a JWK (RFC 7517), a KeyObject, or a CryptoKey that may be exported.
 */
export type TokenKeyMaterial = string | JWK | KeyObject | CryptoKey

/** One key of {@link ImpersonationTokenOptions}. */
export type ImpersonationTokenKey = {
  /** The key's name, which each of its tokens carries: 1 to 64 of `A–Z a–z 0–9 _ . : -`. */
  kid: string
} & (
  | {
      alg: 'HS256'
      /** Text (its UTF-8 bytes) or bytes, 32 or more. Whoever has it can make tokens. */
      secret: string | Uint8Array
      privateKey?: undefined
      publicKey?: undefined
    }
  | {
      /** RSA (2048 bits or more) for `RS256` and `PS256`, P-256 for `ES256`, Ed25519 for `EdDSA`. */
      alg: Exclude<TokenAlgorithm, 'HS256'>
      /** Signs and verifies. */
      privateKey: TokenKeyMaterial
      publicKey?: undefined
      secret?: undefined
    }
  | {
      alg: Exclude<TokenAlgorithm, 'HS256'>
      /** Verifies only: a key that signed until lately, or that signs in another process. */
      publicKey: TokenKeyMaterial
      privateKey?: undefined
      secret?: undefined
    }
)

/**
 * How impersonation tokens are signed and told from others. With exactly one of `secret` and `keys`.
 *
 * > [!WARNING]
 * > Use keys that sign nothing else. Where the host's logins are signed with the same key, only the
 * > header `typ` keeps an impersonation token from being taken for a login of the target, and many
 * > verifiers do not look at it.
 *
 * @example
 * ```ts
 * const impersonationTokens = {
 *   issuer: 'https://api.example.com',
 *   audience: 'https://api.example.com',
 *   keys: [
 *     { kid: '2026-11', alg: 'ES256', privateKey: process.env.TOKEN_KEY },
 *     { kid: '2026-05', alg: 'ES256', publicKey: process.env.TOKEN_KEY_BEFORE },
 *   ],
 * }
 * ```
 */
export type ImpersonationTokenOptions = {
  /** The claim `iss`: who signs, such as the origin of this application. Compared as it is written. */
  issuer: string
  /** The claim `aud`: whom the tokens are for. One, compared as it is written. */
  audience: string
} & (
  | {
      /** Text (its UTF-8 bytes) or bytes, 32 or more: HS256 under the kid `default`. */
      secret: string | Uint8Array
      keys?: undefined
    }
  | {
      /**
       * The first signs, all verify. To rotate, put the new key first and leave the old one in the list
       * until the last of its tokens has expired; taken out, it verifies nothing any more.
       */
      keys: readonly ImpersonationTokenKey[]
      secret?: undefined
    }
)

/** One key as the options name it; what it is worth shows when it is imported. */
export type TokenKeySettings = {
  /** Where it stands in the options, for the errors. */
  readonly option: string
  readonly kid: string
} & (
  | { readonly alg: 'HS256'; readonly secret: Uint8Array<ArrayBuffer> }
  | {
      readonly alg: Exclude<TokenAlgorithm, 'HS256'>
      readonly part: 'privateKey' | 'publicKey'
      readonly material: TokenKeyMaterial
    }
)

export interface TokenSettings {
  readonly issuer: string
  readonly audience: string
  /** The first signs. */
  readonly keys: readonly TokenKeySettings[]
}

/** HMAC-SHA-256 wants a key as long as what it gives (RFC 7518, section 3.2). */
const shortestSecret = 32

/**
 * Checks the option `impersonationTokens` as far as that goes without reading keys, and copies it.
 * @throws {TypeError} naming the option in quotes and what it wants, never a key
 */
export function checkImpersonationTokens(
  group: ImpersonationTokenOptions | undefined,
): TokenSettings | undefined {
  if (group === undefined) return undefined
  const name = 'impersonationTokens'
  want(name, isRecord(group), 'an object { secret or keys, issuer, audience }')
  noOthers(`${name}.`, group, ['secret', 'keys', 'issuer', 'audience'])
  const { secret, keys, issuer, audience } = group as Partial<ImpersonationTokenOptions>
  want(`${name}.issuer`, isName(issuer), 'a string that is not empty')
  want(`${name}.audience`, isName(audience), 'a string that is not empty')
  want(
    name,
    (secret === undefined) !== (keys === undefined),
    'given exactly one of "secret" and "keys"',
  )
  return Object.freeze({
    issuer,
    audience,
    keys: Object.freeze(
      keys === undefined
        ? [Object.freeze(readSecret(name, 'default', secret))]
        : checkKeys(`${name}.keys`, keys),
    ),
  })
}

function checkKeys(option: string, given: unknown): readonly TokenKeySettings[] {
  want(option, Array.isArray(given) && given.length > 0, 'an array of at least one key')
  const keys = [...given].map((key: unknown, n) => Object.freeze(checkKey(`${option}[${n}]`, key)))
  keys.forEach(({ kid }, n) => {
    const isFirst = keys.findIndex((other) => other.kid === kid) === n
    want(`${option}[${n}].kid`, isFirst, 'a name that no other key has')
  })
  const [first] = keys
  const signs = first !== undefined && ('secret' in first || first.part === 'privateKey')
  want(`${option}[0].privateKey`, signs, 'given: the first key is the one that signs')
  return keys
}

function checkKey(option: string, key: unknown): TokenKeySettings {
  want(option, isRecord(key), 'an object { kid, alg, privateKey, publicKey or secret }')
  noOthers(`${option}.`, key, ['kid', 'alg', 'secret', 'privateKey', 'publicKey'])
  const { kid, alg, secret } = key
  const isKid = typeof kid === 'string' && /^[\w.:-]{1,64}$/.test(kid)
  want(`${option}.kid`, isKid, 'a name of 1 to 64 letters, digits and _ . : -')
  want(`${option}.alg`, isAlgorithm(alg), `one of ${tokenAlgorithms.join(', ')}`)
  const parts = ['privateKey', 'publicKey'].filter((part) => key[part] !== undefined)
  if (alg === 'HS256') {
    want(option, parts.length === 0, 'given a "secret" and no other key, since its alg is HS256')
    return readSecret(option, kid, secret)
  }
  want(
    option,
    parts.length === 1 && secret === undefined,
    `given either a "privateKey" or a "publicKey" and no "secret", since its alg is ${alg}`,
  )
  const part = parts[0] === 'privateKey' ? 'privateKey' : 'publicKey'
  return { option, kid, alg, part, material: copyMaterial(`${option}.${part}`, part, key[part]) }
}

function readSecret(option: string, kid: string, secret: unknown): TokenKeySettings {
  const name = `${option}.secret`
  const isOne = typeof secret === 'string' || secret instanceof Uint8Array
  want(name, isOne, 'a string or a Uint8Array')
  const bytes = secretBytes(secret)
  want(name, !isPem(bytes), 'a secret, not a PEM text; that is for "privateKey" or "publicKey"')
  want(
    name,
    bytes.length >= shortestSecret,
    `at least ${shortestSecret} characters or bytes, such as \`openssl rand -base64 32\` gives`,
  )
  return { option, kid, alg: 'HS256', secret: bytes }
}

function copyMaterial(
  option: string,
  part: 'privateKey' | 'publicKey',
  material: unknown,
): TokenKeyMaterial {
  if (typeof material === 'string') {
    const [begin, kind] =
      part === 'privateKey'
        ? [/^\s*-----BEGIN (RSA |EC )?PRIVATE KEY-----/, 'a private key that is not encrypted']
        : [/^\s*-----BEGIN PUBLIC KEY-----/, 'a public key']
    want(option, begin.test(material), `the PEM text of ${kind}, a JWK, a KeyObject or a CryptoKey`)
    return material
  }
  const isOne = isRecord(material) && !ArrayBuffer.isView(material)
  want(option, isOne, 'a PEM text, a JWK, a KeyObject or a CryptoKey')
  return 'kty' in material ? ({ ...material } as JWK) : (material as unknown as KeyObject)
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function isAlgorithm(value: unknown): value is TokenAlgorithm {
  return tokenAlgorithms.some((alg) => alg === value)
}
