import assert from 'node:assert/strict'
import type { SessionEnding, Store } from '../stores/store.ts'
import { type AuditEvent, accessLevels, type EventAction, endings, type Session } from '../types.ts'
import { createDice, createModel, type Dice, type Model } from './model.ts'
import { eventOf, sessionOf, t0 } from './store/fixtures.ts'

export interface RandomCommandsOptions {
  /** How many commands. @default 300 */
  readonly commands?: number
  /** Where the dice begin; a failure names it. @default a new one each time */
  readonly seed?: number
  /** A fresh store is taken after so many commands, so that long runs stay fast. @default 500 */
  readonly commandsPerStore?: number
  /** Called with each store once it is done with. @default its own `close()` */
  readonly cleanup?: (store: Store) => unknown
}

/**
 * Runs random commands against a store and a plain model of the contract, compares every answer, and
 * reads everything back at the end. `storeTests` does a few hundred; for a soak run, give a count.
 *
 * @throws {Error} at the first difference, with the seed that finds it again and the last commands
 *
 * @example
 * await runRandomCommands(() => myStore(), { commands: 1_000_000 })
 */
export async function runRandomCommands(
  factory: () => Store | Promise<Store>,
  options: RandomCommandsOptions = {},
): Promise<void> {
  const { commands = 300, commandsPerStore = 500, cleanup = (store) => store.close?.() } = options
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 31)
  const dice = createDice(seed)
  for (let done = 0; done < commands; done += commandsPerStore) {
    const store = await factory()
    const log: string[] = []
    try {
      await runOn(store, dice, Math.min(commandsPerStore, commands - done), log)
    } catch (cause) {
      const last = log.slice(-10).join('\n  ')
      throw new Error(
        `Store and model differ (seed ${seed}, command ${done + log.length}):\n  ${last}\n${cause}`,
        { cause },
      )
    } finally {
      await cleanup(store)
    }
  }
}

const actors = ['root', 'sup', 'Root']
const targets = ['alice', 'bob', 'carol', 'sup']
const grants = ['grant-1', 'grant-2']

async function runOn(store: Store, dice: Dice, count: number, log: string[]): Promise<void> {
  const world: World = { store, dice, model: createModel(), now: t0, serial: 0, log }
  for (let n = 0; n < count; n++) {
    if (dice.oneIn(3)) world.now += dice.roll(4)
    await dice.pick(commands)(world)
  }
  await compareEverything(world)
}

interface World {
  readonly store: Store
  readonly dice: Dice
  readonly model: Model
  readonly log: string[]
  now: number
  serial: number
}

type Command = (world: World) => Promise<void>

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
  const page = pageOf(dice, now, 'session')
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
  const page = pageOf(dice, now, 'session')
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
const commands: readonly Command[] = [
  ...[claim, claim, claim, end, extend, acknowledge, append],
  ...[readStanding, readStanding, readSession, listSessions, listEvents],
]

/** What rule after rule promises, looked up in the store itself rather than in single answers. */
async function compareEverything({ store, model, log }: World): Promise<void> {
  log.push('read everything back')
  const limit = 100_000
  const sessions = await store.listSessions({}, { limit })
  const events = await store.listEvents({}, { limit })
  assert.deepEqual(
    sessions,
    pageFrom(model.sessions, (session) => session.createdAt, { limit }),
  )
  assert.deepEqual(
    events,
    pageFrom(model.events, (event) => event.at, { limit }),
  )
  for (const actorId of actors) {
    assert.deepEqual(await store.readStanding(actorId), model.standing(actorId))
  }
  const count = (suffix: string) =>
    events.filter((event) => event.action === `impersonation.${suffix}`).length
  const active = sessions.filter((session) => session.status === 'active')
  const ends = endings.reduce((sum, ending) => sum + count(ending), 0)
  assert.equal(count('started'), ends + active.length, 'starts are ends and active ones')
  const logins = active.filter((session) => session.transport === 'session')
  const holders = new Set(logins.map((session) => session.actorId))
  assert.equal(holders.size, logins.length, 'one active session per actor')
}

function nextSerial(world: World): string {
  world.serial += 1
  return String(world.serial).padStart(6, '0')
}

/** Mostly one that exists, and mostly a recent one. */
function anySession({ dice, model }: World): string {
  const recent = dice.oneIn(4) ? model.sessions : model.sessions.slice(-6)
  return recent.length === 0 || dice.oneIn(20) ? 'session-none' : dice.pick(recent).id
}

/** The id follows from the session and what happened, so that a second ending event is one too many. */
function lifeEvent(what: string, session: Session, action = what): AuditEvent {
  const id = `${session.id} ${what}`
  return eventOf(`impersonation.${action}` as EventAction, session, { id })
}

const ended = (session: Session): AuditEvent => lifeEvent('ended', session, session.status)

interface ListPage {
  limit: number
  before?: { at: number; id: string }
}

function pageOf(dice: Dice, now: number, kind: string): ListPage {
  const limit = 1 + dice.roll(8)
  if (dice.oneIn(2)) return { limit }
  return { limit, before: { at: now - dice.roll(20), id: `${kind}-0000${10 + dice.roll(90)}` } }
}

function pageFrom<T extends { id: string }>(
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
