import type { LogEvent } from 'kysely'
import { afterEach, expect, it, vi } from 'vitest'
import { kyselyStore, migrate } from '../../src/stores/kysely/index.ts'
import type { Store } from '../../src/stores/store.ts'
import {
  assertConsistent,
  claimOf,
  endedEvent,
  endingOf,
  sessionOf,
  start,
  stopOf,
  t0,
} from '../../src/testing/store/fixtures.ts'
import { changeOf, consent, used } from '../../src/testing/store/grant-fixtures.ts'
import {
  allDeliveries,
  deliveryOf,
  leaseOf,
  post,
  settlementOf,
} from '../../src/testing/store/outbox-fixtures.ts'
import { ask, codeOf, stepOf } from '../../src/testing/store/request-fixtures.ts'
import type { Grant, Session } from '../../src/types.ts'
import { connect, kyselyOn } from '../support/connect.ts'
import { describeOn, dropDatabase, kinds, makeDatabase } from '../support/databases.ts'

vi.setConfig({ testTimeout: 60_000 })

const crowd = 60
const revocation = { how: endingOf({ reason: 'grant_revoked' }), event: endedEvent }

for (const kind of kinds) {
  describeOn(kind, 'a crowd that ends sessions and changes their grants', () => {
    const cleanups: (() => Promise<unknown>)[] = []
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
    })

    /** Two stores on one database, as two processes have them, and what their databases complained of. */
    async function twoStores() {
      const address = await makeDatabase(kind)
      cleanups.push(() => dropDatabase(address))
      const complaints: unknown[] = []
      if (address.kind === 'sqlite') {
        const stores = [connect(address), connect(address)]
        for (const { close } of stores) cleanups.push(close)
        return { stores: stores.map(({ store }) => store), complaints }
      }
      const log = (event: LogEvent) => {
        if (event.level === 'error') complaints.push(event.error)
      }
      const databases = [1, 2].map(() => kyselyOn(address.kind, address.database, 8, log))
      for (const db of databases) cleanups.push(() => db.destroy())
      for (const db of databases) await migrate(db)
      // The first look at an empty database finds no table.
      complaints.length = 0
      return { stores: databases.map((db) => kyselyStore(db)), complaints }
    }

    async function meetings({ grants, ...store }: Store): Promise<[Grant, Session][]> {
      return Promise.all(
        Array.from({ length: crowd }, async (_, n): Promise<[Grant, Session]> => {
          const people = { actorId: `actor-${n}`, targetUserId: `target-${n}` }
          if (!grants) throw new Error('This store has no grants.')
          const grant = await consent(grants, people)
          return [grant, await start(store, { ...people, grantId: grant.id })]
        }),
      )
    }

    it('never waits in a circle: no attempt of an ending or a revocation fails', async () => {
      const { stores, complaints } = await twoStores()
      const [one, two] = stores as [Store, Store]
      for (const [grant, { id, actorId }] of await meetings(one)) {
        const change = changeOf(grant, { status: 'revoked' })
        const [stopped, revoked, ended] = await Promise.all([
          one.endSession(id, stopOf(actorId), endedEvent),
          two.grants?.changeGrant(change, [], revocation),
          two.endSession(id, endingOf(), endedEvent),
        ])
        expect([stopped?.changed, revoked?.changed, ended?.changed].filter(Boolean)).toHaveLength(1)
        const left = { ...used(grant), status: revoked?.changed ? 'revoked' : 'used' }
        expect(await one.grants?.readGrant(grant.id)).toEqual(left)
      }
      expect(complaints).toEqual([])
      await assertConsistent(one)
    })

    it('never waits in a circle either where starts close what is over', async () => {
      const { stores, complaints } = await twoStores()
      const [one, two] = stores as [Store, Store]
      await Promise.all(
        (await meetings(one)).map(async ([grant, { id, actorId, targetUserId, expiresAt }]) => {
          const next = sessionOf({ actorId: `next ${actorId}`, targetUserId, createdAt: expiresAt })
          const change = changeOf(grant, { status: 'revoked' })
          const [claimed, revoked, ended] = await Promise.all([
            one.claimSession(claimOf(next)),
            two.grants?.changeGrant(change, [], revocation),
            two.endSession(id, endingOf(), endedEvent),
          ])
          expect(claimed.outcome).toBe('started')
          const changes = [claimed.ended.length > 0, revoked?.changed, ended?.changed]
          expect(changes.filter(Boolean)).toHaveLength(1)
        }),
      )
      expect(complaints).toEqual([])
      await assertConsistent(one)
    })

    it('never waits in a circle where settlements bring along the same, and leases go on', async () => {
      const { stores, complaints } = await twoStores()
      const [one, two] = stores as [Store, Store]
      for (let round = 0; round < crowd; round++) {
        const posted = Array.from({ length: 8 }, () => deliveryOf())
        await post(one, ...posted)
        const more = Array.from({ length: 20 }, () => deliveryOf({ status: 'skipped' }))
        const lease = leaseOf(t0, t0 + 1, { limit: 2 })
        const settle = ({ outbox }: Store, n: number, brought: typeof more) =>
          outbox?.changeDelivery(settlementOf(posted[n] ?? deliveryOf()), brought)
        await Promise.all([
          ...[0, 1, 2].map((n) => settle(one, n, more)),
          ...[3, 4, 5].map((n) => settle(two, n, more.toReversed())),
          ...stores.map(({ outbox }) => outbox?.leaseDeliveries(lease)),
        ])
      }
      expect(complaints).toEqual([])
      const { outbox } = one
      expect(outbox && (await allDeliveries(outbox)).length).toBeGreaterThan(crowd * 20)
    })

    it('never waits in a circle over a request and its code', async () => {
      const { stores, complaints } = await twoStores()
      const [one, two] = stores as [Store, Store]
      for (let round = 0; round < crowd; round++) {
        const people = { actorId: `actor-${round}`, targetUserId: `target-${round}` }
        if (!one.requests) throw new Error('This store has no requests.')
        const request = await ask(one.requests, { ...people, status: 'approved' })
        const code = codeOf()
        const used = { ...stepOf(request, { status: 'used' }), events: [] }
        const [claimed, ...answers] = await Promise.all([
          one.claimSession(claimOf(sessionOf(people), { request: used, onConflict: 'replace' })),
          two.requests?.changeRequest(stepOf(request, { status: 'denied' }), [], code),
          one.requests.changeRequest(stepOf(request, { status: 'expired' }), [], code),
        ])
        const made = [claimed.outcome === 'started', ...answers.map((one) => one === 'changed')]
        expect(made.filter(Boolean)).toHaveLength(1)
      }
      expect(complaints).toEqual([])
      await assertConsistent(one)
    })
  })
}
