import assert from 'node:assert/strict'
import type { GrantSection, SessionEnding, Store } from '../../stores/store.ts'
import { endings, type Grant, grantStatuses, type Session } from '../../types.ts'
import {
  after,
  assertConsistent,
  claimOf,
  endedEvent,
  endingOf,
  expired,
  extendedEvent,
  type Rule,
  replaced,
  same,
  sessionOf,
  start,
  stopOf,
  t0,
} from './fixtures.ts'
import { changeOf, consent, live, used, whereGranted } from './grant-fixtures.ts'
import { lookAlikes } from './grants.ts'

export function grantEndingRules(someRule: Rule): void {
  const rule = whereGranted(someRule)

  for (const status of endings) {
    rule(`a session that is ${status} leaves its grant used`, async (store, grants) => {
      const [grant, session] = await live(store, grants)
      const ending = endingOf({ status, reason: status })
      await store.endSession(session.id, ending, endedEvent)
      same(await grants.readGrant(grant.id), used(grant))
      await store.endSession(session.id, ending, endedEvent)
      same(await grants.readGrant(grant.id), used(grant), 'once')
    })
  }

  rule('a session that ends without an event leaves its grant used', async (store, grants) => {
    const [grant, session] = await live(store, grants)
    await store.endSession(session.id, endingOf(), null)
    same(await grants.readGrant(grant.id), used(grant))
  })

  rule('sessions that a start ends leave their grants used', async (store, grants) => {
    const [mine, own] = await live(store, grants)
    const over = { actorId: 'sup', targetUserId: 'bob', expiresAt: t0 + 1 }
    const [others, other] = await live(store, grants, {}, over)
    const next = sessionOf({ targetUserId: 'bob', createdAt: t0 + 1 })
    const { ended } = await store.claimSession(claimOf(next, { onConflict: 'replace' }))
    same(
      new Map(ended.map((session) => [session.id, session])),
      new Map([replaced(own, t0 + 1), expired(other)].map((session) => [session.id, session])),
    )
    same(await grants.readGrant(mine.id), used(mine))
    same(await grants.readGrant(others.id), used(others))
  })

  rule(
    'an expired session that a refused start closes leaves its grant used',
    async (store, grants) => {
      const [grant, own] = await live(store, grants, {}, { targetUserId: 'bob', expiresAt: t0 + 1 })
      await start(store, { actorId: 'sup' })
      const { ended } = await store.claimSession(claimOf(sessionOf({ createdAt: t0 + 1 })))
      const closed = ended.length > 0
      same(await store.readSession(own.id), closed ? expired(own) : own)
      same(await grants.readGrant(grant.id), closed ? used(grant) : grant)
    },
  )

  for (const status of grantStatuses.filter((one) => one !== 'granted')) {
    rule(`a grant that is ${status} stays so when its session ends`, async (store, grants) => {
      const [grant, session] = await live(store, grants)
      const change = changeOf(grant, { status })
      await grants.changeGrant(change, [], null)
      await store.endSession(session.id, endingOf(), endedEvent)
      same(await grants.readGrant(grant.id), change.after)
    })
  }

  rule('a session ends whether or not its grant is known', async (store, grants) => {
    const grant = await consent(grants, { id: 'Grant-é' })
    for (const [n, grantId] of lookAlikes.entries()) {
      const session = await start(store, { grantId, createdAt: t0 + n }, { onConflict: 'replace' })
      const result = await store.endSession(session.id, endingOf(), endedEvent)
      same(result, { session: after(session, endingOf()), changed: true })
    }
    same(await grants.readGrant(grant.id), grant, 'a look-alike is not used')
  })

  rule('an extension leaves the grant as it is', async (store, grants) => {
    const [grant, { id, expiresAt }] = await live(store, grants)
    await store.extendSession(id, { from: expiresAt, to: expiresAt + 1, now: t0 }, extendedEvent)
    same(await grants.readGrant(grant.id), grant)
  })

  rule('an ending that does not happen leaves the grant as it was', async (store, grants) => {
    const [grant, session] = await live(store, grants)
    const unmade = () => {
      throw new Error('no event')
    }
    await assert.rejects(store.endSession(session.id, endingOf(), unmade))
    same(await grants.readGrant(grant.id), grant)
  })

  rule('an ending and a revocation of its grant at once agree', async (store, grants) => {
    await atOnce(store, grants, async (grant, session) => {
      const [ended, revoked] = await Promise.all([
        store.endSession(session.id, stopOf(session.actorId), endedEvent),
        grants.changeGrant(changeOf(grant, { status: 'revoked' }), [], revocation),
      ])
      // Whichever came first changed the grant, and the session with it.
      assert.notEqual(ended?.changed, revoked.changed)
      same(await grants.readGrant(grant.id), {
        ...used(grant),
        status: revoked.changed ? 'revoked' : 'used',
      })
    })
  })

  rule(
    'a start that finds a session over and a revocation of its grant agree',
    async (store, grants) => {
      await atOnce(store, grants, async (grant, session) => {
        const { targetUserId, expiresAt } = session
        const next = sessionOf({
          actorId: `next ${session.actorId}`,
          targetUserId,
          createdAt: expiresAt,
        })
        const [claimed, revoked] = await Promise.all([
          store.claimSession(claimOf(next)),
          grants.changeGrant(changeOf(grant, { status: 'revoked' }), [], revocation),
        ])
        assert.equal(claimed.outcome, 'started')
        assert.notEqual(claimed.ended.length > 0, revoked.changed)
        same(await grants.readGrant(grant.id), {
          ...used(grant),
          status: revoked.changed ? 'revoked' : 'used',
        })
      })
    },
  )
}

const revocation: { how: SessionEnding; event: typeof endedEvent } = {
  how: endingOf({ reason: 'grant_revoked' }),
  event: endedEvent,
}

/** Twenty at once, so that some of them meet. */
async function atOnce(
  store: Store,
  grants: GrantSection,
  meet: (grant: Grant, session: Session) => Promise<void>,
): Promise<void> {
  await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      const people = { actorId: `actor-${n}`, targetUserId: `target-${n}` }
      await meet(...(await live(store, grants, people, people)))
    }),
  )
  await assertConsistent(store)
}
