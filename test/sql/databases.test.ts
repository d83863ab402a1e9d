import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import { createConnection, type Connection as MysqlConnection } from 'mysql2/promise'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readFunctionsOf } from '../../src/sql/functions.ts'
import { guardPool, guardSql } from '../../src/sql/index.ts'
import { type Address, servers } from '../support/connect.ts'
import { administer, describeOn, dropDatabase, makeDatabase } from '../support/databases.ts'
import { attacks } from './attacks.ts'
import { levels, outcomeOf } from './levels.ts'
import { postgresReads } from './reads.ts'

/** What each database can be asked: a guarded way in, the plain one, and all that stands in it. */
interface Subject {
  guarded(text: string): Promise<unknown>
  plain(text: string): Promise<unknown>
  snapshot(): Promise<unknown>
}

type World = Awaited<ReturnType<typeof levels>>

/** The same for every database: the writes are real ones, which the control shows. */
function behaves(open: (world: World) => Promise<Subject>, writes: readonly string[]) {
  let world: World
  let subject: Subject
  beforeAll(async () => {
    world = await levels()
    subject = await open(world)
  })

  it.each(writes)('%j changes nothing under view', async (text) => {
    const before = await subject.snapshot()
    expect(await outcomeOf(() => world.view(() => subject.guarded(text)))).toBe('grant_view_only')
    expect(await outcomeOf(() => subject.guarded(text))).toMatch(/context is not known here/)
    expect(await subject.snapshot()).toEqual(before)
    // The control: it does change something at the next level.
    await world.interactive(() => subject.guarded(text))
    expect(await subject.snapshot()).not.toEqual(before)
  })

  it('none of the attacks changes anything under view', async () => {
    const before = await subject.snapshot()
    for (const text of attacks) {
      const outcome = await outcomeOf(() => world.view(() => subject.guarded(text)))
      // What is no attack in this dialect may as well fail, or read.
      expect(outcome, text).not.toBe('')
    }
    expect(await subject.snapshot()).toEqual(before)
  })

  it('reads pass at every level, outside of requests too', async () => {
    const text = 'select count(*) as n from notes where lower(body) = lower(body)'
    for (const run of [world.view, world.interactive, world.full, world.free])
      expect(await run(() => subject.guarded(text))).toEqual(await subject.plain(text))
    expect(await subject.guarded(text)).toEqual(await subject.plain(text))
  })

  it('writes pass where nobody is impersonated', async () => {
    for (const run of [world.free, world.interactive, world.full])
      expect(
        await outcomeOf(() =>
          run(() => subject.guarded("insert into notes (body) values ('more')")),
        ),
      ).toBe('done')
  })
}

describeOn('postgres', 'guardPool', () => {
  let address: Address & { kind: 'postgres' }
  let pool: pg.Pool
  let tables: readonly string[] = []

  beforeAll(async () => {
    address = (await makeDatabase('postgres')) as typeof address
    await administer(
      'postgres',
      `create table notes (id serial primary key, body text, data jsonb default '{}', owner int,
         comment text, lock int, set int, call int, load int);
       create table users (id int, body text);
       create table "insert" ("delete" int, "update" int, größer int);
       insert into notes (body) select 'note ' || n from generate_series(1, 60) n;
       create sequence s; create materialized view v as select count(*), clock_timestamp() from notes;
       create function write_note(n int) returns int language sql as
         $$ insert into notes (body) values ('written') returning n $$;
       create procedure p() language sql as $$ insert into notes (body) values ('called') $$;
       select nextval('s')`,
      address.database,
    )
    pool = new pg.Pool({ ...servers.postgres, database: address.database })
    tables = ['notes', 'users', 'v', 'pg_largeobject_metadata']
  })
  afterAll(async () => {
    await pool?.end()
    if (address) await dropDatabase(address)
  })

  behaves(
    async ({ engine }) => {
      const guarded = guardPool(pool, engine)
      const rows = async (text: string) => (await pool.query(text)).rows
      return {
        guarded: async (text) => (await guarded.query(text)).rows,
        plain: rows,
        async snapshot() {
          const relations = await rows(
            "select relname::text, relkind from pg_class where relnamespace = 'public'::regnamespace order by 1",
          )
          const contents = []
          for (const table of tables)
            contents.push(
              await rows(`select md5(string_agg(whole::text, ' ')) from ${table} whole`),
            )
          return [relations, contents, await rows('select last_value from s')]
        },
      }
    },
    [
      "insert into notes (body) values ('x')",
      "update notes set body = body || 'x' where id = 1",
      'delete from notes where id = 2',
      'with x as (delete from notes where id = 3 returning *) select * from x',
      "with x as (insert into notes (body) values ('x') returning *) select * from x",
      'explain analyze delete from notes where id = 4',
      'select id into copied from notes',
      'create table made (id int)',
      'select write_note(1)',
      'select public.write_note (1)',
      'select "write_note"/**/(1)',
      'select * from write_note(1)',
      'select coalesce((select write_note(1)), 2)',
      "select nextval('s')",
      "select setval('s', 70)",
      'call p()',
      "do $$ begin insert into notes (body) values ('done'); end $$",
      'refresh materialized view v',
      'select 1; delete from notes where id = 5',
      "select lo_from_bytea(0, 'x')",
      'merge into notes n using (select 6 as id) x on n.id = x.id when matched then delete',
      'truncate users, notes',
    ],
  )

  it('knows no volatile function but those that only look', async () => {
    const { rows } = await pool.query(
      `select distinct proname::text as name from pg_proc
       where pronamespace = 'pg_catalog'::regnamespace and provolatile = 'v' order by 1`,
    )
    const volatile = rows
      .map(({ name }) => name)
      .filter((name) => readFunctionsOf.postgres.has(name))
    const sizes = ['database', 'indexes', 'relation', 'table', 'total_relation']
    const looks = [
      'clock_timestamp',
      'currval',
      'gen_random_uuid',
      'lastval',
      'random',
      'timeofday',
    ]
    expect(volatile.sort()).toEqual(
      [...looks, 'pg_is_in_recovery', ...sizes.map((of) => `pg_${of}_size`)].sort(),
    )
  })

  it('has its reads understood by the database as well', async () => {
    const { engine, view } = await levels()
    const plain = await pool.connect()
    await plain.query("select nextval('s')")
    const client = guardPool(plain, engine)
    const failed: string[] = []
    for (const text of postgresReads) {
      const values = (text.match(/\$\d/g) ?? []).map(() => null)
      await view(() => client.query(text, values)).catch((error) =>
        failed.push(`${text}: ${error.message}`),
      )
      await client.query('rollback')
    }
    client.release()
    expect(failed).toEqual([])
  })
})

describeOn('mysql', 'guardSql', () => {
  let address: Address & { kind: 'mysql' }
  let connection: MysqlConnection

  beforeAll(async () => {
    address = (await makeDatabase('mysql')) as typeof address
    const { database } = address
    connection = await createConnection({ ...servers.mysql, database, multipleStatements: true })
    await connection.query(
      `create table notes (id int primary key auto_increment, body varchar(99));
       insert into notes (body) select concat('note ', seq) from seq_1_to_60;
       create sequence s; select nextval(s)`,
    )
    await connection.query(
      `create function write_note(n int) returns int modifies sql data
       begin insert into notes (body) values ('written'); return n; end`,
    )
    await connection.query("create procedure p() insert into notes (body) values ('called')")
  })
  afterAll(async () => {
    await connection?.end()
    if (address) await dropDatabase(address)
  })

  behaves(
    async ({ engine }) => {
      const check = guardSql(engine, { dialect: 'mysql' })
      const plain = async (text: string) => (await connection.query(text))[0]
      return {
        plain,
        guarded: async (text) => {
          check(text)
          return plain(text)
        },
        async snapshot() {
          const all = [
            'show tables',
            'select * from notes',
            'select next_not_cached_value from s',
            'select @a',
          ]
          const found = []
          for (const text of all) found.push(await plain(text))
          return found
        },
      }
    },
    [
      "insert into notes (body) values ('x')",
      "update notes set body = concat(body, 'x') where id = 1",
      'delete from notes where id = 2',
      "replace into notes (id, body) values (3, 'replaced')",
      "replace notes (id, body) values (4, 'replaced')",
      'analyze delete from notes where id = 5',
      'select 1 into @a',
      'select @a := 2',
      'set @a = 3',
      'create table made (id int)',
      'select write_note(1)',
      'select `write_note` (1)',
      'select write_note/**/(1)',
      'call p()',
      "begin not atomic insert into notes (body) values ('x'); end",
      "execute immediate 'delete from notes where id = 6'",
      'set statement max_statement_time = 9 for delete from notes where id = 7',
      'select 1; delete from notes where id = 8',
      "select '\\'' ; delete from notes where id = 9; -- '",
      '/*! delete from notes where id = 10 */',
      '/*M! delete from notes where id = 11 */',
      'select 12 /*! into @a */',
      'select 1 # \n ; delete from notes where id = 13',
      'truncate notes',
    ],
  )
})

describe('guardSql (sqlite)', () => {
  behaves(
    async ({ engine }) => {
      const database = new DatabaseSync(':memory:')
      const write = (n: SQLOutputValue) => {
        database.exec("insert into notes (body) values ('written')")
        return n
      }
      database.function('write_note', write)
      database.exec(`
        create table notes (id integer primary key, body text); create table gone (id int);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 60)
        insert into notes (body) select 'note ' || i from n`)
      const check = guardSql(engine, { dialect: 'sqlite' })
      const plain = async (text: string) => {
        const rows = /^\W*select count/.test(text) ? database.prepare(text).all() : []
        database.exec(text)
        return rows
      }
      return {
        plain,
        guarded: async (text) => {
          check(text)
          return plain(text)
        },
        snapshot: async () => [
          database.prepare('select * from notes').all(),
          database.prepare('select name, sql from sqlite_master').all(),
          database.prepare('pragma user_version').all(),
          database.prepare('pragma database_list').all(),
        ],
      }
    },
    [
      "insert into notes (body) values ('x')",
      "update notes set body = body || 'x' where id = 1",
      'delete from notes where id = 2',
      "replace into notes (id, body) values (3, 'replaced')",
      'with x as (select 4 as id) delete from notes where id in (select id from x)',
      "with x(body) as (values ('x')) insert into notes (body) select body from x",
      'select write_note(1)',
      'select [write_note](1)',
      'select "write_note" (1)',
      'select 1; delete from notes where id = 5',
      "select [ ' ] from (select 1 as [ ' ]) ; delete from notes where id = 6 -- ' ]",
      "select :lower(');delete/**/from/**/notes/**/where/**/id=7--')",
      'pragma user_version = 7',
      'pragma user_version(8)',
      "attach database ':memory:' as other",
      'create table made (id int)',
      'drop table gone',
      'alter table notes rename to notes2; alter table notes2 rename to notes; insert into notes (body) values (1)',
      "insert into notes (body) values ('x') returning *",
    ],
  )
})
