import { ImpersonationError } from '../errors.ts'
import type { Settings } from '../settings.ts'
import type { AccessRequest } from '../types.ts'
import { looksAlike } from './policy.ts'
import type { Caller } from './start.ts'

/**
 * Four eyes are four: whoever answers a request is another human than who asked, than the target, and
 * than those who have answered before.
 * @throws {ImpersonationError} second_admin_required
 */
export type CheckSecond<User> = (
  second: Pick<Caller<User>, 'user' | 'profile'>,
  request: Pick<AccessRequest, 'actorId' | 'targetUserId'>,
  /** Who is in it already. */
  others: readonly User[],
) => Promise<void>

export function createCheckSecond<User extends object>({
  breakGlass,
}: Pick<Settings<User>, 'breakGlass'>): CheckSecond<User> {
  /** In doubt they are. */
  async function same(a: User, b: User): Promise<boolean> {
    if (!breakGlass?.samePerson) return false
    try {
      return (await breakGlass.samePerson(a, b)) !== false
    } catch {
      return true
    }
  }

  return async function checkSecond({ user, profile }, { actorId, targetUserId }, others) {
    const taken = [actorId, targetUserId].some((id) => looksAlike(id, profile.id))
    const met = await Promise.all(others.map((other) => same(other, user)))
    if (taken || met.includes(true)) throw new ImpersonationError('second_admin_required')
  }
}
