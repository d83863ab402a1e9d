import assert from 'node:assert/strict'
import { grantStatuses, requestStatuses } from '../../types.ts'
import { allEvents, allSessions, eventOf, type Rule, same, sessionOf, t0 } from './fixtures.ts'
import { allGrants, consent } from './grant-fixtures.ts'
import { allDeliveries, deliveryOf, post } from './outbox-fixtures.ts'
import { allRequests, ask } from './request-fixtures.ts'
import { begun, endOf, eraseAll, lone, over, whereRetained } from './retention-fixtures.ts'
import { sameInAnyOrder } from './trail-fixtures.ts'

const said = { reason: 'said', ipAddress: '192.0.2.7', userAgent: 'a browser' }
const nothing = { reason: null, ipAddress: null, userAgent: null }
const details = { ended_note: 'said', text: ',"ended_note":1', n: 7, flag: true, none: null }
const { ended_note: _, ...left } = details

export function erasureRules(someRule: Rule): void {
  const rule = whereRetained(someRule)

  rule(
    'events lose what they say of their actor or target, and nothing else',
    async (store, retention) => {
      const theirs = [
        await lone(store, { actorId: 'bob', targetUserId: 'alice', ...said, details }),
        await lone(store, { actorId: 'alice', targetUserId: null, ...said, requestId: 'r' }),
        await lone(store, { actorId: null, targetUserId: 'alice', details }),
        await lone(store, { actorId: null, targetUserId: 'alice', details: { ended_note: null } }),
      ]
      const others = [
        await lone(store, { actorId: 'bob', targetUserId: 'carol', ...said, details }),
        await lone(store, { actorId: null, targetUserId: null, ...said, details }),
      ]
      assert.equal(await eraseAll(store, retention, 'alice'), 4)
      sameInAnyOrder(await allEvents(store), [
        { ...theirs[0], ...nothing, details: left },
        { ...theirs[1], ...nothing },
        { ...theirs[2], ...nothing, details: left },
        { ...theirs[3], ...nothing, details: {} },
        ...others,
      ])
      assert.equal(await eraseAll(store, retention, 'alice'), 0)
    },
  )

  rule('an event that nobody sealed loses it as well', async (store, retention) => {
    const about = { ...sessionOf({ targetUserId: 'alice' }), reason: null }
    const event = eventOf('impersonation.revoked', about, { sessionId: null, details })
    await store.appendEvents([event])
    assert.equal(await eraseAll(store, retention, 'alice'), 1)
    same(await allEvents(store), [{ ...event, details: left }])
  })

  rule('links of such events lose their salt, and nothing else', async (store, retention) => {
    if (!store.chain) return
    const bare = { reason: null, details: {} }
    await lone(store, { targetUserId: 'alice', ...said })
    await lone(store, { actorId: 'carol', targetUserId: 'bob', ...said })
    await lone(store, { actorId: 'alice', targetUserId: 'bob', ...bare })
    const links = await store.chain.readLinks(0, 9)
    await eraseAll(store, retention, 'alice')
    same(
      (await store.chain.readLinks(0, 9)).map(({ link }) => link),
      links.map(({ link }) => (link.seq === 2 ? link : { ...link, salt: null })),
    )
  })

  rule('what is linked after the place stays as it is', async (store, retention) => {
    if (!store.chain) return
    const early = await lone(store, { targetUserId: 'alice', ...said })
    const late = await lone(store, { targetUserId: 'alice', ...said })
    const plain = eventOf('impersonation.refused', sessionOf(), { sessionId: null, ...said })
    await store.appendEvents([plain])
    await retention.erasePerson('alice', 1, 9)
    const after = [{ ...early, ...nothing }, late, { ...plain, ...nothing }]
    sameInAnyOrder(await allEvents(store), after)
    const salts = (await store.chain.readLinks(0, 9)).map(({ link }) => link.salt === null)
    same(salts, [true, false])
  })

  rule('sessions that are over lose it, and no live one does', async (store, retention) => {
    const ending = { note: 'said' }
    const one = await over(store, t0 + 1, { targetUserId: 'alice', ...said }, ending)
    const two = await over(store, t0 + 2, { actorId: 'alice', ...said, ticket: 't' }, ending)
    const other = await over(store, t0 + 3, { actorId: 'bob', ...said }, ending)
    const live = await begun(store, { targetUserId: 'alice', ...said, createdAt: t0 + 9 })
    await eraseAll(store, retention, 'alice')
    sameInAnyOrder(await allSessions(store), [
      { ...one, ...nothing, endedNote: null },
      { ...two, ...nothing, endedNote: null },
      other,
      live,
    ])
  })

  rule('a lapse loses it, too', async (store, retention) => {
    const ending = { note: 'said', acknowledged: false }
    const { actorId } = await over(store, t0, { targetUserId: 'alice', ...said }, ending)
    await eraseAll(store, retention, 'alice')
    const { lapse } = await store.readStanding(actorId)
    same(lapse && { ...lapse, ...nothing, endedNote: null }, lapse)
    assert.ok(lapse)
  })

  rule('grants and requests that are closed lose their reason', async (store, retention) => {
    const [grants, requests] = [store.grants, store.requests]
    const people = [{ actorId: 'alice', targetUserId: 'bob' }, {}, { targetUserId: 'carol' }]
    for (const who of people) {
      for (const status of grantStatuses) if (grants) await consent(grants, { status, ...who })
      for (const status of requestStatuses) if (requests) await ask(requests, { status, ...who })
    }
    const [allOfGrants, allOfRequests] = [
      grants ? await allGrants(grants) : [],
      requests ? await allRequests(requests) : [],
    ]
    await eraseAll(store, retention, 'alice')
    const open = ['pending', 'granted', 'unproven', 'approved']
    const expected = <T extends { status: string; targetUserId: string }>(row: T) =>
      open.includes(row.status) || row.targetUserId === 'carol' ? row : { ...row, reason: null }
    sameInAnyOrder(grants ? await allGrants(grants) : [], allOfGrants.map(expected))
    sameInAnyOrder(requests ? await allRequests(requests) : [], allOfRequests.map(expected))
  })

  rule('deliveries to them that are settled say nothing any more', async (store, retention) => {
    if (!store.outbox) return
    const told = { payload: { reason: 'said' }, error: 'said', settledAt: t0 }
    const settled = (['sent', 'skipped', 'dead'] as const).map((status) =>
      deliveryOf({ ...told, status }),
    )
    const stay = [
      deliveryOf({ payload: { reason: 'said' } }),
      deliveryOf({ ...told, status: 'sent', userId: 'bob' }),
    ]
    await post(store, ...settled, ...stay)
    await eraseAll(store, retention, 'alice')
    sameInAnyOrder(await allDeliveries(store.outbox), [
      ...settled.map((one) => ({ ...one, payload: {}, error: null, revision: 2 })),
      ...stay,
    ])
    assert.equal(await eraseAll(store, retention, 'alice'), 0)
  })

  rule('nobody is erased by a look-alike of their id', async (store, retention) => {
    const looks = ['Alice', 'alice ', 'a', 'alice\u0301']
    for (const id of looks) {
      await over(store, t0, { actorId: id, ...said }, { note: 'said' })
      await lone(store, { actorId: 'bob', targetUserId: id, ...said, details })
    }
    const rows = [await allSessions(store), await allEvents(store)]
    for (const id of ['alice', 'ali\0ce', '\ud800', 'a'.repeat(256), 'a%', '_', 'Alice ', '']) {
      same(await retention.erasePerson(id, await endOf(store), 9), { rows: 0, more: false })
    }
    same([await allSessions(store), await allEvents(store)], rows)
  })

  rule(
    'one unit of an erasure takes about its limit, and tells whether that was all',
    async (store, retention) => {
      for (let n = 0; n < 5; n++) {
        const changes = { actorId: n % 2 ? 'alice' : 'bob', targetUserId: n % 2 ? 'bob' : 'alice' }
        await lone(store, { ...changes, ...said, details })
      }
      const counts = []
      for (let more = true; more; ) {
        const unit = await retention.erasePerson('alice', await endOf(store), 2)
        counts.push(unit.rows)
        more = unit.more
      }
      same(counts, [2, 2, 1])
    },
  )
}
