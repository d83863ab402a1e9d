import assert from 'node:assert/strict'
import type { TokenChange, TokenSection } from '../../stores/tokens.ts'
import type { ApiToken } from '../../types.ts'
import { hashOf, stepOf, tokenEvent, tokenOf } from './token-fixtures.ts'
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

const orgs = ['acme', 'Acme']

/** Mostly one of the last, so that they are changed often. */
function anyToken({ dice, model }: World): ApiToken {
  const recent = dice.oneIn(6) ? model.tokens : model.tokens.slice(-3)
  const unknown = tokenOf({ id: 'token-none' })
  return recent.length === 0 || dice.oneIn(8) ? unknown : dice.pick(recent)
}

/** Mostly from the revision that there is. */
function changeOf(
  { dice, now }: World,
  token: ApiToken,
  changes: Partial<ApiToken> = {},
): TokenChange {
  const off = dice.oneIn(4) ? dice.pick([-1, 1]) : 0
  // Of no effect, whatever it is.
  const lastUsedAt = dice.pick([token.lastUsedAt, null, now])
  return stepOf({ ...token, revision: token.revision + off }, { lastUsedAt, ...changes })
}

const eventFor = (world: World, token: ApiToken) =>
  recorded(world, tokenEvent(token, { id: `${token.id} ${nextSerial(world)}`, at: world.now }))

/** Half of them in place of another; now and then with an id or a hash that is stored already. */
const issue: Command = async (world) => {
  const { dice, model, now } = world
  const id = dice.oneIn(10) ? anyToken(world).id : `token-${nextSerial(world)}`
  const token = tokenOf({
    id,
    userId: dice.pick(targets),
    userOrgId: dice.pick([null, ...orgs]),
    issuedBy: dice.pick(actors),
    scopes: ['read', 'write', 'upload'].filter(() => dice.oneIn(2)),
    createdAt: now,
    expiresAt: now + dice.roll(20),
  })
  const hash = hashOf(dice.oneIn(10) ? anyToken(world).id : id)
  const changes = { replacedBy: id, expiresAt: now + 1 }
  const replaces = dice.oneIn(2) ? changeOf(world, anyToken(world), changes) : null
  const events = [eventFor(world, token)]
  log(world, 'issue', token, replaces)
  const expected = model.createToken(token, hash, events, replaces)
  const answer = await sectionOf(world)
    .createToken(token, hash, events, replaces)
    .catch((error) => (expected === 'taken' ? expected : Promise.reject(error)))
  assert.equal(answer, expected, 'what becomes of a new token')
}

const change: Command = async (world) => {
  const { dice, model, now } = world
  const wanted = changeOf(world, anyToken(world), {
    revokedAt: dice.pick([null, now]),
    revokedBy: dice.pick([null, ...actors]),
    name: dice.pick(['a test', 'another', '']),
  })
  const events = [eventFor(world, wanted.after)]
  log(world, 'change a token', wanted)
  const expected = model.changeToken(wanted, events)
  const answer = await sectionOf(world).changeToken(wanted, events)
  assert.equal(answer, expected, 'whether a token was changed')
}

const touch: Command = async (world) => {
  const { dice, model, now } = world
  const used = new Set(Array.from({ length: dice.roll(5) }, () => anyToken(world).id))
  const uses = [...used].map((id) => ({ id, at: now - dice.roll(6) }))
  const everyMs = dice.pick([0, 1, 5])
  log(world, 'touch', uses, everyMs)
  model.touchTokens(uses, everyMs)
  await sectionOf(world).touchTokens(uses, everyMs)
}

const readToken: Command = async (world) => {
  const { id } = anyToken(world)
  const { model } = world
  const section = sectionOf(world)
  assert.deepEqual(await section.readToken(id), model.token(id), `token ${id}`)
  const found = await section.findToken(hashOf(id))
  assert.deepEqual(found, model.tokenBy(hashOf(id)), `token ${id} by its hash`)
}

const listTokens: Command = async (world) => {
  const { model, dice, now } = world
  const filter = {
    ...(dice.oneIn(3) && { userId: dice.pick(targets) }),
    ...(dice.oneIn(3) && { issuedBy: dice.pick(actors) }),
    ...(dice.oneIn(4) && { orgId: dice.pick(orgs) }),
  }
  const places = model.tokens.map(({ createdAt, id }) => ({ at: createdAt, id }))
  const page = pageOf(dice, now, places)
  const expected = model.tokens.filter(
    (token) =>
      (filter.userId ?? token.userId) === token.userId &&
      (filter.issuedBy ?? token.issuedBy) === token.issuedBy &&
      (filter.orgId ?? token.userOrgId) === token.userOrgId,
  )
  assert.deepEqual(
    await sectionOf(world).listTokens(filter, page),
    pageFrom(expected, (token) => token.createdAt, page),
    `tokens for ${JSON.stringify({ filter, page })}`,
  )
}

/** For stores that have the section. */
export const tokenCommands: readonly Command[] = [
  ...[issue, issue, change, touch],
  ...[readToken, listTokens],
]

const sectionOf = ({ store }: World): TokenSection => store.tokens as TokenSection
