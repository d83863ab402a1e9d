import type { ApiTokenSettings, UserQuery } from '../api-tokens/option.ts'
import { noMeta, type RequestMeta } from '../audit/events.ts'
import type { Recorder } from '../audit/recorder.ts'
import { ImpersonationError } from '../errors.ts'
import type { People } from '../people.ts'
import type { ApiTokenDoor } from '../pipeline/api-token-door.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Page } from '../stores/store.ts'
import type { TokenFilter } from '../stores/tokens.ts'
import type { ApiToken, ApiTokenContext, UserProfile } from '../types.ts'
import { createTokenChanges, type IssuedApiToken, type NewToken } from './api-token-changes.ts'
import { createTokenPolicy } from './api-token-policy.ts'
import { createTokenReach } from './api-token-reach.ts'
import { type ApiTokenRequest, createTokenTerms } from './api-token-terms.ts'
import type { CheckLogin } from './check-login.ts'
import { apiTokenVerbs, later } from './later.ts'
import type { StartPolicy } from './policy.ts'
import type { Caller } from './start.ts'
import { createTurns } from './turns.ts'
import type { VerbParts } from './verbs.ts'

/** API tokens: who may issue them does, and takes them back; owners see theirs. Each verb checks who calls. */
export interface ApiTokens<User> {
  /**
   * Makes a token for a user. Its secret is in the answer and nowhere else.
   * @throws {ImpersonationError} not_allowed, nested_impersonation: while impersonating, target_not_found,
   * target_inactive, target_protected: whoever may impersonate has no tokens, invalid_request, rate_limited,
   * insufficient_user_authentication; route_not_found: API tokens are off
   */
  issue(caller: Caller<User>, ask: ApiTokenRequest): Promise<IssuedApiToken>
  /** Those that the caller reaches, newest first. @throws {ImpersonationError} not_allowed */
  list(caller: Caller<User>, filter: TokenFilter, page: Page): Promise<ApiToken[]>
  /**
   * Takes a token back, and what it was rotated into, everywhere. Idempotent.
   * @throws {ImpersonationError} not_allowed, token_not_found
   */
  revoke(caller: Caller<User>, tokenId: string): Promise<ApiToken>
  /**
   * Puts a new token in the place of one, which goes on for the overlap (in ms). The new one has its name, scopes
   * and length of life.
   * @param overlapMs @default `apiTokens.overlapMs`
   * @throws {ImpersonationError} as issue does; token_not_found, token_not_active
   */
  rotate(caller: Caller<User>, tokenId: string, overlapMs?: number): Promise<IssuedApiToken>
  /**
   * The same for the program of a service, by nothing but its own token.
   * @param token what `apiToken()` gave
   * @throws {ImpersonationError} not_allowed: no service's; token_not_found: another one; token_not_active
   */
  rotateOwn(
    token: ApiTokenContext<User>,
    tokenId: string,
    overlapMs?: number,
    meta?: RequestMeta,
  ): Promise<IssuedApiToken>
  /** Whom a token may be issued for. @throws {ImpersonationError} not_allowed; route_not_found: no `listUsers` */
  users(caller: Caller<User>, ask: Omit<UserQuery, 'orgId'>): Promise<UsersFound>
  /** The caller's own, newest first. */
  mine(caller: Caller<User>, page: Page): Promise<ApiToken[]>
  /** Takes one of the caller's own back. Idempotent. @throws {ImpersonationError} token_not_found, nested_impersonation */
  revokeMine(caller: Caller<User>, tokenId: string): Promise<ApiToken>
}

export interface UsersFound {
  readonly users: readonly UserProfile[]
  readonly nextCursor: string | null
}

export interface ApiTokensParts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly people: People<User>
  readonly policy: StartPolicy<User>
  readonly checkLogin: CheckLogin<User>
  readonly under: VerbParts<User>['under']
  readonly recorder: Recorder
  readonly changed: (userId: string) => void
  /** Null where API tokens are off. */
  readonly apiTokens: ApiTokenDoor<User> | null
}

export function createApiTokens<User extends object>(parts: ApiTokensParts<User>): ApiTokens<User> {
  const { settings, store, people, apiTokens: door } = parts
  const options = settings.apiTokens as ApiTokenSettings<User> | undefined
  const { tokens } = store
  if (!options || !tokens || !door) return later(apiTokenVerbs, switchedOff)
  const section = tokens
  const { now } = settings
  const { flush } = door
  const terms = createTokenTerms<User>(options)
  const policy = createTokenPolicy<User>(parts)
  const reach = createTokenReach<User>(people, tokens)
  const changes = createTokenChanges({ ...parts, prefix: options.prefix, tokens, now })
  const inTurn = createTurns()

  /** First of all it is taken back; then there is time to look when it was last used. */
  async function revoked(caller: Caller<User>, tokenId: string): Promise<ApiToken> {
    const token = await changes.revoke(caller, tokenId)
    await flush()
    return (await section.readToken(tokenId).catch(() => null)) ?? token
  }

  /** As long as the old one was given, as far as its owner's may. */
  async function nextOf(old: ApiToken, owner: User, issuedBy: string): Promise<NewToken> {
    const { userId, userOrgId, name, scopes } = old
    const durationMs = Math.min(old.expiresAt - old.createdAt, await terms.longest(owner))
    return { userId, userOrgId, name, scopes, issuedBy, durationMs }
  }

  return {
    issue: (caller, ask) =>
      inTurn(caller.profile.id, () =>
        policy.onRecord(caller, { userId: ask.userId, tokenId: null }, async () => {
          await policy.checkIssuer(caller)
          terms.check(ask)
          await policy.checkRate(caller.profile.id)
          const { user, profile } = await policy.owner(caller, ask.userId, null)
          return changes.issue(caller, {
            userId: profile.id,
            userOrgId: profile.orgId,
            name: ask.name,
            scopes: [...ask.scopes],
            issuedBy: caller.profile.id,
            durationMs: await terms.life(user, ask.durationMs),
          })
        }),
      ),

    async list(caller, filter, page) {
      await flush()
      return reach.list(caller, filter, page)
    },

    async revoke(caller, tokenId) {
      const { id } = await reach.one(caller, await section.readToken(tokenId))
      return revoked(caller, id)
    },

    rotate: (caller, tokenId, overlapMs) =>
      inTurn(caller.profile.id, async () => {
        const token = await section.readToken(tokenId)
        const about = { userId: token?.userId ?? null, tokenId: token?.id ?? null }
        return policy.onRecord(caller, about, async () => {
          await policy.checkIssuer(caller)
          const old = await reach.one(caller, token)
          const overlap = terms.overlap(overlapMs)
          await policy.checkRate(caller.profile.id)
          const { user } = await policy.owner(caller, old.userId, old.userOrgId)
          const next = await nextOf(old, user, caller.profile.id)
          return changes.rotate(caller, old, next, overlap)
        })
      }),

    async rotateOwn(token, tokenId, overlapMs, meta = noMeta) {
      const profile = people.profile(token.owner)
      const about = { userId: profile.id, tokenId: token.id }
      // Whoever is refused here may hold a copy of somebody's token.
      return inTurn(profile.id, () =>
        policy.onRecord({ profile, meta }, about, async () => {
          if (!(await terms.isService(token.owner)))
            throw new ImpersonationError('not_allowed', {
              message: 'Only the token of a service may be rotated by itself.',
            })
          const old = token.id === tokenId ? await section.readToken(tokenId) : null
          if (!old) throw new ImpersonationError('token_not_found')
          const overlap = terms.overlap(overlapMs)
          await policy.checkRate(profile.id)
          const next = await nextOf(old, token.owner, old.issuedBy)
          return changes.rotate({ profile, meta }, old, next, overlap)
        }),
      )
    },

    users: (caller, ask) => policy.users(caller, ask),

    async mine({ profile }, page) {
      await flush()
      return tokens.listTokens({ userId: profile.id }, page)
    },

    async revokeMine(caller, tokenId) {
      policy.checkOneself(caller.user)
      const token = await section.readToken(tokenId)
      if (token?.userId !== caller.profile.id) throw new ImpersonationError('token_not_found')
      return revoked(caller, token.id)
    },
  }
}

async function switchedOff(): Promise<never> {
  throw new ImpersonationError('route_not_found', { message: 'API tokens are not switched on.' })
}
