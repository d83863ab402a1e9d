import { createHash } from 'node:crypto'
import { type Kysely, sql, type Transaction } from 'kysely'
import type { Dialect } from './dialect.ts'
import { retried } from './retry.ts'
import type { Tables } from './schema.ts'

export type Unit = <T>(work: (trx: Transaction<Tables>) => Promise<T>) => Promise<T>

/** What every section of the store works with. */
export interface SectionTools {
  readonly tables: Kysely<Tables>
  readonly dialect: Dialect
  readonly unit: Unit
}

/** Gives a function that runs a change in a transaction of its own, again when it lost a race. */
export function unitOf(db: Kysely<Tables>, dialect: Dialect): Unit {
  return (work) =>
    retried(() => {
      if (dialect !== 'sqlite') {
        return db.transaction().setIsolationLevel('read committed').execute(work)
      }
      return db.transaction().execute(async (trx) => {
        await takeWriteLock(trx)
        return work(trx)
      })
    })
}

/**
 * kysely begins a deferred transaction: SQLite would let it read first and refuse it the write
 * lock afterwards, when somebody else wrote in between. A statement that could write takes the
 * lock at once.
 */
async function takeWriteLock(trx: Transaction<Tables>): Promise<void> {
  await sql`delete from impersonation_schema where 0`.execute(trx)
}

/**
 * Lets those who want the same names come one after the other, until their transactions end.
 * Without it the unique keys would still decide, but by errors and new attempts; with it, in a
 * fixed order, nobody waits for somebody who waits for them.
 */
export async function takeAdvisoryLocks<DB>(
  trx: Transaction<DB>,
  names: readonly string[],
): Promise<void> {
  const numbers = names.map((name) =>
    createHash('sha256').update(`onbehalf ${name}`).digest().readBigInt64BE().toString(),
  )
  const calls = numbers.sort().map((number) => sql`pg_advisory_xact_lock(${number}::bigint)`)
  await sql`select ${sql.join(calls)}`.execute(trx)
}
