import type { Kysely } from 'kysely'

/** MariaDB counts as `mysql`. */
export const dialects = ['postgres', 'mysql', 'sqlite'] as const
export type Dialect = (typeof dialects)[number]

/** Which of the three a kysely instance speaks, told by what its adapter can do. */
export function dialectOf<DB>(db: Kysely<DB>, given?: Dialect): Dialect {
  if (typeof db?.getExecutor !== 'function') {
    throw new TypeError('"db" must be a Kysely instance.')
  }
  if (given !== undefined) {
    if (dialects.includes(given)) return given
    throw new TypeError(`"dialect" must be one of ${dialects.join(', ')}.`)
  }
  const { supportsReturning, supportsTransactionalDdl } = db.getExecutor().adapter
  if (supportsReturning) return supportsTransactionalDdl ? 'postgres' : 'sqlite'
  if (!supportsTransactionalDdl) return 'mysql'
  throw new TypeError(
    '"db" speaks a dialect that is not supported, perhaps that of SQL Server: use Postgres, MySQL, MariaDB or SQLite.',
  )
}
