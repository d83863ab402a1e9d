import { requestEvent } from '../audit/events.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { AccessRequest } from '../types.ts'
import { become } from './request-state.ts'

/** Writes down that the time of requests is up. */
export interface RequestExpiry {
  /** One whose time is up. Whoever else changes it at the same moment may be first. */
  expire(request: AccessRequest): Promise<void>
  /** Those whose time is up by now, at most so many of each state. */
  expireAll(limit: number): Promise<void>
}

interface Parts {
  readonly store: GuardedStore
  readonly now: () => number
}

export function createRequestExpiry({ store, now }: Parts): RequestExpiry {
  async function expire(request: AccessRequest): Promise<void> {
    const after = become(request, 'expired')
    const event = requestEvent(`${after.kind}.expired`, after, after.expiresAt)
    await store.requests?.changeRequest({ from: request.revision, after }, [event], null)
  }

  return {
    expire,
    async expireAll(limit) {
      for (const status of ['pending', 'approved'] as const) {
        const over = { status, expiredBy: now() }
        for (const request of (await store.requests?.listRequests(over, { limit })) ?? [])
          await expire(request)
      }
    },
  }
}
