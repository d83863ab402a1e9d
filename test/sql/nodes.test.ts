import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  sql,
} from 'kysely'
import { describe, expect, it } from 'vitest'
import { ownFunctions } from '../../src/sql/calls.ts'
import type { Node } from '../../src/sql/fragments.ts'
import { queryReads } from '../../src/sql/nodes.ts'

interface Tables {
  notes: { id: number; body: string; doc: { tags: string[] } }
  users: { id: number; name: string }
}

/** Builds queries and sends none. */
const db = new Kysely<Tables>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (inner) => new PostgresIntrospector(inner),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
})
const reasonOf = (query: { toOperationNode(): unknown }) =>
  queryReads(query.toOperationNode() as Node, { dialect: 'postgres', functions: ownFunctions([]) })

const notes = db.selectFrom('notes').select('notes.id')
const users = db.selectFrom('users').select('users.id')

describe('queries of kysely that only read', () => {
  it.each<[string, { toOperationNode(): unknown }]>([
    ['an inner join', notes.innerJoin('users', 'users.id', 'notes.id')],
    ['a left join', notes.leftJoin('users', 'users.id', 'notes.id')],
    ['a right join', notes.rightJoin('users', 'users.id', 'notes.id')],
    ['a full join', notes.fullJoin('users', 'users.id', 'notes.id')],
    ['a cross join', notes.crossJoin('users')],
    ['a lateral join', notes.innerJoinLateral(users.as('u'), (join) => join.onTrue())],
    ['a left lateral join', notes.leftJoinLateral(users.as('u'), (join) => join.onTrue())],
    ['a cross lateral join', notes.crossJoinLateral(users.as('u'))],
    ['is null', notes.where('body', 'is', null)],
    ['is not null', notes.where('body', 'is not', null)],
    ['a union', notes.union(users)],
    ['an except', notes.except(users)],
    ['fetch', notes.fetch(3)],
    ['fetch with ties', notes.orderBy('id').fetch(3, 'with ties')],
    ['nulls last', notes.orderBy('id', (order) => order.desc().nullsLast())],
    ['a cast', db.selectFrom('notes').select((eb) => eb.cast<string>('id', 'text').as('t'))],
    [
      'a cast to a length',
      db.selectFrom('notes').select((eb) => eb.cast<string>('id', 'varchar(10)').as('t')),
    ],
    [
      'a path into JSON',
      db.selectFrom('notes').select((eb) => eb.ref('doc', '->').key('tags').as('t')),
    ],
    ['a collation', notes.orderBy('id', (order) => order.collate('C'))],
    ['a raw alias', db.selectFrom('notes').select(sql`1`.as(sql`one`))],
    ['a distinct', notes.distinct()],
    ['a list', notes.where('id', 'in', [1, 2])],
    ['a literal', db.selectFrom('notes').select(sql.lit('x').as('x'))],
    ['a raw modifier', notes.modifyFront(sql`distinct`)],
    ['a raw statement', sql`select ${1} from notes`],
  ])('%s', (_what, query) => {
    expect(reasonOf(query)).toBeNull()
  })
})

/** What a builder would not give: nodes with something in the place of a word. */
const forged = (part: Record<string, unknown>) => ({
  toOperationNode: () => ({ ...(notes.toOperationNode() as object), ...part }),
})

describe('queries of kysely that may do more', () => {
  it.each<[string, { toOperationNode(): unknown }, string | RegExp]>([
    ['insert', db.insertInto('users').values({ id: 1, name: 'x' }), 'insert'],
    ['update', db.updateTable('users').set({ name: 'x' }), 'update'],
    ['delete', db.deleteFrom('users'), 'delete'],
    [
      'merge',
      db.mergeInto('users').using('notes', 'notes.id', 'users.id').whenMatched().thenDelete(),
      'merge',
    ],
    ['a schema', db.schema.dropTable('users'), 'DropTableNode'],
    ['a lock', notes.forUpdate(), 'a lock'],
    ['a weak lock', notes.forShare(), 'a lock'],
    [
      'a CTE that writes',
      db
        .with('gone', (inner) => inner.deleteFrom('users').returning('id'))
        .selectFrom('gone')
        .select('id'),
      'delete',
    ],
    ['a raw lock', notes.modifyEnd(sql`for update`), 'update'],
    ['a function', db.selectFrom('notes').select((eb) => eb.fn('wipe', []).as('x')), /wipe/],
    [
      'an aggregate',
      db.selectFrom('notes').select((eb) => eb.fn.agg('wipe', ['id']).as('x')),
      /wipe/,
    ],
    ['a raw call', db.selectFrom('notes').select(sql`wipe()`.as('x')), /wipe/],
    ['a raw alias that calls', db.selectFrom('notes').select(sql`1`.as(sql`one, wipe()`)), /wipe/],
    ['an unknown part', forged({ where: 7 }), 'an unknown part'],
    ['an unknown kind', forged({ where: { kind: 'DoItNode' } }), 'DoItNode'],
    ['an unknown join', forged({ joins: [{ kind: 'JoinNode', joinType: 'Wipe' }] }), 'a join'],
    [
      'a fetch that says more',
      forged({ fetch: { kind: 'FetchNode', modifier: 'only; delete' } }),
      /several|delete/,
    ],
    [
      'a set that says more',
      forged({
        setOperations: [
          {
            kind: 'SetOperationNode',
            operator: 'union select wipe',
            expression: { kind: 'ParensNode' },
          },
        ],
      }),
      /wipe/,
    ],
    [
      'an explanation that says more',
      forged({ explain: { kind: 'ExplainNode', format: 'json) delete' } }),
      /unclear|delete/,
    ],
    [
      'a cast that says more',
      forged({ where: { kind: 'DataTypeNode', dataType: 'text) from wipe() as (x' } }),
      /unclear|wipe/,
    ],
    [
      'nulls that say more',
      forged({ orderBy: { kind: 'OrderByItemNode', nulls: 'first; delete' } }),
      /several|delete/,
    ],
    [
      'an operator that says more',
      forged({ where: { kind: 'OperatorNode', operator: '= wipe' } }),
      /wipe/,
    ],
    [
      'a path that leaves its quotes',
      forged({ where: { kind: 'JSONPathLegNode', value: "x' || wipe() || '" } }),
      'a path',
    ],
    [
      'a raw fragment that is none',
      forged({ where: { kind: 'RawNode', sqlFragments: 'x', parameters: [] } }),
      'an unknown fragment',
    ],
    [
      'a literal that is none',
      forged({ where: { kind: 'ValueNode', immediate: true, value: {} } }),
      /unclear/,
    ],
    ['a raw statement that writes', sql`delete from users`, 'delete'],
    [
      'a raw statement that is none',
      { toOperationNode: () => ({ kind: 'RawNode' }) },
      'an unknown fragment',
    ],
    [
      'a raw statement around a write',
      sql`select * from (${db.deleteFrom('users').returning('id')}) as x`,
      'delete',
    ],
  ])('%s', (_what, query, reason) => {
    if (typeof reason === 'string') expect(reasonOf(query)).toBe(reason)
    else expect(reasonOf(query)).toMatch(reason)
  })
})
