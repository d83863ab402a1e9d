import { once } from 'node:events'
import { expect, it, vi } from 'vitest'
import { assertSealed, countActions } from '../support/audited.ts'
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

/** Kills an engine somewhere in its work: the steps it reports are behind what it does. */
async function killOne(address: Address): Promise<void> {
  const worker = startWorker('audit-worker.ts', JSON.stringify(address))
  const exit = once(worker, 'exit')
  let steps = 1 + Math.floor(Math.random() * 12)
  worker.on('message', () => {
    if (--steps === 0) worker.kill('SIGKILL')
  })
  const [code, signal] = await exit
  expect({ code, signal }, 'killed, not failed').toEqual({ code: null, signal: 'SIGKILL' })
}

for (const kind of kinds) {
  describeOn(kind, `kill -9 of engines that seal, ${kills} times`, () => {
    it('leaves one chain, in which every row has its events', async () => {
      const address = await makeDatabase(kind)
      try {
        await migrateAt(address)
        let left = kills
        const killer = async () => {
          while (left-- > 0) await killOne(address)
        }
        await Promise.all(Array.from({ length: atOnce }, killer))
        const before = await assertWhenQuiet()
        expect(before['impersonation.started']).toBeGreaterThan(kills / 2)

        // Nothing that a dead process held is left: the next one goes on with the same chain.
        const worker = startWorker('audit-worker.ts', JSON.stringify(address), '5')
        await once(worker, 'message')
        worker.send('begin')
        expect(await once(worker, 'exit')).toEqual([0, null])
        const after = await assertWhenQuiet()
        expect(after['impersonation.started']).toBeGreaterThan(before['impersonation.started'] ?? 0)
      } finally {
        await dropDatabase(address)
      }

      /** The server may still be at work for the dead, and we have no connection open meanwhile. */
      async function assertWhenQuiet() {
        while ((await connectionsTo(address)) > 0);
        const own = connect(address)
        return assertSealed(own.store).then(countActions).finally(own.close)
      }
    })
  })
}
