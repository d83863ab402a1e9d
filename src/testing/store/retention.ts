import assert from 'node:assert/strict'
import type { Pruned } from '../../stores/retention.ts'
import type { Store } from '../../stores/store.ts'
import { grantStatuses, requestStatuses } from '../../types.ts'
import { allEvents, allSessions, eventOf, minute, type Rule, same, t0 } from './fixtures.ts'
import { allGrants, consent, grantOf } from './grant-fixtures.ts'
import { allDeliveries, deliveryOf, post } from './outbox-fixtures.ts'
import { allRequests, ask, codeOf, requestOf } from './request-fixtures.ts'
import {
  before,
  begun,
  day,
  endOf,
  lone,
  over,
  pruneAll,
  whereRetained,
} from './retention-fixtures.ts'
import { entriesOf, sameInAnyOrder } from './trail-fixtures.ts'

export const ids = (rows: readonly { readonly id: string }[]) => rows.map(({ id }) => id)

/** Which of these sessions are there: with all their events and their trail, or with nothing. */
export async function whole(store: Store, ...sessionIds: readonly string[]): Promise<string[]> {
  const [sessions, events] = [ids(await allSessions(store)), await allEvents(store)]
  for (const id of sessionIds) {
    const there = sessions.includes(id)
    const own = events.filter(({ sessionId }) => sessionId === id)
    assert.equal(own.length > 0, there, `the events of ${id} go with it`)
    if (!store.trail) continue
    assert.equal((await entriesOf(store.trail, id)).length > 0, there, `the trail of ${id}, too`)
  }
  return sessionIds.filter((id) => sessions.includes(id))
}

export function pruningRules(someRule: Rule): void {
  const rule = whereRetained(someRule)

  rule(
    'a session that was over before goes, with its events and its trail',
    async (store, retention) => {
      const old = await over(store, before - 1)
      const [atIt, live] = [await over(store, before), await begun(store, { createdAt: t0 - day })]
      same(await pruneAll(store, retention), { sessions: 1, events: 2 })
      same(await whole(store, old.id, atIt.id, live.id), [atIt.id, live.id])
      assert.equal(await store.readSession(old.id), null)
      same(await pruneAll(store, retention), { sessions: 0, events: 0 })
    },
  )

  rule(
    'an event of a session goes and stays with it, whenever it was',
    async (store, retention) => {
      const [old, live] = [await over(store, before - 1), await begun(store, { createdAt: t0 })]
      const late = await lone(store, { sessionId: old.id, at: before + day })
      const early = await lone(store, { sessionId: live.id, at: t0 - day })
      same(await pruneAll(store, retention), { sessions: 1, events: 3 })
      const left = ids(await allEvents(store))
      same([left.includes(late.id), left.includes(early.id)], [false, true])
    },
  )

  rule('an event without a session goes when it is older', async (store, retention) => {
    await lone(store, { at: before - 1 })
    await lone(store, { at: before - 1, sessionId: 'never stored' })
    const stay = [
      await lone(store, { at: before }),
      await lone(store, { at: before, sessionId: 'never stored' }),
    ]
    same(await pruneAll(store, retention), { sessions: 0, events: 2 })
    sameInAnyOrder(ids(await allEvents(store)), ids(stay))
  })

  rule('what was pruned or erased stays on record', async (store, retention) => {
    const [old, at] = [await over(store, before - day), t0 - day]
    const stay = [
      await lone(store, { action: 'audit.pruned', at }),
      await lone(store, { action: 'audit.erased', at }),
      await lone(store, { action: 'audit.pruned', at, sessionId: 'never stored' }),
    ]
    await pruneAll(store, retention)
    assert.equal(await store.readSession(old.id), null)
    sameInAnyOrder(ids(await allEvents(store)), ids(stay))
  })

  rule('a session that looks like one that goes stays', async (store, retention) => {
    const old = await over(store, before - 1, { id: 'id' })
    for (const id of ['ID', 'id.']) await over(store, before, { id })
    const stays = await lone(store, { sessionId: 'id ', at: before })
    await pruneAll(store, retention)
    assert.equal(await store.readSession(old.id), null)
    sameInAnyOrder(ids(await allSessions(store)), ['ID', 'id.'])
    assert.ok(ids(await allEvents(store)).includes(stays.id))
    await lone(store, { sessionId: 'ID ', at: before - 1 })
    same(await pruneAll(store, retention), { sessions: 0, events: 1 })
  })

  rule('a session that is gone is no lapse any more', async (store, retention) => {
    const { actorId } = await over(store, before - 1, {}, { acknowledged: false })
    assert.ok((await store.readStanding(actorId)).lapse)
    await pruneAll(store, retention)
    same(await store.readStanding(actorId), { active: null, lapse: null })
  })

  rule('grants go that are closed, were made and have expired before', async (store, retention) => {
    if (!store.grants) return
    const past = { createdAt: t0, expiresAt: before - 1 }
    for (const status of grantStatuses) await consent(store.grants, { ...past, status })
    const stay = [
      grantOf({ status: 'denied', createdAt: t0, expiresAt: before }),
      grantOf({ status: 'denied', createdAt: before, expiresAt: before - 1 }),
    ]
    for (const grant of stay) await store.grants.createGrant(grant, [])
    await pruneAll(store, retention)
    const left = await allGrants(store.grants)
    sameInAnyOrder(
      left.map(({ status }) => status),
      ['pending', 'granted', 'denied', 'denied'],
    )
    for (const { id } of stay) assert.ok(ids(left).includes(id))
  })

  rule(
    'requests go that are closed, were made and have expired before',
    async (store, retention) => {
      if (!store.requests) return
      const past = { createdAt: t0, expiresAt: before - 1 }
      for (const status of requestStatuses) await ask(store.requests, { ...past, status })
      const stay = [
        requestOf({ status: 'used', createdAt: t0, expiresAt: before }),
        requestOf({ status: 'used', createdAt: before, expiresAt: before - 1 }),
      ]
      for (const request of stay) await store.requests.createRequest(request, [], null)
      await pruneAll(store, retention)
      const left = await allRequests(store.requests)
      sameInAnyOrder(
        left.map(({ status }) => status),
        ['unproven', 'pending', 'approved', 'used', 'used'],
      )
      for (const { id } of stay) assert.ok(ids(left).includes(id))
    },
  )

  rule('a grant and a request go that a session names which stays', async (store, retention) => {
    const session = await over(store, before + 1)
    const named = { ...session, createdAt: t0, expiresAt: t0 + 1, status: 'used' } as const
    await store.grants?.createGrant(grantOf({ ...named, id: 'one', status: 'used' }), [])
    await pruneAll(store, retention)
    same((await store.grants?.readGrant('one')) ?? null, null)
    same(await whole(store, session.id), [session.id])
  })

  rule('deliveries go that were settled before', async (store, retention) => {
    if (!store.outbox) return
    const old = { createdAt: t0, dueAt: t0 }
    const gone = (['sent', 'skipped', 'dead'] as const).map((status) =>
      deliveryOf({ ...old, status, settledAt: before - 1 }),
    )
    const stay = [
      deliveryOf({ ...old, status: 'sent', settledAt: before }),
      deliveryOf({ ...old, dueAt: before + day }),
    ]
    await post(store, ...gone, ...stay)
    await pruneAll(store, retention)
    sameInAnyOrder(ids(await allDeliveries(store.outbox)), ids(stay))
  })

  rule('marks of one-time codes go that are older', async (store, retention) => {
    const { requests } = store
    if (!requests) return
    const [old, atIt] = [
      { ...codeOf(), at: before - 1 },
      { ...codeOf(), at: before },
    ]
    for (const code of [old, atIt]) await requests.createRequest(requestOf(), [], code)
    await pruneAll(store, retention)
    assert.equal(await requests.createRequest(requestOf(), [], atIt), 'code_used')
    assert.equal(await requests.createRequest(requestOf(), [], old), 'created')
  })

  rule(
    'one unit takes no more than about its limit, and tells whether that was all',
    async (store, retention) => {
      const sessions = []
      for (let n = 0; n < 5; n++) sessions.push(await over(store, before - day + n * minute))
      await lone(store, { at: t0 })
      await lone(store, { at: t0 })
      const units: Pruned[] = []
      for (let more = true; more; ) {
        const unit = await retention.prune(before, await endOf(store), 2)
        assert.ok(unit.sessions <= 2 && unit.events <= 4, JSON.stringify(unit))
        units.push(unit)
        await whole(store, ...ids(sessions))
        more = unit.more
        assert.equal(more, (await allEvents(store)).length > 0, 'there is more, or there is not')
      }
      const sum = (of: 'sessions' | 'events') => units.reduce((total, unit) => total + unit[of], 0)
      same([sum('sessions'), sum('events')], [5, 12])
      assert.ok(units.length >= 3)
      same(await retention.prune(before, await endOf(store), 2), {
        sessions: 0,
        events: 0,
        more: false,
      })
    },
  )

  rule('what stays is no wall before what goes', async (store, retention) => {
    const live = await begun(store, { createdAt: t0 - day })
    for (let n = 0; n < 4; n++) await lone(store, { sessionId: live.id, at: t0 - day + n })
    await lone(store, { at: t0 })
    const unit = await retention.prune(before, await endOf(store), 1)
    same(unit, { sessions: 0, events: 1, more: false })
  })

  rule('a unit takes few sessions where they have much', async (store, retention) => {
    const sessions = [await over(store, before - day), await over(store, before - day + minute)]
    for (const { id } of sessions) {
      const more = Array.from({ length: 12 }, () =>
        eventOf('impersonation.write_blocked', sessions[0] as never, { sessionId: id }),
      )
      await store.appendEvents(more)
    }
    const unit = await retention.prune(before, await endOf(store), 5)
    same(unit, { sessions: 1, events: 14, more: true })
    same(await pruneAll(store, retention), { sessions: 1, events: 14 })
  })
}
