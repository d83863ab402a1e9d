import { bearerToken } from './bearer.ts'
import type { JwtActorOptions } from './options.ts'
import { readSettings } from './settings.ts'
import { type TokenUser, tokenUser, type VerifiedClaims, withMarks } from './user.ts'
import { tokenVerifier } from './verify.ts'

/** Gives the user of a request's token, or null: the adapters' option `getActor`. */
export type JwtActor<User, Request = unknown> = (
  request: Request,
) => User | null | Promise<User | null>

/**
 * Reads the actor from a JSON Web Token, for hosts that have no authentication middleware of their own.
 *
 * The token comes in `Authorization: Bearer …` (RFC 6750; never from a body or a query) and is taken
 * only when everything about it is right (RFC 7519, RFC 8725): one of `algorithms`, never `none`, a
 * secret never checked against a public key; `iss`, `aud`, `exp` and `sub` present and right; a header
 * `typ` of a login; no header extensions; spelled exactly as an encoder spells it. Anything else gives
 * null, and the request goes on as nobody.
 *
 * Verified tokens are remembered by their SHA-256, up to `exp` and for as long as the keys hold, so that
 * the answer is a value and not a promise. The verified claims are kept, not the user: `claims` runs on
 * every request. Refused tokens are not remembered.
 *
 * Where the issuer's keys can't be fetched, a token can be told neither good nor bad. Then the request
 * is refused rather than run as nobody: a login that comes from elsewhere must not step in for the
 * missing one, clients must not throw their tokens away, and somebody must learn of it.
 *
 * A token that is itself an impersonation (`act`, RFC 8693; `impersonatedBy`) passes as the login of its
 * `sub`. The mark is put on the user record also where `claims` leaves it out (on a copy), and the
 * engine refuses to start from such a login with `nested_impersonation`.
 *
 * @returns a function that takes the framework's request and gives the user, null when there is no valid
 *   login. It throws {@link ImpersonationError} `invalid_request` on more than one Authorization header,
 *   and rejects with `impersonation_unavailable` (503) when the `jwks` URL gives no keys.
 * @throws {TypeError} an option is missing or wrong; the message has its name in quotes.
 * @example
 * ```ts
 * import { SignJWT } from 'jose'
 * import { jwtActor } from 'onbehalf/jwt'
 *
 * const secret = new TextEncoder().encode('use 32 random bytes or more here')
 * const getActor = jwtActor({
 *   secret,
 *   issuer: 'https://login.example.com',
 *   audience: 'https://api.example.com',
 * })
 * // app.use(impersonate(impersonation, { getActor }))
 *
 * const token = await new SignJWT({ email: 'ada@example.com' })
 *   .setProtectedHeader({ alg: 'HS256' })
 *   .setIssuer('https://login.example.com')
 *   .setAudience('https://api.example.com')
 *   .setSubject('ada')
 *   .setExpirationTime('5m')
 *   .sign(secret)
 * const headers = { authorization: `Bearer ${token}` }
 * console.log(await getActor(new Request('https://api.example.com', { headers })))
 * // { id: 'ada', email: 'ada@example.com', name: null, orgId: null, role: null }
 * ```
 */
export function jwtActor<User extends object = TokenUser, Request = unknown>(
  options: JwtActorOptions<User, Request>,
): JwtActor<User, Request> {
  const verifyToken = tokenVerifier(readSettings(options))
  const { claims = tokenUser as never, getToken = bearerToken } = options

  function toUser(payload: VerifiedClaims | null): User | null | Promise<User | null> {
    if (!payload) return null
    const user = claims(payload)
    return isPromise(user) ? user.then((it) => mark(payload, it)) : mark(payload, user)
  }

  function verify(token: string | null | undefined): User | null | Promise<User | null> {
    if (typeof token !== 'string') return null
    const payload = verifyToken(token)
    return isPromise(payload) ? payload.then(toUser) : toUser(payload)
  }

  return function getJwtActor(request) {
    const token = getToken(request)
    return isPromise(token) ? token.then(verify) : verify(token)
  }
}

function mark<User>(payload: VerifiedClaims, user: User | null | undefined): User | null {
  return user == null ? null : withMarks(payload, user)
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
