import { type Kysely, sql, type Transaction } from 'kysely'
import type { AuditEvent, Session } from '../../types.ts'
import { endedBy, judgeClaim } from '../claim.ts'
import type { ClaimResult, SessionClaim, SessionEnding, SessionExtension } from '../store.ts'
import type { Dialect } from './dialect.ts'
import { takeAdvisoryLocks } from './locks.ts'
import { exactly } from './queries.ts'
import { LostRace } from './retry.ts'
import {
  fromSessionRow,
  isStorable,
  toEventRow,
  toInstant,
  toKey,
  toSessionRow,
  toText,
} from './rows.ts'
import type { Tables } from './schema.ts'

type Trx = Transaction<Tables>

/** A row of a multi-row insert takes 17 parameters, and SQLite takes 32,766. */
const eventsPerInsert = 500

/** One attempt at a claim: throws what `retried` knows when another one came first. */
export async function attemptClaim(
  trx: Trx,
  dialect: Dialect,
  claim: SessionClaim,
): Promise<ClaimResult> {
  const { session, exclusiveTarget } = claim
  const row = toSessionRow(session, exclusiveTarget)
  if (dialect === 'postgres') await takeAdvisoryLocks(trx, claimedNames(claim))

  const { endings, refusal } = judgeClaim(claim, await rivalsOf(trx, dialect, claim))
  // In the order of their ids, so that two claims that end the same two never wait for each other.
  for (const { session: rival, ending } of endings.toSorted((a, b) =>
    a.session.id < b.session.id ? -1 : 1,
  )) {
    if (!(await endRow(trx, dialect, rival.id, ending, rival.expiresAt))) throw new LostRace()
  }
  const ended = endings.map(({ session: rival, ending }) => endedBy(rival, ending))
  if (!refusal) {
    await acknowledge(trx, session.actorId)
    await trx.insertInto('impersonation_sessions').values(row).execute()
  }
  await insertEvents(trx, [
    ...ended.flatMap((session) => claim.events.ended(session)),
    ...(refusal ? [] : [claim.events.started]),
  ])
  return refusal ?? { outcome: 'started', ended }
}

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

export async function insertEvents(trx: Trx, events: readonly AuditEvent[]): Promise<void> {
  for (let start = 0; start < events.length; start += eventsPerInsert) {
    const rows = events.slice(start, start + eventsPerInsert).map(toEventRow)
    await trx.insertInto('impersonation_events').values(rows).execute()
  }
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

/** What a claim and its rivals want at the same time. */
export function claimedNames({ session, exclusiveTarget }: SessionClaim): string[] {
  return [
    `actor ${session.actorId}`,
    ...(exclusiveTarget ? [`target ${session.targetUserId}`] : []),
    ...(session.grantId === null ? [] : [`grant ${session.grantId}`]),
  ]
}

/**
 * The active sessions that may stand in the way. Targets are found by id, not by key, so that one
 * that was started without `exclusiveTarget` is seen.
 */
async function rivalsOf(trx: Trx, dialect: Dialect, claim: SessionClaim): Promise<Session[]> {
  const { session, exclusiveTarget } = claim
  const active = trx.selectFrom('impersonation_sessions').selectAll()
  const rows = await active
    .where('active_actor_key', '=', toKey(session.actorId))
    .$if(exclusiveTarget, (query) =>
      query.unionAll(
        active
          .where('status', '=', 'active')
          .where(exactly(dialect, 'target_user_id', session.targetUserId)),
      ),
    )
    .$if(session.grantId !== null, (query) =>
      query.unionAll(active.where('active_grant_key', '=', toKey(session.grantId as string))),
    )
    .execute()
  const byId = new Map(rows.map((row) => [row.id, fromSessionRow(row)]))
  return [...byId.values()]
}
