import { ImpersonationError } from '../errors.ts'
import type { People } from '../people.ts'
import type { Session } from '../types.ts'
import type { Caller } from './start.ts'

type Watching = 'list' | 'revoke' | 'issue_token'

/** Whose sessions, or tokens, somebody may see and end: everybody's, or those in their own organisation. */
export interface Reach<User> {
  /**
   * Null for everybody's, else the organisation. Who may do it in general is asked without a target;
   * who may not is asked about themselves, as one member of their organisation among others.
   * @throws {ImpersonationError} not_allowed
   */
  scope(caller: Caller<User>, action: Watching): Promise<string | null>
  /** Whether somebody with an organisation for a scope reaches what concerns this target. */
  covers(
    caller: Caller<User>,
    action: Watching,
    whose: Pick<Session, 'targetUserId' | 'targetOrgId'>,
  ): Promise<boolean>
}

export function createReach<User extends object>(people: People<User>): Reach<User> {
  return {
    async scope({ user, profile }, action) {
      if ((await people.may(user, action)) === true) return null
      const ofOrg = profile.orgId !== null && (await people.may(user, action, user)) === true
      if (!ofOrg) throw new ImpersonationError('not_allowed')
      return profile.orgId
    },
    async covers({ user, profile }, action, { targetUserId, targetOrgId }) {
      if (targetOrgId === null || targetOrgId !== profile.orgId) return false
      const target = await people.anybody(targetUserId)
      // A session into an account that is gone is still one into the organisation.
      return target === null || (await people.may(user, action, target)) === true
    },
  }
}
