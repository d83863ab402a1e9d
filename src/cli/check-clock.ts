import { sql } from 'kysely'
import type { Dialect } from '../stores/kysely/dialect.ts'
import type { Check } from './checks.ts'
import type { Tools } from './command.ts'

const warnFromMs = 1_000
const failFromMs = 30_000
const rounds = 5

/** In ms since the epoch; in MySQL by UTC, which has no hour twice. */
const clocks: Readonly<Record<Dialect, string>> = {
  postgres: `extract(epoch from clock_timestamp()) * 1000`,
  mysql: `timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) / 1000`,
  sqlite: `(julianday('now') - 2440587.5) * 86400000`,
}

/** How far this machine's clock is from the database's, measured in the middle of the quickest answer. */
export async function skew({ db, dialect, now }: Tools): Promise<Omit<Check, 'name'>> {
  const query = sql<{ at: unknown }>`select ${sql.raw(clocks[dialect])} as at`
  let best = { tookMs: Number.POSITIVE_INFINITY, aheadMs: 0 }
  for (let round = 0; round < rounds; round++) {
    const asked = now()
    const { rows } = await query.execute(db)
    const answered = now()
    const tookMs = answered - asked
    if (tookMs < best.tookMs) best = { tookMs, aheadMs: asked + tookMs / 2 - Number(rows[0]?.at) }
  }
  const ms = Math.round(best.aheadMs)
  const status = Math.abs(ms) >= failFromMs ? 'fail' : Math.abs(ms) >= warnFromMs ? 'warn' : 'ok'
  const found =
    ms === 0
      ? 'this machine and the database agree.'
      : `this machine is ${Math.abs(ms)} ms ${ms > 0 ? 'ahead of' : 'behind'} the database.`
  if (status === 'ok') return { status, found }
  const todo = 'Sessions begin and end by the clock of each server: let all of them follow NTP.'
  return { status, found, todo }
}
