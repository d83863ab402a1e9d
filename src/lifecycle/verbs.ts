import type { Recorder } from '../audit/recorder.ts'
import type { People } from '../people.ts'
import type { ApiTokenDoor } from '../pipeline/api-token-door.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Tokens } from '../tokens/tokens.ts'
import type { ApiTokenContext, Impersonation } from '../types.ts'
import { type ApiTokens, createApiTokens } from './api-tokens.ts'
import { type Approvals, createApprovals } from './approvals.ts'
import { createApprovers } from './approvers.ts'
import { type Audit, createAudit } from './audit.ts'
import { type BreakGlass, createBreakGlass } from './break-glass.ts'
import { createCheckLogin } from './check-login.ts'
import type { Endings } from './ending.ts'
import type { GrantExpiry } from './grant-expiry.ts'
import { createGrants, type Grants } from './grants.ts'
import { createHistory, type History } from './history.ts'
import type { Judge } from './judge.ts'
import { createOpening } from './opening.ts'
import { createPolicy } from './policy.ts'
import type { RequestExpiry } from './request-expiry.ts'
import { createSessions, type Sessions } from './sessions.ts'
import { createStart } from './start.ts'
import { createTestSessions, type TestSessions } from './test-sessions.ts'
import { createTokenSessions, type TokenSessions } from './token-sessions.ts'
import { createTurns } from './turns.ts'

/** Everything that somebody can ask for. Loaded with the first call: most processes answer many requests before one. */
export interface Verbs<User> {
  readonly sessions: Sessions<User>
  readonly grants: Grants<User>
  readonly history: History<User>
  readonly breakGlass: BreakGlass<User>
  readonly approvals: Approvals<User>
  readonly testSessions: TestSessions<User>
  readonly audit: Audit<User>
  readonly tokenSessions: TokenSessions
  readonly apiTokens: ApiTokens<User>
}

export interface VerbParts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly people: People<User>
  readonly judge: Judge<User>
  readonly endings: Endings
  readonly expiry: GrantExpiry
  readonly requestExpiry: RequestExpiry
  readonly recorder: Recorder
  readonly changed: (actorId: string) => void
  readonly over: (sessionId: string) => void
  /** Signs and verifies impersonation tokens; null where there are none. */
  readonly tokens: (() => Promise<Tokens>) | null
  /** The way of API tokens; null where there are none. */
  readonly apiTokens: ApiTokenDoor<User> | null
  /** What the request that calls runs under, where that is not simply its login; null for our own routes. */
  readonly under: () => Impersonation<User> | ApiTokenContext<User> | null
  /** A round of the reaper. */
  readonly reap: () => Promise<number>
}

export function createVerbs<User extends object>(parts: VerbParts<User>): Verbs<User> {
  const policy = createPolicy<User>(parts)
  const open = createOpening<User>(parts)
  const approvers = createApprovers<User>(parts.settings, parts.people)
  const checkLogin = createCheckLogin<User>(parts)
  // One for every door: all at once, none of an actor's starts would be counted by the others.
  const doors = { ...parts, policy, open, checkLogin, inTurn: createTurns() }
  const tokenSessions = createTokenSessions<User>(parts)
  const start = createStart<User>({ ...doors, approvers, tokenSessions })
  return {
    sessions: createSessions<User>({ ...parts, start }),
    grants: createGrants<User>({ ...parts, policy }),
    history: createHistory<User>(parts),
    breakGlass: createBreakGlass<User>({ ...parts, policy, open }),
    approvals: createApprovals<User>({ ...parts, policy, approvers }),
    testSessions: createTestSessions<User>(doors),
    audit: createAudit<User>(parts),
    tokenSessions,
    apiTokens: createApiTokens<User>(doors),
  }
}
