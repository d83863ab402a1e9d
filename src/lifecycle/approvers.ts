import { ImpersonationError } from '../errors.ts'
import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'

/** Whose yes counts: when they say it, and still when it is used. */
export interface Approvers<User> {
  /** @throws {ImpersonationError} not_allowed */
  check(user: User, target?: User): Promise<void>
  /** Whether everybody of this list is there and may say so still. */
  stand(ids: readonly string[], target: User): Promise<boolean>
}

export function createApprovers<User extends object>(
  { approvals }: Pick<Settings<User>, 'approvals'>,
  people: People<User>,
): Approvers<User> {
  async function may(user: User, target?: User): Promise<boolean> {
    const { role } = people.profile(user)
    if (approvals?.roles && (role === null || !approvals.roles.includes(role))) return false
    return (await people.may(user, 'approve', target)) === true
  }

  return {
    async check(user, target) {
      if (!(await may(user, target))) throw new ImpersonationError('not_allowed')
    },
    async stand(ids, target) {
      for (const id of ids) {
        const user = await people.anybody(id)
        if (user === null || !(await may(user)) || !(await may(user, target))) return false
      }
      return true
    },
  }
}
