import type { Notification } from './notification.ts'

type Send = (notification: Notification) => unknown

/**
 * Makes a sender of several, by the channel of the notification.
 *
 * @throws {TypeError} naming the channel in quotes
 * @example
 * ```ts
 * const send = byChannel({ mail: mail({ transport, from }), webhook: webhook({ secret }) })
 * ```
 */
export function byChannel(senders: Readonly<Record<string, Send>>) {
  const known = new Map(Object.entries(senders))
  for (const [channel, send] of known) {
    if (typeof send !== 'function') {
      throw new TypeError(`option "${channel}" must be a function (notification) => Promise`)
    }
  }

  return async function sendByChannel(notification: Notification): Promise<void> {
    const send = known.get(notification.channel)
    if (!send) {
      const channels = [...known.keys()].join(', ') || 'none'
      throw new Error(
        `there is no sender for the channel "${notification.channel}"; there are: ${channels}`,
      )
    }
    await send(notification)
  }
}
