import { grantEvent } from '../audit/events.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Grant } from '../types.ts'
import type { Endings } from './ending.ts'
import { changed } from './grant-state.ts'

/** Writes down that the time of grants is up. */
export interface GrantExpiry {
  /** One whose time is up. Whoever else changes it at the same moment may be first. */
  expire(grant: Grant): Promise<void>
  /** Those whose time is up by now, at most so many of each state. */
  expireAll(limit: number): Promise<void>
}

interface Parts {
  readonly store: GuardedStore
  readonly endings: Endings
  readonly now: () => number
}

export function createGrantExpiry({ store, endings, now }: Parts): GrantExpiry {
  async function expire(grant: Grant): Promise<void> {
    const own = { actorId: grant.actorId, status: 'active' } as const
    const live = await store.listSessions(own, { limit: 100 })
    const session = live.find(({ grantId }) => grantId === grant.id)
    // It has run out with its session, and so was used.
    if (session) {
      await endings.expire(session)
      return
    }
    const after = changed(grant, { status: 'expired' })
    const event = grantEvent('grant.expired', after, grant.expiresAt)
    await store.grants?.changeGrant({ from: grant.revision, after }, [event], null)
  }

  return {
    expire,
    async expireAll(limit) {
      for (const status of ['pending', 'granted'] as const) {
        const over = { status, expiredBy: now() }
        for (const grant of (await store.grants?.listGrants(over, { limit })) ?? [])
          await expire(grant)
      }
    },
  }
}
