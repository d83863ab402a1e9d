import type { CompiledQuery, DatabaseConnection, Dialect, Driver } from 'kysely'
import type { SqlGuardOptions, ViewWall } from './options.ts'
import { createWall, type Wall } from './wall.ts'

/**
 * Gives a dialect of kysely whose connections check the text of every query that is executed or
 * streamed, however it was made: built, raw, compiled earlier, without plugins. While the context is
 * `view`, and where it is not known, what is not shown to only read is refused. What the driver
 * itself sends (begin, commit, savepoints) passes.
 *
 * Not covered: connections that `onCreateConnection` and `onReserveConnection` are given, and what
 * `guardSql` can't see. Run migrations and jobs in `impersonation.run(null, () => …)`.
 *
 * @throws {TypeError} naming the option in quotes
 * @example
 * ```ts
 * import { Kysely, PostgresDialect } from 'kysely'
 * import { guardDialect } from 'onbehalf/sql'
 * import pg from 'pg'
 * import { impersonation } from './impersonation.ts'
 *
 * const dialect = new PostgresDialect({ pool: new pg.Pool() })
 * export const db = new Kysely({
 *   dialect: guardDialect(dialect, impersonation, { dialect: 'postgres' }),
 * })
 * ```
 */
export function guardDialect(
  dialect: Dialect,
  impersonation: ViewWall,
  options: SqlGuardOptions = {},
): Dialect {
  if (typeof dialect?.createDriver !== 'function')
    throw new TypeError('The first argument must be a dialect of kysely.')
  const wall = createWall(impersonation, options)
  return {
    createAdapter: () => dialect.createAdapter(),
    createDriver: () => guardDriver(dialect.createDriver(), wall),
    createIntrospector: (db) => dialect.createIntrospector(db),
    createQueryCompiler: () => dialect.createQueryCompiler(),
  }
}

/** The driver works with its own connections; everybody else gets guarded ones. */
function guardDriver(driver: Driver, wall: Wall): Driver {
  const guarded = new WeakMap<DatabaseConnection, DatabaseConnection>()
  const plain = new WeakMap<DatabaseConnection, DatabaseConnection>()
  const plainOf = (connection: DatabaseConnection) => plain.get(connection) ?? connection

  return {
    init: (...rest) => driver.init(...rest),
    async acquireConnection(...rest) {
      const connection = await driver.acquireConnection(...rest)
      const known = guarded.get(connection)
      if (known) return known
      const fresh = guardConnection(connection, wall, plainOf)
      guarded.set(connection, fresh)
      plain.set(fresh, connection)
      return fresh
    },
    beginTransaction: (it, settings) => driver.beginTransaction(plainOf(it), settings),
    commitTransaction: (it) => driver.commitTransaction(plainOf(it)),
    rollbackTransaction: (it) => driver.rollbackTransaction(plainOf(it)),
    ...(driver.savepoint && {
      savepoint: async (it, ...rest) => driver.savepoint?.(plainOf(it), ...rest),
    }),
    ...(driver.rollbackToSavepoint && {
      rollbackToSavepoint: async (it, ...rest) =>
        driver.rollbackToSavepoint?.(plainOf(it), ...rest),
    }),
    ...(driver.releaseSavepoint && {
      releaseSavepoint: async (it, ...rest) => driver.releaseSavepoint?.(plainOf(it), ...rest),
    }),
    releaseConnection: (it, ...rest) => driver.releaseConnection(plainOf(it), ...rest),
    destroy: (...rest) => driver.destroy(...rest),
  }
}

type Control = 'cancelQuery' | 'killSession'

function guardConnection(
  connection: DatabaseConnection,
  wall: Wall,
  plainOf: (connection: DatabaseConnection) => DatabaseConnection,
): DatabaseConnection {
  const check = (query: CompiledQuery) => wall.checkText(query.sql)
  /** Cancelling is the driver's own work too, on whatever connection it is given. */
  const control = (name: Control) =>
    connection[name] && {
      [name]: async (provide: Parameters<NonNullable<DatabaseConnection[Control]>>[0]) =>
        connection[name]?.((consumer) => provide((other) => consumer(plainOf(other)))),
    }
  return {
    // Not a rejection before it is awaited: kysely awaits both.
    async executeQuery(query, ...rest) {
      check(query)
      return connection.executeQuery(query, ...rest)
    },
    async *streamQuery(query, ...rest) {
      check(query)
      yield* connection.streamQuery<never>(query, ...rest)
    },
    ...(connection.collectSessionInfo && {
      collectSessionInfo: async () => connection.collectSessionInfo?.(),
    }),
    ...control('cancelQuery'),
    ...control('killSession'),
  }
}
