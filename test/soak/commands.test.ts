/** A million random commands: against the engine with two processes in one, and against each store. */
import { afterAll, describe, expect, it, vi } from 'vitest'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { runRandomCommands } from '../../src/testing/commands.ts'
import { type Address, type Connection, connect, kyselyOn } from '../support/connect.ts'
import { dropDatabase, emptyTables, makeDatabase } from '../support/databases.ts'
import { migrateAt } from '../support/migrate.ts'

process.env.COMMANDS ??= '1000000'
await import('../core/model.test.ts')

vi.setConfig({ testTimeout: 6 * 3_600_000 })
const commands = Number(process.env.COMMANDS)

describe('random commands per store', () => {
  const open: { address: Address; connection?: Connection }[] = []
  afterAll(async () => {
    for (const { address, connection } of open) {
      await connection?.close()
      await dropDatabase(address)
    }
  })

  it('memory', () => runRandomCommands(memoryStore, { commands }))
  it('sqlite', () =>
    runRandomCommands(() => sqliteStore({ file: ':memory:' }), {
      commands,
      cleanup: (store) => store.close?.(),
    }))
  it.each(['postgres', 'mysql'] as const)('%s', async (kind) => {
    const address = await makeDatabase(kind)
    await migrateAt(address)
    const connection = connect(address)
    open.push({ address, connection })
    const db = kyselyOn(kind, 'database' in address ? address.database : '', 1)
    await runRandomCommands(
      async () => {
        await emptyTables(db)
        return connection.store
      },
      { commands },
    )
    await db.destroy()
    expect(await connection.store.listSessions({}, { limit: 1 })).toBeDefined()
  })
})
