import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { transaction } from '../../examples/sql/row-level-security.ts'
import { filesIn, read } from '../repo/files.ts'
import { type Address, servers } from '../support/connect.ts'
import { administer, describeOn, dropDatabase, makeDatabase } from '../support/databases.ts'
import { levels, outcomeOf } from './levels.ts'

const recipe = 'examples/sql/row-level-security.sql'
const oddId = `usér✓ ' " \\ $1 '); drop table notes; --\n`
const refusedByPolicy = '42501'
const refusedAsReadOnly = '25006'

describeOn('postgres', 'the recipe of row-level security', () => {
  let address: Address & { kind: 'postgres' }
  let pool: pg.Pool
  let world: Awaited<ReturnType<typeof levels>>
  const role = `onbehalf_app_${process.pid}_${Date.now().toString(36)}`

  beforeAll(async () => {
    expect(filesIn('examples/sql')).toContain(recipe)
    world = await levels(oddId)
    address = (await makeDatabase('postgres')) as typeof address
    await administer(
      'postgres',
      `create role ${role} login nosuperuser nobypassrls;
       grant all on schema public to ${role};
       set role ${role};
       create table notes (id serial primary key, body text, by text default current_setting('onbehalf.actor_id', true));
       create function write_note() returns int language sql as
         $$ insert into notes (body) values ('written') returning 1 $$;
       reset role;
       create function write_as_owner() returns int language sql security definer as
         $$ insert into notes (body) values ('written') returning 1 $$;
       ${read(recipe)}`,
      address.database,
    )
    // One connection, so that the next transaction surely comes to the same one.
    pool = new pg.Pool({ ...servers.postgres, user: role, database: address.database, max: 1 })
    pool.on('error', () => {})
  })
  beforeEach(async () => {
    await administer('postgres', 'truncate notes', address.database)
    await administer('postgres', "insert into notes (body) values ('first')", address.database)
  })
  afterAll(async () => {
    await pool?.end()
    if (!address) return
    await dropDatabase(address)
    await administer('postgres', `drop role ${role}`)
  })

  const statements = [
    "insert into notes (body) values ('x')",
    "update notes set body = 'y'",
    'delete from notes',
  ]
  const run = (text: string) =>
    outcomeOf(() => transaction(pool, world.engine, (client) => client.query(text)))
  const contents = async () =>
    (await administer(
      'postgres',
      'select body, by from notes order by id',
      address.database,
    )) as object[]

  it('refuses every write under view, and the ones of functions', async () => {
    const before = await contents()
    for (const text of [...statements, 'select write_note()', 'select write_as_owner()'])
      expect(await world.view(() => run(text)), text).toBe(refusedAsReadOnly)
    expect(await contents()).toEqual(before)
    expect(await world.view(() => run('select * from notes'))).toBe('done')
  })

  it('lets nobody switch the read-only transaction off inside', async () => {
    for (const text of [
      'set transaction read write',
      'set local transaction_read_only = off',
      "select set_config('transaction_read_only', 'off', true)",
      'begin read write',
    ])
      expect(await world.view(() => run(text)), text).not.toBe('done')
    const deeper = await world.view(() =>
      outcomeOf(() =>
        transaction(pool, world.engine, async (client) => {
          await client.query('savepoint a')
          await client.query('set transaction read write')
        }),
      ),
    )
    expect(deeper).not.toBe('done')
  })

  it('refuses a write by the policies alone, should the transaction not be read-only', async () => {
    const before = await contents()
    const byPolicy = async (text: string, values: string[]) => {
      const client = await pool.connect()
      const outcome = await outcomeOf(async () => {
        await client.query('begin')
        await client.query("select set_config('onbehalf.access_level', $1, true)", values)
        const { rowCount } = await client.query(text)
        await client.query('commit')
        if (rowCount === 0) throw Object.assign(new Error('no row'), { code: 'no row' })
      })
      await client.query('rollback')
      client.release()
      return outcome
    }
    for (const level of ['view', '', 'View', 'admin', 'full '])
      expect(await Promise.all(statements.map((text) => byPolicy(text, [level]))), level).toEqual([
        refusedByPolicy,
        refusedByPolicy,
        'no row',
      ])
    expect(await byPolicy('select write_note()', ['view'])).toBe(refusedByPolicy)
    expect(await contents()).toEqual(before)
    for (const level of ['none', 'interactive', 'full'])
      expect(await byPolicy(statements[1] as string, [level])).toBe('done')
  })

  it('refuses a write where the settings were forgotten', async () => {
    const fresh = new pg.Client({ ...servers.postgres, user: role, database: address.database })
    await fresh.connect()
    expect(await outcomeOf(() => fresh.query(statements[0] as string))).toBe(refusedByPolicy)
    expect(await outcomeOf(() => fresh.query(statements[1] as string))).toBe(refusedByPolicy)
    expect((await fresh.query(statements[2] as string)).rowCount).toBe(0)
    expect(await outcomeOf(() => fresh.query('truncate notes'))).toMatch(/^42501$|^done$/)
    await fresh.end()
  })

  it('lets the other levels write, and whoever is nobody’s', async () => {
    for (const inside of [world.interactive, world.full, world.free])
      for (const text of statements) expect(await inside(() => run(text)), text).toBe('done')
    expect(await run(statements[0] as string)).toMatch(/context is not known/)
  })

  it('ends its settings with the transaction, on the same connection', async () => {
    const told = () =>
      pool.query(
        `select pg_backend_pid() as pid, current_setting('onbehalf.access_level', true) as level,
           current_setting('onbehalf.actor_id', true) as actor, current_setting('transaction_read_only') as ro`,
      )
    const [before] = (await told()).rows
    await world.view(() => run('select 1'))
    await world.full(() => run('select broken'))
    await world.full(() => run("insert into notes (body) values ('x')"))
    const [after] = (await told()).rows
    expect(after).toEqual({ pid: before.pid, level: '', actor: '', ro: 'off' })
    expect(await outcomeOf(() => pool.query(statements[0] as string))).toBe(refusedByPolicy)
  })

  it('binds odd ids as data', async () => {
    const [row] = await world.full(() =>
      transaction(pool, world.engine, async (client) => {
        await client.query("insert into notes (body) values ('odd')")
        const { rows } = await client.query(
          `select current_setting('onbehalf.target_user_id') as target, current_setting('onbehalf.actor_id') as actor`,
        )
        return rows
      }),
    )
    expect(row).toEqual({ target: oddId, actor: 'root' })
    expect(await contents()).toContainEqual({ body: 'odd', by: 'root' })
  })
})
