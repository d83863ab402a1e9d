import type { JSONWebKeySet, JWK } from 'jose'
import { keySetAlgorithms, publicAlgorithms, secretAlgorithms } from './algorithms.ts'
import { fixedKey, fixedKeySet, type KeySource, remoteKeySet } from './keys.ts'
import { allowPlainHttp } from './options.ts'
import { isPublicJwk, readPublicKey } from './public-key.ts'
import { isPem, secretBytes } from './secret.ts'
import { shortType } from './spelling.ts'

/** The options of a verifier, checked and complete. */
export interface Settings {
  readonly keys: KeySource
  readonly algorithms: readonly string[]
  readonly issuer: readonly string[]
  readonly audience: readonly string[]
  /** Without `application/`, in lower case; undefined stands for a missing one. */
  readonly types: readonly (string | undefined)[]
  readonly requiredClaims: readonly string[]
  readonly clockToleranceMs: number
  readonly cacheMax: number
  readonly now: () => number
}

const known = new Set<PropertyKey>([
  'jwks',
  'key',
  'secret',
  'algorithms',
  'issuer',
  'audience',
  'typ',
  'requiredClaims',
  'clockToleranceMs',
  'jwksMaxAgeMs',
  'claims',
  'getToken',
  'cacheMax',
  'now',
  allowPlainHttp,
])

type Given = Readonly<Record<PropertyKey, unknown>>

/** Checks the options, once. @throws {TypeError} with the option's name in quotes. */
export function readSettings(options: unknown): Settings {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError('jwtActor needs an object of options')
  }
  const given = options as Given
  for (const name of Reflect.ownKeys(given)) {
    if (!known.has(name)) throw new TypeError(`"${String(name)}" is not an option of jwtActor`)
  }
  for (const name of ['claims', 'getToken', 'now']) {
    if (given[name] !== undefined && typeof given[name] !== 'function') {
      throw new TypeError(`"${name}" must be a function`)
    }
  }
  const now = (given.now as (() => number) | undefined) ?? Date.now
  return Object.freeze({
    ...readKeys(given, now),
    issuer: strings(given, 'issuer'),
    audience: strings(given, 'audience'),
    types: readTypes(given),
    requiredClaims: [...new Set(['exp', 'sub', ...strings(given, 'requiredClaims', [])])],
    clockToleranceMs: wholeNumber(given, 'clockToleranceMs', 0, 0),
    cacheMax: wholeNumber(given, 'cacheMax', 0, 1000),
    now,
  })
}

function readKeys(given: Given, now: () => number): Pick<Settings, 'keys' | 'algorithms'> {
  const sources = ['jwks', 'key', 'secret'].filter((name) => given[name] !== undefined)
  if (sources.length !== 1) {
    throw new TypeError('jwtActor needs exactly one of "jwks", "key" and "secret"')
  }
  if (given.jwksMaxAgeMs !== undefined && !isUrl(given.jwks)) {
    throw new TypeError('"jwksMaxAgeMs" is only for a "jwks" URL')
  }
  if (given.secret !== undefined) {
    const algorithms = readAlgorithms(given, secretAlgorithms, ['HS256'])
    return { algorithms, keys: fixedKey(readSecret(given.secret, algorithms)) }
  }
  if (given.key !== undefined) {
    const { key, fits, byDefault } = readPublicKey(given.key)
    return { algorithms: readAlgorithms(given, fits, byDefault), keys: fixedKey(key) }
  }
  const algorithms = readAlgorithms(given, publicAlgorithms, keySetAlgorithms)
  if (!isUrl(given.jwks)) return { algorithms, keys: fixedKeySet(readKeySet(given.jwks)) }
  const url = readUrl(given.jwks, given[allowPlainHttp] === true)
  const maxAgeMs = wholeNumber(given, 'jwksMaxAgeMs', 1, 300_000)
  return { algorithms, keys: remoteKeySet(url, maxAgeMs, now) }
}

const isUrl = (jwks: unknown): jwks is string | URL =>
  typeof jwks === 'string' || jwks instanceof URL

function readAlgorithms(
  given: Given,
  fits: readonly string[],
  byDefault: readonly string[],
): readonly string[] {
  if (given.algorithms === undefined) return byDefault
  const names: readonly unknown[] = Array.isArray(given.algorithms) ? [...given.algorithms] : []
  if (names.length === 0 || !names.every((name) => fits.includes(name as string))) {
    throw new TypeError(`"algorithms" must be a list of what these keys can do: ${fits.join(', ')}`)
  }
  return names as readonly string[]
}

function readSecret(secret: unknown, algorithms: readonly string[]): Uint8Array {
  if (typeof secret !== 'string' && !(secret instanceof Uint8Array)) {
    throw new TypeError('"secret" must be a string or a Uint8Array')
  }
  const bytes = secretBytes(secret)
  if (isPem(bytes)) {
    throw new TypeError('"secret" must not be a PEM text; a public key goes into "key"')
  }
  const least = Math.max(...algorithms.map((name) => Number(name.slice(2)) / 8))
  if (bytes.length < least) {
    throw new TypeError(`"secret" must have ${least} bytes or more (RFC 7518, section 3.2)`)
  }
  return bytes
}

function readKeySet(jwks: unknown): JSONWebKeySet {
  const keys: unknown = (jwks as { keys?: unknown } | null)?.keys
  if (!Array.isArray(keys) || keys.length === 0 || !keys.every(isPublic)) {
    throw new TypeError('"jwks" must be a URL or a JSON Web Key Set with public keys only')
  }
  return structuredClone({ keys }) as JSONWebKeySet
}

const isPublic = (jwk: unknown): boolean =>
  typeof jwk === 'object' && jwk !== null && isPublicJwk(jwk as JWK)

function readUrl(jwks: string | URL, plainHttp: boolean): URL {
  const url = URL.canParse(jwks) ? new URL(jwks) : undefined
  const isHere = url !== undefined && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)
  if (url?.protocol !== 'https:' && !(url?.protocol === 'http:' && (isHere || plainHttp))) {
    throw new TypeError(
      '"jwks" must be an https URL; plain http passes on this machine only, or with [allowPlainHttp]: true',
    )
  }
  if (url.username || url.password) {
    throw new TypeError('"jwks" must not have a user name or a password in its URL')
  }
  return url
}

function readTypes(given: Given): readonly (string | undefined)[] {
  if (given.typ === undefined) return [undefined, 'jwt', 'at+jwt']
  const types = strings(given, 'typ').map(shortType)
  if (types.includes('imp+jwt')) {
    throw new TypeError('"typ" must not be imp+jwt: an impersonation token is no login')
  }
  return types
}

function strings(given: Given, name: string, byDefault?: readonly string[]): readonly string[] {
  const value = given[name] === undefined ? byDefault : given[name]
  const list: readonly unknown[] = Array.isArray(value) ? [...value] : [value]
  const isNeeded = value !== byDefault || byDefault === undefined
  if ((isNeeded && list.length === 0) || !list.every((one) => typeof one === 'string' && one)) {
    throw new TypeError(`"${name}" must be a string that is not empty, or a list of such`)
  }
  return list as readonly string[]
}

function wholeNumber(given: Given, name: string, least: number, byDefault: number): number {
  const value = given[name] === undefined ? byDefault : given[name]
  if (!Number.isSafeInteger(value) || (value as number) < least) {
    throw new TypeError(`"${name}" must be a whole number, ${least} or more`)
  }
  return value as number
}
