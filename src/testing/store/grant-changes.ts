import assert from 'node:assert/strict'
import type { Session } from '../../types.ts'
import {
  actionsOf,
  after,
  allEvents,
  allSessions,
  assertConsistent,
  endedEvent,
  endingOf,
  minute,
  type Rule,
  same,
  start,
  stopOf,
  t0,
} from './fixtures.ts'
import { changeOf, consent, grantEvent, live, used, whereGranted } from './grant-fixtures.ts'
import { lookAlikes } from './grants.ts'

export function grantChangeRules(someRule: Rule): void {
  const rule = whereGranted(someRule)

  rule(
    'a change puts a grant in the place of the one before, with its events',
    async (store, grants) => {
      const grant = await consent(grants, { status: 'pending', decidedAt: null })
      const change = changeOf(grant, {
        status: 'granted',
        accessLevel: 'full',
        durationMs: 5,
        decidedAt: t0 + 1,
        expiresAt: t0 + 6,
      })
      const events = [grantEvent(change.after), grantEvent(change.after)]
      same(await grants.changeGrant(change, events, null), { changed: true, ended: null })
      same(await grants.readGrant(grant.id), change.after)
      assert.equal((await allEvents(store)).length, 3)
    },
  )

  rule('a change from another revision than the present one is none', async (store, grants) => {
    const [grant, session] = await live(store, grants, { revision: 5 })
    const events = await allEvents(store)
    const ending = { how: endingOf(), event: endedEvent }
    for (const revision of [1, 4, 6]) {
      const change = changeOf({ ...grant, revision }, { status: 'revoked' })
      const result = await grants.changeGrant(change, [grantEvent(change.after)], ending)
      same(result, { changed: false })
    }
    same(await grants.readGrant(grant.id), grant)
    same(await store.readSession(session.id), session)
    same(await allEvents(store), events)
  })

  rule('of many changes from the same revision one is made', async (store, grants) => {
    const grant = await consent(grants, { status: 'pending' })
    const changes = Array.from({ length: 30 }, (_, n) => changeOf(grant, { ticket: `T-${n}` }))
    const results = await Promise.all(
      changes.map((change) => grants.changeGrant(change, [grantEvent(change.after)], null)),
    )
    const made = changes.filter((_, n) => results[n]?.changed)
    same(
      made.map((change) => change.after),
      [await grants.readGrant(grant.id)],
    )
    assert.equal((await allEvents(store)).length, 2)
  })

  rule('a change whose events cannot be made or stored does not happen', async (store, grants) => {
    const [grant, session] = await live(store, grants)
    const stored = await allEvents(store)
    const change = changeOf(grant, { status: 'revoked' })
    const event = grantEvent(change.after)
    const taken = { ...event, id: stored[0]?.id ?? '' }
    const unmade = () => {
      throw new Error('no event')
    }
    for (const [events, made] of [
      [[event, taken], endedEvent],
      [[event, event], endedEvent],
      [[event], () => [taken]],
      [[event], () => [event]],
      [[event], unmade],
    ] as const) {
      const ending = { how: endingOf(), event: made }
      await assert.rejects(grants.changeGrant(change, events, ending))
    }
    same(await grants.readGrant(grant.id), grant)
    same(await store.readStanding('root'), { active: session, lapse: null })
    same(await allEvents(store), stored)
  })

  rule('a change with an ending ends the session under its grant', async (store, grants) => {
    const [grant, session] = await live(store, grants)
    const other = await start(store, { actorId: 'sup', targetUserId: 'bob', grantId: 'another' })
    const change = changeOf(grant, { status: 'revoked' })
    const how = endingOf({ reason: 'grant_revoked', by: 'alice', note: 'enough' })
    let seen: unknown
    const event = (ended: Session) => {
      seen = ended
      return endedEvent(ended)
    }
    const result = await grants.changeGrant(change, [grantEvent(change.after)], { how, event })
    const ended = after(session, how)
    same(result, { changed: true, ended })
    same(seen, ended)
    same(await store.readStanding('root'), { active: null, lapse: ended })
    same(await store.readStanding('sup'), { active: other, lapse: null })
    same(await grants.readGrant(grant.id), change.after, 'revoked, not used')
    same(await actionsOf(store, session), ['impersonation.revoked', 'impersonation.started'])
    await assertConsistent(store)
  })

  rule('a change with an ending that its actor knows of leaves no lapse', async (store, grants) => {
    const [grant] = await live(store, grants)
    const ending = { how: stopOf(), event: endedEvent }
    await grants.changeGrant(changeOf(grant, { status: 'revoked' }), [], ending)
    same(await store.readStanding('root'), { active: null, lapse: null })
    await start(store, { createdAt: t0 + 9 * minute })
  })

  rule('a change with an ending ends a token session too', async (store, grants) => {
    const [grant, token] = await live(store, grants, {}, { transport: 'token' })
    const ending = { how: endingOf(), event: endedEvent }
    const result = await grants.changeGrant(changeOf(grant, { status: 'revoked' }), [], ending)
    same(result, { changed: true, ended: after(token, endingOf()) })
    same(await store.readStanding('root'), { active: null, lapse: null })
  })

  rule('a change with an ending and no session to end is only a change', async (store, grants) => {
    const grant = await consent(grants, { id: 'Grant-é' })
    for (const [n, grantId] of lookAlikes.entries()) {
      await start(store, { actorId: `actor-${n}`, targetUserId: `target-${n}`, grantId })
    }
    const over = await start(store, { grantId: grant.id })
    await store.endSession(over.id, stopOf(), endedEvent)
    const sessions = await allSessions(store)
    const ending = { how: endingOf(), event: endedEvent }
    const change = changeOf(used(grant), { status: 'revoked' })
    same(await grants.changeGrant(change, [], ending), { changed: true, ended: null })
    same(await allSessions(store), sessions)
    await assertConsistent(store)
  })

  rule('a change without an ending leaves the session alone', async (store, grants) => {
    const [grant, session] = await live(store, grants)
    await grants.changeGrant(changeOf(grant, { status: 'revoked' }), [], null)
    same(await store.readStanding('root'), { active: session, lapse: null })
  })
}
