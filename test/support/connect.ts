import { Kysely, type LogConfig, MysqlDialect, PostgresDialect, SqliteDialect } from 'kysely'
import { kyselyStore } from '../../src/stores/kysely/index.ts'
import { openSqlite } from '../../src/stores/kysely/node-sqlite.ts'
import type { Tables } from '../../src/stores/kysely/schema.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import type { Store } from '../../src/stores/store.ts'

/** Where a database is, as plain data, so that another process can be told. */
export type Address =
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'postgres' | 'mysql'; readonly database: string }

export const servers = {
  postgres: { host: '127.0.0.1', port: 5432, user: 'postgres' },
  mysql: { host: '127.0.0.1', port: 3306, user: 'root', password: '' },
} as const

export type Server = keyof typeof servers

export interface Connection {
  readonly store: Store
  close(): Promise<void>
}

/**
 * A kysely instance on a server, with a pool of its own. The driver is loaded with the first
 * query: most processes that the tests start need only one of the two.
 */
export function kyselyOn(
  server: Server,
  database: string,
  connections = 8,
  log: LogConfig = [],
): Kysely<Tables> {
  if (server === 'mysql') {
    const pool = async () => {
      const { createPool } = await import('mysql2')
      return createPool({ ...servers.mysql, database, connectionLimit: connections })
    }
    return new Kysely({ dialect: new MysqlDialect({ pool }), log })
  }
  const pool = async () => {
    const { default: pg } = await import('pg')
    const pool = new pg.Pool({ ...servers.postgres, database, max: connections })
    pool.on('error', () => {})
    return pool
  }
  return new Kysely({ dialect: new PostgresDialect({ pool }), log })
}

/**
 * A kysely instance on an SQLite file as a host might have one, by the same shim as
 * `sqliteStore`.
 */
export function sqliteKysely(file: string): Kysely<Tables> {
  return new Kysely({ dialect: new SqliteDialect({ database: () => openSqlite(file) }) })
}

/** The store at an address, in this process; its tables have to be there. */
export function connect(address: Address, connections?: number): Connection {
  if (address.kind === 'sqlite') {
    const store = sqliteStore({ file: address.file })
    return { store, close: () => store.close() }
  }
  const db = kyselyOn(address.kind, address.database, connections)
  return { store: kyselyStore(db), close: () => db.destroy() }
}
