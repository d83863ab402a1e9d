import assert from 'node:assert/strict'
import type { OutboxSection } from '../../stores/outbox.ts'
import { type Delivery, deliveryStatuses, deliveryTopics } from '../../types.ts'
import { deliveryOf } from './outbox-fixtures.ts'
import { type Command, log, nextSerial, pageFrom, pageOf, targets, type World } from './world.ts'

/** Mostly one that was handed out, and mostly not long ago. */
function anyDelivery({ dice, model }: World): Delivery {
  const handed = model.deliveries.filter(({ attempts }) => attempts > 0)
  const known = dice.oneIn(3) ? model.deliveries : handed.slice(-5)
  const unknown = deliveryOf({ id: 'delivery-none' })
  return known.length === 0 || dice.oneIn(12) ? unknown : dice.pick(known)
}

const lease: Command = async (world) => {
  const { dice, model, now } = world
  const topics = dice.oneIn(2) ? deliveryTopics : deliveryTopics.filter(() => dice.oneIn(2))
  const wanted = { now, until: now + 1 + dice.roll(6), limit: 1 + dice.roll(5), topics }
  log(world, 'lease', wanted)
  const expected = model.lease(wanted)
  assert.deepEqual(await sectionOf(world).leaseDeliveries(wanted), expected, 'what is handed out')
}

const settle: Command = async (world) => {
  const { dice, model, now } = world
  const stored = anyDelivery(world)
  const status = dice.pick(deliveryStatuses)
  const from = stored.revision + (dice.oneIn(5) ? dice.pick([-1, 1]) : 0)
  const after: Delivery = {
    ...stored,
    status,
    channel: dice.pick([null, 'mail']),
    dueAt: now + dice.roll(6),
    settledAt: status === 'pending' ? null : now,
    error: dice.pick([null, 'no answer']),
    revision: from + 1,
  }
  // New ones, and ones that are stored already, with another word in them.
  const more = Array.from({ length: dice.roll(3) }, () => {
    const id = dice.oneIn(2) ? `delivery-${nextSerial(world)}` : anyDelivery(world).id
    const topic = dice.pick(deliveryTopics)
    return deliveryOf({ id, topic, createdAt: now, dueAt: now, error: 'one of more' })
  })
  log(world, 'settle', { from, after }, more)
  const expected = model.changeDelivery({ from, after }, more)
  const answer = await sectionOf(world).changeDelivery({ from, after }, more)
  assert.equal(answer, expected, 'whether a delivery was changed')
}

const readDelivery: Command = async (world) => {
  const { id } = anyDelivery(world)
  assert.deepEqual(await sectionOf(world).readDelivery(id), world.model.delivery(id))
}

const listDeliveries: Command = async (world) => {
  const { model, dice, now } = world
  const filter = {
    ...(dice.oneIn(3) && { status: dice.pick(deliveryStatuses) }),
    ...(dice.oneIn(3) && { topic: dice.pick(deliveryTopics) }),
    ...(dice.oneIn(3) && { userId: dice.pick(targets) }),
  }
  const places = model.deliveries.map(({ createdAt, id }) => ({ at: createdAt, id }))
  const page = pageOf(dice, now, places)
  const expected = model.deliveries.filter(
    (delivery) =>
      (filter.status ?? delivery.status) === delivery.status &&
      (filter.topic ?? delivery.topic) === delivery.topic &&
      (filter.userId ?? delivery.userId) === delivery.userId,
  )
  assert.deepEqual(
    await sectionOf(world).listDeliveries(filter, page),
    pageFrom(expected, (delivery) => delivery.createdAt, page),
    `deliveries for ${JSON.stringify({ filter, page })}`,
  )
}

/** For stores that have the section. */
export const outboxCommands: readonly Command[] = [
  ...[lease, lease, settle, settle],
  ...[readDelivery, listDeliveries],
]

const sectionOf = ({ store }: World): OutboxSection => store.outbox as OutboxSection
