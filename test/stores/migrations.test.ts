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
import {
  allEvents,
  allSessions,
  assertConsistent,
  claimOf,
  endedEvent,
  endingOf,
  start,
  t0,
} from '../../src/testing/store/fixtures.ts'
import { allGrants, consent } from '../../src/testing/store/grant-fixtures.ts'
import { allDeliveries, deliveryOf, post } from '../../src/testing/store/outbox-fixtures.ts'
import { allRequests, ask, codeOf, requestOf } from '../../src/testing/store/request-fixtures.ts'
import { allTokens, hashOf, issue, tokenOf } from '../../src/testing/store/token-fixtures.ts'
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

async function migrateToVersion2(db: Kysely<Tables>): Promise<void> {
  for (const name of ['0001_sessions', '0002_grants']) await migrations[name]?.up(db)
}

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
      for (const version of [5, 4, 3, 2, 1, -1]) {
        await sql`delete from impersonation_schema`.execute(db)
        await sql`insert into impersonation_schema (version) values (${version})`.execute(db)
        await expect(kyselyStore(db).check?.()).rejects.toThrow(
          `The impersonation tables are at version ${version}, and this release needs 6: run \`await migrate(db)\` from 'onbehalf/kysely' (or apply sql/${kind}.sql) before the first request.`,
        )
        await migrate(db)
        await kyselyStore(db).check?.()
      }
    })

    it('are good enough when they are of a newer release', async () => {
      const { db } = await emptyDatabase()
      await migrate(db)
      await sql`delete from impersonation_schema`.execute(db)
      await sql`insert into impersonation_schema (version) values (99)`.execute(db)
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
      for (const version of [5, 4, 3, 2, 1]) {
        expect((await migrator.migrateDown()).error).toBeUndefined()
        await expect(store.check?.()).rejects.toThrow(
          `are at version ${version}, and this release needs 6`,
        )
      }
      expect((await migrator.migrateDown()).error).toBeUndefined()
      await expect(store.check?.()).rejects.toThrow(missing(kind))
      await migrate(db)
      expect((await migrator.migrateToLatest()).error).toBeUndefined()
      await start(store)
    })

    it('are finished by the next migrate when one was cut off', async () => {
      const { db } = await emptyDatabase()
      const statements = migrationSql(kind).split(';\n').slice(0, -1)
      const ends = [1, 2, 3, 4, 5].map(
        (version) =>
          1 + statements.findIndex((text) => text.includes(`version) values (${version})`)),
      )
      expect(ends.toSorted((a, b) => a - b)).toEqual(ends)
      expect(ends[0]).toBeGreaterThan(0)
      for (let cut = 1; cut < statements.length; cut++) {
        await migrate(db)
        for (const { down } of Object.values(migrations).reverse()) await down(db)
        for (const statement of statements.slice(0, cut)) await sql.raw(statement).execute(db)
        await expect(kyselyStore(db).check?.()).rejects.toThrow(
          cut < (ends[0] ?? 0)
            ? missing(kind)
            : `are at version ${ends.filter((end) => end <= cut).length}, and this release needs 6`,
        )
        await migrate(db)
        await kyselyStore(db).check?.()
      }
      const store = kyselyStore(db)
      await start(store, { grantId: (await consent(store.grants)).id })
      await ask(store.requests)
      await post(store, deliveryOf())
      await issue(store.tokens)
    })

    it('of version 1 become those of the newest, with every row, whoever comes first', async () => {
      const crew = await hire(4)
      cleanups.push(() => crew.dismiss())
      for (let round = 0; round < 3; round++) {
        const { address, db } = await emptyDatabase()
        const store = kyselyStore(db)
        await migrations['0001_sessions']?.up(db)
        const sessions = [
          await start(store),
          // Such a one may have been started by a program that keeps its grants elsewhere.
          await start(store, { actorId: 'sup', targetUserId: 'bob', grantId: 'elsewhere' }),
        ]
        const events = await allEvents(store)
        await expect(store.check?.()).rejects.toThrow('are at version 1, and this release needs 6')

        await crew.all(() => ({ do: 'migrate', address }))
        await migrate(db)
        await store.check?.()
        expect(await allSessions(store)).toEqual(expect.arrayContaining(sessions))
        expect(await allEvents(store)).toEqual(events)
        for (const { id } of sessions) {
          expect(await store.endSession(id, endingOf(), endedEvent)).toMatchObject({
            changed: true,
          })
        }
        const grant = await consent(store.grants)
        await start(store, { grantId: grant.id, createdAt: t0 + 1 })
        expect(await allGrants(store.grants)).toEqual([grant])
        await assertConsistent(store)
      }
    })

    it('of version 1 are not touched again on the way to the newest', async () => {
      const { db } = await emptyDatabase()
      await migrations['0001_sessions']?.up(db)
      await sql`alter table impersonation_sessions rename to put_aside`.execute(db)
      await migrate(db)
      await expect(kyselyStore(db).readSession('any')).rejects.toThrow('impersonation_sessions')
    })

    it('of version 2 become those of the newest, with every row, whoever comes first', async () => {
      const crew = await hire(4)
      cleanups.push(() => crew.dismiss())
      for (let round = 0; round < 3; round++) {
        const { address, db } = await emptyDatabase()
        const store = kyselyStore(db)
        await migrateToVersion2(db)
        const grants = [await consent(store.grants), await consent(store.grants)].reverse()
        const session = await start(store, { grantId: grants[0]?.id ?? '' })
        const events = await allEvents(store)
        await expect(store.check?.()).rejects.toThrow('are at version 2, and this release needs 6')

        await crew.all(() => ({ do: 'migrate', address }))
        await migrate(db)
        await store.check?.()
        expect(await allSessions(store)).toEqual([session])
        expect(await allEvents(store)).toEqual(events)
        expect(await allGrants(store.grants)).toEqual(expect.arrayContaining(grants))
        const [request, delivery] = [await ask(store.requests), deliveryOf()]
        await post(store, delivery)
        expect(await allRequests(store.requests)).toEqual([request])
        expect(await allDeliveries(store.outbox)).toEqual([delivery])
        const token = await issue(store.tokens)
        expect(await allTokens(store.tokens)).toEqual([token])
        expect(await store.endSession(session.id, endingOf(), endedEvent)).toMatchObject({
          changed: true,
        })
        await assertConsistent(store)
      }
    })

    it('of version 2 serve what needs neither requests nor deliveries', async () => {
      const { db } = await emptyDatabase()
      const store = kyselyStore(db)
      await migrateToVersion2(db)
      const session = await start(store, { grantId: (await consent(store.grants)).id })
      await store.endSession(session.id, endingOf(), endedEvent)
      await assertConsistent(store)
    })

    it('of version 2 are not touched again on the way to the newest', async () => {
      const { db } = await emptyDatabase()
      await migrateToVersion2(db)
      await sql`alter table impersonation_grants rename to put_aside`.execute(db)
      await migrate(db)
      await expect(kyselyStore(db).grants.readGrant('any')).rejects.toThrow('impersonation_grants')
    })

    it('of version 5 serve what needs no API tokens, and keep every row on the way to the newest', async () => {
      const { db } = await emptyDatabase()
      const store = kyselyStore(db)
      for (const { up } of Object.values(migrations).slice(0, 5)) await up(db)
      const session = await start(store, { grantId: (await consent(store.grants)).id })
      await store.endSession(session.id, endingOf(), endedEvent)
      const [requests, delivery] = [[await ask(store.requests)], deliveryOf()]
      await post(store, delivery)
      const events = await allEvents(store)
      await expect(store.tokens.findToken(hashOf('any'))).rejects.toThrow('impersonation_tokens')
      await expect(store.check?.()).rejects.toThrow('are at version 5, and this release needs 6')
      await migrate(db)
      await store.check?.()
      expect(await store.tokens.findToken(hashOf('any'))).toBeNull()
      expect(await allRequests(store.requests)).toEqual(requests)
      expect(await allDeliveries(store.outbox)).toEqual([delivery])
      expect(await allEvents(store)).toEqual(events)
      await assertConsistent(store)
    })

    it('go back a version at a time and leave the rows of the one before', async () => {
      const { db } = await emptyDatabase()
      await migrate(db)
      const store = kyselyStore(db)
      const grant = await consent(store.grants)
      const session = await start(store)
      const code = codeOf()
      await store.requests.createRequest(requestOf(), [], code)
      await post(store, deliveryOf())
      const [token, hash] = [tokenOf(), hashOf('one')]
      await store.tokens.createToken(token, hash, [], null)
      for (const { down } of Object.values(migrations).slice(2).reverse()) await down(db)
      await expect(store.check?.()).rejects.toThrow('are at version 2, and this release needs 6')
      expect(await allGrants(store.grants)).toEqual([grant])
      await migrate(db)
      expect(await allRequests(store.requests)).toEqual([])
      expect(await allDeliveries(store.outbox)).toEqual([])
      expect(await allTokens(store.tokens)).toEqual([])
      expect(await store.tokens.createToken(token, hash, [], null)).toBe('created')
      expect(await store.requests.createRequest(requestOf(), [], code)).toBe('created')

      for (const { down } of Object.values(migrations).slice(1).reverse()) await down(db)
      await expect(store.check?.()).rejects.toThrow('are at version 1, and this release needs 6')
      expect(await store.readSession(session.id)).toEqual(session)
      await migrate(db)
      expect(await allGrants(store.grants)).toEqual([])
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
