import { ImpersonationError } from '../errors.ts'
import type { Settings } from '../settings.ts'
import { checkFresh } from './fresh-auth.ts'
import type { Judge } from './judge.ts'
import type { Caller } from './start.ts'

/**
 * Whether a login is fresh enough to open a session, and believes what is so.
 * @throws {ImpersonationError} insufficient_user_authentication, impersonation_state_changed
 */
export type CheckLogin<User> = (caller: Caller<User>) => Promise<void>

export function createCheckLogin<User extends object>({
  settings,
  judge,
}: {
  readonly settings: Settings<User>
  readonly judge: Judge<User>
}): CheckLogin<User> {
  const { freshAuth, now } = settings
  return async function checkLogin({ user, profile, pin, request }) {
    if (freshAuth) checkFresh(freshAuth, now(), request, user)
    if (pin === undefined) return
    const { session } = await judge.standing(profile.id)
    if (pin !== (session?.id ?? 'none')) throw new ImpersonationError('impersonation_state_changed')
  }
}
