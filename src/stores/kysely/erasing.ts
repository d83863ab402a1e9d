import { type Expression, type SqlBool, sql } from 'kysely'
import { closedGrants, closedRequests } from '../closed.ts'
import type { Erased } from '../retention.ts'
import { batches } from './batches.ts'
import type { Trx } from './changes.ts'
import type { Dialect } from './dialect.ts'
import { exactly } from './queries.ts'
import type { Instant } from './schema.ts'
import { eraseTokens } from './token-retention.ts'

export interface Erasure {
  readonly trx: Trx
  readonly dialect: Dialect
  readonly userId: string
  readonly upTo: number
  readonly limit: number
}

/** One unit of an erasure. In the order in which others lock rows. */
export async function erasePerson(erasure: Erasure): Promise<Erased> {
  const done = [
    await eraseReasons(erasure, 'impersonation_grants', closedGrants),
    await eraseReasons(erasure, 'impersonation_requests', closedRequests),
    await eraseSessions(erasure),
    await eraseTokens(erasure),
    await eraseEvents(erasure),
    await eraseDeliveries(erasure),
  ]
  return {
    rows: done.reduce((sum, { rows }) => sum + rows, 0),
    more: done.some(({ more }) => more),
  }
}

async function eraseReasons(
  erasure: Erasure,
  table: 'impersonation_grants' | 'impersonation_requests',
  closed: readonly string[],
): Promise<Erased> {
  const { trx, limit } = erasure
  const { taken, ...erased } = await ofEither(erasure, (theirs) =>
    trx
      .selectFrom(table)
      .select('id')
      .where(theirs)
      .where('status', 'in', closed)
      .where('reason', 'is not', null)
      .limit(limit + 1)
      .execute(),
  )
  for (const ids of batches(taken.map(({ id }) => id))) {
    await trx.updateTable(table).set({ reason: null }).where('id', 'in', ids).execute()
  }
  return erased
}

async function eraseSessions(erasure: Erasure): Promise<Erased> {
  const { trx, limit } = erasure
  const { taken, ...erased } = await ofEither(erasure, (theirs) =>
    trx
      .selectFrom('impersonation_sessions')
      .select('id')
      .where(theirs)
      .where('status', '<>', 'active')
      .where(anyOf('reason', 'ip_address', 'user_agent', 'ended_note'))
      .limit(limit + 1)
      .execute(),
  )
  for (const ids of batches(taken.map(({ id }) => id))) {
    await trx
      .updateTable('impersonation_sessions')
      .set({ reason: null, ip_address: null, user_agent: null, ended_note: null })
      .where('id', 'in', ids)
      .execute()
  }
  return erased
}

/** As JSON has it without spaces; within a text there is a backslash before each quotation mark. */
const noteKeys = ['{"ended_note":', ',"ended_note":'] as const

function hasNote(dialect: Dialect): Expression<SqlBool> {
  const place = sql.raw(dialect === 'postgres' ? 'strpos' : 'instr')
  const [first, later] = noteKeys
  return sql<SqlBool>`(${place}(event.details, ${first}) > 0 or ${place}(event.details, ${later}) > 0)`
}

async function eraseEvents(erasure: Erasure): Promise<Erased> {
  const { trx, dialect, upTo, limit } = erasure
  const { taken, ...erased } = await ofEither(
    erasure,
    (theirs) =>
      trx
        .selectFrom('impersonation_events as event')
        .leftJoin('impersonation_links as link', 'link.event_id', 'event.id')
        .select(['event.id', 'event.details', 'link.seq'])
        .where(theirs)
        .where(({ or, eb }) => or([eb('link.seq', 'is', null), eb('link.seq', '<=', upTo)]))
        .where(({ or }) =>
          or([
            anyOf('event.reason', 'event.ip_address', 'event.user_agent', 'link.salt'),
            hasNote(dialect),
          ]),
        )
        .limit(limit + 1)
        .execute(),
    'event.',
  )
  for (const ids of batches(taken.map(({ id }) => id))) {
    await trx
      .updateTable('impersonation_events')
      .set({ reason: null, ip_address: null, user_agent: null })
      .where('id', 'in', ids)
      .execute()
  }
  for (const { id, details } of taken) {
    const left = withoutNote(details)
    if (left === details) continue
    await trx
      .updateTable('impersonation_events')
      .set({ details: left })
      .where('id', '=', id)
      .execute()
  }
  const links = taken.flatMap(({ seq }): Instant[] => (seq === null ? [] : [seq]))
  for (const seqs of batches(links)) {
    await trx
      .updateTable('impersonation_links')
      .set({ salt: null })
      .where('seq', 'in', seqs)
      .execute()
  }
  return erased
}

/** Of details that somebody has made unreadable, or deep, nothing is left: nobody knows what they say. */
function withoutNote(json: string): string {
  if (!noteKeys.some((key) => json.includes(key))) return json
  try {
    const { ended_note, ...left } = JSON.parse(json)
    const after = JSON.stringify(left)
    return noteKeys.some((key) => after.includes(key)) ? '{}' : after
  } catch {
    return '{}'
  }
}

async function eraseDeliveries(erasure: Erasure): Promise<Erased> {
  const { trx, dialect, userId, limit } = erasure
  const rows = await trx
    .selectFrom('impersonation_deliveries')
    .select('id')
    .where(exactly(dialect, 'user_id', userId))
    .where('status', '<>', 'pending')
    .where(({ or, eb }) => or([eb('payload', '<>', '{}'), eb('error', 'is not', null)]))
    .limit(limit + 1)
    .execute()
  const taken = rows.slice(0, limit)
  for (const ids of batches(taken.map(({ id }) => id))) {
    await trx
      .updateTable('impersonation_deliveries')
      // Whoever has read it before must not put back what it said.
      .set({ payload: '{}', error: null, revision: sql`revision + 1` })
      .where('id', 'in', ids)
      .execute()
  }
  return { rows: taken.length, more: rows.length > limit }
}

/** Rows whose actor or target they are: two questions, each for an index of its own. */
async function ofEither<T extends { readonly id: string }>(
  { dialect, userId, limit }: Erasure,
  ask: (theirs: Expression<SqlBool>) => Promise<readonly T[]>,
  prefix = '',
): Promise<Erased & { readonly taken: readonly T[] }> {
  const rows = new Map<string, T>()
  for (const column of ['actor_id', 'target_user_id']) {
    if (rows.size > limit) break
    for (const row of await ask(exactly(dialect, `${prefix}${column}`, userId))) {
      rows.set(row.id, row)
    }
  }
  const taken = [...rows.values()].slice(0, limit)
  return { taken, rows: taken.length, more: rows.size > limit }
}

/** Whether one of these columns says something. */
const anyOf = (...columns: readonly string[]): Expression<SqlBool> =>
  sql<SqlBool>`(${sql.join(
    columns.map((column) => sql`${sql.ref(column)} is not null`),
    sql` or `,
  )})`
