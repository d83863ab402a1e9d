import { ImpersonationError } from '../errors.ts'
import { reaches } from '../pipeline/walls.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { GrantChange } from '../stores/store.ts'
import type { Grant, UserProfile } from '../types.ts'
import { consentFor, forbidden } from './consent.ts'
import { changed, isOver, refusalOf } from './grant-state.ts'
import type { Caller, StartRequest } from './start.ts'

/** How long a session under a grant may last, extensions included. */
export const longestUnderGrantMs = 30 * 60_000

/** On whose word a session opens. */
export interface Entry {
  readonly grant: Grant
  /** What the claim makes of the grant. */
  readonly change: GrantChange
}

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
}

/**
 * Whether the target's consent is needed, and whether the grant that a start names gives it. Null
 * where none is needed and none is named.
 * @throws {ImpersonationError} grant_required, not_allowed, grant_not_found, grant_not_granted,
 * grant_already_in_use, grant_expired, access_level_exceeds_grant
 */
export function createEntry<User extends object>({ settings, store }: Parts<User>) {
  return async function entry(
    { user, profile }: Caller<User>,
    ask: StartRequest,
    accessLevel: Grant['accessLevel'],
    target: { readonly user: User; readonly profile: UserProfile },
  ): Promise<Entry | null> {
    const rule = await consentFor(settings, user, target.user)
    if (rule === 'forbidden') throw forbidden()
    if (ask.grantId === undefined) {
      if (rule === 'off') return null
      throw new ImpersonationError('grant_required')
    }
    const grant = await store.grants?.readGrant(ask.grantId)
    if (grant?.actorId !== profile.id) throw new ImpersonationError('grant_not_found')
    // The target is the grant's, whatever the body says.
    const org = ask.targetOrgId ?? target.profile.orgId
    if (grant.targetUserId !== target.profile.id || grant.targetOrgId !== org) {
      throw new ImpersonationError('not_allowed', {
        message: 'This grant was given by another user, or in another organisation.',
      })
    }
    const at = settings.now()
    if (isOver(grant, at)) throw new ImpersonationError('grant_expired')
    if (grant.status !== 'granted') throw refusalOf(grant)
    if (!reaches(grant.accessLevel, accessLevel)) {
      throw new ImpersonationError('access_level_exceeds_grant', {
        details: { granted: grant.accessLevel },
      })
    }
    // Nothing of it changes but its revision: a revocation made from the one before finds out.
    return { grant, change: { from: grant.revision, after: changed(grant, {}) } }
  }
}
