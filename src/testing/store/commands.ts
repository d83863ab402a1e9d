import assert from 'node:assert/strict'
import type { Page, Place, SessionEnding, Store } from '../../stores/store.ts'
import {
  type AuditEvent,
  accessLevels,
  type EventAction,
  endings,
  type Session,
} from '../../types.ts'
import type { Dice, Model } from '../model.ts'
import { eventOf, sessionOf, t0 } from './fixtures.ts'

/** Few people, so that they are often in each other's way. */
export const actors = ['root', 'sup', 'Root']
const targets = ['alice', 'bob', 'carol', 'sup']
const grants = ['grant-1', 'grant-2']

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

const claim: Command = async (world) => {
  const { dice, model, store, now } = world
  const actorId = dice.pick(actors)
  const session = sessionOf({
    id: `session-${nextSerial(world)}`,
    actorId,
    targetUserId: dice.pick(targets.filter((id) => id !== actorId)),
    targetOrgId: dice.pick([null, 'acme']),
    accessLevel: dice.pick(accessLevels),
    grantId: dice.oneIn(4) ? dice.pick(grants) : null,
    transport: dice.oneIn(6) ? 'token' : 'session',
    createdAt: now,
    expiresAt: now + 1 + dice.roll(20),
  })
  const request = {
    session,
    now,
    onConflict: dice.pick(['replace', 'reject'] as const),
    exclusiveTarget: !dice.oneIn(4),
    events: { started: lifeEvent('started', session), ended },
  }
  log(world, 'claim', session, request.onConflict, request.exclusiveTarget)
  model.claim(request, await store.claimSession(request))
}

const end: Command = async (world) => {
  const { dice, model, store, now } = world
  const id = anySession(world)
  const status = dice.pick(endings)
  const ending: SessionEnding = {
    status,
    reason: status,
    at: now,
    by: dice.pick([null, 'boss']),
    note: dice.pick([null, 'a note']),
    acknowledged: dice.oneIn(2),
  }
  log(world, 'end', id, ending)
  const { at: endedAt, by: endedBy, note: endedNote } = ending
  const changes = { status, endedReason: status, endedAt, endedBy, endedNote }
  const expected = model.end(id, changes, ending.acknowledged, ended)
  const answer = await store.endSession(id, ending, ended)
  assert.equal(answer?.changed ?? null, expected, 'whether this ending was the one')
  assert.deepEqual(answer?.session ?? null, model.session(id), 'the session after an ending')
}

const extend: Command = async (world) => {
  const { dice, model, store, now } = world
  const id = anySession(world)
  const from = (model.session(id)?.expiresAt ?? now) - (dice.oneIn(5) ? 1 : 0)
  const change = { from, to: from + 1 + dice.roll(10), now }
  log(world, 'extend', id, change)
  const serial = nextSerial(world)
  const event = (session: Session) => lifeEvent(`extended ${serial}`, session, 'extended')
  const moved = model.extend(id, change.from, change.to, now, event)
  const answer = await store.extendSession(id, change, event)
  assert.deepEqual(answer, moved ? model.session(id) : null, 'the session after an extension')
}

const acknowledge: Command = async (world) => {
  const actorId = world.dice.pick(actors)
  log(world, 'acknowledge', actorId)
  world.model.acknowledge(actorId)
  await world.store.acknowledgeLapses(actorId)
}

const append: Command = async (world) => {
  const { dice, model, store, now } = world
  const event = eventOf('impersonation.refused', sessionOf({ actorId: dice.pick(actors) }), {
    id: `refusal-${nextSerial(world)}`,
    at: now,
    sessionId: null,
  })
  log(world, 'append', event.id)
  model.append(event)
  await store.appendEvents([event])
}

const readStanding: Command = async ({ store, model, dice }) => {
  const actorId = dice.pick(actors)
  assert.deepEqual(
    await store.readStanding(actorId),
    model.standing(actorId),
    `the standing of ${actorId}`,
  )
}

const readSession: Command = async (world) => {
  const id = anySession(world)
  assert.deepEqual(await world.store.readSession(id), world.model.session(id), `session ${id}`)
}

const listSessions: Command = async ({ store, model, dice, now }) => {
  const filter = {
    ...(dice.oneIn(3) && { status: dice.pick(['active', ...endings] as const) }),
    ...(dice.oneIn(3) && { actorId: dice.pick(actors) }),
    ...(dice.oneIn(3) && { targetUserId: dice.pick(targets) }),
    ...(dice.oneIn(5) && { orgId: 'acme' }),
    ...(dice.oneIn(5) && { accessLevel: dice.pick(accessLevels) }),
    ...(dice.oneIn(5) && { from: now - dice.roll(30) }),
    ...(dice.oneIn(5) && { to: now - dice.roll(30) }),
  }
  const page = pageOf(
    dice,
    now,
    model.sessions.map(({ createdAt, id }) => ({ at: createdAt, id })),
  )
  const expected = model.sessions.filter(
    (session) =>
      (filter.status ?? session.status) === session.status &&
      (filter.actorId ?? session.actorId) === session.actorId &&
      (filter.targetUserId ?? session.targetUserId) === session.targetUserId &&
      (filter.orgId ?? session.targetOrgId) === session.targetOrgId &&
      (filter.accessLevel ?? session.accessLevel) === session.accessLevel &&
      (filter.from ?? t0) <= session.createdAt &&
      session.createdAt < (filter.to ?? now + 1),
  )
  assert.deepEqual(
    await store.listSessions(filter, page),
    pageFrom(expected, (session) => session.createdAt, page),
    `sessions for ${JSON.stringify({ filter, page })}`,
  )
}

const listEvents: Command = async (world) => {
  const { store, model, dice, now } = world
  const filter = {
    ...(dice.oneIn(3) && { action: dice.pick(['impersonation.started', 'impersonation.re*']) }),
    ...(dice.oneIn(3) && { actorId: dice.pick(actors) }),
    ...(dice.oneIn(3) && { targetUserId: dice.pick(targets) }),
    ...(dice.oneIn(4) && { sessionId: anySession(world) }),
    ...(dice.oneIn(5) && { from: now - dice.roll(30) }),
    ...(dice.oneIn(5) && { to: now - dice.roll(30) }),
  }
  const page = pageOf(
    dice,
    now,
    model.events.map(({ at, id }) => ({ at, id })),
  )
  const prefix = filter.action?.replace('*', '') ?? ''
  const expected = model.events.filter(
    (event) =>
      event.action.startsWith(prefix) &&
      (filter.actorId ?? event.actorId) === event.actorId &&
      (filter.targetUserId ?? event.targetUserId) === event.targetUserId &&
      (filter.sessionId ?? event.sessionId) === event.sessionId &&
      (filter.from ?? event.at) <= event.at &&
      event.at < (filter.to ?? event.at + 1),
  )
  assert.deepEqual(
    await store.listEvents(filter, page),
    pageFrom(expected, (event) => event.at, page),
    `events for ${JSON.stringify({ filter, page })}`,
  )
}

/** A command that stands here three times comes three times as often. */
export const commands: readonly Command[] = [
  ...[claim, claim, claim, end, extend, acknowledge, append],
  ...[readStanding, readStanding, readSession, listSessions, listEvents],
]

function nextSerial(world: World): string {
  world.serial += 1
  return String(world.serial).padStart(6, '0')
}

/** Mostly one that exists, and mostly a recent one. */
function anySession({ dice, model }: World): string {
  const recent = dice.oneIn(4) ? model.sessions : model.sessions.slice(-6)
  return recent.length === 0 || dice.oneIn(20) ? 'session-none' : dice.pick(recent).id
}

/**
 * The id follows from the session and what happened, so that a second ending event is one too
 * many.
 */
function lifeEvent(what: string, session: Session, action = what): AuditEvent {
  const id = `${session.id} ${what}`
  return eventOf(`impersonation.${action}` as EventAction, session, { id })
}

const ended = (session: Session): AuditEvent => lifeEvent('ended', session, session.status)

type ListPage = Page & { readonly before?: Place }

/** Half of the pages begin somewhere: mostly after a row that is there. */
function pageOf(dice: Dice, now: number, places: readonly Place[]): ListPage {
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

function log(world: World, verb: string, ...what: unknown[]): void {
  world.log.push(
    `${verb} at ${world.now - t0}: ${what.map((part) => JSON.stringify(part)).join(' ')}`,
  )
}
