import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { OutboxSection } from '../stores/outbox.ts'
import type { Delivery, DeliveryTopic } from '../types.ts'
import { warnOnce } from '../warnings.ts'
import { createDisposals } from './disposals.ts'
import { createEvents } from './events.ts'
import { failureOf, mostAttempts, pauseAfter } from './failure.ts'
import { createNotices } from './notices.ts'
import type { Outcome } from './outcome.ts'

/** Takes out of the outbox what is due, and delivers it. */
export interface Courier {
  /**
   * Everything of a topic that is due now, and what comes of it. Gives how many deliveries are done with; none
   * of a topic that this process can't deliver.
   */
  round(topic: DeliveryTopic): Promise<number>
  /** The session is over: whoever was made for it may go. */
  forward(sessionId: string): Promise<void>
  /** Puts a dead or skipped one back, unless what it said was erased; gives it as it is now. */
  retry(deliveryId: string): Promise<Delivery | null>
}

export interface CourierParts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly outbox: OutboxSection
  readonly people: People<User>
  /** Nothing may be begun any more. */
  readonly closed: () => boolean
  /** Gives numbers from 0 to 1. @default Math.random */
  readonly random?: () => number
  /** How long the lookups, and the sending, may take, in ms. @default 10_000 */
  readonly limitMs?: number
}

/** All of a batch are handled side by side, each within twice `limitMs`: well before its lease is over. */
const atOnce = 8
const leaseMs = 60_000
/** A store that hands out the same again and again must not keep a process busy for good. */
const mostBatches = 500
/** Whoever changes a delivery at the same time is few. */
const rounds = 5

export function createCourier<User extends object>(parts: CourierParts<User>): Courier {
  const { settings, outbox, closed, random = Math.random, limitMs = 10_000 } = parts
  const { notifier, sandbox, sink, now } = settings
  const handlers: Readonly<Record<DeliveryTopic, Deliver | undefined>> = {
    notice: notifier && createNotices<User>({ ...parts, notifier, limitMs }),
    disposal: sandbox && createDisposals<User>({ ...parts, sandbox, limitMs }),
    event: sink && createEvents<User>({ ...parts, sink, limitMs }),
  }

  async function handle(delivery: Delivery, deliver: Deliver): Promise<boolean> {
    const outcome = await attempt(delivery, deliver)
    const more = outcome.status === 'sent' ? (outcome.more ?? []) : []
    const after = settled(delivery, outcome)
    if (after.status === 'dead') warn(after)
    const stored = await settle({ from: delivery.revision, after }, more)
    return stored && after.status !== 'pending'
  }

  async function attempt(delivery: Delivery, deliver: Deliver): Promise<Outcome | Failed> {
    // Handed out more often than it came back: perhaps it takes its process down with it.
    if (delivery.attempts > mostAttempts) return { status: 'dead', why: 'handed out too often' }
    try {
      return await deliver(delivery)
    } catch (error) {
      return { status: 'failed', why: failureOf(error) }
    }
  }

  /** A delivery as an attempt leaves it. */
  function settled(delivery: Delivery, outcome: Outcome | Failed): Delivery {
    const at = now()
    const { attempts, revision } = delivery
    const next = { ...delivery, revision: revision + 1 }
    switch (outcome.status) {
      case 'sent':
        return {
          ...next,
          payload: outcome.payload ?? told(delivery),
          status: 'sent',
          settledAt: at,
          error: null,
        }
      case 'later':
        // It was not an attempt.
        return { ...next, attempts: attempts - 1, dueAt: outcome.dueAt }
      case 'failed':
        if (attempts >= mostAttempts) break
        return { ...next, dueAt: at + pauseAfter(attempts, random), error: outcome.why }
    }
    const status = outcome.status === 'skipped' ? 'skipped' : 'dead'
    return { ...next, status, settledAt: at, error: outcome.why }
  }

  /** Once more if the answer is lost: what was sent and not settled would be sent again. */
  async function settle(...change: Parameters<OutboxSection['changeDelivery']>): Promise<boolean> {
    try {
      return await outbox.changeDelivery(...change)
    } catch {
      // Where this fails, too, the lease runs out, and somebody is handed it again.
      return outbox.changeDelivery(...change).catch(() => false)
    }
  }

  /** Reads, decides, changes; again where somebody else was first. */
  async function change(
    id: string,
    decide: (delivery: Delivery) => Partial<Delivery> | null,
  ): Promise<Delivery | null> {
    for (let round = 0; round < rounds; round++) {
      const delivery = await outbox.readDelivery(id)
      const changes = delivery && decide(delivery)
      if (!delivery || !changes) return delivery
      const after = { ...delivery, ...changes, revision: delivery.revision + 1 }
      if (await outbox.changeDelivery({ from: delivery.revision, after }, [])) return after
    }
    throw new Error('this delivery changes faster than it can be changed')
  }

  return {
    async round(topic) {
      const deliver = handlers[topic]
      let done = 0
      if (!deliver) return done
      for (let batch = 0; batch < mostBatches && !closed(); batch++) {
        const at = now()
        const lease = { now: at, until: at + leaseMs, limit: atOnce, topics: [topic] }
        const leased = await outbox.leaseDeliveries(lease)
        if (leased.length === 0) break
        const handled = await Promise.all(leased.map((delivery) => handle(delivery, deliver)))
        done += handled.filter(Boolean).length
      }
      return done
    },

    async forward(sessionId) {
      await change(`disposal ${sessionId}`, ({ status }) =>
        status === 'pending' ? { dueAt: now() } : null,
      )
    },

    retry: (deliveryId) =>
      change(deliveryId, ({ status, payload }) =>
        (status === 'dead' || status === 'skipped') && Object.keys(payload).length > 0
          ? { status: 'pending', attempts: 0, dueAt: now(), settledAt: null, error: null }
          : null,
      ),
  }
}

/** What was told is kept without the words of it: they stand with the event, where they can be erased. */
const told = ({ payload }: Delivery): Delivery['payload'] =>
  'reason' in payload ? { ...payload, reason: null } : payload

type Deliver = (delivery: Delivery) => Promise<Outcome>

interface Failed {
  readonly status: 'failed'
  readonly why: string
}

function warn({ topic, error }: Delivery): void {
  warnOnce(
    'ONBEHALF_NOT_DELIVERED',
    `${undelivered[topic]}: ${error}; impersonation.outbox.list({ status: 'dead' }, { limit: 50 }) gives all such`,
  )
}

const undelivered: Readonly<Record<DeliveryTopic, string>> = {
  notice: 'a message could not be delivered',
  disposal: 'a test user is still there',
  event: 'an audit event has not reached the sink',
}
