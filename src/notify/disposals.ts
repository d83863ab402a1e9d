import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Delivery } from '../types.ts'
import { type Outcome, skipped } from './outcome.ts'
import { within } from './within.ts'

interface Parts<User extends object> {
  readonly sandbox: NonNullable<Settings<User>['sandbox']>
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly people: People<User>
  /** How long the lookup may take, and the disposal, in ms. */
  readonly limitMs: number
  readonly closed: () => boolean
}

/** Leaves time to a clock that is behind. */
const graceMs = 1000

/** The users of test sessions: removed once their session is over. */
export function createDisposals<User extends object>(parts: Parts<User>) {
  const { sandbox, settings, store, people, limitMs, closed } = parts
  const { now } = settings

  return async function deliver({ payload, userId }: Delivery): Promise<Outcome> {
    const { session_id: id } = payload
    const session = typeof id === 'string' ? await store.readSession(id) : null
    // Over by the clock is over: nothing can make it longer, also where nobody has written it down yet.
    if (session?.status === 'active' && session.expiresAt > now()) {
      return { status: 'later', dueAt: session.expiresAt + graceMs }
    }
    const user = await within(limitMs, 'looking the user up', () => people.anybody(userId))
    if (user === null) return skipped('the user is gone')
    if (closed()) return { status: 'later', dueAt: now() }
    await within(limitMs, 'disposing of the user', () => sandbox.dispose(user))
    return { status: 'sent' }
  }
}
