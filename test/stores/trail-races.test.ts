import { once } from 'node:events'
import { expect, it, vi } from 'vitest'
import type { TrailSection } from '../../src/stores/trail.ts'
import { unbroken } from '../../src/testing/store/trail-fixtures.ts'
import { connect } from '../support/connect.ts'
import { startWorker } from '../support/crew.ts'
import { describeOn, dropDatabase, kinds, makeDatabase } from '../support/databases.ts'
import { migrateAt } from '../support/migrate.ts'

const processes = 4
const rounds = 25
const sessionIds = ['one', 'one ', 'Two']
vi.setConfig({ testTimeout: 90_000 })

type Done = { readonly id: string; readonly seq: number; readonly paths: readonly string[] }[]

for (const kind of kinds) {
  describeOn(kind, `${processes} processes that append to the same trails`, () => {
    it('make one unbroken trail of each, in which every unit stands together', async () => {
      const address = await makeDatabase(kind)
      const { store, close } = connect(address)
      try {
        await migrateAt(address)
        const workers = Array.from({ length: processes }, (_, n) =>
          startWorker(
            'trail-worker.ts',
            ...[JSON.stringify(address), String(rounds), `p${n}`, ...sessionIds],
          ),
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
        const done = (await Promise.all(ends)).flat()
        expect(done).toHaveLength(processes * rounds * 2 * sessionIds.length)
        for (const id of sessionIds) {
          const entries = await unbroken(store.trail as TrailSection, id)
          const own = done.filter((unit) => unit.id === id)
          expect(entries).toHaveLength(own.reduce((sum, { paths }) => sum + paths.length, 0))
          for (const { seq, paths } of own) {
            expect(entries.slice(seq - paths.length, seq).map(({ path }) => path)).toEqual(paths)
          }
        }
      } finally {
        await close()
        await dropDatabase(address)
      }
    })
  })
}
