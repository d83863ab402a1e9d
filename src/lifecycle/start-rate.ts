import { burstEvent } from '../audit/events.ts'
import type { Recorder } from '../audit/recorder.ts'
import { ImpersonationError } from '../errors.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Caller } from './start.ts'

interface Parts {
  readonly limit: { readonly starts: number; readonly perMs: number }
  readonly store: GuardedStore
  readonly recorder: Recorder
  readonly now: () => number
}

/**
 * How often one actor may start. Counted in the store, so that it holds across processes and
 * restarts. One operator in many accounts is worth a look: the first refusal of a window is an event.
 */
export function createStartRate({ limit: { starts, perMs }, store, recorder, now }: Parts) {
  return async function checkRate({ profile, meta }: Caller<unknown>): Promise<void> {
    const from = now() - perMs
    const recent = await store.listSessions({ actorId: profile.id, from }, { limit: starts })
    if (recent.length < starts) return
    const told = { action: 'impersonation.burst', actorId: profile.id, from } as const
    if ((await store.listEvents(told, { limit: 1 })).length === 0) {
      const targets = new Set(recent.map(({ targetUserId }) => targetUserId)).size
      recorder.owe(burstEvent(now(), profile, meta, { starts, targets, per_ms: perMs }))
      // Stored before the next start of this actor looks for it; a failure stays owed.
      await recorder.settle().catch(() => {})
    }
    const oldest = recent.at(-1)?.createdAt ?? from
    const waitMs = Math.max(oldest + perMs - now(), 1000)
    throw new ImpersonationError('rate_limited', {
      headers: { 'Retry-After': String(Math.ceil(waitMs / 1000)) },
    })
  }
}
