import { type Insertable, type Kysely, type Selectable, sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { impersonationPlugin, type StampOptions } from '../../src/sql/index.ts'
import { type Address, kyselyOn, sqliteKysely } from '../support/connect.ts'
import { describeOn, dropDatabase, kinds, makeDatabase } from '../support/databases.ts'
import { levels, outcomeOf } from './levels.ts'

interface Note {
  id: number
  body: string
  by: string | null
}
type Db = Kysely<{ notes: Note; plain: Note; 'app.notes': Note }>

const stamp: StampOptions = { column: 'by', tables: ['notes'] }
const unstampable = /can't be stamped with "by"/

for (const kind of kinds) {
  describeOn(kind, 'stamp', () => {
    let address: Address
    let plain: Db
    let db: Db
    let world: Awaited<ReturnType<typeof levels>>

    beforeEach(async () => {
      world = await levels()
      address = await makeDatabase(kind)
      plain = (
        address.kind === 'sqlite'
          ? sqliteKysely(address.file)
          : kyselyOn(address.kind, address.database)
      ) as never
      db = plain.withPlugin(impersonationPlugin(world.engine, { stamp }))
      for (const table of ['notes', 'plain'])
        await sql`create table ${sql.table(table)} (id int primary key, body varchar(99) default 'x', ${sql.id('by')} varchar(99))`.execute(
          plain,
        )
      await plain
        .insertInto('plain')
        .values([note(50), note(51)])
        .execute()
    })
    afterEach(async () => {
      await plain.destroy()
      await dropDatabase(address)
    })

    const note = (id: number, by: string | null = null): Insertable<Note> => ({ id, body: 'x', by })
    const bys = async (table: 'notes' | 'plain' = 'notes') => {
      const rows: Selectable<Note>[] = await plain
        .selectFrom(table)
        .selectAll()
        .orderBy('id')
        .execute()
      return rows.map(({ by }) => by)
    }
    /** While somebody impersonates who may write. */
    const as = <T>(code: () => Promise<T>) => world.full(code)

    it('tells the actor on inserts, in one row and in many', async () => {
      await as(() =>
        db
          .insertInto('notes')
          .values({ id: 1, body: 'x' } as never)
          .execute(),
      )
      await as(() =>
        db
          .insertInto('notes')
          .values([note(2), note(3)])
          .execute(),
      )
      await as(() =>
        db
          .insertInto('notes')
          .values({ id: 4, body: sql`lower('X')` } as never)
          .execute(),
      )
      expect(await bys()).toEqual(['root', 'root', 'root', 'root'])
    })

    it('replaces what the code gives', async () => {
      await as(() =>
        db
          .insertInto('notes')
          .values([note(1, 'mallory'), note(2, sql`'mallory'` as never)])
          .execute(),
      )
      expect(await bys()).toEqual(['root', 'root'])
      await plain.updateTable('notes').set({ by: null }).execute()
      await as(() => db.updateTable('notes').set({ by: 'mallory' }).execute())
      expect(await bys()).toEqual(['root', 'root'])
    })

    it('tells the actor on updates, and nobody when nobody impersonates', async () => {
      await world.free(() =>
        db
          .insertInto('notes')
          .values([note(1), note(2)])
          .execute(),
      )
      expect(await bys()).toEqual([null, null])
      await as(() => db.updateTable('notes').set({ body: 'y' }).where('id', '=', 1).execute())
      expect(await bys()).toEqual(['root', null])
      await as(() => db.updateTable('notes as n').set({ body: 'y' }).execute())
      expect(await bys()).toEqual(['root', 'root'])
      await world.free(() =>
        db.updateTable('notes').set({ body: 'z' }).where('id', '=', 2).execute(),
      )
      expect(await bys()).toEqual(['root', null])
    })

    it('leaves other tables alone', async () => {
      await as(() => db.insertInto('plain').values(note(1, 'given')).execute())
      await as(() => db.updateTable('plain').set({ body: 'y' }).execute())
      await as(() => db.deleteFrom('plain').where('id', '>', 1).execute())
      expect(await bys('plain')).toEqual(['given'])
    })

    it('tells the actor in the updates of an insert', async () => {
      const upsert = (run: typeof world.full) =>
        run(() =>
          kind === 'mysql'
            ? db
                .insertInto('notes')
                .values(note(1))
                .onDuplicateKeyUpdate({ body: 'z', by: 'mallory' })
                .execute()
            : db
                .insertInto('notes')
                .values(note(1))
                .onConflict((on) => on.column('id').doUpdateSet({ body: 'z', by: 'mallory' }))
                .execute(),
        )
      await plain.insertInto('notes').values(note(1)).execute()
      await upsert(world.full)
      expect(await bys()).toEqual(['root'])
      await upsert(world.free)
      expect(await bys()).toEqual([null])
    })

    it('says so where it can’t, while impersonating', async () => {
      const copy = () =>
        db
          .insertInto('notes')
          .columns(['id', 'body'])
          .expression(db.selectFrom('plain').select(['id', 'body']))
          .execute()
      const raw = () => sql`update notes set body = 'y'`.execute(db)
      const quoted = () => sql`delete from ${sql.table('notes')}`.execute(db)
      const unknown = () =>
        db
          .updateTable(sql`notes`.as('n') as never)
          .set({ body: 'y' } as never)
          .execute()
      for (const write of [copy, raw, quoted, unknown])
        expect(await outcomeOf(() => as(write as never))).toMatch(unstampable)
      expect(await bys()).toEqual([])
      expect(await outcomeOf(() => world.free(copy))).toBe('done')
      expect(await outcomeOf(() => world.free(raw))).toBe('done')
      expect(await outcomeOf(() => as(() => sql`update plain set body = 'y'`.execute(db)))).toBe(
        'done',
      )
      expect(await outcomeOf(() => as(() => sql`select * from notes`.execute(db)))).toBe('done')
      expect(
        await outcomeOf(() =>
          as(() => db.selectFrom('notes').select(sql`lower(body)`.as('b')).execute()),
        ),
      ).toBe('done')
    })

    it('refuses all of it under view', async () => {
      expect(
        await outcomeOf(() => world.view(() => db.insertInto('notes').values(note(1)).execute())),
      ).toBe('grant_view_only')
      expect(await bys()).toEqual([])
    })

    if (kind === 'postgres') {
      it('reaches writes in CTEs, merges and default values', async () => {
        await as(() =>
          db
            .with('made', (d) =>
              d
                .insertInto('notes')
                .values([note(1), note(2)])
                .returning('id'),
            )
            .selectFrom('made')
            .selectAll()
            .execute(),
        )
        expect(await bys()).toEqual(['root', 'root'])
        await plain.updateTable('notes').set({ by: null }).execute()
        await as(() =>
          db
            .with('changed', (d) =>
              d.updateTable('notes').set({ body: 'y' }).where('id', '=', 1).returning('id'),
            )
            .insertInto('notes')
            .values(note(3))
            .execute(),
        )
        expect(await bys()).toEqual(['root', null, 'root'])
        const merge = () =>
          db
            .mergeInto('notes')
            .using('plain', 'plain.id', 'notes.id')
            .whenMatched()
            .thenDelete()
            .execute()
        const hidden = () =>
          db
            .with('x', () => sql<{ id: number }>`(delete from notes returning id)`)
            .selectFrom('x')
            .selectAll()
            .execute()
        for (const write of [merge, hidden])
          expect(await outcomeOf(() => as(write as never))).toMatch(unstampable)
        await sql`alter table notes alter id set default 9`.execute(plain)
        await as(() => db.insertInto('notes').defaultValues().execute())
        expect(await bys()).toEqual(['root', null, 'root', 'root'])
      })
    }
  })
}

describe('the options', () => {
  it.each([
    [{ column: '', tables: ['a'] }, '"stamp.column"'],
    [{ tables: ['a'] }, '"stamp.column"'],
    [{ column: 'by', tables: [] }, '"stamp.tables"'],
    [{ column: 'by', tables: 'notes' }, '"stamp.tables"'],
    [{ column: 'by' }, '"stamp.tables"'],
    [null, '"stamp.column"'],
  ])('%o: %s', async (wrong, message) => {
    const { engine } = await levels()
    expect(() => impersonationPlugin(engine, { stamp: wrong as never })).toThrow(message)
  })

  it('a table may be that of one schema', async () => {
    const { engine, full } = await levels()
    const compile = (tables: string[], table: string) => {
      const db = sqliteKysely(':memory:').withPlugin(
        impersonationPlugin(engine, { stamp: { column: 'by', tables } }),
      ) as never as Db
      return full(
        () =>
          db
            .updateTable(table as 'notes')
            .set({ body: 'y' })
            .compile().sql,
      ).includes('"by"')
    }
    expect(compile(['app.notes'], 'app.notes')).toBe(true)
    expect(compile(['app.notes'], 'notes')).toBe(true)
    expect(compile(['app.notes'], 'other.notes')).toBe(false)
    expect(compile(['notes'], 'other.notes')).toBe(true)
    expect(compile(['notes'], 'app.notes2')).toBe(false)
  })
})
