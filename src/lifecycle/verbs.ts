import type { Recorder } from '../audit/recorder.ts'
import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Endings } from './ending.ts'
import type { GrantExpiry } from './grant-expiry.ts'
import { createGrants, type Grants } from './grants.ts'
import { createHistory, type History } from './history.ts'
import type { Judge } from './judge.ts'
import { createPolicy } from './policy.ts'
import { createSessions, type Sessions } from './sessions.ts'
import { createStart } from './start.ts'

/** Everything that somebody can ask for. Loaded with the first call: most processes answer many requests before one. */
export interface Verbs<User> {
  readonly sessions: Sessions<User>
  readonly grants: Grants<User>
  readonly history: History<User>
}

export interface VerbParts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly people: People<User>
  readonly judge: Judge<User>
  readonly endings: Endings
  readonly expiry: GrantExpiry
  readonly recorder: Recorder
  readonly changed: (actorId: string) => void
  readonly over: (sessionId: string) => void
}

export function createVerbs<User extends object>(parts: VerbParts<User>): Verbs<User> {
  const policy = createPolicy<User>(parts)
  const start = createStart<User>({ ...parts, policy })
  return {
    sessions: createSessions<User>({ ...parts, start }),
    grants: createGrants<User>({ ...parts, policy }),
    history: createHistory<User>(parts),
  }
}
