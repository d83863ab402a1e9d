import type { DisplayedActor } from '../options.ts'
import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'

/** What a target learns of an operator; `actor` is null when the account is gone. */
export type Displayed<User> = (actor: User | null, target: User) => Promise<DisplayedActor>

interface Parts<User extends object> {
  readonly settings: Pick<Settings<User>, 'displayActor'>
  readonly people: Pick<People<User>, 'profile'>
}

export const nobodyDisplayed: DisplayedActor = Object.freeze({ name: null, role: null })

export function createDisplayed<User extends object>(parts: Parts<User>): Displayed<User> {
  const { settings, people } = parts
  return async function displayed(actor, target) {
    if (settings.displayActor) return settings.displayActor(actor, target)
    if (actor === null) return nobodyDisplayed
    // A name and a role, and nothing by which an operator could be found.
    const { name, role } = people.profile(actor)
    return { name, role }
  }
}
