import {
  constants,
  createHmac,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signBytes,
} from 'node:crypto'
import { expect } from 'vitest'
import type { TokenClaims } from '../../src/tokens/claims.ts'
import {
  checkImpersonationTokens,
  type ImpersonationTokenKey,
  type ImpersonationTokenOptions,
  type TokenAlgorithm,
} from '../../src/tokens/option.ts'
import { createTokens, type Tokens } from '../../src/tokens/tokens.ts'

export const issuer = 'https://api.example.com'
export const audience = 'urn:example:api'
export const secret = 'correct horse battery staple, 32+ bytes'

/** Noon of some day, in ms. */
export const noon = Date.UTC(2026, 10, 5, 12)

export const claims: TokenClaims = {
  sessionId: '01a2',
  actorId: 'root',
  targetUserId: 'alice',
  targetOrgId: 'acme',
  accessLevel: 'interactive',
  grantId: 'g-7',
  clientId: 'cli',
  expiresAt: noon + 60_000,
}

/** The payload that those claims have at noon, by hand. */
export const payload = {
  iss: issuer,
  aud: audience,
  sub: 'alice',
  act: { sub: 'root' },
  jti: '01a2',
  iat: noon / 1000,
  exp: noon / 1000 + 60,
  access_level: 'interactive',
  grant_id: 'g-7',
  client_id: 'cli',
  org_id: 'acme',
}

export const header = (alg: string = 'HS256', kid = 'default') => ({ alg, typ: 'imp+jwt', kid })

/** A clock that moves only when told. */
export function clock(start = noon) {
  const it = { at: start, now: () => it.at }
  return it
}

/** `createTokens` at noon, with the secret, unless told otherwise. */
export function tokensOf(options: object = {}, now: () => number = () => noon): Tokens {
  const given = { issuer, audience, ...('keys' in options ? {} : { secret }), ...options }
  const settings = checkImpersonationTokens(given as ImpersonationTokenOptions)
  if (!settings) throw new Error('no settings')
  return createTokens(settings, now)
}

export const privateKeys = {
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  PS256: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  EdDSA: generateKeyPairSync('ed25519').privateKey,
}
export type PairAlgorithm = keyof typeof privateKeys
export const pairAlgorithms = Object.keys(privateKeys) as PairAlgorithm[]

/** Another key of the same kind. */
export function anotherKey(alg: PairAlgorithm): KeyObject {
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519').privateKey
  if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
}

export const keyOf = (alg: PairAlgorithm, kid = 'one'): ImpersonationTokenKey => ({
  kid,
  alg,
  privateKey: privateKeys[alg],
})

export const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** Signs whatever it is given, by hand: neither jose nor the code under test has a say in it. */
export function forge(
  head: unknown,
  body: unknown,
  alg: TokenAlgorithm = 'HS256',
  key: KeyObject | string | Uint8Array = secret,
): string {
  const input = `${encode(head)}.${encode(body)}`
  return `${input}.${signature(input, alg, key).toString('base64url')}`
}

function signature(input: string, alg: TokenAlgorithm, key: KeyObject | string | Uint8Array) {
  if (alg === 'HS256') return createHmac('sha256', key).update(input).digest()
  const privateKey = typeof key === 'string' ? createPrivateKey(key) : (key as KeyObject)
  const bytes = Buffer.from(input)
  if (alg === 'EdDSA') return signBytes(null, bytes, privateKey)
  if (alg === 'ES256') {
    // One in two is the larger twin, which is no token.
    for (;;) {
      const made = signBytes('sha256', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' })
      if ((made[32] ?? 255) < 0x7f) return made
    }
  }
  const { RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING } = constants
  return signBytes('sha256', bytes, {
    key: privateKey,
    padding: alg === 'PS256' ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING,
    ...(alg === 'PS256' && { saltLength: 32 }),
  })
}

/** Refused, and with no word of why. */
export async function expectInvalid(tokens: Tokens, token: unknown): Promise<void> {
  const outcome = await tokens.verify(token as string).then(
    (accepted) => ({ accepted, token }),
    (error: unknown) => error,
  )
  expect(outcome).toMatchObject({
    code: 'token_invalid',
    status: 401,
    message: 'The token is not valid.',
  })
  expect(Object.hasOwn(outcome as object, 'cause')).toBe(false)
}
