import { createDisplayed } from '../lifecycle/displayed.ts'
import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import type { OutboxSection } from '../stores/outbox.ts'
import type { Delivery } from '../types.ts'
import type { Channel, Notification } from './notification.ts'
import { type Outcome, skipped } from './outcome.ts'
import { kindOf, toldOf } from './told.ts'
import { within } from './within.ts'
import { wordsFor } from './words.ts'

interface Parts<User extends object> {
  readonly notifier: NonNullable<Settings<User>['notifier']>
  readonly settings: Settings<User>
  readonly outbox: OutboxSection
  readonly people: People<User>
  /** How long the lookups may take, and the sending, in ms. */
  readonly limitMs: number
  /** Nothing more may be sent. */
  readonly closed: () => boolean
}

/** Messages to people: first one delivery for each way to reach them, then each of these is sent. */
export function createNotices<User extends object>(parts: Parts<User>) {
  const { notifier, settings, outbox, people, limitMs, closed } = parts
  const { sandbox, now } = settings
  const displayed = createDisplayed<User>(parts)

  return async function deliver(delivery: Delivery): Promise<Outcome> {
    const ready = await within(limitMs, 'looking people up', () => prepare(delivery))
    if ('status' in ready) return ready
    if (closed()) return { status: 'later', dueAt: now() }
    await within(limitMs, 'sending', () => notifier.send(ready))
    return { status: 'sent' }
  }

  /** The message, where there is one to send. */
  async function prepare(delivery: Delivery): Promise<Notification | Outcome> {
    const { id, userId, channel } = delivery
    const kind = kindOf(delivery)
    const forced = delivery.payload.forced === true
    if (await isTest(delivery)) return skipped('a test session is in nobody’s account')
    const user = await people.anybody(userId)
    if (user === null) return skipped('the user is gone')
    const ways = checked(await notifier.channels(user, kind))
    const way = channel === null ? undefined : ways.find((one) => one.channel === channel)
    if (channel === null ? ways.length === 0 : !way) {
      const why = channel === null ? 'no way to reach the user' : `no longer reached by ${channel}`
      // Somebody has to be told, and nobody can be: that must not pass in silence.
      return forced ? { status: 'dead', why } : skipped(why)
    }
    const open = ways.filter(({ optedOut }) => forced || optedOut !== true)
    if (!way) {
      if (open.length === 0) return skipped('the user has opted out')
      return { status: 'sent', more: open.map((one) => over(delivery, one.channel)) }
    }
    if (!open.includes(way)) return skipped('the user has opted out')
    const told = await toldOf({ people, displayed }, delivery, user)
    const words = wordsFor(told, notifier.words)
    return Object.freeze({
      ...told,
      ...words,
      id,
      userId,
      channel: way.channel,
      to: way.to,
      forced,
    })
  }

  /** The end of a test session does not say that it was one; the user who is to be removed does. */
  async function isTest({ payload }: Delivery): Promise<boolean> {
    if (!sandbox || payload.session_id === null) return false
    return (await outbox.readDelivery(`disposal ${payload.session_id}`)) !== null
  }

  /** The same on each repetition, so that a way is never gone twice. */
  function over(notice: Delivery, channel: string): Delivery {
    const at = now()
    const id = `${notice.id}:${channel}`
    return { ...notice, id, channel, attempts: 0, createdAt: at, dueAt: at, revision: 1 }
  }
}

/** @throws {TypeError} when `channels` gave something else; one entry for each name, the first */
function checked(ways: readonly Channel[]): readonly Channel[] {
  if (!Array.isArray(ways) || !ways.every(isChannel)) {
    throw new TypeError('notifier.channels must give [{ channel, to, optedOut? }]')
  }
  return [...new Map(ways.toReversed().map((way) => [way.channel, way])).values()].toReversed()
}

function isChannel(value: unknown): value is Channel {
  const { channel, to } = (value ?? {}) as Partial<Channel>
  const named = typeof channel === 'string' && /^[^\0\p{Cs}]{1,64}$/u.test(channel)
  return named && typeof to === 'string' && to !== ''
}
