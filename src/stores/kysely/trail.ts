import { type Expression, type Kysely, sql } from 'kysely'
import { actionOf, compareBytes, entriesBehind, inByteOrder } from '../action.ts'
import type { ActionCount, TrailHead, TrailSection } from '../trail.ts'
import { batches } from './batches.ts'
import type { Trx } from './changes.ts'
import type { Dialect } from './dialect.ts'
import { type SectionTools, takeAdvisoryLocks } from './locks.ts'
import type { Queue } from './queue.ts'
import { retried } from './retry.ts'
import { isStorable, toId } from './rows.ts'
import type { ActionRow, Tables } from './schema.ts'
import { fromActionRow, toActionRow } from './trail-rows.ts'

interface TrailTools extends SectionTools {
  readonly queue: Queue
}

export function trailSection({ tables, dialect, unit, queue }: TrailTools): TrailSection {
  return {
    async appendTrail(sessionId, make) {
      const name = `trail ${toId(sessionId)}`
      return queue([name], () =>
        unit(async (trx) => {
          if (dialect === 'postgres') await takeAdvisoryLocks(trx, [name])
          const head = await headIn(trx, sessionId)
          const made = entriesBehind(head, sessionId, make)
          // Of two that have read the same head, the unique key lets one in; the other one comes again.
          for (const rows of batches(made.map(toActionRow))) {
            await trx.insertInto('impersonation_actions').values(rows).execute()
          }
          return made.at(-1)?.seq ?? head?.seq ?? 0
        }),
      )
    },

    async readTrails(sessionIds, after, limit) {
      const ids = inByteOrder(sessionIds).filter(isStorable)
      if (!after) return behind(ids, 0, limit)
      // Two statements, each in the order of the index: one for both would have to sort.
      const begun = ids.filter((id) => id === after.sessionId)
      const first = await behind(begun, after.seq, limit)
      const left = limit - first.length
      if (left <= 0) return first
      const rest = ids.filter((id) => compareBytes(id, after.sessionId) > 0)
      return [...first, ...(await behind(rest, 0, left))]
    },

    async listActions(sessionId, after, limit) {
      if (!isStorable(sessionId)) return []
      const query = actionsIn(tables)
        .select(columns(dialect))
        .select(['done.seq as done_seq', 'done.route as done_route'])
        .select(['done.status as done_status', 'done.duration_ms as done_duration_ms'])
        .where('entry.session_id', '=', sessionId)
        .where('entry.seq', '>', after)
        .orderBy('entry.seq')
        .limit(limit)
      return (await retried(() => query.execute())).map((row) => {
        const { route, status, durationMs } = fromActionRow({
          ...row,
          ...{ route: row.done_route, status: row.done_status, duration_ms: row.done_duration_ms },
        })
        const completion = row.done_seq === null ? undefined : { route, status, durationMs }
        return actionOf(fromActionRow(row), completion)
      })
    },

    async countActions(sessionIds) {
      const counts: ActionCount[] = []
      for (const ids of batches(inByteOrder(sessionIds).filter(isStorable))) {
        const rows = await retried(() => countQuery(tables, dialect, ids).execute())
        for (const { session_id, method, route, count } of rows) {
          counts.push({ sessionId: session_id, method: method ?? '', route, count: Number(count) })
        }
      }
      return counts
    },
  }

  /** Entries of these sessions, which come in the order of their bytes, each trail from behind a number on. */
  async function behind(ids: readonly string[], seq: number, limit: number) {
    const rows: ActionRow[] = []
    for (const batch of batches(ids)) {
      const query = tables
        .selectFrom('impersonation_actions as entry')
        .select(columns(dialect))
        .where('entry.session_id', 'in', batch)
        .where('entry.seq', '>', seq)
        .orderBy('entry.session_id')
        .orderBy('entry.seq')
        .limit(limit - rows.length)
      rows.push(...(await retried(() => query.execute())))
      if (rows.length >= limit) break
    }
    return rows.map(fromActionRow)
  }
}

const headQuery = (db: Kysely<Tables>, sessionId: string) =>
  db
    .selectFrom('impersonation_actions')
    .select(['seq', 'mac'])
    .where('session_id', '=', sessionId)
    .orderBy('seq', 'desc')
    .limit(1)

async function headIn(trx: Trx, sessionId: string): Promise<TrailHead | null> {
  const row = await headQuery(trx, sessionId).executeTakeFirst()
  return row ? { seq: Number(row.seq), mac: row.mac } : null
}

/** The end of a session's trail as it is in a transaction. To be read before the chain is locked. */
export type HeadOf = (trx: Trx, sessionId: string) => Promise<TrailHead | null>

/**
 * Servers may run before the tables are brought up to date: until these are, nobody has a trail, and an
 * ending must not fail over one.
 */
export function createHeadOf(): HeadOf {
  let there = false
  return async (trx, sessionId) => {
    if (!there) {
      const { rows } = await sql<{ version: number }>`
        select version from impersonation_schema where version >= 5`.execute(trx)
      there = rows.length > 0
    }
    return there ? headIn(trx, sessionId) : null
  }
}

/** MySQL gives the bytes of an id as such. */
function columns(dialect: Dialect) {
  const id = sql.ref<string>('entry.session_id')
  return [
    (dialect === 'mysql' ? sql<string>`convert(${id} using utf8mb4)` : id).as('session_id'),
    ...(['entry.seq', 'entry.at', 'entry.completes', 'entry.method', 'entry.route'] as const),
    ...(['entry.path', 'entry.status', 'entry.duration_ms', 'entry.request_id'] as const),
    ...(['entry.key_id', 'entry.mac'] as const),
  ] as const
}

/** Entries that stand for a request, each with the first one that completes it. */
const actionsIn = (db: Kysely<Tables>) =>
  db
    .selectFrom('impersonation_actions as entry')
    .leftJoin('impersonation_actions as done', (join) =>
      join.onRef('done.session_id', '=', 'entry.session_id').on('done.seq', '=', ({ selectFrom }) =>
        selectFrom('impersonation_actions as completing')
          .select((of) => of.fn.min('completing.seq').as('first'))
          .whereRef('completing.session_id', '=', 'entry.session_id')
          .whereRef('completing.completes', '=', 'entry.seq'),
      ),
    )
    .where('entry.completes', 'is', null)

function countQuery(db: Kysely<Tables>, dialect: Dialect, ids: readonly string[]) {
  const method = sql.ref<string | null>('entry.method')
  const route = sql<string | null>`coalesce(done.route, entry.route)`
  // As bytes, or MySQL would put `GET` and `GET ` together.
  const exact = (text: Expression<string | null>) =>
    dialect === 'mysql' ? sql`cast(${text} as binary)` : text
  const [id] = columns(dialect)
  return actionsIn(db)
    .where('entry.session_id', 'in', ids)
    .select([id, sql<string | null>`min(${method})`.as('method')])
    .select([sql<string | null>`min(${route})`.as('route'), sql<number>`count(*)`.as('count')])
    .groupBy(['entry.session_id', exact(method), exact(route)] as never)
}
