import type { RecordedEvent } from '../../stores/outbox.ts'
import type { EventsFor, Page, Place, SessionEnding, Store } from '../../stores/store.ts'
import type { AuditEvent, Ending, EventAction, Session } from '../../types.ts'
import type { Dice } from '../dice.ts'
import type { Model } from '../model.ts'
import { eventOf, t0 } from './fixtures.ts'
import { deliveryOf } from './outbox-fixtures.ts'

/** Few people, so that they are often in each other's way. */
export const actors = ['root', 'sup', 'Root']
export const targets = ['alice', 'bob', 'carol', 'sup']

/** A store, what it should answer, and the clock of both. */
export interface World {
  readonly store: Store
  readonly dice: Dice
  readonly model: Model
  readonly log: string[]
  now: number
  serial: number
}

export type Command = (world: World) => Promise<void>

export function nextSerial(world: World): string {
  world.serial += 1
  return String(world.serial).padStart(6, '0')
}

/** Mostly one that exists, and mostly a recent one. */
export function anySession({ dice, model }: World): string {
  const recent = dice.oneIn(4) ? model.sessions : model.sessions.slice(-6)
  return recent.length === 0 || dice.oneIn(20) ? 'session-none' : dice.pick(recent).id
}

export function endingAt({ dice, now }: World, status: Ending): SessionEnding {
  return {
    status,
    reason: status,
    at: now,
    by: dice.pick([null, 'boss']),
    note: dice.pick([null, 'a note']),
    acknowledged: dice.oneIn(2),
  }
}

/**
 * The id follows from the session and what happened, so that a second ending event is one too
 * many.
 */
export function lifeEvent(what: string, session: Session, action = what): AuditEvent {
  const id = `${session.id} ${what}`
  return eventOf(`impersonation.${action}` as EventAction, session, { id })
}

/** Makes the event of an ending, with what has to be delivered on its account. */
export const endedIn =
  (world: World): EventsFor =>
  (session) => [recorded(world, lifeEvent('ended', session, session.status))]

/** An event with none, one or two deliveries: which follows from its id, as everything about it does. */
export function recorded({ store }: World, event: AuditEvent): RecordedEvent {
  const sum = [...event.id].reduce((sum, letter) => sum + letter.charCodeAt(0), 0)
  if (!store.outbox || sum % 3 === 0) return event
  const deliveries = Array.from({ length: sum % 3 }, (_, n) =>
    deliveryOf({
      id: `${event.id} tells ${n}`,
      userId: event.targetUserId ?? 'nobody',
      payload: { action: event.action, n },
      createdAt: event.at,
      dueAt: event.at + (sum % 5),
    }),
  )
  return { ...event, deliveries }
}

export type ListPage = Page & { readonly before?: Place }

/** Half of the pages begin somewhere: mostly after a row that is there. */
export function pageOf(dice: Dice, now: number, places: readonly Place[]): ListPage {
  const limit = 1 + dice.roll(8)
  if (dice.oneIn(2)) return { limit }
  const madeUp = { at: now - dice.roll(20), id: `session-0000${10 + dice.roll(90)}` }
  return { limit, before: places.length === 0 || dice.oneIn(4) ? madeUp : dice.pick(places) }
}

export function pageFrom<T extends { id: string }>(
  rows: readonly T[],
  at: (row: T) => number,
  { limit, before }: ListPage,
): T[] {
  return [...rows]
    .sort((a, b) => at(b) - at(a) || (a.id < b.id ? 1 : -1))
    .filter(
      (row) => !before || at(row) < before.at || (at(row) === before.at && row.id < before.id),
    )
    .slice(0, limit)
}

export function log(world: World, verb: string, ...what: unknown[]): void {
  world.log.push(
    `${verb} at ${world.now - t0}: ${what.map((part) => JSON.stringify(part)).join(' ')}`,
  )
}
