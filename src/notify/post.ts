import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { DeliveryFilter, OutboxSection } from '../stores/outbox.ts'
import type { Page } from '../stores/store.ts'
import type { Delivery } from '../types.ts'
import type { Courier } from './courier.ts'
import { createLane } from './lane.ts'
import { topicsOf } from './topics.ts'

/**
 * What has to leave the store: messages to people, users of test sessions to be removed, events for the
 * sink. It is delivered by itself; these are for a host that wants to see to it. For code of the host
 * alone: nobody is asked who calls.
 * @throws {TypeError} each of them, where none of "notifier", "sandbox" and "audit.sink" is given
 */
export interface Outbox {
  /**
   * Delivers what is due, now, and gives how many deliveries are done with: for a job of a host whose
   * processes do not stay, and for tests.
   */
  deliver(): Promise<number>
  /** Deliveries that match, newest first; `{ status: 'dead' }` gives what was given up. */
  list(filter: DeliveryFilter, page: Page): Promise<Delivery[]>
  /** Puts a dead or skipped delivery back, due now. Gives it as it is then; null when there is none. */
  retry(deliveryId: string): Promise<Delivery | null>
}

/** When the courier goes: every 5 s, and soon after a change of this process. */
export interface Post {
  /** Whether there can be anything to deliver. */
  readonly on: boolean
  readonly outbox: Outbox
  /** From now on, every 5 s; the timer keeps no process alive. */
  begin(): void
  /** Something was stored that has to be delivered. */
  wake(): void
  /** A session is over. */
  ended(sessionId: string): void
  /** Waits for the rounds under way, at most 15 s. Nothing is begun after it. */
  close(): Promise<void>
}

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly people: People<User>
  /** Runs the work where nobody is impersonated. */
  readonly run: <T>(work: () => T) => T
}

const everyMs = 5000
/** Long enough for the changes of one moment to go together. */
const soonMs = 20
const patienceMs = 15_000

export function createPost<User extends object>(parts: Parts<User>): Post {
  const { settings, store, run } = parts
  const topics = topicsOf<User>(settings)
  const on = topics.length > 0
  let timer: ReturnType<typeof setInterval> | undefined
  let waking: ReturnType<typeof setTimeout> | undefined
  let closed = false

  function section(): OutboxSection {
    if (on && store.outbox) return store.outbox
    throw new TypeError(
      'impersonation.outbox needs createImpersonation to be given a "notifier", a "sandbox" or an "audit.sink"',
    )
  }

  /** Loaded when there is something to deliver. */
  async function courier(): Promise<Courier> {
    const { createCourier } = await import('./courier.ts')
    loaded ??= createCourier<User>({ ...parts, outbox: section(), closed: () => closed })
    return loaded
  }
  let loaded: Courier | undefined

  /** One for each topic: a sink that is slow, or down, holds up no message. */
  const lanes = topics.map((topic) =>
    createLane(async () => (closed ? 0 : run(async () => (await courier()).round(topic)))),
  )

  /** Rejects where one of them does, once all are through. */
  async function round(): Promise<number> {
    const rounds = await Promise.allSettled(lanes.map((lane) => lane.round()))
    let done = 0
    for (const one of rounds) {
      if (one.status === 'rejected') throw one.reason
      done += one.value
    }
    return done
  }

  function wake(): void {
    if (!on || closed) return
    waking ??= setTimeout(() => {
      waking = undefined
      // A store that is down now is asked again by the timer.
      round().catch(quiet)
    }, soonMs)
    waking.unref?.()
  }

  return {
    on,
    outbox: Object.freeze({
      async deliver() {
        section()
        return round()
      },
      async list(filter: DeliveryFilter, page: Page) {
        return section().listDeliveries(filter, page)
      },
      async retry(deliveryId: string) {
        section()
        const delivery = await run(async () => (await courier()).retry(deliveryId))
        wake()
        return delivery
      },
    }),
    begin() {
      if (!on || closed) return
      timer ??= setInterval(() => round().catch(quiet), everyMs)
      timer.unref?.()
    },
    wake,
    ended(sessionId) {
      if (!settings.sandbox || closed) return
      // Where this fails, it is due when the session would have ended.
      const forward = run(async () => (await courier()).forward(sessionId)).then(wake, quiet)
      for (const lane of lanes) lane.after(forward)
    },
    async close() {
      closed = true
      clearInterval(timer)
      clearTimeout(waking)
      let limit: ReturnType<typeof setTimeout> | undefined
      const late = new Promise((resolve) => {
        limit = setTimeout(resolve, patienceMs)
      })
      await Promise.race([Promise.all(lanes.map((lane) => lane.idle())), late])
      clearTimeout(limit)
    },
  }
}

const quiet = (): void => {}
