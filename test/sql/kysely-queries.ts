import { type Kysely, sql } from 'kysely'

export interface Tables {
  notes: { id: number; body: string; by: string | null }
  plain: { id: number; body: string }
}
export type Db = Kysely<Tables>

export const note = { id: 1, body: 'x', by: null }

export const writes: Record<string, (db: Db) => { execute(): Promise<unknown> }> = {
  insert: (db) => db.insertInto('notes').values({ id: 7, body: 'x', by: null }),
  'insert from select': (db) =>
    db
      .insertInto('notes')
      .columns(['id', 'body'])
      .expression(db.selectFrom('notes').select([sql<number>`8`.as('id'), 'body'])),
  update: (db) => db.updateTable('notes').set({ body: 'y' }),
  delete: (db) => db.deleteFrom('notes'),
  'create table': (db) => db.schema.createTable('made').addColumn('id', 'integer'),
  'alter table': (db) => db.schema.alterTable('notes').addColumn('more', 'integer'),
  'create index': (db) => db.schema.createIndex('an_index').on('notes').column('id'),
  'create view': (db) => db.schema.createView('a_view').as(db.selectFrom('notes').select('id')),
  'drop table': (db) => db.schema.dropTable('plain'),
  'a raw write': (db) => ({ execute: () => sql`delete from notes`.execute(db) }),
  'a raw write with parameters': (db) => ({
    execute: () => sql`delete from ${sql.table('notes')} where id <> ${99}`.execute(db),
  }),
}

export const postgresWrites: typeof writes = {
  'a CTE that deletes': (db) =>
    db
      .with('gone', (d) => d.deleteFrom('notes').returning('id'))
      .selectFrom('gone')
      .selectAll(),
  'a CTE that inserts': (db) =>
    db
      .with('made', (d) => d.insertInto('notes').values(note).returning('id'))
      .selectFrom('made')
      .selectAll(),
  'a raw CTE that deletes': (db) =>
    db
      .with('gone', () => sql<{ id: number }>`(delete from notes returning id)`)
      .selectFrom('gone')
      .selectAll(),
  merge: (db) =>
    db.mergeInto('notes').using('plain', 'plain.id', 'notes.id').whenMatched().thenDelete(),
  'a function': (db) => db.selectNoFrom(({ fn }) => fn<number>('write_note', [sql`1`]).as('n')),
  'a function of a schema': (db) =>
    db.selectNoFrom(({ fn }) => fn<number>('public.write_note', [sql`1`]).as('n')),
  'an aggregate function': (db) =>
    db.selectNoFrom(({ fn }) => fn.agg<number>('write_note', [sql`1`]).as('n')),
  'a raw function': (db) => db.selectNoFrom(sql`write_note(${1}::int)`.as('n')),
  'a raw function in a condition': (db) =>
    db.selectFrom('notes').selectAll().where(sql<boolean>`write_note(id) > 0`),
  'a raw function by a reference': (db) =>
    db.selectNoFrom(sql`${sql.ref('write_note')}(1)`.as('n')),
  'a raw function by an identifier': (db) =>
    db.selectNoFrom(sql`${sql.id('public', 'write_note')} (1)`.as('n')),
  'a raw function in two parts': (db) => db.selectNoFrom(sql`write_${sql.raw('note')}(1)`.as('n')),
  'a word in two parts': (db) =>
    db
      .with('gone', () => sql<{ id: number }>`(del${sql.raw('ete from notes returning id')})`)
      .selectFrom('gone')
      .selectAll(),
  'a function before a list': (db) =>
    db.selectNoFrom((eb) => eb(sql`1`, sql`+ write_note`, [1] as never).as('n')),
  'a function in a table': (db) =>
    db.selectFrom(sql<{ n: number }>`write_note(1)`.as('n')).selectAll(),
  'a function in order by': (db) => db.selectFrom('notes').selectAll().orderBy(sql`write_note(id)`),
  'a function in limit': (db) =>
    db.selectFrom('notes').selectAll().limit(sql<number>`write_note(1)`),
  'explain analyze of a write': (db) => ({
    execute: () => db.deleteFrom('notes').explain('text', sql`analyze`),
  }),
  'several statements': (db) => ({ execute: () => sql`select 1; delete from notes`.execute(db) }),
  'a refresh': (db) => db.schema.refreshMaterializedView('v'),
}

export const locks: typeof writes = {
  'for update': (db) => db.selectFrom('notes').selectAll().forUpdate(),
  'for share': (db) => db.selectFrom('notes').selectAll().forShare(),
  'a raw direction that makes a call': (db) =>
    db.selectFrom('notes').selectAll().orderBy(sql`write_note`, sql`(id)`),
  'a raw operator that makes a call': (db) =>
    db
      .selectFrom('notes')
      .selectAll()
      .where((eb) => eb(sql`1 = write_note`, sql`` as never, ['x'] as never)),
  'a raw modifier that makes a call': (db) =>
    db
      .selectFrom('notes')
      .modifyFront(sql`write_note`)
      .select((eb) => eb.parens(eb.lit(1) as never).as('n')),
  'a raw lock': (db) => db.selectFrom('notes').selectAll().modifyEnd(sql`for update`),
  'a lock by a modifier': (db) => db.selectFrom('notes').selectAll().modifyEnd(sql`for key share`),
}

export const reads: Record<string, (db: Db) => { execute(): Promise<unknown> }> = {
  select: (db) => db.selectFrom('notes').selectAll(),
  'a join': (db) =>
    db
      .selectFrom('notes as n')
      .innerJoin('plain', 'plain.id', 'n.id')
      .leftJoin(
        (eb) => eb.selectFrom('plain').select('id').as('p'),
        (join) => join.onRef('p.id', '=', 'n.id').on('p.id', '>', 0),
      )
      .select(['n.id', 'plain.body as text'])
      .where('n.id', 'in', [1, 2, 3])
      .where((eb) =>
        eb.or([
          eb('n.body', 'like', 'x%'),
          eb.not(eb('n.by', 'is', null)),
          eb.exists(eb.selectFrom('plain').select('id')),
        ]),
      )
      .orderBy('n.id', 'desc')
      .limit(3)
      .offset(1),
  'a CTE': (db) =>
    db
      .with('a', (d) => d.selectFrom('notes').select('id'))
      .with('b(id)', (d) => d.selectFrom('a').select('id'))
      .selectFrom('b')
      .selectAll()
      .union(db.selectFrom('a' as never).selectAll() as never),
  'a recursive CTE': (db) =>
    db
      .withRecursive(
        'n(i)',
        (d) =>
          d.selectNoFrom(sql<number>`1`.as('i')).unionAll(
            d
              .selectFrom('n' as never)
              .select(sql<number>`i + 1`.as('i'))
              .where(sql`i`, '<', 5) as never,
          ) as never,
      )
      .selectFrom('n' as never)
      .selectAll(),
  functions: (db) =>
    db
      .selectFrom('notes')
      .select(({ fn, eb }) => [
        fn.countAll<number>().as('all'),
        fn.count('id').distinct().as('n'),
        fn.max('id').as('m'),
        fn.coalesce('body', sql<string>`''`).as('b'),
        eb.fn('lower', ['body']).as('l'),
        eb.case().when('id', '>', 1).then('a').else('b').end().as('c'),
        eb.cast<string>('id', 'char(10)' as never).as('t'),
        eb(eb.parens('id', '+', 1), '*', 2).as('s'),
        eb.neg(eb.ref('id')).as('g'),
        eb.val('delete from notes').as('v'),
        eb.lit(7).as('i'),
      ])
      .groupBy(['id', 'body'])
      .having((eb) => eb(eb.fn.countAll(), '>', 0)),
  window: (db) =>
    db.selectFrom('notes').select(({ fn }) =>
      fn
        .agg<number>('row_number')
        .over((ob) => ob.partitionBy('body').orderBy('id'))
        .as('n'),
    ),
  raw: (db) =>
    db
      .selectFrom('notes')
      .select([
        sql<string>`lower(${sql.ref('body')})`.as('l'),
        sql<number>`${sql.lit(1)} + ${2}`.as('n'),
        sql`(${db.selectFrom('plain').select(sql`count(*)`.as('c'))})`.as('q'),
      ])
      .where(sql<boolean>`id in (${sql.join([1, 2, 3])})`)
      .orderBy(sql`${sql.ref('id')} desc`)
      .orderBy('id', sql`asc`),
  'a raw statement': (db) => ({
    execute: () =>
      sql`select * from ${sql.table('notes')} where id = ${1} and body <> ${sql.lit("it's")}`.execute(
        db,
      ),
  }),
  introspection: (db) => ({ execute: () => db.introspection.getTables() }),
  distinct: (db) => db.selectFrom('notes').select('body').distinct(),
  tuples: (db) =>
    db
      .selectFrom('notes')
      .selectAll()
      .where(({ eb, refTuple, tuple }) => eb(refTuple('id', 'body'), 'in', [tuple(1, 'x')])),
}

export const postgresReads: typeof reads = {
  'a list of values': (db) =>
    db
      .selectFrom(
        sql<{ id: number }>`(values ${sql.join([sql`(${1}::int)`, sql`(${2}::int)`])})`.as<'v'>(
          sql`v(id)`,
        ),
      )
      .selectAll(),
  lateral: (db) =>
    db
      .selectFrom('notes')
      .innerJoinLateral(
        (eb) =>
          eb
            .selectFrom('plain')
            .select('plain.id as other')
            .whereRef('plain.id', '=', 'notes.id')
            .as('p'),
        (join) => join.onTrue(),
      )
      .selectAll(),
  'distinct on': (db) => db.selectFrom('notes').distinctOn('body').selectAll(),
  filter: (db) =>
    db.selectFrom('notes').select(({ fn }) => fn.countAll().filterWhere('id', '>', 1).as('n')),
  'a cast in a fragment': (db) =>
    db.selectFrom('notes').select(sql<string>`${sql.ref('id')}::text`.as('t')),
  'any of': (db) =>
    db
      .selectFrom('notes')
      .selectAll()
      .where(({ eb, fn }) => eb('id', '=', fn.any(sql<number[]>`array[1, 2]`))),
  json: (db) => db.selectFrom('notes').select(sql`coalesce(json_agg(notes), '[]')`.as('j')),
  'json paths': (db) =>
    db.selectFrom('notes').select((eb) =>
      eb
        .ref('data' as never, '->>' as never)
        .key('a' as never)
        .as('j'),
    ),
  explain: (db) => ({
    execute: () => db.selectFrom('notes').selectAll().explain('json', sql`analyze`),
  }),
  materialized: (db) =>
    db
      .with(
        (cte) => cte('m').materialized(),
        (d) => d.selectFrom('notes').selectAll(),
      )
      .selectFrom('m')
      .selectAll(),
}
