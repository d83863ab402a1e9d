import { type Kysely, sql, type Transaction } from 'kysely'
import type { Grant, Session } from '../../types.ts'
import { usedGrant } from '../grant.ts'
import type { EndResult, GrantChange, SessionEnding, SessionExtension } from '../store.ts'
import type { Dialect } from './dialect.ts'
import { exactly } from './queries.ts'
import { LostRace } from './retry.ts'
import {
  fromGrantRow,
  fromSessionRow,
  isStorable,
  toGrantRow,
  toInstant,
  toKey,
  toText,
} from './rows.ts'
import type { Tables } from './schema.ts'

export type Trx = Transaction<Tables>

/**
 * Gives whether this call was the one that ended it. With `expiresAt`, only if it is still that.
 */
export async function endRow(
  trx: Trx,
  dialect: Dialect,
  sessionId: string,
  ending: SessionEnding,
  expiresAt?: number,
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('impersonation_sessions')
    .set({
      // First: MySQL sets from left to right, and the actor's key is gone two lines on.
      lapse_actor_key: ending.acknowledged ? null : sql.ref('active_actor_key'),
      active_actor_key: null,
      active_target_key: null,
      active_grant_key: null,
      status: ending.status,
      ended_at: toInstant(ending.at),
      ended_reason: ending.reason,
      ended_note: toText(ending.note),
      // No key, only named: a revocation never fails over it.
      ended_by: toText(ending.by),
    })
    .where(exactly(dialect, 'id', sessionId))
    .where('status', '=', 'active')
    .$if(expiresAt !== undefined, (query) => query.where('expires_at', '=', expiresAt as number))
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Ends a session and uses up its grant; null when there is no such session. */
export async function endStored(
  trx: Trx,
  dialect: Dialect,
  sessionId: string,
  ending: SessionEnding,
): Promise<EndResult | null> {
  const before = await sessionById(trx, dialect, sessionId)
  if (before?.status !== 'active') return before && { session: before, changed: false }
  const grants = await lockGrants(trx, dialect, [before.grantId])
  const changed = await endRow(trx, dialect, sessionId, ending)
  if (changed) await useUp(trx, dialect, grants.get(before.grantId ?? ''))
  const session = await sessionById(trx, dialect, sessionId)
  return session && { session, changed }
}

/** Gives whether the expiry was moved. */
export async function extendRow(
  trx: Trx,
  dialect: Dialect,
  sessionId: string,
  { from, to, now }: SessionExtension,
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('impersonation_sessions')
    .set({ expires_at: toInstant(to) })
    .where(exactly(dialect, 'id', sessionId))
    .where('status', '=', 'active')
    .where('expires_at', '=', from)
    .where('expires_at', '>', now)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Gives whether there was a lapse. */
export async function acknowledge(trx: Trx, actorId: string): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('impersonation_sessions')
    .set({ lapse_actor_key: null })
    .where('lapse_actor_key', '=', toKey(actorId))
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

export async function sessionById(
  db: Kysely<Tables>,
  dialect: Dialect,
  sessionId: string,
): Promise<Session | null> {
  if (!isStorable(sessionId)) return null
  const row = await db
    .selectFrom('impersonation_sessions')
    .selectAll()
    .where(exactly(dialect, 'id', sessionId))
    .executeTakeFirst()
  return row ? fromSessionRow(row) : null
}

/**
 * Grants as they are, which nobody else changes until the end of the transaction. Whoever ends a
 * session locks its grant first, and of several grants in the order of their ids: so nobody waits for
 * somebody who waits for them.
 */
export async function lockGrants(
  trx: Trx,
  dialect: Dialect,
  ids: Iterable<string | null>,
): Promise<ReadonlyMap<string, Grant>> {
  const wanted = [...new Set(ids)].filter(isStorable)
  if (wanted.length === 0) return new Map()
  const rows = await trx
    .selectFrom('impersonation_grants')
    .selectAll()
    .where('id', 'in', wanted)
    .orderBy('id')
    // SQLite has no such lock, and no need of it: the transaction holds the only one there is.
    .$if(dialect !== 'sqlite', (query) => query.forUpdate())
    .execute()
  return new Map(rows.map((row) => [row.id, fromGrantRow(row)]))
}

/** What the end of its session does to a grant that is locked. */
export async function useUp(trx: Trx, dialect: Dialect, grant: Grant | undefined): Promise<void> {
  const after = grant && usedGrant(grant)
  if (after && !(await swapGrant(trx, dialect, { from: grant.revision, after })))
    throw new LostRace()
}

/** Gives whether the grant still had that revision, and so was changed. */
export async function swapGrant(
  trx: Trx,
  dialect: Dialect,
  { from, after }: GrantChange,
): Promise<boolean> {
  const { id, ...columns } = toGrantRow(after)
  const { numUpdatedRows } = await trx
    .updateTable('impersonation_grants')
    .set(columns)
    .where(exactly(dialect, 'id', id))
    .where('revision', '=', from)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}
