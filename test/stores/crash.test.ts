import { once } from 'node:events'
import { expect, it, vi } from 'vitest'
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

for (const kind of kinds) {
  describeOn(kind, `kill -9, ${kills} times`, () => {
    it('no session without its events, no events without their session, no two active', async () => {
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
