import type { Session } from '../../types.ts'
import { type ClaimedEnding, endedBy, isExpiry, judgeClaim } from '../claim.ts'
import { usedGrant } from '../grant.ts'
import type { RecordedEvent } from '../outbox.ts'
import type { ClaimResult, SessionClaim } from '../store.ts'
import { acknowledge, endRow, lockGrants, swapGrant, type Trx, useUp } from './changes.ts'
import type { Dialect } from './dialect.ts'
import { insertEvents } from './events.ts'
import { takeAdvisoryLocks } from './locks.ts'
import { exactly } from './queries.ts'
import { holdsRequest, swapRequest } from './requests.ts'
import { LostRace } from './retry.ts'
import { fromSessionRow, toKey, toSessionRow } from './rows.ts'
import type { HeadOf } from './trail.ts'

/** One attempt at a claim: throws what `retried` knows when another one came first. */
export async function attemptClaim(
  trx: Trx,
  dialect: Dialect,
  claim: SessionClaim,
  headOf: HeadOf,
): Promise<ClaimResult> {
  const { session, exclusiveTarget, grant, request } = claim
  const row = toSessionRow(session, exclusiveTarget)
  if (dialect === 'postgres') await takeAdvisoryLocks(trx, claimedNames(claim))

  const judged = judgeClaim(claim, await rivalsOf(trx, dialect, claim))
  const { refusal } = judged
  // Before any row of a session, like everybody who changes both.
  const grants = await lockGrants(trx, dialect, [
    ...judged.endings.map(({ session: rival }) => rival.grantId),
    ...(grant && !refusal ? [grant.after.id] : []),
  ])
  const lost = refusal ? null : await lostBy()
  const opens = !refusal && !lost
  // Nothing of the actor's own is replaced by a session that does not begin.
  const endings = opens ? judged.endings : judged.endings.filter(isExpiry)

  const ended = endings.map(({ session: rival, ending }) => endedBy(rival, ending))
  for (const ending of inOrder(endings)) await endRival(ending)
  if (opens) {
    if (grant && !(await swapGrant(trx, dialect, grant))) throw new LostRace()
    if (request) await swapRequest(trx, dialect, request)
    await acknowledge(trx, session.actorId)
    await trx.insertInto('impersonation_sessions').values(row).execute()
  }
  const ends: RecordedEvent[] = []
  for (const rival of ended) ends.push(...claim.events.ended(rival, await headOf(trx, rival.id)))
  await insertEvents(trx, dialect, [
    ...ends,
    ...(opens ? [claim.events.started, ...(request?.events ?? [])] : []),
  ])
  if (lost) return { outcome: lost, ended }
  return refusal ?? { outcome: 'started', ended }

  /** What the claim was made from and is no longer so. The request is locked after the grants. */
  async function lostBy() {
    if (grant && !holds()) return 'grant_changed'
    return request && !(await holdsRequest(trx, dialect, request)) ? 'request_changed' : null
  }

  /** Whether the grant will have the revision that the claim was made from once the endings are done. */
  function holds(): boolean {
    const stored = grants.get(grant?.after.id ?? '')
    if (!stored || stored.revision !== grant?.from) return false
    const usedUp = judged.endings.some(({ session: rival }) => rival.grantId === stored.id)
    return !usedUp || usedGrant(stored) === null
  }

  async function endRival({ session: rival, ending }: ClaimedEnding): Promise<void> {
    if (!(await endRow(trx, dialect, rival.id, ending, rival.expiresAt))) throw new LostRace()
    await useUp(trx, dialect, grants.get(rival.grantId ?? ''))
  }
}

/** By their ids, so that two claims that end the same two never wait for each other. */
const inOrder = (endings: readonly ClaimedEnding[]) =>
  endings.toSorted((a, b) => (a.session.id < b.session.id ? -1 : 1))

/** What a claim and its rivals want at the same time. */
export function claimedNames({ session, exclusiveTarget, request }: SessionClaim): string[] {
  return [
    `actor ${session.actorId}`,
    ...(exclusiveTarget ? [`target ${session.targetUserId}`] : []),
    ...(session.grantId === null ? [] : [grantName(session.grantId)]),
    ...(request ? [`request ${request.after.id}`] : []),
  ]
}

export const grantName = (grantId: string) => `grant ${grantId}`

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
