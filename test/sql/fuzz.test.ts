import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ownFunctions } from '../../src/sql/calls.ts'
import { onlyReads } from '../../src/sql/verdict.ts'
import { type Address, servers } from '../support/connect.ts'
import { administer, describeOn, dropDatabase, makeDatabase } from '../support/databases.ts'
import { randomOf, statementsOf } from './random-statements.ts'

const count = process.env.SOAK === '1' ? 1_000_000 : 20_000

describeOn('postgres', 'random statements', () => {
  let address: Address & { kind: 'postgres' }
  let client: pg.Client

  beforeAll(async () => {
    address = (await makeDatabase('postgres')) as typeof address
    await administer(
      'postgres',
      `create table notes (id serial primary key, body text, comment text, set int, "delete" int);
       create table users (id int); create table x (id int, body text); create sequence s;
       insert into notes (body) values ('a'), ('b'); insert into x values (1, 'a');
       create materialized view v as select 1;
       create procedure p() language sql as $$ insert into notes (body) values ('called') $$;
       create function write_note(n int) returns int language sql as
         $$ insert into notes (body) values ('written') returning n $$`,
      address.database,
    )
    client = new pg.Client({ ...servers.postgres, database: address.database })
    await client.connect()
  })
  afterAll(async () => {
    await client?.end()
    if (address) await dropDatabase(address)
  })

  const functions = ownFunctions([])

  /** Runs a statement where Postgres itself refuses to write, and gives its SQLSTATE. */
  async function stateOf(text: string): Promise<string> {
    await client.query('rollback; begin read only; set local statement_timeout = 5000')
    return client.query(text).then(
      () => '00000',
      (error) => String(error.code),
    )
  }

  it('that the judge calls reads never try to write', async () => {
    const next = statementsOf(randomOf(20_260))
    const breaches: string[] = []
    let ran = 0
    let valid = 0
    let writes = 0
    for (let n = 0; n < count; n++) {
      const text = next()
      const reads = [undefined, 'postgres' as const].some(
        (dialect) => onlyReads(text, { dialect, functions }) === null,
      )
      if (reads) {
        ran++
        const state = await stateOf(text)
        if (state === '00000') valid++
        if (state === '25006') breaches.push(text)
      } else if (n % 10 === 0 && (await stateOf(text)) === '25006') {
        writes++
      }
    }
    await client.query('rollback')
    const { rows } = await client.query('select count(*)::int as n from notes')
    console.info({ statements: count, calledReads: ran, valid, writesAmongATenthOfTheRest: writes })
    expect(breaches).toEqual([])
    expect(rows).toEqual([{ n: 2 }])
    // The oracle and the generator have to be worth something.
    expect(ran).toBeGreaterThan(count / 20)
    expect(valid).toBeGreaterThan(count / 50)
    expect(writes).toBeGreaterThan(count / 200)
  }, 600_000)
})
