import type { AuditEvent, Grant, Session } from '../../types.ts'
import type { EventFilter, GrantFilter, Page, SessionFilter } from '../store.ts'

/** What every list of the memory store does: match, order, page. */

export function grantMatches(grant: Grant, filter: GrantFilter): boolean {
  return (
    same(filter.status, grant.status) &&
    same(filter.actorId, grant.actorId) &&
    same(filter.targetUserId, grant.targetUserId) &&
    grant.expiresAt <= (filter.expiredBy ?? Number.POSITIVE_INFINITY)
  )
}

export function sessionMatches(session: Session, filter: SessionFilter): boolean {
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = filter
  return (
    same(filter.status, session.status) &&
    same(filter.actorId, session.actorId) &&
    same(filter.targetUserId, session.targetUserId) &&
    same(filter.orgId, session.targetOrgId) &&
    same(filter.accessLevel, session.accessLevel) &&
    session.createdAt >= from &&
    session.createdAt < to
  )
}

export function eventMatches(event: AuditEvent, filter: EventFilter): boolean {
  const { action, from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = filter
  return (
    (action?.endsWith('*')
      ? event.action.startsWith(action.slice(0, -1))
      : same(action, event.action)) &&
    same(filter.actorId, event.actorId) &&
    same(filter.targetUserId, event.targetUserId) &&
    same(filter.sessionId, event.sessionId) &&
    event.at >= from &&
    event.at < to
  )
}

export const same = (wanted: string | undefined, value: string | null) =>
  wanted === undefined || wanted === value

interface Identified {
  readonly id: string
}

export function paged<T extends Identified>(rows: T[], at: (row: T) => number, page: Page): T[] {
  const { before, limit } = page
  const after = before
    ? rows.filter((row) => order(at(row), row.id, before.at, before.id) > 0)
    : rows
  return after.sort(newestFirst(at)).slice(0, limit)
}

export function newestFirst<T extends Identified>(at: (row: T) => number) {
  return (a: T, b: T) => order(at(a), a.id, at(b), b.id)
}

function order(at: number, id: string, otherAt: number, otherId: string): number {
  return otherAt - at || Buffer.compare(Buffer.from(otherId), Buffer.from(id))
}
