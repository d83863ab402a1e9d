import { createHmac } from 'node:crypto'
import { SignJWT } from 'jose'
import { type JwtActorOptions, jwtActor, type TokenUser } from '../../src/jwt/index.ts'

export const issuer = 'https://login.example.com'
export const audience = 'https://api.example.com'
export const secret = 'correct horse battery staple, 32+ bytes'

/** Noon of some day, in ms; tokens of these tests live for a minute after it. */
export const noon = Date.UTC(2026, 10, 5, 12)
export const claims = {
  iss: issuer,
  aud: audience,
  sub: 'ada',
  exp: noon / 1000 + 60,
  email: 'ada@example.com',
  name: 'Ada',
  org_id: 'acme',
  role: 'support',
}

/** A clock that moves only when told. */
export function clock(start = noon) {
  const it = { at: start, now: () => it.at }
  return it
}

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** Signs whatever it is given, by hand: jose would refuse to make most of these. */
export function signHs256(payload: unknown, header: unknown = { alg: 'HS256' }, key = secret) {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
}

export function sign(
  key: Parameters<SignJWT['sign']>[0],
  header: { alg: string; kid?: string; typ?: string },
  payload: object = claims,
): Promise<string> {
  return new SignJWT({ ...payload }).setProtectedHeader(header).sign(key)
}

export const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

/** `jwtActor` at noon, with the secret, unless told otherwise. */
export function actorOf(options: object = {}) {
  const keys = 'jwks' in options || 'key' in options ? {} : { secret }
  const all = { issuer, audience, now: () => noon, ...keys, ...options }
  const getActor = jwtActor(all as unknown as JwtActorOptions<TokenUser>)
  return (token: string) => getActor(bearer(token))
}

/** Mulberry32: the same numbers for the same seed. */
export function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
