import { type Expression, type Kysely, type SelectQueryBuilder, type SqlBool, sql } from 'kysely'
import type { DeliveryFilter, DeliveryLease } from '../outbox.ts'
import type { RequestFilter } from '../requests.ts'
import type { EventFilter, GrantFilter, Page, SessionFilter } from '../store.ts'
import type { TokenFilter } from '../tokens.ts'
import type { Dialect } from './dialect.ts'
import { isStorable } from './rows.ts'
import type {
  DeliveryRow,
  EventRow,
  GrantRow,
  RequestRow,
  SessionRow,
  Tables,
  TokenRow,
} from './schema.ts'
import { tokenColumns } from './token-rows.ts'

/**
 * Whether a column is this very string. MySQL takes `root ` for `root` in every collation that
 * MariaDB has too, so there the lengths have to agree as well.
 */
export function exactly(dialect: Dialect, column: string, value: string): Expression<SqlBool> {
  const ref = sql.ref(column)
  return dialect === 'mysql'
    ? sql`(${ref} = ${value} and char_length(${ref}) = char_length(${value}))`
    : sql`${ref} = ${value}`
}

/** Whether two columns hold the very same string. */
export function exactlyEqual(dialect: Dialect, one: string, other: string): Expression<SqlBool> {
  const [a, b] = [sql.ref(one), sql.ref(other)]
  return dialect === 'mysql'
    ? sql`(${a} = ${b} and char_length(${a}) = char_length(${b}))`
    : sql`${a} = ${b}`
}

/**
 * The live session and the last lapse of an actor, each by an index that holds nothing else.
 * Takes the actor's key twice.
 */
export function standingQuery(db: Kysely<Tables>) {
  const lapse = db
    .selectFrom('impersonation_sessions')
    .selectAll()
    .where('lapse_actor_key', '=', '')
    .orderBy('ended_at', 'desc')
    .orderBy('id', 'desc')
    .limit(sql.lit(1))
  return db
    .selectFrom('impersonation_sessions')
    .selectAll()
    .where('active_actor_key', '=', '')
    .unionAll(db.selectFrom(lapse.as('lapse')).selectAll())
}

/** Null when nothing can match. */
export function sessionsQuery(
  db: Kysely<Tables>,
  dialect: Dialect,
  filter: SessionFilter,
  page: Page,
): SelectQueryBuilder<Tables, 'impersonation_sessions', SessionRow> | null {
  const wanted = {
    status: filter.status,
    actor_id: filter.actorId,
    target_user_id: filter.targetUserId,
    target_org_id: filter.orgId,
    access_level: filter.accessLevel,
  }
  const conditions = equalities(dialect, wanted)
  if (!conditions) return null
  conditions.push(...within('created_at', filter.from, filter.to), ...olderThan('created_at', page))
  return db
    .selectFrom('impersonation_sessions')
    .selectAll()
    .where((eb) => eb.and(conditions))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.limit)
}

/** Null when nothing can match. */
export function eventsQuery(
  db: Kysely<Tables>,
  dialect: Dialect,
  filter: EventFilter,
  page: Page,
): SelectQueryBuilder<Tables, 'impersonation_events', EventRow> | null {
  const prefix = filter.action?.endsWith('*') ? filter.action.slice(0, -1) : undefined
  const wanted = {
    action: prefix === undefined ? filter.action : undefined,
    actor_id: filter.actorId,
    target_user_id: filter.targetUserId,
    session_id: filter.sessionId,
  }
  const conditions = equalities(dialect, wanted)
  if (!conditions || (prefix !== undefined && !isStorable(prefix))) return null
  // Not LIKE: SQLite's knows no case, and `_` stands in every other action.
  if (prefix) conditions.push(sql<SqlBool>`substr(action, 1, ${[...prefix].length}) = ${prefix}`)
  conditions.push(...within('at', filter.from, filter.to), ...olderThan('at', page))
  return db
    .selectFrom('impersonation_events')
    .selectAll()
    .where((eb) => eb.and(conditions))
    .orderBy('at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.limit)
}

/** Null when nothing can match. */
export function grantsQuery(
  db: Kysely<Tables>,
  dialect: Dialect,
  filter: GrantFilter,
  page: Page,
): SelectQueryBuilder<Tables, 'impersonation_grants', GrantRow> | null {
  const conditions = equalities(dialect, {
    status: filter.status,
    actor_id: filter.actorId,
    target_user_id: filter.targetUserId,
  })
  if (!conditions) return null
  conditions.push(...overBy(filter.expiredBy), ...olderThan('created_at', page))
  return db
    .selectFrom('impersonation_grants')
    .selectAll()
    .where((eb) => eb.and(conditions))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.limit)
}

/** Null when nothing can match. */
export function requestsQuery(
  db: Kysely<Tables>,
  dialect: Dialect,
  filter: RequestFilter,
  page: Page,
): SelectQueryBuilder<Tables, 'impersonation_requests', RequestRow> | null {
  const conditions = equalities(dialect, {
    kind: filter.kind,
    status: filter.status,
    actor_id: filter.actorId,
    target_user_id: filter.targetUserId,
  })
  if (!conditions) return null
  conditions.push(...within('created_at', filter.from, undefined), ...overBy(filter.expiredBy))
  conditions.push(...olderThan('created_at', page))
  return db
    .selectFrom('impersonation_requests')
    .selectAll()
    .where((eb) => eb.and(conditions))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.limit)
}

/** Null when nothing can match. */
export function deliveriesQuery(
  db: Kysely<Tables>,
  dialect: Dialect,
  filter: DeliveryFilter,
  page: Page,
): SelectQueryBuilder<Tables, 'impersonation_deliveries', DeliveryRow> | null {
  const conditions = equalities(dialect, {
    status: filter.status,
    topic: filter.topic,
    user_id: filter.userId,
  })
  if (!conditions) return null
  conditions.push(...olderThan('created_at', page))
  return db
    .selectFrom('impersonation_deliveries')
    .selectAll()
    .where((eb) => eb.and(conditions))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.limit)
}

/**
 * What may be handed out, the longest due first. Of one topic: in the order of an index, so that no more is
 * looked at. Not of none.
 */
export function dueQuery(
  db: Kysely<Tables>,
  { now, limit, topics }: Pick<DeliveryLease, 'now' | 'limit' | 'topics'>,
): SelectQueryBuilder<Tables, 'impersonation_deliveries', DeliveryRow> {
  return db
    .selectFrom('impersonation_deliveries')
    .selectAll()
    .where('status', '=', 'pending')
    .where('topic', 'in', topics)
    .where('due_at', '<=', now)
    .orderBy('due_at')
    .orderBy('id')
    .limit(limit)
}

/** The token with a hash, by the unique index of those. Takes the hash. */
export function tokenQuery(db: Kysely<Tables>) {
  return db.selectFrom('impersonation_tokens').select(tokenColumns).where('hash', '=', '')
}

/** Null when nothing can match. */
export function tokensQuery(
  db: Kysely<Tables>,
  dialect: Dialect,
  filter: TokenFilter,
  page: Page,
): SelectQueryBuilder<Tables, 'impersonation_tokens', TokenRow> | null {
  const conditions = equalities(dialect, {
    user_id: filter.userId,
    user_org_id: filter.orgId,
    issued_by: filter.issuedBy,
  })
  if (!conditions) return null
  conditions.push(...olderThan('created_at', page))
  return db
    .selectFrom('impersonation_tokens')
    .select(tokenColumns)
    .where((eb) => eb.and(conditions))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.limit)
}

type Conditions = Expression<SqlBool>[]

function equalities(
  dialect: Dialect,
  wanted: Record<string, string | undefined>,
): Conditions | null {
  const given = Object.entries(wanted).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  )
  if (!given.every(([, value]) => isStorable(value))) return null
  return given.map(([column, value]) => exactly(dialect, column, value))
}

function within(column: string, from: number | undefined, to: number | undefined): Conditions {
  const ref = sql.ref(column)
  return [
    ...(from === undefined ? [] : [sql<SqlBool>`${ref} >= ${from}`]),
    ...(to === undefined ? [] : [sql<SqlBool>`${ref} < ${to}`]),
  ]
}

function overBy(expiredBy: number | undefined): Conditions {
  return expiredBy === undefined ? [] : [sql<SqlBool>`expires_at <= ${expiredBy}`]
}

/** The first comparison alone bounds the index; the second settles ties. */
function olderThan(column: string, { before }: Page): Conditions {
  if (!before) return []
  const ref = sql.ref(column)
  return [
    sql<SqlBool>`${ref} <= ${before.at}`,
    sql<SqlBool>`(${ref} < ${before.at} or id < ${before.id})`,
  ]
}
