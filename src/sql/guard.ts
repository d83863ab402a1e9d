import type { SqlGuardOptions, ViewWall } from './options.ts'
import { createWall } from './wall.ts'

/**
 * Gives a function to call with every statement before it is executed. It stops a statement that is
 * not shown to only read while the context is `view`, and where the context is not known. While
 * nobody is impersonated, and at the other levels, it looks at nothing.
 *
 * What it can't see: functions called without parentheses (`t.f` of Postgres, casts, operators,
 * views), a function of your own that has the name of a built-in one. For Postgres the read-only
 * transaction of `impersonation.sqlSettings()` stops those as well.
 *
 * @throws {TypeError} naming the option in quotes
 * @example
 * ```ts
 * import { DatabaseSync } from 'node:sqlite'
 * import { guardSql } from 'onbehalf/sql'
 * import { impersonation } from './impersonation.ts'
 *
 * const database = new DatabaseSync('app.db')
 * const check = guardSql(impersonation, { dialect: 'sqlite' })
 * export function prepare(text: string) {
 *   check(text) // throws ImpersonationError grant_view_only
 *   return database.prepare(text)
 * }
 * ```
 */
export function guardSql(
  impersonation: ViewWall,
  options: SqlGuardOptions = {},
): (text: string) => void {
  return createWall(impersonation, options).checkText
}
