import assert from 'node:assert/strict'
import { accessLevels, endings, type Session } from '../../types.ts'
import { eventOf, sessionOf, t0 } from './fixtures.ts'
import { claimedGrant, grantFor } from './grant-commands.ts'
import { claimedRequest } from './request-commands.ts'
import {
  actors,
  anySession,
  type Command,
  endedIn,
  endingAt,
  lifeEvent,
  log,
  nextSerial,
  pageFrom,
  pageOf,
  recorded,
  targets,
} from './world.ts'

const claim: Command = async (world) => {
  const { dice, model, store, now } = world
  const actorId = dice.pick(actors)
  const session = sessionOf({
    id: `session-${nextSerial(world)}`,
    actorId,
    targetUserId: dice.pick(targets.filter((id) => id !== actorId)),
    targetOrgId: dice.pick([null, 'acme']),
    accessLevel: dice.pick(accessLevels),
    grantId: dice.oneIn(3) ? grantFor(world, actorId) : null,
    transport: dice.oneIn(6) ? 'token' : 'session',
    createdAt: now,
    expiresAt: now + 1 + dice.roll(20),
  })
  const wanted = {
    session,
    now,
    onConflict: dice.pick(['replace', 'reject'] as const),
    exclusiveTarget: !dice.oneIn(4),
    grant: claimedGrant(world, session),
    request: claimedRequest(world, session),
    events: { started: recorded(world, lifeEvent('started', session)), ended: endedIn(world) },
  }
  const { onConflict, exclusiveTarget, grant, request } = wanted
  log(world, 'claim', session, onConflict, exclusiveTarget, grant, request)
  model.claim(wanted, await store.claimSession(wanted))
}

const end: Command = async (world) => {
  const { dice, model, store } = world
  const id = anySession(world)
  const ending = endingAt(world, dice.pick(endings))
  const ended = endedIn(world)
  log(world, 'end', id, ending)
  const expected = model.end(id, ending, ended)
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
  const event = (session: Session) => [
    recorded(world, lifeEvent(`extended ${serial}`, session, 'extended')),
  ]
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
  model.append(recorded(world, event))
  await store.appendEvents([recorded(world, event)])
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
