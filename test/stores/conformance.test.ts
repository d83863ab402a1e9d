import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chainVerbs } from '../../src/stores/chain.ts'
import { kyselyStore, migrate } from '../../src/stores/kysely/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { outboxVerbs } from '../../src/stores/outbox.ts'
import { requestVerbs } from '../../src/stores/requests.ts'
import { retentionVerbs } from '../../src/stores/retention.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { grantVerbs } from '../../src/stores/store.ts'
import { tokenVerbs } from '../../src/stores/tokens.ts'
import { trailVerbs } from '../../src/stores/trail.ts'
import { storeTests } from '../../src/testing/store-tests.ts'
import { type Address, kyselyOn, servers } from '../support/connect.ts'
import { describeOn, dropDatabase, emptyTables, makeDatabase } from '../support/databases.ts'

/** The same commands each time; `npm run test:soak` throws the dice. */
const seed = 4711

it('every store of this package has the sections that its tests pass by where they are missing', () => {
  const db = kyselyOn('postgres', 'none')
  for (const store of [memoryStore(), sqliteStore({ file: ':memory:' }), kyselyStore(db)]) {
    expect(Object.keys(store.grants ?? {}), store.name).toEqual([...grantVerbs])
    expect(Object.keys(store.requests ?? {}), store.name).toEqual([...requestVerbs])
    expect(Object.keys(store.outbox ?? {}), store.name).toEqual([...outboxVerbs])
    expect(Object.keys(store.chain ?? {}), store.name).toEqual([...chainVerbs])
    expect(Object.keys(store.trail ?? {}), store.name).toEqual([...trailVerbs])
    expect(Object.keys(store.tokens ?? {}), store.name).toEqual([...tokenVerbs])
    expect(Object.keys(store.retention ?? {}), store.name).toEqual([...retentionVerbs])
  }
})

describe('memoryStore', () => {
  storeTests({ describe, it }, memoryStore, { seed })
})

describe("sqliteStore in ':memory:'", () => {
  storeTests({ describe, it }, () => sqliteStore({ file: ':memory:' }), { seed })
})

describe('sqliteStore in a file', () => {
  const files: Address[] = []
  afterAll(async () => {
    await Promise.all(files.map(dropDatabase))
  })
  storeTests(
    { describe, it },
    async () => {
      const address = await makeDatabase('sqlite')
      files.push(address)
      return sqliteStore({ file: 'file' in address ? address.file : '' })
    },
    { seed },
  )
})

for (const server of ['postgres', 'mysql'] as const) {
  describeOn(server, 'kyselyStore', () => {
    let address: Address
    let db: ReturnType<typeof kyselyOn>
    beforeAll(async () => {
      address = await makeDatabase(server)
      db = kyselyOn(server, 'database' in address ? address.database : '')
      await migrate(db)
    })
    afterAll(async () => {
      await db.destroy()
      await dropDatabase(address)
    })
    storeTests(
      { describe, it },
      async () => {
        await emptyTables(db)
        if (server === 'mysql' || address.kind === 'sqlite') return kyselyStore(db)
        const { database } = address
        return kyselyStore(db, { listen: () => new pg.Client({ ...servers.postgres, database }) })
      },
      { seed },
    )
  })
}
