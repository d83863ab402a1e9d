/**
 * What a request's one read of the store costs among 1,000 and among 1,000,000 sessions, on SQLite and on
 * Postgres: `npm run bench -- lookup`. Rounds alternate between the two tables; medians.
 */
import { sql } from 'kysely'
import { kyselyStore, migrate } from '../../src/stores/kysely/index.ts'
import { kyselyOn, sqliteKysely } from '../support/connect.ts'
import { dropDatabase, makeDatabase } from '../support/databases.ts'

const sizes = [1_000, 1_000_000]
const rounds = Number(process.env.ROUNDS ?? 15)
const reads = 2_000

/** Rows of 1,000 actors: one in twenty lives, one in twenty is a lapse nobody has acknowledged yet. */
const rows = (size: number, series: string) => `
  insert into impersonation_sessions
    (id, actor_id, target_user_id, access_level, break_glass, transport, created_at, expires_at, ended_at,
     ended_reason, status, active_actor_key, lapse_actor_key)
  select 's' || n, 'a' || (n % 1000), 't' || n, 'view', 0, 'session', n, n + 1000,
    case when n > ${size} - 50 then null else n + 500 end,
    case when n > ${size} - 50 then null else 'expired' end,
    case when n > ${size} - 50 then 'active' else 'expired' end,
    case when n > ${size} - 50 then 'a' || (n % 1000) || '|' end,
    case when n <= ${size} - 50 and n > ${size} - 100 then 'a' || (n % 1000) || '|' end
  from ${series}`

const series = {
  sqlite: (size: number) =>
    `(with recursive series(n) as (select 1 union all select n + 1 from series where n < ${size}) select n from series)`,
  postgres: (size: number) => `generate_series(1, ${size}) as n`,
}

for (const kind of ['sqlite', 'postgres'] as const) {
  const tables = await Promise.all(
    sizes.map(async (size) => {
      const address = await makeDatabase(kind)
      const db =
        address.kind === 'sqlite'
          ? sqliteKysely(address.file)
          : kyselyOn(address.kind, address.database, 1)
      await migrate(db)
      await sql.raw(rows(size, series[kind](size))).execute(db)
      await sql.raw('analyze').execute(db)
      return { size, address, db, store: kyselyStore(db), micros: [] as number[] }
    }),
  )
  for (let round = 0; round <= rounds; round++) {
    for (const { size, store, micros } of tables) {
      const began = performance.now()
      for (let n = 0; n < reads; n++) {
        const { active, lapse } = await store.readStanding(`a${(size - (n % 100)) % 1000}`)
        if (!active && !lapse) throw new Error('every tenth actor stands somewhere')
      }
      // The first round warms up.
      if (round > 0) micros.push(((performance.now() - began) * 1000) / reads)
    }
  }
  const median = (values: number[]) =>
    values.toSorted((a, b) => a - b)[values.length >> 1] as number
  const [small, large] = tables.map(({ micros }) => median(micros)) as [number, number]
  console.log(
    `${kind}: ${small.toFixed(1)} µs among 1,000, ${large.toFixed(1)} µs among 1,000,000 sessions: ${(large / small).toFixed(2)} ×`,
  )
  for (const { db, address } of tables) {
    await db.destroy()
    await dropDatabase(address)
  }
}
