import { readFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { type Kysely, sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  dialects,
  kyselyStore,
  migrate,
  migrationSql,
  migrations,
} from '../../src/stores/kysely/index.ts'
import type { Tables } from '../../src/stores/kysely/schema.ts'
import { assertConsistent, claimOf, start } from '../../src/testing/store/fixtures.ts'
import { type Address, connect, kyselyOn, sqliteKysely } from '../support/connect.ts'
import { hire } from '../support/crew.ts'
import { administer, describeOn, dropDatabase, kinds, makeDatabase } from '../support/databases.ts'

vi.setConfig({ testTimeout: 60_000 })

const missing = (dialect: string) =>
  `The impersonation tables are missing: run \`await migrate(db)\` from 'onbehalf/kysely' (or apply sql/${dialect}.sql) before the first request.`

describe('migrationSql', () => {
  for (const dialect of dialects) {
    it(`is what the package carries as sql/${dialect}.sql`, async () => {
      const file = new URL(`../../sql/${dialect}.sql`, import.meta.url)
      expect(await readFile(file, 'utf8')).toBe(migrationSql(dialect))
    })
  }

  it('knows no other dialect', () => {
    expect(() => migrationSql('mssql' as 'mysql')).toThrow(/"dialect" must be one of/)
  })
})

for (const kind of kinds) {
  describeOn(kind, 'the tables', () => {
    const cleanups: (() => Promise<unknown>)[] = []
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
    })

    async function emptyDatabase(): Promise<{ address: Address; db: Kysely<Tables> }> {
      const address = await makeDatabase(kind)
      cleanups.push(() => dropDatabase(address))
      const db =
        address.kind === 'sqlite'
          ? sqliteKysely(address.file)
          : kyselyOn(address.kind, address.database)
      cleanups.push(() => db.destroy())
      return { address, db }
    }

    it('are missed by check with the sentence that mends it, and made by migrate', async () => {
      const { db } = await emptyDatabase()
      const store = kyselyStore(db)
      await expect(store.check?.()).rejects.toThrow(missing(kind))
      await migrate(db)
      await migrate(db)
      await expect(store.check?.()).resolves.toBeUndefined()
      await start(store)
      await migrate(db)
      await assertConsistent(store)
    })

    it('are missed by check too when they are of an older release', async () => {
      const { db } = await emptyDatabase()
      await migrate(db)
      await sql`update impersonation_schema set version = -1`.execute(db)
      await expect(kyselyStore(db).check?.()).rejects.toThrow(
        /are at version -1, and this release needs 1: run `await migrate\(db\)`/,
      )
    })

    it('are good enough when they are of a newer release', async () => {
      const { db } = await emptyDatabase()
      await migrate(db)
      await sql`update impersonation_schema set version = 99`.execute(db)
      await kyselyStore(db).check?.()
      await migrate(db)
      const { rows } = await sql`select version from impersonation_schema`.execute(db)
      expect(rows).toEqual([{ version: 99 }])
    })

    it('are checked by asking the database: another failure stays what it is', async () => {
      const { db } = await emptyDatabase()
      await migrate(db)
      await sql`drop table impersonation_schema`.execute(db)
      await sql`create table impersonation_schema (other integer)`.execute(db)
      await expect(kyselyStore(db).check?.()).rejects.toThrow(/version/)
      await expect(kyselyStore(db).check?.()).rejects.not.toThrow(/migrate/)
    })

    it('may be made from the .sql text, twice', async () => {
      const { address, db } = await emptyDatabase()
      for (let round = 0; round < 2; round++) {
        if (address.kind === 'sqlite') {
          const plain = new DatabaseSync(address.file)
          plain.exec(migrationSql('sqlite'))
          plain.close()
        } else await administer(address.kind, migrationSql(address.kind), address.database)
      }
      const store = kyselyStore(db)
      await store.check?.()
      await start(store)
      await migrate(db)
      await assertConsistent(store)
    })

    it("may be made by kysely's own Migrator, before and after migrate", async () => {
      const { db } = await emptyDatabase()
      const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
      expect((await migrator.migrateToLatest()).error).toBeUndefined()
      await migrate(db)
      const store = kyselyStore(db)
      await store.check?.()
      expect((await migrator.migrateDown()).error).toBeUndefined()
      await expect(store.check?.()).rejects.toThrow(missing(kind))
      await migrate(db)
      expect((await migrator.migrateToLatest()).error).toBeUndefined()
      await start(store)
    })

    it('are finished by the next migrate when one was cut off', async () => {
      const { db } = await emptyDatabase()
      const statements = migrationSql(kind).split(';\n').slice(0, -1)
      for (let cut = 1; cut < statements.length; cut++) {
        await migrations['0001_sessions']?.down(db)
        for (const statement of statements.slice(0, cut)) await sql.raw(statement).execute(db)
        await expect(kyselyStore(db).check?.()).rejects.toThrow(missing(kind))
        await migrate(db)
        await kyselyStore(db).check?.()
      }
      await start(kyselyStore(db))
    })

    it('are made once when four processes start at once', async () => {
      const crew = await hire(4)
      cleanups.push(() => crew.dismiss())
      for (let round = 0; round < 3; round++) {
        const address = await makeDatabase(kind)
        cleanups.push(() => dropDatabase(address))
        await crew.all(() => ({ do: 'migrate', address }))
        const { store, close } = connect(address)
        await store.check?.()
        await start(store)
        await close()
      }
    })

    it('refuse a session of somebody with themselves, whatever asks for it', async () => {
      const { db } = await emptyDatabase()
      await migrate(db)
      const store = kyselyStore(db)
      const { session, ...rest } = claimOf()
      const selfish = { ...rest, session: { ...session, targetUserId: session.actorId } }
      await expect(store.claimSession(selfish)).rejects.toThrow(/two_people/)
      expect(await store.listEvents({}, { limit: 9 })).toEqual([])
    })
  })
}
