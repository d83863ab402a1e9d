import assert from 'node:assert/strict'
import type { Store } from '../../stores/store.ts'
import type { Grant, Session } from '../../types.ts'
import {
  actionsOf,
  after,
  allEvents,
  allSessions,
  assertConsistent,
  claimOf,
  endedEvent,
  endingOf,
  eventOf,
  expired,
  minute,
  type Rule,
  refused,
  replaced,
  same,
  sessionOf,
  start,
  stopOf,
  t0,
} from './fixtures.ts'
import { allGrants, changeOf, consent, used, whereGranted } from './grant-fixtures.ts'
import { lookAlikes } from './grants.ts'

export function consentedRules(someRule: Rule): void {
  const rule = whereGranted(someRule)

  rule('a start leaves its grant as the start was to leave it', async (store, grants) => {
    const grant = await consent(grants)
    const change = changeOf(grant, { ticket: 'T-9', expiresAt: t0 + minute })
    const session = sessionOf({ grantId: grant.id })
    const result = await store.claimSession(claimOf(session, { grant: change }))
    same(result, { outcome: 'started', ended: [] })
    same(await grants.readGrant(grant.id), change.after)
    same(await store.readStanding('root'), { active: session, lapse: null })
  })

  rule('a start under a grant of another revision changes nothing', async (store, grants) => {
    const grant = await consent(grants, { revision: 5 })
    const lapsed = await start(store, { targetUserId: 'bob' })
    await store.endSession(lapsed.id, endingOf(), endedEvent)
    const events = await allEvents(store)
    for (const revision of [4, 6]) {
      const change = changeOf({ ...grant, revision })
      const session = sessionOf({ grantId: grant.id })
      const result = await store.claimSession(claimOf(session, { grant: change }))
      same(result, { outcome: 'grant_changed', ended: [] })
    }
    same(await grants.readGrant(grant.id), grant)
    same(await allSessions(store), [after(lapsed, endingOf())])
    same(await allEvents(store), events)
    same((await store.readStanding('root')).lapse, after(lapsed, endingOf()), 'still not told')
  })

  rule('a start under a grant that is not there starts nothing', async (store, grants) => {
    const grant = await consent(grants, { id: 'Grant-é' })
    for (const id of lookAlikes) {
      const session = sessionOf({ grantId: id })
      const claim = claimOf(session, { grant: changeOf({ ...grant, id }) })
      same(await store.claimSession(claim), { outcome: 'grant_changed', ended: [] }, id)
    }
    same(await allGrants(grants), [grant])
    same(await allSessions(store), [])
  })

  rule('a start whose grant changed replaces nothing of the actor', async (store, grants) => {
    const own = await start(store, { targetUserId: 'bob' })
    const grant = await consent(grants)
    const session = sessionOf({ grantId: grant.id, createdAt: t0 + 1 })
    const stale = changeOf({ ...grant, revision: 9 })
    const claim = claimOf(session, { grant: stale, onConflict: 'replace' })
    same(await store.claimSession(claim), { outcome: 'grant_changed', ended: [] })
    same(await store.readStanding('root'), { active: own, lapse: null })
    same(await actionsOf(store, own), ['impersonation.started'])
    const good = { ...claim, grant: changeOf(grant) }
    same(await store.claimSession(good), { outcome: 'started', ended: [replaced(own, t0 + 1)] })
  })

  rule('a start that is refused leaves its grant alone', async (store, grants) => {
    const grant = await consent(grants)
    const busy = await start(store, { actorId: 'sup', grantId: grant.id })
    const outcome = async (changes: Partial<Session>, exclusiveTarget = true) => {
      const session = sessionOf({ grantId: grant.id, ...changes })
      const claim = claimOf(session, { exclusiveTarget, grant: changeOf(grant) })
      return refused(await store.claimSession(claim)).outcome
    }
    assert.equal(await outcome({}), 'target_busy')
    assert.equal(await outcome({ actorId: 'sup', targetUserId: 'bob' }), 'actor_busy')
    assert.equal(await outcome({ targetUserId: 'bob' }, false), 'grant_busy')
    same(await grants.readGrant(grant.id), grant)
    same(await allSessions(store), [busy])
  })

  rule('a start that fails leaves its grant as it was', async (store, grants) => {
    const grant = await consent(grants)
    const old = await start(store, { targetUserId: 'bob' })
    await store.endSession(old.id, stopOf(), endedEvent)
    const [taken] = await allEvents(store)
    const session = sessionOf({ grantId: grant.id })
    const started = eventOf('impersonation.started', session, { id: taken?.id ?? '' })
    const unstored = claimOf(session, { events: { started, ended: endedEvent } })
    const doubled = claimOf(sessionOf({ grantId: grant.id, id: old.id }))
    for (const claim of [unstored, doubled]) {
      await assert.rejects(store.claimSession({ ...claim, grant: changeOf(grant) }))
    }
    same(await grants.readGrant(grant.id), grant)
    same(await allSessions(store), [after(old, stopOf())])
  })

  rule('a start under the grant of a session that is over finds it used', async (store, grants) => {
    const grant = await consent(grants)
    const old = await start(store, { grantId: grant.id, expiresAt: t0 + minute })
    const late = { createdAt: t0 + 2 * minute, expiresAt: t0 + 9 * minute }
    const next = sessionOf({ grantId: grant.id, ...late })
    const other = await start(store, { actorId: 'sup', targetUserId: 'bob', createdAt: t0 + 1 })
    const claim = claimOf(next, { grant: changeOf(grant), onConflict: 'replace' })
    const { outcome, ended } = await store.claimSession(claim)
    assert.equal(outcome, 'grant_changed')
    if (ended.length > 0) {
      same(ended, [expired(old)])
      same(await grants.readGrant(grant.id), used(grant))
      same((await store.readStanding('root')).lapse, expired(old))
    } else {
      same(await store.readSession(old.id), old)
      same(await grants.readGrant(grant.id), grant)
    }
    same(await store.readSession(next.id), null)
    same(await store.readSession(other.id), other)
    await assertConsistent(store)
  })

  rule(
    'only a grant that is granted can be used up in the way of a start',
    async (store, grants) => {
      const grant = await consent(grants, { status: 'revoked' })
      const old = await start(store, { grantId: grant.id, expiresAt: t0 + minute })
      const next = sessionOf({ grantId: grant.id, createdAt: t0 + minute })
      const result = await store.claimSession(claimOf(next, { grant: changeOf(grant) }))
      same(result, { outcome: 'started', ended: [expired(old)] })
      same(await grants.readGrant(grant.id), changeOf(grant).after)
      await assertConsistent(store)
    },
  )

  rule(
    'a start that would use up its own grant leaves the session it has',
    async (store, grants) => {
      const grant = await consent(grants)
      const own = await start(store, { grantId: grant.id })
      const next = sessionOf({ grantId: grant.id, createdAt: t0 + 1 })
      const claim = claimOf(next, { grant: changeOf(grant), onConflict: 'replace' })
      same(await store.claimSession(claim), { outcome: 'grant_changed', ended: [] })
      same(await store.readStanding('root'), { active: own, lapse: null })
      same(await grants.readGrant(grant.id), grant)
      await assertConsistent(store)
    },
  )

  rule(
    'what expired in the way of a start whose grant changed has its event',
    async (store, grants) => {
      const grant = await consent(grants)
      const old = await start(store, { actorId: 'sup', expiresAt: t0 + minute })
      const next = sessionOf({ grantId: grant.id, createdAt: t0 + 2 * minute })
      const stale = changeOf({ ...grant, revision: 9 })
      const { outcome, ended } = await store.claimSession(claimOf(next, { grant: stale }))
      assert.equal(outcome, 'grant_changed')
      same(await store.readSession(old.id), ended.length > 0 ? expired(old) : old)
      if (ended.length > 0) same(ended, [expired(old)])
      await assertConsistent(store)
    },
  )

  rule('of many starts under one grant at once one starts', async (store, grants) => {
    const grant = await consent(grants)
    const results = await claimAtOnce(store, grant, (n) => ({ targetUserId: `target-${n}` }))
    const outcomes = results.map(({ outcome }) => outcome)
    assert.equal(outcomes.filter((outcome) => outcome === 'started').length, 1)
    assert.equal(outcomes.filter((outcome) => outcome === 'grant_changed').length, crowd - 1)
    const [session, ...more] = await allSessions(store)
    same(more, [])
    same((await store.readStanding('root')).active, session)
    same(await grants.readGrant(grant.id), changeOf(grant).after)
    await assertConsistent(store)
  })

  rule('of many actors under one grant at once one starts', async (store, grants) => {
    const grant = await consent(grants)
    const results = await claimAtOnce(store, grant, (n) => ({
      actorId: `actor-${n}`,
      targetUserId: `target-${n}`,
    }))
    assert.equal(results.filter(({ outcome }) => outcome === 'started').length, 1)
    assert.equal((await allSessions(store)).length, 1)
    await assertConsistent(store)
  })
}

const crowd = 30

function claimAtOnce(store: Store, grant: Grant, person: (n: number) => Partial<Session>) {
  return Promise.all(
    Array.from({ length: crowd }, (_, n) => {
      const session = sessionOf({ ...person(n), grantId: grant.id })
      const rules = { onConflict: 'replace', exclusiveTarget: false } as const
      return store.claimSession(claimOf(session, { ...rules, grant: changeOf(grant) }))
    }),
  )
}
