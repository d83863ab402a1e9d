import assert from 'node:assert/strict'
import type { GrantChange, GrantSection } from '../../stores/store.ts'
import {
  accessLevels,
  type Grant,
  type GrantStatus,
  grantStatuses,
  type Session,
} from '../../types.ts'
import { grantEvent, grantOf } from './grant-fixtures.ts'
import {
  actors,
  type Command,
  endedIn,
  endingAt,
  log,
  nextSerial,
  pageFrom,
  pageOf,
  recorded,
  targets,
  type World,
} from './world.ts'

/** Consents that no store has: sessions may name them all the same. */
const unknown = ['grant-1', 'grant-2']

/** For a start: often the one that the actor's present session is under, which the start would use up. */
export function grantFor(world: World, actorId: string): string {
  const own = world.model.standing(actorId).active?.grantId
  return own && world.dice.oneIn(2) ? own : anyGrant(world)
}

/** Mostly one of the last, so that they are changed often. */
function anyGrant({ dice, model }: World): string {
  const recent = dice.oneIn(6) ? model.grants : model.grants.slice(-3)
  return recent.length === 0 || dice.oneIn(6) ? dice.pick(unknown) : dice.pick(recent).id
}

/** What a start makes of its grant: mostly from the revision that there is. */
export function claimedGrant(world: World, { grantId }: Session): GrantChange | undefined {
  if (!world.store.grants || grantId === null || world.dice.oneIn(5)) return undefined
  return changeOf(world, grantId, { expiresAt: world.now + world.dice.roll(20) })
}

function changeOf({ dice, model }: World, id: string, changes: Partial<Grant>): GrantChange {
  const stored = model.grant(id) ?? grantOf({ id })
  const from = stored.revision + (dice.oneIn(4) ? dice.pick([-1, 1]) : 0)
  return { from, after: { ...stored, ...changes, revision: from + 1 } }
}

const request: Command = async (world) => {
  const { dice, model, now } = world
  const actorId = dice.pick(actors)
  const grant = grantOf({
    id: `grant-${nextSerial(world)}`,
    actorId,
    targetUserId: dice.pick(targets.filter((id) => id !== actorId)),
    accessLevel: dice.pick(accessLevels),
    ticket: dice.pick([null, 'T-1']),
    durationMs: dice.roll(20),
    createdAt: now,
    expiresAt: now + dice.roll(20),
    ...(dice.oneIn(2) && { status: 'granted', decidedAt: now }),
  })
  const event = recorded(world, grantEvent(grant, { id: `${grant.id} requested`, at: now }))
  log(world, 'request', grant)
  model.createGrant(grant, [event])
  await sectionOf(world).createGrant(grant, [event])
}

/** A yes comes three times as often, so that there is something to start under. */
const answers: readonly GrantStatus[] = [
  ...(['granted', 'granted', 'granted', 'denied', 'revoked', 'revoked', 'expired'] as const),
]

const change: Command = async (world) => {
  const { dice, model, now } = world
  const id = anyGrant(world)
  const status = dice.pick(answers)
  const wanted = changeOf(world, id, {
    status,
    decidedAt: now,
    accessLevel: dice.pick(accessLevels),
  })
  const ends = (status === 'revoked' || status === 'expired') && !dice.oneIn(4)
  const ending = ends ? { how: endingAt(world, status), event: endedIn(world) } : null
  const told = { id: `${id} changed ${nextSerial(world)}`, at: now }
  const event = recorded(world, grantEvent(wanted.after, told))
  log(world, 'change', wanted, ending?.how)
  const expected = model.changeGrant(wanted, [event], ending)
  const answer = await sectionOf(world).changeGrant(wanted, [event], ending)
  assert.deepEqual(answer, expected, 'what a change of a grant did')
}

const readGrant: Command = async (world) => {
  const id = anyGrant(world)
  assert.deepEqual(await sectionOf(world).readGrant(id), world.model.grant(id), `grant ${id}`)
}

const listGrants: Command = async (world) => {
  const { model, dice, now } = world
  const filter = {
    ...(dice.oneIn(3) && { status: dice.pick(grantStatuses) }),
    ...(dice.oneIn(3) && { actorId: dice.pick(actors) }),
    ...(dice.oneIn(3) && { targetUserId: dice.pick(targets) }),
    ...(dice.oneIn(3) && { expiredBy: now - 10 + dice.roll(20) }),
  }
  const places = model.grants.map(({ createdAt, id }) => ({ at: createdAt, id }))
  const page = pageOf(dice, now, places)
  const expected = model.grants.filter(
    (grant) =>
      (filter.status ?? grant.status) === grant.status &&
      (filter.actorId ?? grant.actorId) === grant.actorId &&
      (filter.targetUserId ?? grant.targetUserId) === grant.targetUserId &&
      grant.expiresAt <= (filter.expiredBy ?? grant.expiresAt),
  )
  assert.deepEqual(
    await sectionOf(world).listGrants(filter, page),
    pageFrom(expected, (grant) => grant.createdAt, page),
    `grants for ${JSON.stringify({ filter, page })}`,
  )
}

/** For stores that have the section. */
export const grantCommands: readonly Command[] = [request, change, change, readGrant, listGrants]

const sectionOf = ({ store }: World): GrantSection => store.grants as GrantSection
