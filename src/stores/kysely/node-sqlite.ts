import { DatabaseSync } from 'node:sqlite'
import type { SqliteDatabase } from 'kysely'
import { retried } from './retry.ts'

/**
 * SQLite waits for a lock by stopping the whole process. So it waits this long, and everything
 * longer is an asynchronous retry.
 */
const busyTimeoutMs = 5

/** Opens a file for kysely's SqliteDialect, in the mode in which readers never wait. */
export async function openSqlite(file: string): Promise<SqliteDatabase> {
  const database = await retried(async () => {
    const opened = new DatabaseSync(file)
    try {
      opened.exec(`pragma busy_timeout = ${busyTimeoutMs}`)
      // Readers go on while somebody writes; `full`, because a revocation has to outlive a power
      // cut.
      opened.exec('pragma journal_mode = wal; pragma synchronous = full')
      return opened
    } catch (error) {
      opened.close()
      throw error
    }
  })
  return shim(database)
}

/** `node:sqlite` as kysely's SqliteDialect wants it. Only our own statements come here. */
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
