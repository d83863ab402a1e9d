import { type Kysely, SqliteDialect, sql } from 'kysely'
import { afterEach, expect, it } from 'vitest'
import { guardStore } from '../../src/stores/guarded.ts'
import { kyselyStore, migrate, migrations } from '../../src/stores/kysely/index.ts'
import { openSqlite } from '../../src/stores/kysely/node-sqlite.ts'
import { isTransient } from '../../src/stores/kysely/retry.ts'
import type { Tables } from '../../src/stores/kysely/schema.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { trailVerbs } from '../../src/stores/trail.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import {
  claimOf,
  endedEvent,
  endingOf,
  sessionOf,
  start,
  t0,
} from '../../src/testing/store/fixtures.ts'
import { append, contentOf, entry } from '../../src/testing/store/trail-fixtures.ts'
import { kyselyOn, sqliteKysely } from '../support/connect.ts'
import { describeOn, dropDatabase, kinds, makeDatabase } from '../support/databases.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

for (const kind of kinds) {
  describeOn(kind, 'a trail', () => {
    async function emptyDatabase(): Promise<Kysely<Tables>> {
      const address = await makeDatabase(kind)
      cleanups.push(() => dropDatabase(address))
      const db =
        address.kind === 'sqlite'
          ? sqliteKysely(address.file)
          : kyselyOn(address.kind, address.database)
      cleanups.push(() => db.destroy())
      return db
    }

    it('is missed by no ending while the tables are of version 4, and told of once they are not', async () => {
      const db = await emptyDatabase()
      for (const { up } of Object.values(migrations).slice(0, 4)) await up(db)
      const store = kyselyStore(db)
      const told: unknown[] = []
      const end = async (id: string) => {
        await store.endSession(id, endingOf(), (session, trail) => {
          told.push(trail)
          return endedEvent(session)
        })
      }
      await end((await start(store)).id)
      const { id } = await start(store)
      const next = claimOf(sessionOf({ createdAt: t0 + 1 }), { onConflict: 'replace' })
      expect((await store.claimSession(next)).ended.map((one) => one.id)).toEqual([id])
      await migrate(db)
      await append(store.trail, next.session.id, contentOf(next.session.id))
      await end(next.session.id)
      expect(told).toEqual([null, { seq: 1, mac: expect.any(String) }])
    })

    it('has one entry for each number, which is what decides races', async () => {
      const db = await emptyDatabase()
      await migrate(db)
      const store = kyselyStore(db)
      await append(store.trail, 'one', contentOf('one'))
      const again = sql`insert into impersonation_actions (session_id, seq, at) values ('one', 1, 1)`
      const error = await again.execute(db).catch((error) => error)
      expect(error).toBeInstanceOf(Error)
      expect(isTransient(error)).toBe(true)
      await sql`insert into impersonation_actions (session_id, seq, at) values ('one ', 1, 1)`.execute(
        db,
      )
    })
  })
}

it('a trail in SQL is read in a constant number of statements', async () => {
  const statements: string[] = []
  const dialect = new SqliteDialect({ database: () => openSqlite(':memory:') })
  const { Kysely: Db } = await import('kysely')
  const db = new Db<Tables>({ dialect, log: ({ query }) => void statements.push(query.sql) })
  cleanups.push(() => db.destroy())
  await migrate(db)
  const { trail } = kyselyStore(db)
  const ids = Array.from({ length: 40 }, (_, n) => `session-${n}`)
  for (const id of ids) await append(trail, id, contentOf(id), contentOf(id))
  const counted = async (ask: () => Promise<unknown>) => {
    statements.length = 0
    await ask()
    return statements.length
  }
  expect(await counted(() => trail.readTrails(ids, null, 1000))).toBe(1)
  expect(await counted(() => trail.readTrails(ids, { sessionId: 'session-5', seq: 1 }, 9))).toBe(2)
  expect(await counted(() => trail.listActions('session-5', 0, 9))).toBe(1)
  expect(await counted(() => trail.countActions(ids))).toBe(1)
  // begin, the lock, the head, the entries, commit
  const many = Array.from({ length: 300 }, () => contentOf('one'))
  expect(await counted(() => append(trail, 'one', ...many))).toBe(5)
})

it('what a trail must not answer is refused', async () => {
  const store = faultyStore(memoryStore())
  const { trail } = guardStore(store, 1000)
  if (!trail) throw new Error('The guard has lost the trail.')
  const { id } = sessionOf()
  const ask = {
    appendTrail: () => trail.appendTrail(id, [entry(contentOf(id)), entry(contentOf(id))]),
    readTrails: () => trail.readTrails([id], null, 9),
    listActions: () => trail.listActions(id, 0, 9),
    countActions: () => trail.countActions([id]),
  }
  for (const verb of trailVerbs) await ask[verb]()
  const action = (await trail.listActions(id, 0, 1))[0]
  const garbage: Record<keyof typeof ask, unknown[]> = {
    appendTrail: [undefined, null, 0, -1, 1, 2.5, '2', Number.NaN, 2 ** 60],
    readTrails: [undefined, {}, [null], [{ sessionId: 'other', seq: 1 }]],
    listActions: [undefined, {}, [null], [{ ...action, sessionId: 'other' }]],
    countActions: [undefined, {}, [null], [{ sessionId: 'other', method: 'GET', count: 1 }]],
  }
  garbage.listActions.push([{ ...action, method: null }], [{ ...action, seq: '1' }])
  garbage.listActions.push([{ ...action, at: '1' }], [{ ...action, status: '200' }])
  for (const count of [0, '1', 1.5]) {
    garbage.countActions.push([{ sessionId: id, method: 'GET', route: null, count }])
  }
  for (const verb of trailVerbs) {
    for (const answer of garbage[verb]) {
      store.plan({ [verb]: { garbage: answer } })
      const asked = ask[verb]().then(() => JSON.stringify([verb, answer]))
      await expect(asked).rejects.toMatchObject({ code: 'impersonation_unavailable' })
    }
    store.plan({ [verb]: 'before' })
    await expect(ask[verb]()).rejects.toMatchObject({ code: 'impersonation_unavailable' })
  }
})
