import { CompiledQuery, type Kysely } from 'kysely'
import type { Store } from '../store.ts'
import {
  acknowledge,
  attemptClaim,
  endRow,
  extendRow,
  insertEvents,
  sessionById,
} from './changes.ts'
import { type Dialect, dialectOf } from './dialect.ts'
import { unitOf } from './locks.ts'
import { checkSchema } from './migrations.ts'
import { eventsQuery, sessionsQuery, standingQuery } from './queries.ts'
import { retried } from './retry.ts'
import { fromEventRow, fromSessionRow, isStorable, toKey } from './rows.ts'
import type { SessionRow, Tables } from './schema.ts'

export interface KyselyStoreOptions {
  /** For a kysely dialect of a third party. @default told by the kysely instance */
  readonly dialect?: Dialect
}

/**
 * Keeps sessions and events in your Postgres, MySQL, MariaDB or SQLite, through your kysely
 * instance, which stays yours: the store opens and closes nothing, and your plugins do not touch its
 * queries. Make the tables with `migrate(db)` first.
 *
 * > [!WARNING]
 * > A Postgres pool without an `error` listener ends the process when a connection is cut:
 * > `pool.on('error', …)`.
 *
 * @throws {TypeError} when `db` is not a kysely instance, or speaks another dialect
 *
 * @example
 * const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
 * await migrate(db)
 * const impersonation = createImpersonation({ store: kyselyStore(db), findUser, can })
 */
export function kyselyStore<DB>(db: Kysely<DB>, options: KyselyStoreOptions = {}): Store {
  const dialect = dialectOf(db, options.dialect)
  if (db.isTransaction) throw new TypeError('"db" must not be a transaction.')
  const tables = db.withoutPlugins() as unknown as Kysely<Tables>
  const unit = unitOf(tables, dialect)
  // Compiled once: this is the query that requests wait for.
  const standing = standingQuery(tables).compile().sql

  return {
    name: dialect,

    claimSession: (claim) => unit((trx) => attemptClaim(trx, dialect, claim)),

    async readStanding(actorId) {
      if (!isStorable(actorId)) return { active: null, lapse: null }
      const query = CompiledQuery.raw(standing, [toKey(actorId), toKey(actorId)])
      const { rows } = await retried(() => tables.executeQuery<SessionRow>(query))
      const sessions = rows.map(fromSessionRow)
      return {
        active: sessions.find(({ status }) => status === 'active') ?? null,
        lapse: sessions.find(({ status }) => status !== 'active') ?? null,
      }
    },

    readSession: (sessionId) => retried(() => sessionById(tables, dialect, sessionId)),

    async listSessions(filter, page) {
      const query = sessionsQuery(tables, dialect, filter, page)
      return query ? (await retried(() => query.execute())).map(fromSessionRow) : []
    },

    async endSession(sessionId, ending, event) {
      if (!isStorable(sessionId)) return null
      return unit(async (trx) => {
        const changed = await endRow(trx, dialect, sessionId, ending)
        const session = await sessionById(trx, dialect, sessionId)
        if (!session) return null
        if (changed && event) await insertEvents(trx, [event(session)])
        return { session, changed }
      })
    },

    async extendSession(sessionId, change, event) {
      if (!isStorable(sessionId)) return null
      return unit(async (trx) => {
        if (!(await extendRow(trx, dialect, sessionId, change))) return null
        const session = await sessionById(trx, dialect, sessionId)
        if (session) await insertEvents(trx, [event(session)])
        return session
      })
    },

    acknowledgeLapses: (actorId) => retried(() => acknowledge(tables, actorId)),

    appendEvents: (events) => unit((trx) => insertEvents(trx, events)),

    async listEvents(filter, page) {
      const query = eventsQuery(tables, dialect, filter, page)
      return query ? (await retried(() => query.execute())).map(fromEventRow) : []
    },

    check: () => retried(() => checkSchema(tables, dialect)),
  }
}
