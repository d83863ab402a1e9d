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
  /** How often what was done, by `METHOD /route`; `METHOD *` where the route is not known. Empty without a trail. */
  readonly actions: Readonly<Record<string, number>>
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

  /** By session; whoever has been in an account is shown with what they did there, or not at all. */
  async function actionsOf(ids: readonly string[]): Promise<Map<string, [string, number][]>> {
    const bySession = new Map<string, [string, number][]>()
    const counts = (ids.length > 0 && (await store.trail?.countActions(ids))) || []
    for (const { sessionId, method, route, count } of counts) {
      const actions = bySession.get(sessionId) ?? []
      bySession.set(sessionId, [...actions, [`${method} ${route ?? '*'}`, count]])
    }
    for (const actions of bySession.values()) actions.sort(([a], [b]) => (a < b ? -1 : 1))
    return bySession
  }

  return async function history({ user, profile }, page) {
    const sessions = await store.listSessions({ targetUserId: profile.id }, page)
    const actors = new Map<string, DisplayedActor>()
    for (const id of new Set(sessions.map(({ actorId }) => actorId)))
      actors.set(id, await displayed(await people.anybody(id), user))
    const done = await actionsOf(sessions.map(({ id }) => id))
    return sessions.map((session) => ({
      session,
      actor: actors.get(session.actorId) as DisplayedActor,
      actions: Object.fromEntries(done.get(session.id) ?? []),
    }))
  }
}
