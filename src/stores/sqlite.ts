import { DatabaseSync } from 'node:sqlite'
import { Kysely, type SqliteDatabase, SqliteDialect } from 'kysely'
import { migrate } from './kysely/migrations.ts'
import { retried } from './kysely/retry.ts'
import { kyselyStore } from './kysely/store.ts'
import type { Store } from './store.ts'

export interface SqliteStoreOptions {
  /** Path of the database file, made if it is not there; `':memory:'` for one that lives as long as the store. */
  readonly file: string
}

/**
 * SQLite waits for a lock by stopping the whole process. So it waits this long, and everything longer
 * is an asynchronous retry.
 */
const busyTimeoutMs = 5

/**
 * Keeps sessions and events in an SQLite file of its own, by the driver that Node brings along. The
 * file and its tables are made before the first verb; any number of processes on one machine may share it.
 *
 * > [!WARNING]
 * > Not on a network drive: its locks do not hold there.
 *
 * @throws {TypeError} when `file` is not a path
 *
 * @example
 * const impersonation = createImpersonation({
 *   store: sqliteStore({ file: 'impersonation.db' }),
 *   findUser,
 *   can,
 * })
 */
export function sqliteStore(options: SqliteStoreOptions): Store & { close(): Promise<void> } {
  const file = options?.file
  if (typeof file !== 'string' || file.trim() === '' || file.includes('\0')) {
    throw new TypeError('"file" must be the path of a database file, or \':memory:\'.')
  }
  const db = new Kysely({ dialect: new SqliteDialect({ database: () => open(file) }) })
  const store = kyselyStore(db)
  let ready: Promise<void> | undefined
  let closed = false

  /** A failed opening is not remembered: the disk may be there the next time. */
  function prepared(): Promise<void> {
    if (closed) return Promise.reject(new Error('The SQLite store is closed.'))
    ready ??= migrate(db).catch((error) => {
      ready = undefined
      throw error
    })
    return ready
  }

  const first =
    <Args extends unknown[], Answer>(verb: (...args: Args) => Promise<Answer>) =>
    async (...args: Args): Promise<Answer> => {
      await prepared()
      return verb(...args)
    }

  return {
    name: store.name,
    claimSession: first(store.claimSession),
    readStanding: first(store.readStanding),
    readSession: first(store.readSession),
    listSessions: first(store.listSessions),
    endSession: first(store.endSession),
    extendSession: first(store.extendSession),
    acknowledgeLapses: first(store.acknowledgeLapses),
    appendEvents: first(store.appendEvents),
    listEvents: first(store.listEvents),
    async close() {
      closed = true
      await ready?.catch(() => {})
      // Comes after every verb that was asked before, since all of them share one connection.
      if (ready) await db.connection().execute(async () => {})
      await db.destroy()
    },
  }
}

async function open(file: string): Promise<SqliteDatabase> {
  const database = await retried(async () => {
    const opened = new DatabaseSync(file)
    try {
      opened.exec(`pragma busy_timeout = ${busyTimeoutMs}`)
      // Readers go on while somebody writes; `full`, because a revocation has to outlive a power cut.
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
