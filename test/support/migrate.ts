import { migrate } from '../../src/stores/kysely/index.ts'
import { type Address, connect, kyselyOn } from './connect.ts'

/** Makes the tables at an address, on a connection of its own. */
export async function migrateAt(address: Address): Promise<void> {
  if (address.kind === 'sqlite') {
    // Its first verb makes the file and the tables.
    const { store, close } = connect(address)
    await store.readSession('none')
    return close()
  }
  const db = kyselyOn(address.kind, address.database, 1)
  await migrate(db).finally(() => db.destroy())
}
