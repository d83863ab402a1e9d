import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { MysqlPool, PostgresPool, SqliteDatabase } from 'kysely'
import type { ListenClient } from '../stores/kysely/listen.ts'
import { Fault } from './faults.ts'

/** What is used of the drivers. */
interface Drivers {
  pg: {
    Pool: new (
      options: object,
    ) => PostgresPool & { on(event: 'error', listener: () => void): unknown }
    Client: new (options: object) => ListenClient
  }
  mysql2: { createPool(options: object): MysqlPool }
  'better-sqlite3': new (file: string, options: object) => SqliteDatabase
}

/** Gives a driver that the user has installed. @throws {Fault} when they have not */
export type Load = <Name extends keyof Drivers>(name: Name) => Drivers[Name]

/** Drivers of the project in a folder, and of the one that this package is installed in. */
export function driversOf(folder: string): Load {
  const places = [createRequire(join(folder, 'package.json')), createRequire(import.meta.url)]
  return (name) => {
    for (const require of places) {
      if (!isThere(require, name)) continue
      const loaded = require(name)
      return loaded.default ?? loaded
    }
    throw new Fault(`The driver ${name} is not installed here: run npm install ${name}`)
  }
}

function isThere(require: NodeJS.Require, name: string): boolean {
  try {
    require.resolve(name)
    return true
  } catch {
    return false
  }
}

/** This process has nothing else to do while it waits for somebody's lock. */
const busyTimeoutMs = 4_000

/** Opens an SQLite file by Node's own driver; where this Node was built without it, by better-sqlite3. */
export async function openSqliteFile(
  file: string,
  load: Load,
  builtIn: () => Promise<{ DatabaseSync: typeof DatabaseSync }> = () => import('node:sqlite'),
): Promise<SqliteDatabase> {
  const native = await builtIn().catch(() => null)
  if (!native) return new (load('better-sqlite3'))(file, { timeout: busyTimeoutMs })
  const database = new native.DatabaseSync(file)
  database.exec(`pragma busy_timeout = ${busyTimeoutMs}; pragma synchronous = full`)
  return shim(database)
}

/** `node:sqlite` as kysely's SqliteDialect wants it. */
function shim(database: DatabaseSync): SqliteDatabase {
  type Parameters = ReadonlyArray<string | number | null>
  return {
    close: () => database.close(),
    prepare(text) {
      const statement = database.prepare(text)
      return {
        reader: /^\s*select/i.test(text),
        all: (parameters) => statement.all(...(parameters as Parameters)),
        run: (parameters) => statement.run(...(parameters as Parameters)),
        iterate: (parameters) => statement.iterate(...(parameters as Parameters)),
      }
    },
  }
}
