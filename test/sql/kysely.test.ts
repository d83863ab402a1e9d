import {
  CompiledQuery,
  type Dialect,
  Kysely,
  MysqlDialect,
  PostgresDialect,
  SqliteDialect,
  sql,
} from 'kysely'
import { createPool } from 'mysql2'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  allowOutsideRequests,
  guardDialect,
  impersonationPlugin,
  type PluginOptions,
} from '../../src/sql/index.ts'
import { kyselyStore, migrate } from '../../src/stores/kysely/index.ts'
import { openSqlite } from '../../src/stores/kysely/node-sqlite.ts'
import { type Address, servers } from '../support/connect.ts'
import { describeOn, dropDatabase, type Kind, kinds, makeDatabase } from '../support/databases.ts'
import {
  type Db,
  locks,
  note,
  postgresReads,
  postgresWrites,
  reads,
  type Tables,
  writes,
} from './kysely-queries.ts'
import { levels, outcomeOf } from './levels.ts'

type World = Awaited<ReturnType<typeof levels>>

function dialectFor(address: Address): Dialect {
  if (address.kind === 'sqlite')
    return new SqliteDialect({ database: () => openSqlite(address.file) })
  const { database } = address
  if (address.kind === 'mysql')
    return new MysqlDialect({ pool: createPool({ ...servers.mysql, database }) })
  const pool = new pg.Pool({ ...servers.postgres, database })
  pool.on('error', () => {})
  return new PostgresDialect({ pool })
}

/** Both are the same to whoever writes: a plugin of the instance, and a dialect under it. */
const guards = {
  impersonationPlugin: (dialect: Dialect, world: World, options: PluginOptions = {}) =>
    new Kysely<Tables>({ dialect, plugins: [impersonationPlugin(world.engine, options)] }),
  guardDialect: (dialect: Dialect, world: World, { stamp: _, ...options }: PluginOptions = {}) =>
    new Kysely<Tables>({ dialect: guardDialect(dialect, world.engine, options) }),
} as const

for (const kind of kinds) {
  for (const [name, guard] of Object.entries(guards)) {
    describeOn(kind, name, () => on(kind, guard, name === 'guardDialect'))
  }
}

function on(kind: Kind, guard: (typeof guards)[keyof typeof guards], isWall: boolean) {
  let address: Address
  let plain: Db
  let db: Db
  let world: World

  beforeAll(async () => {
    world = await levels()
    address = await makeDatabase(kind)
    plain = new Kysely<Tables>({ dialect: dialectFor(address) })
    db = guard(dialectFor(address), world)
    for (const table of ['notes', 'plain'])
      await sql`create table ${sql.table(table)} (id int, body varchar(99), ${sql.id('by')} varchar(99))`.execute(
        plain,
      )
    await plain.insertInto('notes').values(note).execute()
    await plain.insertInto('plain').values({ id: 1, body: 'x' }).execute()
    if (kind !== 'postgres') return
    await sql`alter table notes add data json`.execute(plain)
    await sql`create materialized view v as select clock_timestamp()`.execute(plain)
    await sql`create function write_note(n int) returns int language sql as $$
      insert into notes (id, body) values (n, 'written') returning n $$`.execute(plain)
  })
  afterAll(async () => {
    await db?.destroy()
    await plain?.destroy()
    if (address) await dropDatabase(address)
  })

  const snapshot = async () => [
    await plain.selectFrom('notes').selectAll().orderBy('id').execute(),
    await plain.selectFrom('plain').selectAll().execute(),
    await plain.introspection.getTables(),
  ]

  const allWrites = { ...writes, ...locks, ...(kind === 'postgres' && postgresWrites) }
  it.each(Object.entries(allWrites))('refuses %s', async (_what, write) => {
    const before = await snapshot()
    expect(await outcomeOf(() => world.view(() => write(db).execute()))).toBe('grant_view_only')
    expect(await outcomeOf(() => write(db).execute())).toMatch(/context is not known/)
    expect(await snapshot()).toEqual(before)
  })

  const allReads = { ...reads, ...(kind === 'postgres' && postgresReads) }
  it.each(Object.entries(allReads))('lets %s through', async (_what, read) => {
    expect(await outcomeOf(() => world.view(() => read(db).execute()))).toBe('done')
    expect(await outcomeOf(() => read(db).execute())).toBe('done')
  })

  it('lets writes through where nobody is impersonated and at the other levels', async () => {
    for (const run of [world.free, world.interactive, world.full]) {
      const outcome = await outcomeOf(() =>
        run(async () => {
          await db
            .insertInto('notes')
            .values({ ...note, id: 20 })
            .execute()
          await sql`update notes set body = 'y' where id = 20`.execute(db)
          await db.deleteFrom('notes').where('id', '=', 20).execute()
        }),
      )
      expect(outcome).toBe('done')
    }
  })

  it('keeps transactions and savepoints working', async () => {
    await world.view(() =>
      db.transaction().execute((trx) => trx.selectFrom('notes').selectAll().execute()),
    )
    const isolated = world.view(() =>
      db
        .transaction()
        .setIsolationLevel('serializable')
        .execute((trx) => trx.selectFrom('notes').selectAll().execute()),
    )
    if (kind !== 'sqlite') await isolated
    else await isolated.catch((error) => expect(String(error)).not.toMatch(/view/))
    await world.view(async () => {
      const trx = await db.startTransaction().execute()
      const after = await trx.savepoint('before').execute()
      expect(await outcomeOf(() => after.deleteFrom('notes').execute())).toBe('grant_view_only')
      await after.rollbackToSavepoint('before').execute()
      await (await trx.savepoint('more').execute()).releaseSavepoint('more').execute()
      expect(await trx.selectFrom('notes').selectAll().execute()).toHaveLength(1)
      await trx.commit().execute()
    })
    const rolledBack = db.transaction().execute(async (trx) => {
      await world.full(() => trx.updateTable('notes').set({ body: 'gone' }).execute())
      await world.view(() => trx.deleteFrom('notes').execute())
    })
    expect(await outcomeOf(() => rolledBack)).toBe('grant_view_only')
    expect((await plain.selectFrom('notes').selectAll().execute())[0]?.body).toBe('x')
  })

  it('streams reads and no writes', async () => {
    const streamed = async (query: { stream(size?: number): AsyncIterable<unknown> }) => {
      const rows = []
      for await (const row of query.stream(1)) rows.push(row)
      return rows
    }
    // On Postgres a stream needs pg-cursor, and the guard comes first.
    const read = await outcomeOf(() =>
      world.view(() => streamed(db.selectFrom('notes').selectAll())),
    )
    expect(read).toMatch(kind === 'postgres' ? /cursor/ : /^done$/)
    expect(await outcomeOf(() => world.view(() => streamed(db.deleteFrom('notes') as never)))).toBe(
      'grant_view_only',
    )
  })

  if (isWall) {
    it('refuses what passes no plugin', async () => {
      const before = await snapshot()
      const compiled = world.free(() => db.deleteFrom('notes').compile())
      const lying = { ...db.selectFrom('notes').selectAll().compile(), sql: 'delete from notes' }
      for (const query of [
        compiled,
        lying,
        CompiledQuery.raw('delete from notes'),
        CompiledQuery.raw('select 1; delete from notes'),
      ])
        for (const at of [db, db.withoutPlugins()])
          expect(await outcomeOf(() => world.view(() => at.executeQuery(query)))).toBe(
            'grant_view_only',
          )
      expect(
        await outcomeOf(() =>
          world.view(() => db.connection().execute((one) => one.executeQuery(compiled))),
        ),
      ).toBe('grant_view_only')
      expect(await snapshot()).toEqual(before)
      expect(
        await outcomeOf(() => world.view(() => db.executeQuery(CompiledQuery.raw('select 1')))),
      ).toBe('done')
    })

    it('logs and counts connections as ever', async () => {
      const lines: string[] = []
      const logged = new Kysely<Tables>({
        dialect: guardDialect(dialectFor(address), world.engine),
        log: ({ level, query }) => void lines.push(`${level} ${query.sql.slice(0, 6)}`),
      })
      await world.view(() => logged.selectFrom('notes').selectAll().execute())
      await outcomeOf(() => world.view(() => logged.deleteFrom('notes').execute()))
      expect(lines).toEqual(['query select', 'error delete'])
      await logged.destroy()
    })

    it('carries the migrations and the store of the library', async () => {
      await world.free(() => migrate(db as never))
      const store = kyselyStore(db as never)
      await world.free(async () => store.check?.())
      expect(await world.free(() => store.readStanding('root'))).toEqual({
        active: null,
        lapse: null,
      })
    })
  } else {
    it('knows nothing of what was compiled before, as its description says', async () => {
      const compiled = world.free(() => db.selectFrom('notes').selectAll().compile())
      expect(await world.view(() => db.executeQuery(compiled))).toMatchObject({ rows: [{ id: 1 }] })
    })
  }

  it('takes the functions and the outside of the options', async () => {
    const open = guard(dialectFor(address), world, {
      outside: allowOutsideRequests,
      readFunctions: ['write_note'],
    })
    expect(await outcomeOf(() => open.updateTable('notes').set({ id: 1 }).execute())).toBe('done')
    expect(
      await outcomeOf(() => world.view(() => open.updateTable('notes').set({ id: 1 }).execute())),
    ).toBe('grant_view_only')
    if (kind === 'postgres') {
      const call = () => open.selectNoFrom(sql`write_note(${21}::int)`.as('n')).execute()
      expect(await outcomeOf(() => world.view(call))).toBe('done')
      await plain.deleteFrom('notes').where('id', '=', 21).execute()
    }
    await open.destroy()
  })
}
