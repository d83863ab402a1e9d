import { CompiledQuery, type Kysely } from 'kysely'
import type { Store } from '../store.ts'
import { chainSection } from './chain.ts'
import { acknowledge, endStored, extendRow, sessionById } from './changes.ts'
import { attemptClaim, claimedNames } from './claims.ts'
import { type Dialect, dialectOf } from './dialect.ts'
import { insertEvents } from './events.ts'
import { grantSection } from './grants.ts'
import { type ListenClient, listenFor, notify } from './listen.ts'
import { unitOf } from './locks.ts'
import { checkSchema } from './migrations.ts'
import { outboxSection } from './outbox.ts'
import { eventsQuery, sessionsQuery, standingQuery } from './queries.ts'
import { createQueue } from './queue.ts'
import { requestSection } from './requests.ts'
import { retentionSection } from './retention.ts'
import { retried } from './retry.ts'
import { fromEventRow, fromSessionRow, isStorable, toKey } from './rows.ts'
import type { SessionRow, Tables } from './schema.ts'
import { tokenSection } from './tokens.ts'
import { createHeadOf, trailSection } from './trail.ts'

export interface KyselyStoreOptions {
  /** For a kysely dialect of a third party. @default told by the kysely instance */
  readonly dialect?: Dialect
  /**
   * Postgres only: makes the client of a second connection, anew at each reconnect, on which this
   * process hears of changes that others make. Without it, cached answers are read again after
   * `revocationLagMs`. It has to reach Postgres itself, or a pooler in session mode. @default none
   *
   * @example
   * kyselyStore(db, { listen: () => new pg.Client(process.env.DATABASE_URL) })
   */
  readonly listen?: () => ListenClient
}

/** A store that lacks no section. */
export type FullStore = Store &
  Required<
    Pick<Store, 'grants' | 'requests' | 'outbox' | 'chain' | 'trail' | 'tokens' | 'retention'>
  >

/**
 * Keeps sessions, grants, requests, events, the outbox and API tokens in your Postgres, MySQL, MariaDB or
 * SQLite, through your kysely instance, which stays yours: the store opens and closes nothing, and your
 * plugins do not touch its queries. Make the tables with `migrate(db)` first.
 *
 * > [!WARNING]
 * > A Postgres pool without an `error` listener ends the process when a connection is cut:
 * > `pool.on('error', …)`.
 *
 * @throws {TypeError} when `db` is not a kysely instance, or speaks another dialect, or can't
 * listen
 *
 * @example
 * const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
 * await migrate(db)
 * const impersonation = createImpersonation({ store: kyselyStore(db), findUser, can })
 */
export function kyselyStore<DB>(db: Kysely<DB>, options: KyselyStoreOptions = {}): FullStore {
  const { listen } = options
  const dialect = dialectOf(db, options.dialect)
  if (db.isTransaction) throw new TypeError('"db" must not be a transaction.')
  if (listen !== undefined && typeof listen !== 'function') {
    throw new TypeError('"listen" must be a function that gives a new Postgres client.')
  }
  if (listen && dialect !== 'postgres') throw new TypeError('"listen" works on Postgres only.')
  const tables = db.withoutPlugins() as unknown as Kysely<Tables>
  const unit = unitOf(tables, dialect)
  const queue = createQueue()
  const headOf = createHeadOf()
  // Whether or not this process listens: others may.
  const tell = dialect === 'postgres' ? notify : async () => {}
  // Compiled once: this is the query that requests wait for.
  const standing = standingQuery(tables).compile().sql

  return {
    name: dialect,

    claimSession: (claim) =>
      queue(claimedNames(claim), () =>
        unit(async (trx) => {
          const result = await attemptClaim(trx, dialect, claim, headOf)
          const changed = result.ended.map(({ actorId }) => actorId)
          if (result.outcome === 'started') changed.push(claim.session.actorId)
          await tell(trx, changed)
          return result
        }),
      ),

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
        const result = await endStored(trx, dialect, sessionId, ending)
        if (!result?.changed) return result
        const trail = event && (await headOf(trx, sessionId))
        if (event) await insertEvents(trx, dialect, event(result.session, trail))
        await tell(trx, [result.session.actorId])
        return result
      })
    },

    async extendSession(sessionId, change, event) {
      if (!isStorable(sessionId)) return null
      return unit(async (trx) => {
        if (!(await extendRow(trx, dialect, sessionId, change))) return null
        const session = await sessionById(trx, dialect, sessionId)
        if (!session) return null
        await insertEvents(trx, dialect, event(session))
        await tell(trx, [session.actorId])
        return session
      })
    },

    async acknowledgeLapses(actorId) {
      if (!isStorable(actorId)) return
      await unit(async (trx) => {
        if (await acknowledge(trx, actorId)) await tell(trx, [actorId])
      })
    },

    appendEvents: (events) => unit((trx) => insertEvents(trx, dialect, events)),

    async listEvents(filter, page) {
      const query = eventsQuery(tables, dialect, filter, page)
      return query ? (await retried(() => query.execute())).map(fromEventRow) : []
    },

    grants: grantSection({ tables, dialect, unit, queue, tell, headOf }),
    requests: requestSection({ tables, dialect, unit }),
    outbox: outboxSection({ tables, dialect, unit }),
    chain: chainSection({ tables }),
    trail: trailSection({ tables, dialect, unit, queue }),
    tokens: tokenSection({ tables, dialect, unit, tell }),
    retention: retentionSection({ tables, dialect, unit }),

    ...(listen && { watch: (watcher) => listenFor(listen, watcher) }),

    check: () => retried(() => checkSchema(tables, dialect)),
  }
}
