import { once } from 'node:events'
import { expect, it, vi } from 'vitest'
import type { Store } from '../../src/stores/store.ts'
import {
  allEvents,
  allSessions,
  assertConsistent,
  claimOf,
  endedEvent,
  minute,
  sessionOf,
  t0,
} from '../../src/testing/store/fixtures.ts'
import { allGrants } from '../../src/testing/store/grant-fixtures.ts'
import type { GrantStatus } from '../../src/types.ts'
import { type Address, connect } from '../support/connect.ts'
import { startWorker } from '../support/crew.ts'
import {
  connectionsTo,
  describeOn,
  dropDatabase,
  kinds,
  makeDatabase,
} from '../support/databases.ts'
import { migrateAt } from '../support/migrate.ts'

const kills = Number(process.env.KILLS ?? 25)
const atOnce = 4
vi.setConfig({ testTimeout: 60_000 + kills * 3_000 })

/** Kills a process somewhere in its work: the steps it reports are behind what it does. */
async function killOne(address: Address): Promise<void> {
  const worker = startWorker('churn-worker.ts', JSON.stringify(address))
  const exit = once(worker, 'exit')
  let steps = 1 + Math.floor(Math.random() * 12)
  worker.on('message', () => {
    if (--steps === 0) worker.kill('SIGKILL')
  })
  const [code, signal] = await exit
  expect({ code, signal }, 'killed, not failed').toEqual({ code: null, signal: 'SIGKILL' })
}

/**
 * The workers ask, say yes, start and revoke, each in one unit: revision 1 is the question, 2 the yes,
 * 3 the start, 4 whatever ended it. So every revision says which rows and events there have to be.
 */
async function assertGrantsAgree(store: Store): Promise<void> {
  const { grants } = store
  if (!grants) throw new Error('This store has no grants.')
  const [stored, sessions, events] = [
    await allGrants(grants),
    Map.groupBy(await allSessions(store), ({ grantId }) => grantId),
    Map.groupBy(await allEvents(store), ({ grantId }) => grantId),
  ]
  const found = { pending: 0, granted: 0, used: 0, revoked: 0 } as Record<GrantStatus, number>
  for (const { id, status, revision } of stored) {
    found[status] += 1
    const [session, ...more] = sessions.get(id) ?? []
    expect(more, 'one session under a grant').toEqual([])
    const made = { status, session: session?.status ?? null, revision }
    const own = (events.get(id) ?? []).filter(({ action }) => action.startsWith('grant.'))
    const expected = ['grant.requested', 'grant.granted', 'grant.revoked']
    expect(own.map(({ action }) => action).sort()).toEqual(
      expected.slice(0, status === 'pending' ? 1 : status === 'revoked' ? 3 : 2).sort(),
    )
    if (session?.status === 'active') {
      expect(made).toEqual({ status: 'granted', session: 'active', revision: 3 })
    } else if (session) {
      const revoked = session.endedReason === 'grant_revoked'
      const left = { status: revoked ? 'revoked' : 'used', revision: 4 }
      expect(made).toEqual({ ...left, session: session.status })
    } else {
      const left = { status, revision: status === 'pending' ? 1 : 2 }
      expect(made).toEqual({ ...left, session: null })
      expect(['pending', 'granted']).toContain(status)
    }
  }
  expect(found.used).toBeGreaterThan(0)
  expect(found.revoked).toBeGreaterThan(0)
}

for (const kind of kinds) {
  describeOn(kind, `kill -9, ${kills} times`, () => {
    it('no session without its events or the other way, no two active, and grants agree with both', async () => {
      const address = await makeDatabase(kind)
      await migrateAt(address)
      const { store, close } = connect(address)
      try {
        let left = kills
        const killer = async () => {
          while (left-- > 0) await killOne(address)
        }
        await Promise.all(Array.from({ length: atOnce }, killer))
        // The server may still be at work for the dead.
        while ((await connectionsTo(address)) > 0);

        await assertConsistent(store)
        await assertGrantsAgree(store)
        expect((await allSessions(store)).length).toBeGreaterThan(kills)
        expect((await allEvents(store)).length).toBeGreaterThan(kills)
        for (const actorId of ['actor-0', 'actor-1', 'actor-2']) {
          const session = sessionOf({
            id: `after ${actorId}`,
            actorId,
            targetUserId: `free ${actorId}`,
            createdAt: t0 + 90 * minute,
          })
          const events = { started: claimOf(session).events.started, ended: endedEvent }
          const { outcome } = await store.claimSession(
            claimOf(session, { onConflict: 'replace', events }),
          )
          expect(outcome, 'nothing that a dead process held is left').toBe('started')
        }
        await assertConsistent(store)
      } finally {
        await close()
        await dropDatabase(address)
      }
    })
  })
}
