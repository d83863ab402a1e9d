import { ImpersonationError } from '../errors.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Session } from '../types.ts'

/**
 * The abort signals of live sessions. Made only for sessions whose signal somebody looks at; those
 * are then read again every `lagMs`, so that a stream learns of an end that happened elsewhere.
 */
export interface Signals {
  of(session: Session): AbortSignal
  /** The session is over: fire. */
  ended(sessionId: string): void
  close(): void
}

export function createSignals(store: GuardedStore, now: () => number, lagMs: number): Signals {
  const live = new Map<string, { controller: AbortController; expiresAt: number }>()
  let timer: ReturnType<typeof setInterval> | undefined

  function ended(sessionId: string): void {
    const signal = live.get(sessionId)
    if (!signal) return
    live.delete(sessionId)
    if (live.size === 0) close()
    signal.controller.abort(new ImpersonationError('impersonation_ended'))
  }

  async function look(sessionId: string, signal: { expiresAt: number }): Promise<void> {
    try {
      const session = await store.readSession(sessionId)
      if (session?.status !== 'active') ended(sessionId)
      else signal.expiresAt = session.expiresAt
    } catch {
      // A store that can't be read tells nothing of an end; the clock below still does.
    }
    if (signal.expiresAt <= now()) ended(sessionId)
  }

  function close(): void {
    clearInterval(timer)
    timer = undefined
  }

  return {
    of(session) {
      let signal = live.get(session.id)
      if (!signal) {
        signal = { controller: new AbortController(), expiresAt: session.expiresAt }
        live.set(session.id, signal)
        timer ??= setInterval(() => {
          for (const [id, each] of live) void look(id, each)
        }, lagMs)
        timer.unref?.()
      }
      return signal.controller.signal
    },
    ended,
    close,
  }
}
