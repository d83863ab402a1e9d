import { sql } from 'kysely'
import { closedGrants, closedRequests } from '../closed.ts'
import type { Pruned } from '../retention.ts'
import { batches } from './batches.ts'
import type { Trx } from './changes.ts'
import type { Dialect } from './dialect.ts'
import type { Instant, Tables } from './schema.ts'
import { deleteTokens } from './token-retention.ts'

export interface Pruning {
  readonly trx: Trx
  readonly dialect: Dialect
  readonly before: number
  readonly upTo: number
  readonly limit: number
}

/** One unit of pruning. Everything else waits for the sessions: theirs would be looked at again and again. */
export async function deletePrunable(pruning: Pruning): Promise<Pruned> {
  const sessions = await deleteSessions(pruning)
  if (sessions.more) return sessions
  const lone = await deleteLoneEvents(pruning)
  const more = [
    lone.more,
    await deleteClosed(pruning, 'impersonation_grants', closedGrants),
    await deleteClosed(pruning, 'impersonation_requests', closedRequests),
    await deleteDeliveries(pruning),
    await deleteCodes(pruning),
    await deleteTokens(pruning),
  ]
  return {
    sessions: sessions.sessions,
    events: sessions.events + lone.events,
    more: more.includes(true),
  }
}

/** Sessions that are over, the oldest first, each with all that there is of it. */
async function deleteSessions(pruning: Pruning): Promise<Pruned> {
  const { trx } = pruning
  const { taken, more } = await takeSessions(pruning)
  const sessionIds = new Set(taken)
  const events: string[] = []
  for (const ids of inTens(taken)) {
    const rows = await trx
      .selectFrom('impersonation_events')
      .select(['id', 'session_id'])
      .where('session_id', 'in', ids)
      .execute()
    // MySQL finds those of `id ` too.
    for (const row of rows) if (sessionIds.has(row.session_id ?? '')) events.push(row.id)
    await trx.deleteFrom('impersonation_actions').where('session_id', 'in', ids).execute()
  }
  await deleteByIds(trx, 'impersonation_events', events)
  await deleteByIds(trx, 'impersonation_sessions', taken)
  return { sessions: taken.length, events: events.length, more }
}

/** Until they have `limit` events or entries of a trail, but one in any case; none with an event that was linked late. */
async function takeSessions(pruning: Pruning) {
  const { trx, before, upTo, limit } = pruning
  const taken: string[] = []
  let [events, entries] = [0, 0]
  for (let after: Row | null = null; ; ) {
    const page: Row[] = await trx
      .selectFrom('impersonation_sessions')
      .select(['id', 'created_at as at'])
      .where('status', '<>', 'active')
      .where('ended_at', '<', before)
      .$if(after !== null, (query) => query.where(behind('created_at', after)))
      .orderBy('created_at')
      .orderBy('id')
      .limit(tens)
      .execute()
    const sizes = await sizesOf(pruning, page)
    for (const { id } of page) {
      const { lastLink = 0, ...size } = sizes.get(id.trimEnd()) ?? {}
      if (lastLink > upTo) continue
      events += size.events ?? 0
      entries += size.entries ?? 0
      const full = taken.length >= limit || Math.max(events, entries) > limit
      if (full && taken.length > 0) return { taken, more: true }
      taken.push(id)
    }
    after = page.at(-1) ?? null
    if (page.length < tens) return { taken, more: false }
  }
}

interface Size {
  readonly events?: number
  readonly lastLink?: number
  readonly entries?: number
}

async function sizesOf({ trx, dialect }: Pruning, sessions: readonly Row[]) {
  const sizes = new Map<string, Size>()
  if (sessions.length === 0) return sizes
  const ids = sessions.map(({ id }) => id)
  const n = sql<Instant>`count(*)`.as('n')
  const events = await trx
    .selectFrom('impersonation_events as event')
    .leftJoin('impersonation_links as link', 'link.event_id', 'event.id')
    .select(['event.session_id as id', n, sql<Instant | null>`max(link.seq)`.as('last')])
    .where('event.session_id', 'in', ids)
    .groupBy('event.session_id')
    .execute()
  const ref = sql.ref<string>('session_id')
  const entries = await trx
    .selectFrom('impersonation_actions')
    .select([(dialect === 'mysql' ? sql<string>`convert(${ref} using utf8mb4)` : ref).as('id'), n])
    .where('session_id', 'in', ids)
    .groupBy('session_id')
    .execute()
  // MySQL counts those of `id ` and `id` together, under either: so they count for both.
  const add = (id: string, more: Size) => {
    const { events = 0, entries = 0, lastLink = 0 } = sizes.get(id.trimEnd()) ?? {}
    sizes.set(id.trimEnd(), {
      events: events + (more.events ?? 0),
      entries: entries + (more.entries ?? 0),
      lastLink: Math.max(lastLink, more.lastLink ?? 0),
    })
  }
  for (const { id, n: count, last } of events) {
    add(id ?? '', { events: Number(count), lastLink: Number(last ?? 0) })
  }
  for (const { id, n: count } of entries) add(id, { entries: Number(count) })
  return sizes
}

/** Events of no session, or of none that is stored. */
async function deleteLoneEvents(pruning: Pruning) {
  const { trx, before, limit } = pruning
  const { found, more } = await sift(limit, {
    page: (after) =>
      trx
        .selectFrom('impersonation_events')
        .select(['id', 'at', 'session_id'])
        .where('at', '<', before)
        .where(sql<boolean>`substr(action, 1, 6) <> 'audit.'`)
        .$if(after !== null, (query) => query.where(behind('at', after)))
        .orderBy('at')
        .orderBy('id')
        .limit(limit + 1)
        .execute(),
    fits: (rows) => withoutSessions(pruning, rows),
  })
  await deleteByIds(
    trx,
    'impersonation_events',
    found.map(({ id }) => id),
  )
  return { events: found.length, more }
}

interface LoneRow extends Row {
  readonly session_id: string | null
}

/** … and not linked after what was surveyed. */
async function withoutSessions({ trx, upTo }: Pruning, rows: readonly LoneRow[]) {
  const [stored, late] = [new Set<string | null>(), new Set<string>()]
  for (const page of batches(rows)) {
    const ids = page.flatMap(({ session_id }) => session_id ?? [])
    if (ids.length > 0) {
      const sessions = await trx
        .selectFrom('impersonation_sessions')
        .select('id')
        .where('id', 'in', [...new Set(ids)])
        .execute()
      for (const { id } of sessions) stored.add(id)
    }
    const links = await trx
      .selectFrom('impersonation_links')
      .select('event_id')
      .where(
        'event_id',
        'in',
        page.map(({ id }) => id),
      )
      .where('seq', '>', upTo)
      .execute()
    for (const { event_id } of links) late.add(event_id)
  }
  return rows.filter(({ id, session_id }) => !stored.has(session_id) && !late.has(id))
}

async function deleteClosed(
  { trx, before, limit }: Pruning,
  table: 'impersonation_grants' | 'impersonation_requests',
  closed: readonly string[],
): Promise<boolean> {
  const rows = await trx
    .selectFrom(table)
    .select('id')
    .where('created_at', '<', before)
    .where('expires_at', '<', before)
    .where('status', 'in', closed)
    .orderBy('created_at')
    .orderBy('id')
    .limit(limit + 1)
    .execute()
  return deleteRows(trx, table, rows, limit)
}

async function deleteDeliveries({ trx, before, limit }: Pruning): Promise<boolean> {
  const rows = await trx
    .selectFrom('impersonation_deliveries')
    .select('id')
    .where('status', '<>', 'pending')
    .where('settled_at', '<', before)
    .orderBy('created_at')
    .orderBy('id')
    .limit(limit + 1)
    .execute()
  return deleteRows(trx, 'impersonation_deliveries', rows, limit)
}

async function deleteCodes({ trx, before, limit }: Pruning): Promise<boolean> {
  const rows = await trx
    .selectFrom('impersonation_codes')
    .select('mark')
    .where('at', '<', before)
    .limit(limit + 1)
    .execute()
  for (const marks of batches(rows.slice(0, limit).map(({ mark }) => mark))) {
    await trx.deleteFrom('impersonation_codes').where('mark', 'in', marks).execute()
  }
  return rows.length > limit
}

/** Few enough that no planner takes a whole table for cheaper than the index of its sessions. */
const tens = 50

function inTens<T>(rows: readonly T[]): T[][] {
  const count = Math.ceil(rows.length / tens)
  return Array.from({ length: count }, (_, n) => rows.slice(n * tens, (n + 1) * tens))
}

interface Row {
  readonly id: string
  readonly at: Instant
}

/** The first `limit` rows that fit, page by page in the order of an index, and whether there are more. */
async function sift<T extends Row>(
  limit: number,
  { page, fits }: { page(after: Row | null): Promise<T[]>; fits(rows: T[]): Promise<T[]> },
): Promise<{ readonly found: readonly T[]; readonly more: boolean }> {
  const found: T[] = []
  let after: Row | null = null
  for (;;) {
    const rows: T[] = await page(after)
    found.push(...(await fits(rows)))
    after = rows.at(-1) ?? null
    if (found.length > limit) return { found: found.slice(0, limit), more: true }
    if (rows.length <= limit) return { found, more: false }
  }
}

/** The first comparison alone bounds the index; the second settles ties. */
function behind(column: 'at' | 'created_at', after: Row | null) {
  const ref = sql.ref(column)
  const [at, id] = [after?.at ?? 0, after?.id ?? '']
  return sql<boolean>`(${ref} >= ${at} and (${ref} > ${at} or id > ${id}))`
}

type WithId = Exclude<
  keyof Tables,
  'impersonation_schema' | 'impersonation_codes' | 'impersonation_links' | 'impersonation_actions'
>

/** Gives whether there are more than `limit`. */
async function deleteRows(
  trx: Trx,
  table: WithId,
  rows: readonly { readonly id: string }[],
  limit: number,
): Promise<boolean> {
  await deleteByIds(
    trx,
    table,
    rows.slice(0, limit).map(({ id }) => id),
  )
  return rows.length > limit
}

async function deleteByIds(trx: Trx, table: WithId, all: readonly string[]): Promise<void> {
  for (const ids of batches(all)) await trx.deleteFrom(table).where('id', 'in', ids).execute()
}
