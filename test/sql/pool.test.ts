import { EventEmitter, once } from 'node:events'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { allowOutsideRequests, guardPool } from '../../src/sql/index.ts'
import { type Address, servers } from '../support/connect.ts'
import { administer, describeOn, dropDatabase, makeDatabase } from '../support/databases.ts'
import { levels, outcomeOf } from './levels.ts'

const write = "insert into notes (body) values ('x')"
const read = 'select count(*)::int as n from notes'

describeOn('postgres', 'guardPool', () => {
  let address: Address & { kind: 'postgres' }
  let plain: pg.Pool
  let pool: pg.Pool
  let world: Awaited<ReturnType<typeof levels>>

  beforeAll(async () => {
    address = (await makeDatabase('postgres')) as typeof address
    await administer('postgres', 'create table notes (id serial, body text)', address.database)
  })
  beforeEach(async () => {
    world = await levels()
    plain = new pg.Pool({ ...servers.postgres, database: address.database, max: 3 })
    plain.on('error', () => {})
    pool = guardPool(plain, world.engine)
    await plain.query('truncate notes')
    return () => plain.end()
  })
  afterAll(async () => {
    if (address) await dropDatabase(address)
  })

  const rows = async () => (await plain.query(read)).rows[0].n
  const viaCallback = (run: (done: (error: Error | null) => void) => unknown) =>
    new Promise((resolve, reject) => {
      const given = run((error) => (error ? reject(error) : resolve('done')))
      expect(given).toBe(undefined)
    })

  /** As pg-cursor, pg-query-stream and pg-copy-streams are made. */
  class Submitted extends EventEmitter {
    submitted = false
    constructor(fields: object) {
      super()
      Object.assign(this, fields)
    }
    submit() {
      this.submitted = true
    }
    handleError() {}
  }

  const forms: [string, (to: pg.Pool | pg.PoolClient, text: string) => unknown][] = [
    ['a text', (to, text) => to.query(text)],
    ['a text and values', (to, text) => to.query(text, [])],
    ['a config', (to, text) => to.query({ text })],
    ['a config and values', (to, text) => to.query({ text }, [])],
    ['a named config', (to, text) => to.query({ text, name: `named ${text}`, values: [] })],
    ['rows as arrays', (to, text) => to.query({ text, rowMode: 'array' })],
    ['a callback', (to, text) => viaCallback((done) => to.query(text, done))],
    ['values and a callback', (to, text) => viaCallback((done) => to.query(text, [], done))],
    [
      'a config and a callback',
      (to, text) => viaCallback((done) => to.query({ text } as never, done)),
    ],
  ]
  const clientForms: typeof forms = [
    ...forms,
    [
      'a callback in the config',
      (to, text) => viaCallback((callback) => to.query({ text, callback } as never)),
    ],
    [
      'a query object',
      async (to, text) => {
        const query = new pg.Query(text)
        to.query(query as never)
        const [error] = await Promise.race([
          once(query, 'end').then(() => [null]),
          once(query, 'error'),
        ])
        if (error) throw error
      },
    ],
  ]

  it.each(forms)('checks %s, of the pool', async (_form, send) => {
    expect(await outcomeOf(() => world.view(() => send(pool, write)))).toBe('grant_view_only')
    expect(await outcomeOf(() => send(pool, write))).toMatch(/context is not known/)
    expect(await rows()).toBe(0)
    expect(await outcomeOf(() => world.view(() => send(pool, read)))).toBe('done')
    expect(await outcomeOf(() => send(pool, read))).toBe('done')
    expect(await outcomeOf(() => world.interactive(() => send(pool, write)))).toBe('done')
    expect(await outcomeOf(() => world.free(() => send(pool, write)))).toBe('done')
    expect(await rows()).toBe(2)
  })

  it.each(clientForms)('checks %s, of a client', async (_form, send) => {
    const client = await pool.connect()
    expect(await outcomeOf(() => world.view(() => send(client, write)))).toBe('grant_view_only')
    expect(await outcomeOf(() => send(client, write))).toMatch(/context is not known/)
    expect(await rows()).toBe(0)
    expect(await outcomeOf(() => world.view(() => send(client, read)))).toBe('done')
    expect(await outcomeOf(() => world.full(() => send(client, write)))).toBe('done')
    client.release()
    expect(await rows()).toBe(1)
  })

  it('notes what was refused, without the text', async () => {
    await outcomeOf(() => world.view(() => pool.query("delete from notes where body = 'secret'")))
    expect(await world.blocked()).toEqual([{ statement: 'delete' }])
  })

  it('checks the clients of connect with a callback, and gives the same one again', async () => {
    const outcome = await new Promise((resolve, reject) => {
      pool.connect((error, client, release) => {
        if (error || !client) return reject(error)
        world
          .view(() => outcomeOf(() => client.query(write)))
          .then(resolve, reject)
          .finally(release)
      })
    })
    expect(outcome).toBe('grant_view_only')
    const first = await pool.connect()
    first.release()
    const second = await pool.connect()
    expect(second).toBe(first)
    second.release()
    expect(() => second.release()).toThrow(/already been released/)
  })

  it('checks a client that is connected by hand', async () => {
    const raw = new pg.Client({ ...servers.postgres, database: address.database })
    const client = guardPool(raw, world.engine)
    const connected: unknown = await client.connect()
    expect([undefined, client]).toContain(connected)
    expect(await outcomeOf(() => world.view(() => client.query(write)))).toBe('grant_view_only')
    expect(await outcomeOf(() => world.view(() => client.query(read)))).toBe('done')
    await client.end()
  })

  it.each([
    ['a cursor', { text: write }],
    ['a stream', { cursor: { text: write } }],
    ['a stream that says otherwise', { text: read, cursor: { text: write } }],
    ['a copy', { text: 'copy notes from stdin' }],
    ['something without a text', {}],
    ['something with another text', { text: 7 }],
  ])('throws for %s before it is submitted', async (_what, fields) => {
    const client = await pool.connect()
    const submitted = new Submitted(fields)
    expect(() => world.view(() => client.query(submitted as never))).toThrow(
      expect.objectContaining({ code: 'grant_view_only' }),
    )
    expect(submitted.submitted).toBe(false)
    client.release()
  })

  it('refuses what tells no text', async () => {
    const client = await pool.connect()
    await world.free(() => client.query({ name: 'prepared', text: write }))
    for (const statement of [{ name: 'prepared' }, {}, { text: null }, [write], { text: [write] }])
      expect(
        await outcomeOf(() => world.view(() => client.query(statement as never))),
        JSON.stringify(statement),
      ).toBe('grant_view_only')
    client.release()
    expect(await rows()).toBe(1)
    for (const nothing of [undefined, null, () => {}])
      expect(await outcomeOf(() => world.view(() => plainOutcome(nothing)))).not.toBe('done')
    function plainOutcome(nothing: unknown) {
      return pool.query(nothing as never)
    }
  })

  it('lets the statement of sqlSettings through, and nothing like it', async () => {
    const client = await pool.connect()
    await world.view(async () => {
      await client.query('begin')
      const settings = world.engine.sqlSettings()
      await client.query(settings)
      const { rows } = await client.query(
        "select current_setting('onbehalf.access_level') as level",
      )
      expect(rows).toEqual([{ level: 'view' }])
      for (const text of [`${settings.text} `, settings.text.replace(', true)', ', false)')])
        expect(await outcomeOf(() => client.query(text, settings.values))).toBe('grant_view_only')
      await client.query('rollback')
    })
    client.release()
  })

  it('is the pool in everything else', async () => {
    expect(pool).toBeInstanceOf(pg.Pool)
    expect(pool.options.max).toBe(3)
    const heard: string[] = []
    expect(pool.on('connect', () => heard.push('connect'))).toBe(pool)
    expect(pool.once('acquire', () => heard.push('acquire')).on('remove', () => {})).toBe(pool)
    const waiting = await pool.connect()
    const client = await pool.connect()
    waiting.release(true)
    expect(client).toBeInstanceOf(pg.Client)
    expect(client.escapeIdentifier('a"b')).toBe('"a""b"')
    expect(heard).toEqual(['acquire', 'connect'])
    expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([1, 0, 0])
    expect(client.on('notice', () => {})).toBe(client)
    client.release(true)
    expect(pool.totalCount).toBe(0)
    expect(pool.query).toBe(pool.query)
    expect(Object.keys(pool)).toEqual(Object.keys(plain))
  })

  it('carries a dialect of kysely', async () => {
    const db = new Kysely<{ notes: { body: string } }>({ dialect: new PostgresDialect({ pool }) })
    const all = () =>
      db.transaction().execute((trx) => trx.selectFrom('notes').selectAll().execute())
    expect(await world.view(all)).toEqual([])
    expect(await outcomeOf(() => world.view(() => db.deleteFrom('notes').execute()))).toBe(
      'grant_view_only',
    )
    expect(await world.view(() => db.introspection.getTables())).toHaveLength(1)
  })

  it('ends', async () => {
    const other = guardPool(
      new pg.Pool({ ...servers.postgres, database: address.database }),
      world.engine,
    )
    await other.query('select 1')
    await other.end()
    expect(other.ended).toBe(true)
  })

  it('keeps private fields and patches working', async () => {
    class Counted extends pg.Pool {
      #count = 0
      count() {
        return ++this.#count
      }
      get counted() {
        return this.#count
      }
      itself() {
        return this
      }
    }
    const raw = new Counted({ ...servers.postgres, database: address.database })
    const counted = guardPool(raw, world.engine)
    expect([counted.count(), counted.count(), counted.counted]).toEqual([1, 2, 2])
    expect(counted.itself()).toBe(counted)
    const client = await counted.connect()
    const seen: unknown[] = []
    const { query } = client
    client.query = ((...args: never[]) => {
      seen.push(args[0])
      return (query as (...args: never[]) => unknown).apply(client, args)
    }) as never
    expect(await outcomeOf(() => world.view(() => client.query(write)))).toBe('grant_view_only')
    await world.view(() => client.query(read))
    expect(seen).toEqual([read])
    client.release()
    await raw.end()
  })

  it('closes the ways past it while the context is view', async () => {
    const client = await pool.connect()
    const ways: [object, string][] = [
      [pool, '_clients'],
      [pool, '_idle'],
      [pool, 'newClient'],
      [client, 'connection'],
      [client, '_queryQueue'],
    ]
    for (const [where, way] of ways) {
      const take = () => (where as Record<string, unknown>)[way]
      expect(await outcomeOf(() => world.view(take)), way).toBe('grant_view_only')
      for (const run of [world.free, world.full]) expect(run(take)).toBeDefined()
      expect(take()).toBeDefined()
    }
    const { query } = pg.Client.prototype as { query: (text: string) => unknown }
    expect(await outcomeOf(() => world.view(() => query.call(client, write)))).toBe(
      'grant_view_only',
    )
    const poolQuery = pg.Pool.prototype.query as (text: string) => unknown
    expect(await outcomeOf(() => world.view(() => poolQuery.call(pool, write)))).toBe(
      'grant_view_only',
    )
    client.release()
    expect(await rows()).toBe(0)
  })

  it('checks in the context of the call, whoever else waits for a connection', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        outcomeOf(() => (n % 2 ? world.view : world.full)(() => pool.query(write))),
      ),
    )
    expect(outcomes).toEqual(
      Array.from({ length: 60 }, (_, n) => (n % 2 ? 'grant_view_only' : 'done')),
    )
    expect(await rows()).toBe(30)
  })

  it('lets writes outside of requests through where told so, and view all the same', async () => {
    const open = guardPool(plain, world.engine, { outside: allowOutsideRequests })
    expect(await outcomeOf(() => open.query(write))).toBe('done')
    expect(await outcomeOf(() => world.view(() => open.query(write)))).toBe('grant_view_only')
    expect(await rows()).toBe(1)
  })
})
