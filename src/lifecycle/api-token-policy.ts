import type { ApiTokenSettings, UserPage, UserQuery } from '../api-tokens/option.ts'
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
import type { VerbParts } from './verbs.ts'

/** Who may issue API tokens, and whose. */
export interface TokenPolicy<User> {
  /** Whoever calls is there themselves. @throws {ImpersonationError} nested_impersonation */
  checkOneself(user: User): void
  /** @throws {ImpersonationError} not_allowed, nested_impersonation, insufficient_user_authentication */
  checkIssuer(caller: Caller<User>): Promise<void>
  /** @throws {ImpersonationError} rate_limited */
  checkRate(actorId: string): Promise<void>
  /**
   * The owner, fit to have a token from this caller. Who is out of the caller's reach is not there.
   * @throws {ImpersonationError} target_not_found, target_inactive, target_protected, not_allowed
   */
  owner(caller: Caller<User>, userId: string, orgId: string | null): Promise<Owner<User>>
  users(caller: Caller<User>, ask: Omit<UserQuery, 'orgId'>): Promise<UsersFound>
  /** Does the work; a refusal is put on record. */
  onRecord<T>(by: Changer, about: About, work: () => Promise<T>): Promise<T>
}

export interface About {
  readonly userId: string | null
  /** Of a token that is there: what somebody took for an id may be a token itself. */
  readonly tokenId: string | null
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
  readonly under: VerbParts<User>['under']
}

export function createTokenPolicy<User extends object>(parts: Parts<User>): TokenPolicy<User> {
  const { settings, store, people, policy, checkLogin, under } = parts
  const { now, rateLimit } = settings
  const { listUsers } = settings.apiTokens as ApiTokenSettings<User>
  const reach = createReach<User>(people)

  /** Whether a token may be issued for somebody who is fit to have one. */
  async function checkMayIssue(caller: Caller<User>, user: User): Promise<void> {
    const message = 'You are not allowed to issue tokens for this user.'
    if ((await people.may(caller.user, 'issue_token', user)) !== true)
      throw new ImpersonationError('not_allowed', { message })
    await checkNotForbidden(settings, caller.user, user).catch((error: ImpersonationError) => {
      throw error.code === 'not_allowed'
        ? new ImpersonationError('not_allowed', {
            message: 'Nobody may have a token for this user.',
          })
        : error
    })
  }

  /** As `owner` would find them. */
  async function isChoice(caller: Caller<User>, user: User, scope: string | null) {
    const { active, orgId } = people.profile(user)
    if (!active || (scope !== null && scope !== orgId)) return false
    if (await people.privileged(user)) return false
    return checkMayIssue(caller, user).then(
      () => true,
      () => false,
    )
  }

  /** Also where a handler of the host calls: the user in its slot may be somebody else's. */
  function checkOneself(user: User): void {
    const now = under()
    if (isImpersonated(user) || (now && 'session' in now))
      throw new ImpersonationError('nested_impersonation')
  }

  return {
    checkOneself,

    async checkIssuer(caller) {
      const { user, profile } = caller
      checkOneself(user)
      if (under()) {
        const message = 'No API token issues others: log in.'
        throw new ImpersonationError('not_allowed', { message })
      }
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
      const scope = await reach.scope(caller, 'issue_token')
      const found = await people.target(userId, scope ?? orgId)
      if (found.unfit !== undefined) throw unfit(found.unfit)
      await checkMayIssue(caller, found.user)
      return found
    },

    async users(caller, ask) {
      const orgId = await reach.scope(caller, 'issue_token')
      if (!listUsers) throw new ImpersonationError('route_not_found')
      let page: Awaited<ReturnType<typeof listUsers>>
      try {
        page = await listUsers({ ...ask, orgId })
      } catch (cause) {
        throw isImpersonationError(cause)
          ? cause
          : new ImpersonationError('impersonation_unavailable', {
              message: 'The users can not be listed at the moment. Try again soon.',
              cause,
            })
      }
      const { users, nextCursor } = checked(page)
      const chosen = await Promise.all(users.map((user) => isChoice(caller, user, orgId)))
      return { users: users.filter((_, n) => chosen[n]).map(people.profile), nextCursor }
    },

    onRecord: (by, about, work) =>
      policy.onRecord(
        by,
        { targetUserId: about.userId, details: { attempt: 'token', token_id: about.tokenId } },
        work,
      ),
  }
}

/** @throws {TypeError} when `listUsers` gave something else */
function checked<User>(page: UserPage<User> | undefined) {
  const { users, nextCursor } = page ?? {}
  const cursor = nextCursor ?? null
  const isCursor = typeof cursor === 'string' && cursor !== '' && cursor.length <= 1000
  if (!Array.isArray(users) || !(cursor === null || isCursor))
    throw new TypeError(
      'apiTokens.listUsers must give { users: [...], nextCursor?: string | null }',
    )
  return { users: users as readonly User[], nextCursor: cursor }
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
