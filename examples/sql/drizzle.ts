import type { DatabaseSync } from 'node:sqlite'
import { drizzle } from 'drizzle-orm/node-postgres'
import { drizzle as drizzleProxy } from 'drizzle-orm/sqlite-proxy'
import type { ImpersonationEngine } from 'onbehalf'
import { guardPool, guardSql } from 'onbehalf/sql'
import type { Pool } from 'pg'

/** On Postgres: a guarded pool, and nothing else changes. */
export const drizzleOnPostgres = <User extends object>(
  pool: Pool,
  impersonation: ImpersonationEngine<User>,
) => drizzle(guardPool(pool, impersonation))

/**
 * On SQLite: the proxy driver hands every statement to a function, and that one checks it first.
 * `drizzle-orm/mysql-proxy` takes a function of the same kind. Drizzle's `logger` is no place for a
 * check: iterators of its MySQL driver pass it by.
 */
export function drizzleOnSqlite<User extends object>(
  database: DatabaseSync,
  impersonation: ImpersonationEngine<User>,
) {
  const check = guardSql(impersonation, { dialect: 'sqlite' })
  return drizzleProxy(async (text, parameters, method) => {
    check(text)
    const statement = database.prepare(text)
    if (method === 'run') {
      statement.run(...parameters)
      return { rows: [] }
    }
    const rows = statement.all(...parameters).map((row) => Object.values(row))
    return { rows: method === 'get' ? (rows[0] as unknown[]) : rows }
  })
}
