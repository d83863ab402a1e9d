import type { GuardedStore } from './guarded.ts'

/**
 * Stores what waits for the action trail before a session ends: so that its end is sealed with what was done
 * under it. What can't be stored holds nothing up, and a table that hangs no longer than `limitMs`.
 * @param flush of one session, or of all; never rejects
 */
export function flushed(
  store: GuardedStore,
  flush: (sessionId?: string) => Promise<void>,
  limitMs: number,
): GuardedStore {
  const { grants } = store

  async function settle(sessionId?: string): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limitMs)
    })
    await Promise.race([flush(sessionId), late])
    clearTimeout(timer)
  }
  return {
    ...store,
    async claimSession(claim) {
      await settle()
      return store.claimSession(claim)
    },
    async endSession(sessionId, ending, events) {
      await settle(sessionId)
      return store.endSession(sessionId, ending, events)
    },
    grants: grants && {
      ...grants,
      async changeGrant(change, events, ending) {
        if (ending) await settle()
        return grants.changeGrant(change, events, ending)
      },
    },
  }
}
