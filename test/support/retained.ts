/** What tests of pruning and erasing share: a store that is looked into from this side too, and a life on it. */
import type { Kysely } from 'kysely'
import { memoryStore } from '../../src/index.ts'
import { kyselyStore, migrate } from '../../src/stores/kysely/index.ts'
import type { Tables } from '../../src/stores/kysely/schema.ts'
import type { Store } from '../../src/stores/store.ts'
import { auditKey } from './audited.ts'
import { kyselyOn, sqliteKysely } from './connect.ts'
import { day, type World, worldOf } from './core-world.ts'
import { dropDatabase, emptyTables, type Kind, makeDatabase } from './databases.ts'

export interface Place {
  readonly store: Store
  /** Null for the store in memory. */
  readonly db: Kysely<Tables> | null
  empty(): Promise<void>
  close(): Promise<void>
}

/** A place that can be emptied. */
export async function openPlace(kind: Kind | 'memory'): Promise<Place> {
  if (kind === 'memory') {
    let store = memoryStore()
    return {
      get store() {
        return store
      },
      db: null,
      async empty() {
        store = memoryStore()
      },
      async close() {},
    }
  }
  const address = await makeDatabase(kind)
  const db =
    address.kind === 'sqlite'
      ? sqliteKysely(address.file)
      : kyselyOn(address.kind, address.database)
  await migrate(db)
  return {
    store: kyselyStore(db),
    db,
    empty: () => emptyTables(db),
    async close() {
      await db.destroy()
      await dropDatabase(address)
    },
  }
}

const audit = { key: auditKey }

export const auditedWorld = (store: Store): World => worldOf({ audit }, store)

/** How a request tells where it comes from. */
export const from = (who: string) => ({
  ipAddress: `address of ${who}`,
  userAgent: `browser of ${who}`,
  clientId: null,
  requestId: null,
})

/**
 * Two stops, a refusal, a revocation with a note and one that is never ended by anybody; forty days on a
 * stop and a session that is live. What is said names who it is about.
 */
export async function live(world: World): Promise<{ readonly liveId: string }> {
  const { engine, clock } = world
  const as = (who: string) => ({ ...world.caller(who), meta: from(who) })
  const start = (who: string, target: string) =>
    engine.sessions.start(as(who), { targetUserId: target, reason: `${who} as ${target}` })

  for (const target of ['alice', 'bob']) {
    await start('root', target)
    clock.tick(1000)
    await engine.sessions.stop(as('root'))
  }
  await start('mallory', 'alice').catch(() => {})
  const { session } = await start('root', 'alice')
  await engine.sessions.revoke(as('boss'), session.id, 'note on alice')
  await start('sup', 'carol')
  clock.tick(40 * day)
  await start('root', 'bob')
  await engine.sessions.stop(as('root'))
  const last = await start('root', 'alice')
  return { liveId: last.session.id }
}

/** Everything that is kept, as one text. */
export async function dump({ db, store }: Place): Promise<string> {
  const all = { limit: 1e6 }
  if (!db) {
    return JSON.stringify([
      await store.listSessions({}, all),
      await store.listEvents({}, all),
      await store.grants?.listGrants({}, all),
      await store.requests?.listRequests({}, all),
      await store.outbox?.listDeliveries({}, all),
      await store.chain?.readLinks(0, 1e6),
    ])
  }
  const tables = await db.introspection.getTables()
  const names = tables.map(({ name }) => name).filter((name) => name.startsWith('impersonation_'))
  const rows = names.map((name) =>
    db
      .selectFrom(name as keyof Tables)
      .selectAll()
      .execute(),
  )
  return JSON.stringify(await Promise.all(rows), (_, value) =>
    typeof value === 'bigint' ? String(value) : value,
  )
}

/** The numbers of links whose events are stored. */
export async function storedSeqs({ chain }: Store): Promise<number[]> {
  const links = (await chain?.readLinks(0, 1e6)) ?? []
  return links.flatMap(({ link, event }) => (event ? [link.seq] : []))
}
