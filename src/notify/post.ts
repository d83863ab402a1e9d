import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { DeliveryFilter, OutboxSection } from '../stores/outbox.ts'
import type { Page } from '../stores/store.ts'
import type { Delivery } from '../types.ts'
import type { Courier } from './courier.ts'

/**
 * What has to leave the store: messages to people, and users of test sessions to be removed. It is
 * delivered by itself; these are for a host that wants to see to it. For code of the host alone: nobody
 * is asked who calls.
 * @throws {TypeError} each of them, where neither "notifier" nor "sandbox" is given
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
  /** Waits for the round under way, at most 15 s. Nothing is begun after it. */
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
  const on = Boolean(settings.notifier || settings.sandbox)
  let timer: ReturnType<typeof setInterval> | undefined
  let waking: ReturnType<typeof setTimeout> | undefined
  let closed = false
  /** Settles with the work under way. */
  let busy: Promise<unknown> = Promise.resolve()
  let next: Promise<number> | undefined

  function section(): OutboxSection {
    if (on && store.outbox) return store.outbox
    throw new TypeError(
      'impersonation.outbox needs createImpersonation to be given a "notifier" or a "sandbox"',
    )
  }

  /** Loaded when there is something to deliver. */
  async function courier(): Promise<Courier> {
    const { createCourier } = await import('./courier.ts')
    loaded ??= createCourier<User>({ ...parts, outbox: section(), closed: () => closed })
    return loaded
  }
  let loaded: Courier | undefined

  /** Never two at once: who asks while one waits for its turn shares that one. */
  function round(): Promise<number> {
    if (next) return next
    const mine = busy.then(() => {
      next = undefined
      return closed ? 0 : run(async () => (await courier()).round())
    })
    next = mine
    busy = mine.catch(quiet)
    return mine
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
      busy = Promise.all([busy, forward])
    },
    async close() {
      closed = true
      clearInterval(timer)
      clearTimeout(waking)
      let limit: ReturnType<typeof setTimeout> | undefined
      const late = new Promise((resolve) => {
        limit = setTimeout(resolve, patienceMs)
      })
      await Promise.race([busy, late])
      clearTimeout(limit)
    },
  }
}

const quiet = (): void => {}
