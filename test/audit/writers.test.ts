import { once } from 'node:events'
import { expect, it, vi } from 'vitest'
import { sealOf } from '../../src/audit/seal.ts'
import { eventOf, sessionOf } from '../../src/testing/store/fixtures.ts'
import { assertSealed, chainKeys, countActions } from '../support/audited.ts'
import { connect } from '../support/connect.ts'
import { startWorker } from '../support/crew.ts'
import { describeOn, dropDatabase, kinds, makeDatabase } from '../support/databases.ts'
import { migrateAt } from '../support/migrate.ts'

const processes = 8
/** Few enough that nobody's refusals are a flood, of which not every one is stored. */
const rounds = Number(process.env.SEALING_ROUNDS ?? 10)
vi.setConfig({ testTimeout: 60_000 + rounds * 3_000 })

interface Done {
  readonly started: number
  readonly refused: number
  readonly failed: number
}

for (const kind of kinds) {
  describeOn(kind, `${processes} engines that seal at once`, () => {
    it('make one chain of every start, stop, revocation and refusal', async () => {
      const address = await makeDatabase(kind)
      const { store, close } = connect(address)
      try {
        await migrateAt(address)
        const workers = Array.from({ length: processes }, () =>
          startWorker('audit-worker.ts', JSON.stringify(address), String(rounds)),
        )
        await Promise.all(workers.map((worker) => once(worker, 'message')))
        const ends = workers.map(async (worker): Promise<Done> => {
          const exit = once(worker, 'exit')
          let last: unknown
          worker.on('message', (message) => {
            last = message
          })
          worker.send('begin')
          expect(await exit).toEqual([0, null])
          return last as Done
        })
        const done = await Promise.all(ends)
        const sum = (name: keyof Done) => done.reduce((total, each) => total + each[name], 0)

        const counts = countActions(await assertSealed(store))
        const started = counts['impersonation.started'] ?? 0
        expect(started).toBeGreaterThan(0)
        // A start whose answer was lost may have happened.
        expect(started).toBeGreaterThanOrEqual(sum('started'))
        expect(started).toBeLessThanOrEqual(sum('started') + sum('failed'))
        expect(counts['impersonation.refused']).toBe(sum('refused'))
        expect(counts['impersonation.revoked']).toBeGreaterThan(0)
        expect(counts['impersonation.stopped']).toBeGreaterThan(0)
      } finally {
        await close()
        await dropDatabase(address)
      }
    })

    it('seal ten thousand events of one unit', async () => {
      const address = await makeDatabase(kind)
      const { store, close } = connect(address)
      try {
        await migrateAt(address)
        const events = Array.from({ length: 10_000 }, (_, n) => {
          const id = String(n).padStart(5, '0')
          return eventOf('impersonation.refused', sessionOf(), { id, sessionId: null })
        })
        await store.appendEvents(
          events.map((event) => ({ ...event, seal: sealOf(event, chainKeys) })),
        )
        await assertSealed(store)
      } finally {
        await close()
        await dropDatabase(address)
      }
    })
  })
}
