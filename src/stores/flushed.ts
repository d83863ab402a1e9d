import type { GuardedStore } from './guarded.ts'

/**
 * Stores what waits for the action trail before a session ends: so that its end is sealed with what was done
 * under it. What can't be stored holds nothing up.
 * @param flush of one session, or of all; never rejects
 */
export function flushed(
  store: GuardedStore,
  flush: (sessionId?: string) => Promise<void>,
): GuardedStore {
  const { grants } = store
  return {
    ...store,
    async claimSession(claim) {
      await flush()
      return store.claimSession(claim)
    },
    async endSession(sessionId, ending, events) {
      await flush(sessionId)
      return store.endSession(sessionId, ending, events)
    },
    grants: grants && {
      ...grants,
      async changeGrant(change, events, ending) {
        if (ending) await flush()
        return grants.changeGrant(change, events, ending)
      },
    },
  }
}
