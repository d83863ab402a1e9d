import type { DisplayedActor } from '../options.ts'
import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Page } from '../stores/store.ts'
import type { Session } from '../types.ts'
import { createDisplayed } from './displayed.ts'
import type { Caller } from './start.ts'

/** A session as its target may see it. */
export interface HistoryEntry {
  readonly session: Session
  /** The operator, as far as `displayActor` shows them. */
  readonly actor: DisplayedActor
}

/** Every time somebody was in the caller's account, newest first. */
export type History<User> = (caller: Caller<User>, page: Page) => Promise<HistoryEntry[]>

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly people: People<User>
}

export function createHistory<User extends object>(parts: Parts<User>): History<User> {
  const { store, people } = parts
  const displayed = createDisplayed<User>(parts)

  return async function history({ user, profile }, page) {
    const sessions = await store.listSessions({ targetUserId: profile.id }, page)
    const actors = new Map<string, DisplayedActor>()
    for (const id of new Set(sessions.map(({ actorId }) => actorId)))
      actors.set(id, await displayed(await people.anybody(id), user))
    return sessions.map((session) => ({
      session,
      actor: actors.get(session.actorId) as DisplayedActor,
    }))
  }
}
