import assert from 'node:assert/strict'
import type { Store } from '../../stores/store.ts'
import {
  actionsOf,
  allEvents,
  allSessions,
  assertConsistent,
  claimOf,
  endedEvent,
  endingOf,
  extendedEvent,
  minute,
  type Rule,
  same,
  sessionOf,
  start,
  t0,
} from './fixtures.ts'

const crowd = 100

/**
 * Races within one process. Those between processes need processes: start some and claim at once.
 */
export function crowdRules(rule: Rule): void {
  rule('of 100 starts of one actor at once, rejecting, one wins', async (store) => {
    const results = await claimAtOnce(store, (n) => ({ targetUserId: `target-${n}` }), 'reject')
    const winners = results.filter(({ outcome }) => outcome === 'started')
    assert.equal(winners.length, 1)
    const { active } = await store.readStanding('root')
    for (const result of results) {
      if (result.outcome === 'started') continue
      assert.equal(result.outcome, 'actor_busy')
      same(result.by, active)
    }
    same(await allSessions(store), [active])
    assert.equal((await allEvents(store)).length, 1)
  })

  rule('of 100 starts of one actor at once, replacing, all win and one stays', async (store) => {
    const results = await claimAtOnce(store, (n) => ({ targetUserId: `target-${n}` }), 'replace')
    for (const { outcome } of results) assert.equal(outcome, 'started')
    assert.equal(results.flatMap(({ ended }) => ended).length, crowd - 1)
    const sessions = await allSessions(store)
    assert.equal(sessions.length, crowd)
    assert.equal(sessions.filter(({ status }) => status === 'active').length, 1)
    assert.equal(sessions.filter(({ status }) => status === 'replaced').length, crowd - 1)
    await assertConsistent(store)
  })

  rule('of 100 actors on one target at once, one wins', async (store) => {
    const results = await claimAtOnce(store, (n) => ({ actorId: `actor-${n}` }), 'replace')
    const outcomes = results.map(({ outcome }) => outcome)
    assert.equal(outcomes.filter((outcome) => outcome === 'started').length, 1)
    assert.equal(outcomes.filter((outcome) => outcome === 'target_busy').length, crowd - 1)
    assert.equal((await allSessions(store)).length, 1)
    await assertConsistent(store)
  })

  rule('an expired session that 100 starts find is closed once', async (store) => {
    const old = await start(store, { expiresAt: t0 + minute })
    const late = { createdAt: t0 + 2 * minute }
    const results = await claimAtOnce(store, (n) => ({ ...late, actorId: `actor-${n}` }), 'replace')
    assert.equal(results.flatMap(({ ended }) => ended).length, 1)
    same(await actionsOf(store, old), ['impersonation.expired', 'impersonation.started'])
    await assertConsistent(store)
  })

  rule('actors that swap their targets at once neither block nor share', async (store) => {
    const names = ['a', 'b', 'c', 'd']
    for (let round = 0; round < 10; round++) {
      const createdAt = t0 + round
      await Promise.all(
        names.map((actorId, n) =>
          store.claimSession(
            claimOf(
              sessionOf({ actorId, targetUserId: `on ${names[(n + round) % 4]}`, createdAt }),
              { onConflict: 'replace' },
            ),
          ),
        ),
      )
      await assertConsistent(store)
    }
  })

  rule('a start that finds a session over, and its extension at once, agree', async (store) => {
    for (let round = 0; round < 20; round++) {
      const [actorId, targetUserId] = [`actor-${round}`, `target-${round}`]
      const session = await start(store, { actorId, targetUserId, expiresAt: t0 + minute })
      const change = { from: session.expiresAt, to: t0 + 2 * minute, now: session.expiresAt - 1 }
      const next = sessionOf({ actorId, targetUserId, createdAt: session.expiresAt })
      const [claimed, extended] = await Promise.all([
        store.claimSession(claimOf(next)),
        store.extendSession(session.id, change, extendedEvent),
      ])
      const { expiresAt, endedAt } = (await store.readSession(session.id)) ?? {}
      if (extended) {
        same([expiresAt, endedAt], [change.to, null], 'what was extended is not over')
        assert.equal(claimed.outcome, 'actor_busy')
      } else {
        same([expiresAt, endedAt], [change.from, change.from])
        assert.equal(claimed.outcome, 'started')
      }
      await assertConsistent(store)
    }
  })

  rule('starts, endings and extensions at once leave one story', async (store) => {
    for (let round = 0; round < 10; round++) {
      const session = await start(store, { createdAt: t0 + round }, { onConflict: 'replace' })
      const next = sessionOf({ createdAt: t0 + round })
      const extension = { from: session.expiresAt, to: session.expiresAt + 1, now: t0 }
      const [claimed, ended] = await Promise.all([
        store.claimSession(claimOf(next, { onConflict: 'replace' })),
        store.endSession(session.id, endingOf(), endedEvent),
        store.extendSession(session.id, extension, extendedEvent),
        store.acknowledgeLapses('root'),
      ])
      assert.equal(claimed.outcome, 'started')
      assert.notEqual(claimed.ended.length > 0, ended?.changed, 'one of the two ended it')
      assert.equal((await store.readStanding('root')).active?.id, next.id)
      await assertConsistent(store)
    }
  })
}

function claimAtOnce(
  store: Store,
  person: (n: number) => Parameters<typeof sessionOf>[0],
  onConflict: 'reject' | 'replace',
) {
  return Promise.all(
    Array.from({ length: crowd }, (_, n) =>
      store.claimSession(claimOf(sessionOf(person(n)), { onConflict })),
    ),
  )
}
