import type { Settings } from '../settings.ts'
import { type DeliveryTopic, deliveryTopics } from '../types.ts'

type Needed = 'notifier' | 'sandbox' | 'sink'

/** What a process with these settings can deliver. Anything else is left to those that can. */
export function topicsOf<User extends object>(
  settings: Pick<Settings<User>, Needed>,
): readonly DeliveryTopic[] {
  return deliveryTopics.filter((topic) => settings[needed[topic]] !== undefined)
}

const needed: Readonly<Record<DeliveryTopic, Needed>> = {
  notice: 'notifier',
  disposal: 'sandbox',
  event: 'sink',
}
