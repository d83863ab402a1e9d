import type { Recorder } from '../audit/recorder.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Place, SessionFilter } from '../stores/store.ts'
import { isHeard, tell } from '../telemetry/channels.ts'
import type { Session } from '../types.ts'
import type { GrantExpiry } from './grant-expiry.ts'
import type { Judge } from './judge.ts'
import type { RequestExpiry } from './request-expiry.ts'

/** Looks after sessions that no request asks for: closes what is over and judges the rest again. */
export interface Reaper {
  /** One round; gives how many sessions it looked at. */
  reap(): Promise<number>
  /** Reviews the active sessions that match. */
  review(filter: SessionFilter): Promise<number>
  /** A round every 30 s from now on; the timer keeps no process alive. */
  begin(): void
  close(): void
}

const everyMs = 30_000
const pageSize = 200

interface Parts {
  readonly store: GuardedStore
  readonly judge: Pick<Judge<unknown>, 'review'>
  readonly recorder: Recorder
  readonly expiry: GrantExpiry
  readonly requestExpiry: RequestExpiry
}

export function createReaper({ store, judge, recorder, expiry, requestExpiry }: Parts): Reaper {
  let timer: ReturnType<typeof setInterval> | undefined
  let busy = false

  async function* active(filter: SessionFilter): AsyncGenerator<Session> {
    let before: Place | undefined
    do {
      const page = await store.listSessions(
        { ...filter, status: 'active' },
        { limit: pageSize, before },
      )
      yield* page
      const last = page.at(-1)
      before = last && page.length === pageSize ? { at: last.createdAt, id: last.id } : undefined
    } while (before)
  }

  /** One session that can't be judged must not keep the others from it; the first fault is told. */
  async function review(filter: SessionFilter): Promise<number> {
    let count = 0
    let fault: unknown
    for await (const session of active(filter)) {
      count++
      await judge.review(session).catch((error) => {
        fault ??= error
      })
    }
    if (fault !== undefined) throw fault
    return count
  }

  async function reap(): Promise<number> {
    // Events still owed must not hold up what has to end.
    await recorder.settle().catch(() => undefined)
    const count = await review({})
    if (isHeard('onbehalf:active')) tell('onbehalf:active', { count })
    // After the sessions: one that has run out with its grant has used it.
    await expiry.expireAll(pageSize)
    await requestExpiry.expireAll(pageSize)
    return count
  }

  return {
    reap,
    review,
    begin() {
      timer ??= setInterval(() => {
        if (busy) return
        busy = true
        // A store that is down now is asked again in the next round.
        reap()
          .catch(() => undefined)
          .finally(() => {
            busy = false
          })
      }, everyMs)
      timer.unref?.()
    },
    close() {
      clearInterval(timer)
      timer = undefined
    },
  }
}
