import type { ApiTokenSettings, UserQuery } from '../api-tokens/option.ts'
import { ImpersonationError, isImpersonationError } from '../errors.ts'
import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { UserProfile } from '../types.ts'
import type { Changer } from './api-token-changes.ts'
import type { UsersFound } from './api-tokens.ts'
import type { CheckLogin } from './check-login.ts'
import { checkNotForbidden } from './consent.ts'
import { isImpersonated, refusalOf, type StartPolicy } from './policy.ts'
import { createReach } from './reach.ts'
import type { Caller } from './start.ts'

/** Who may issue API tokens, and whose. */
export interface TokenPolicy<User> {
  /** @throws {ImpersonationError} not_allowed, nested_impersonation, insufficient_user_authentication */
  checkIssuer(caller: Caller<User>): Promise<void>
  /** @throws {ImpersonationError} rate_limited */
  checkRate(actorId: string): Promise<void>
  /**
   * The owner, fit to have a token from this caller.
   * @throws {ImpersonationError} target_not_found, target_inactive, target_protected, not_allowed
   */
  owner(caller: Caller<User>, userId: string, orgId: string | null): Promise<Owner<User>>
  users(caller: Caller<User>, ask: UserQuery): Promise<UsersFound>
  /** Does the work; a refusal is put on record. `tokenId` where it is about one that is there. */
  onRecord<T>(
    by: Changer,
    about: { readonly userId: string; readonly tokenId?: string },
    work: () => Promise<T>,
  ): Promise<T>
}

interface Owner<User> {
  readonly user: User
  readonly profile: UserProfile
}

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly people: People<User>
  readonly policy: StartPolicy<User>
  readonly checkLogin: CheckLogin<User>
}

export function createTokenPolicy<User extends object>(parts: Parts<User>): TokenPolicy<User> {
  const { settings, store, people, policy, checkLogin } = parts
  const { now, rateLimit } = settings
  const { listUsers } = settings.apiTokens as ApiTokenSettings<User>
  const reach = createReach<User>(people)

  async function mayIssue(
    caller: Caller<User>,
    user: User,
    orgId: string | null,
  ): Promise<boolean> {
    const scope = await reach.scope(caller, 'issue_token')
    if (scope !== null && scope !== orgId) return false
    return (await people.may(caller.user, 'issue_token', user)) === true
  }

  return {
    async checkIssuer(caller) {
      const { user, profile } = caller
      if (isImpersonated(user)) throw new ImpersonationError('nested_impersonation')
      await reach.scope(caller, 'issue_token')
      await checkLogin(caller)
      const { active } = await store.readStanding(profile.id)
      if (active && active.expiresAt > now()) {
        throw new ImpersonationError('nested_impersonation', {
          message: 'You are impersonating somebody; stop first.',
        })
      }
    },

    /** By the record, where each stands with its token: who has made how many, also by rotating. */
    async checkRate(actorId) {
      if (!rateLimit) return
      const { starts, perMs } = rateLimit
      const ways = (['token.issued', 'token.rotated'] as const).map((action) =>
        store.listEvents({ action, actorId, from: now() - perMs }, { limit: starts }),
      )
      const made = (await Promise.all(ways)).flat().map(({ at }) => at)
      if (made.length < starts) return
      const oldest = made.sort((a, b) => b - a)[starts - 1] ?? now()
      const waitMs = Math.max(oldest + perMs - now(), 1000)
      throw new ImpersonationError('rate_limited', {
        message: 'Too many tokens were issued; wait a while.',
        headers: { 'Retry-After': String(Math.ceil(waitMs / 1000)) },
      })
    },

    async owner(caller, userId, orgId) {
      const found = await people.target(userId, orgId)
      if (found.unfit !== undefined) throw unfit(found.unfit)
      if (!(await mayIssue(caller, found.user, found.profile.orgId))) {
        throw new ImpersonationError('not_allowed', {
          message: 'You are not allowed to issue tokens for this user.',
        })
      }
      await checkNotForbidden(settings, caller.user, found.user)
      return found
    },

    async users(caller, ask) {
      await reach.scope(caller, 'issue_token')
      if (!listUsers) throw new ImpersonationError('route_not_found')
      let page: Awaited<ReturnType<typeof listUsers>>
      try {
        page = await listUsers(ask)
      } catch (cause) {
        throw isImpersonationError(cause)
          ? cause
          : new ImpersonationError('impersonation_unavailable', {
              message: 'The users can not be listed at the moment. Try again soon.',
              cause,
            })
      }
      const users: UserProfile[] = []
      for (const user of page.users) {
        const profile = people.profile(user)
        const isFit = profile.active && (await people.may(user, 'start')) === false
        if (isFit && (await mayIssue(caller, user, profile.orgId))) users.push(profile)
      }
      return { users, nextCursor: page.nextCursor ?? null }
    },

    onRecord: (by, { userId, tokenId = null }, work) =>
      policy.onRecord(
        by,
        { targetUserId: userId, details: { attempt: 'token', token_id: tokenId } },
        work,
      ),
  }
}

/** The sentences of the table speak of impersonation, which is not at stake here. */
function unfit(why: keyof typeof refusalOf): ImpersonationError {
  const code = refusalOf[why]
  const message = {
    target_not_found: undefined,
    target_inactive: 'This user is inactive and can have no API tokens.',
    target_protected: 'This user may impersonate others and can have no API tokens.',
  }[code]
  return new ImpersonationError(code, message === undefined ? {} : { message })
}
