import { ImpersonationError } from '../errors.ts'
import type { Settings } from '../settings.ts'

/** The step-up challenge of RFC 9470: what opens an account wants a login that is not older than this. */
export function checkFresh<User extends object>(
  { maxAgeMs, authTime }: NonNullable<Settings<User>['freshAuth']>,
  at: number,
  request: unknown,
  user: User,
): void {
  const loggedIn = authTime(request, user)
  // A login in the future is no login; neither is NaN.
  if (typeof loggedIn === 'number' && loggedIn <= at && at - loggedIn <= maxAgeMs) return
  const maxAge = Math.floor(maxAgeMs / 1000)
  throw new ImpersonationError('insufficient_user_authentication', {
    details: { max_age: maxAge },
    headers: {
      'WWW-Authenticate': `Bearer realm="impersonation", error="insufficient_user_authentication", max_age="${maxAge}"`,
    },
  })
}
