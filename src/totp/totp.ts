import { Secret, TOTP } from 'otpauth'
import { isRecord, noOthers, oneOf, positive, want } from '../checks.ts'

/** The hash functions of RFC 6238. */
export const totpAlgorithms = ['SHA1', 'SHA256', 'SHA512'] as const
export type TotpAlgorithm = (typeof totpAlgorithms)[number]

export interface TotpOptions<User> {
  /** The user's secret in base32 (RFC 4648), as it was put into their app; null when they have none. */
  readonly secret: (user: User) => string | null | undefined | Promise<string | null | undefined>
  /** How many digits a code has: 6, 7 or 8. @default 6 */
  readonly digits?: number
  /** For how long the app shows a code, in ms; whole seconds. @default 30_000 */
  readonly periodMs?: number
  /** @default 'SHA1', which is what most apps can do */
  readonly algorithm?: TotpAlgorithm
  /** How many codes before and after the one of now count as well, for clocks that differ; 0 to 10. @default 1 */
  readonly window?: number
  /** The clock, in ms since the epoch. @default Date.now */
  readonly now?: () => number
}

/**
 * Checks one-time codes by RFC 6238, as authenticator apps show them: what `breakGlass.verifySecondFactor`
 * wants. That a code is tried only once is seen to by the library, not here.
 *
 * @throws {TypeError} naming the option in quotes and what it wants; when a code is checked, also
 * where a user's secret is no base32. No message contains a secret
 * @example
 * ```ts
 * import { totp } from 'onbehalf/totp'
 *
 * const secrets = new Map([['root', 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP']])
 * export const verifySecondFactor = totp({
 *   secret: (user: { id: string }) => secrets.get(user.id) ?? null,
 * })
 * ```
 */
export function totp<User extends object>(
  options: TotpOptions<User>,
): (user: User, code: string) => Promise<boolean> {
  const { secret, now, window, ...how } = checked(options)

  return async function verifySecondFactor(user, code) {
    // Digits of other scripts look like these, and are none of an app's.
    if (typeof code !== 'string' || code.length !== how.digits || /[^0-9]/.test(code)) return false
    const own = await secret(user)
    if (own === null || own === undefined) return false
    const timestamp = now()
    want('now', Number.isFinite(timestamp), 'a function that gives ms since the epoch')
    const drift = TOTP.validate({ ...how, secret: secretOf(own), token: code, timestamp, window })
    return drift !== null
  }
}

function checked<User>(options: TotpOptions<User>) {
  if (!isRecord(options)) throw new TypeError('totp wants an object of options')
  const known = ['secret', 'digits', 'periodMs', 'algorithm', 'window', 'now']
  noOthers('', options, known)
  const { secret, now = Date.now, window = 1 } = options
  want('secret', typeof secret === 'function', 'a function (user) => the secret in base32, or null')
  want('now', typeof now === 'function', 'a function () => ms since the epoch')
  const digits = positive('digits', options.digits, 6)
  want('digits', digits >= 6 && digits <= 8, '6, 7 or 8')
  const periodMs = positive('periodMs', options.periodMs, 30_000)
  want('periodMs', periodMs % 1000 === 0, 'a whole number of seconds, in ms')
  want('window', Number.isInteger(window) && window >= 0 && window <= 10, 'a whole number, 0 to 10')
  const algorithm = oneOf('algorithm', options.algorithm, totpAlgorithms, 'SHA1')
  return { secret, now, window, digits, period: periodMs / 1000, algorithm }
}

/** Less than 80 bits is no secret, and more often a mistake. */
const fewestBytes = 10

function secretOf(base32: string): Secret {
  const plain = typeof base32 === 'string' ? base32.replace(/[\s-]|=+\s*$/g, '') : ''
  // The check of the package quotes the letter that it does not like.
  const whole = /^[A-Z2-7]+$/i.test(plain) && ![1, 3, 6].includes(plain.length % 8)
  const bytes = Math.floor((plain.length * 5) / 8)
  if (!whole || bytes < fewestBytes) {
    throw new TypeError(
      'option "secret" must give base32 (A to Z, 2 to 7) of at least 16 characters, or null; ' +
        `it gave ${typeof base32 === 'string' ? 'other text' : typeof base32}`,
    )
  }
  return Secret.fromBase32(plain)
}
