import { Kysely, SqliteDialect } from 'kysely'
import { migrate } from './kysely/migrations.ts'
import { openSqlite } from './kysely/node-sqlite.ts'
import { type FullStore, kyselyStore } from './kysely/store.ts'

export interface SqliteStoreOptions {
  /**
   * Path of the database file, made if it is not there; `':memory:'` for one that lives as long
   * as the store.
   */
  readonly file: string
}

/**
 * Keeps sessions, grants, requests, events, the outbox and API tokens in an SQLite file of its own, by the
 * driver that Node brings along.
 * The file and its tables are made before the first verb; any number of processes on one machine
 * may share it.
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
export function sqliteStore(options: SqliteStoreOptions): FullStore & { close(): Promise<void> } {
  const file = options?.file
  if (typeof file !== 'string' || file.trim() === '' || file.includes('\0')) {
    throw new TypeError('"file" must be the path of a database file, or \':memory:\'.')
  }
  const db = new Kysely({ dialect: new SqliteDialect({ database: () => openSqlite(file) }) })
  const store = kyselyStore(db)
  let ready: Promise<void> | undefined
  let closing: Promise<void> | undefined

  /** A failed opening is not remembered: the disk may be there the next time. */
  function prepared(): Promise<void> {
    if (closing) return Promise.reject(new Error('The SQLite store is closed.'))
    ready ??= migrate(db).catch((error) => {
      ready = undefined
      throw error
    })
    return ready
  }

  async function finish(): Promise<void> {
    await ready?.catch(() => {})
    // Comes after every verb that was asked before, since all of them share one connection.
    if (ready) await db.connection().execute(async () => {})
    await db.destroy()
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
    grants: {
      createGrant: first(store.grants.createGrant),
      readGrant: first(store.grants.readGrant),
      listGrants: first(store.grants.listGrants),
      changeGrant: first(store.grants.changeGrant),
    },
    requests: {
      createRequest: first(store.requests.createRequest),
      readRequest: first(store.requests.readRequest),
      listRequests: first(store.requests.listRequests),
      changeRequest: first(store.requests.changeRequest),
    },
    outbox: {
      leaseDeliveries: first(store.outbox.leaseDeliveries),
      changeDelivery: first(store.outbox.changeDelivery),
      readDelivery: first(store.outbox.readDelivery),
      listDeliveries: first(store.outbox.listDeliveries),
    },
    chain: {
      readHead: first(store.chain.readHead),
      readLinks: first(store.chain.readLinks),
      readUnsealed: first(store.chain.readUnsealed),
    },
    trail: {
      appendTrail: first(store.trail.appendTrail),
      readTrails: first(store.trail.readTrails),
      listActions: first(store.trail.listActions),
      countActions: first(store.trail.countActions),
    },
    tokens: {
      createToken: first(store.tokens.createToken),
      readToken: first(store.tokens.readToken),
      findToken: first(store.tokens.findToken),
      listTokens: first(store.tokens.listTokens),
      changeToken: first(store.tokens.changeToken),
      touchTokens: first(store.tokens.touchTokens),
    },
    retention: {
      surveyChain: first(store.retention.surveyChain),
      prune: first(store.retention.prune),
      erasePerson: first(store.retention.erasePerson),
    },
    check: prepared,
    close() {
      closing ??= finish()
      return closing
    },
  }
}
