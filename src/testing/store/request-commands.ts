import assert from 'node:assert/strict'
import type { RequestChange, RequestSection, UsedCode } from '../../stores/requests.ts'
import type { SessionClaim } from '../../stores/store.ts'
import {
  type AccessRequest,
  accessLevels,
  requestKinds,
  requestStatuses,
  type Session,
} from '../../types.ts'
import { requestEvent, requestOf, stepOf } from './request-fixtures.ts'
import {
  actors,
  type Command,
  log,
  nextSerial,
  pageFrom,
  pageOf,
  recorded,
  targets,
  type World,
} from './world.ts'

/** Mostly one of the last, so that they are changed often. */
function anyRequest({ dice, model }: World): AccessRequest {
  const recent = dice.oneIn(6) ? model.requests : model.requests.slice(-3)
  const unknown = requestOf({ id: 'request-none' })
  return recent.length === 0 || dice.oneIn(8) ? unknown : dice.pick(recent)
}

/** Mostly from the revision that there is. */
function changeOf(
  { dice }: World,
  request: AccessRequest,
  changes: Partial<AccessRequest>,
): RequestChange {
  const off = dice.oneIn(4) ? dice.pick([-1, 1]) : 0
  return stepOf({ ...request, revision: request.revision + off }, changes)
}

/** One of few, so that many are tried a second time. */
function anyCode({ dice, now }: World): UsedCode | null {
  return dice.oneIn(2) ? { mark: `mark-${dice.roll(40)}`, at: now } : null
}

const eventFor = (world: World, request: AccessRequest) =>
  recorded(
    world,
    requestEvent(request, { id: `${request.id} ${nextSerial(world)}`, at: world.now }),
  )

/** What a start makes of the request that it is on. */
export function claimedRequest(world: World, { id }: Session): SessionClaim['request'] {
  if (!world.store.requests || !world.dice.oneIn(3)) return undefined
  const change = changeOf(world, anyRequest(world), { status: 'used', sessionId: id })
  return { ...change, events: [eventFor(world, change.after)] }
}

const request: Command = async (world) => {
  const { dice, model, now } = world
  const actorId = dice.pick(actors)
  const asked = requestOf({
    id: `request-${nextSerial(world)}`,
    kind: dice.pick(requestKinds),
    actorId,
    targetUserId: dice.pick(targets.filter((id) => id !== actorId)),
    accessLevel: dice.pick(accessLevels),
    status: dice.pick(requestStatuses),
    createdAt: now,
    expiresAt: now + dice.roll(20),
  })
  const [events, code] = [[eventFor(world, asked)], anyCode(world)]
  log(world, 'ask', asked, code)
  const expected = model.createRequest(asked, events, code)
  assert.equal(await sectionOf(world).createRequest(asked, events, code), expected)
}

const change: Command = async (world) => {
  const { dice, model } = world
  const stored = anyRequest(world)
  const wanted = changeOf(world, stored, {
    status: dice.pick(requestStatuses),
    approvedBy: [...stored.approvedBy, dice.pick(actors)].slice(0, 20),
    deniedBy: dice.pick([null, 'boss']),
    attempts: stored.attempts + 1,
  })
  const [events, code] = [[eventFor(world, wanted.after)], anyCode(world)]
  log(world, 'change', wanted, code)
  const expected = model.changeRequest(wanted, events, code)
  assert.equal(await sectionOf(world).changeRequest(wanted, events, code), expected)
}

const readRequest: Command = async (world) => {
  const { id } = anyRequest(world)
  assert.deepEqual(await sectionOf(world).readRequest(id), world.model.request(id), `request ${id}`)
}

const listRequests: Command = async (world) => {
  const { model, dice, now } = world
  const filter = {
    ...(dice.oneIn(4) && { kind: dice.pick(requestKinds) }),
    ...(dice.oneIn(4) && { status: dice.pick(requestStatuses) }),
    ...(dice.oneIn(3) && { actorId: dice.pick(actors) }),
    ...(dice.oneIn(3) && { targetUserId: dice.pick(targets) }),
    ...(dice.oneIn(4) && { from: now - dice.roll(30) }),
    ...(dice.oneIn(3) && { expiredBy: now - 10 + dice.roll(20) }),
  }
  const places = model.requests.map(({ createdAt, id }) => ({ at: createdAt, id }))
  const page = pageOf(dice, now, places)
  const expected = model.requests.filter(
    (one) =>
      (filter.kind ?? one.kind) === one.kind &&
      (filter.status ?? one.status) === one.status &&
      (filter.actorId ?? one.actorId) === one.actorId &&
      (filter.targetUserId ?? one.targetUserId) === one.targetUserId &&
      (filter.from ?? one.createdAt) <= one.createdAt &&
      one.expiresAt <= (filter.expiredBy ?? one.expiresAt),
  )
  assert.deepEqual(
    await sectionOf(world).listRequests(filter, page),
    pageFrom(expected, (one) => one.createdAt, page),
    `requests for ${JSON.stringify({ filter, page })}`,
  )
}

/** For stores that have the section. */
export const requestCommands: readonly Command[] = [
  ...[request, change, change],
  ...[readRequest, listRequests],
]

const sectionOf = ({ store }: World): RequestSection => store.requests as RequestSection
