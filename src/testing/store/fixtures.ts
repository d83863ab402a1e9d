import assert from 'node:assert/strict'
import type { ClaimResult, SessionClaim, SessionEnding, Store } from '../../stores/store.ts'
import type { AuditEvent, EventAction, Session } from '../../types.ts'

/** When the tests take place. No clock is read: a store gets its instants from the caller. */
export const t0 = Date.UTC(2030, 0, 1)
export const minute = 60_000

/** What a test runner has to bring: those of vitest, node:test, jest, mocha and bun fit. */
export interface TestRunner {
  describe(name: string, define: () => void): unknown
  it(name: string, run: () => Promise<void>): unknown
}

/** Names a rule of the contract and proves it on a store of its own. */
export type Rule = (name: string, prove: (store: Store) => Promise<void>) => void

let serial = 0
export const nextId = (kind: string) => `${kind}-${++serial}`

/** An active session from `root` to `alice`, half an hour from `t0` on. */
export function sessionOf(changes: Partial<Session> = {}): Session {
  return {
    id: nextId('session'),
    actorId: 'root',
    actorOrgId: null,
    targetUserId: 'alice',
    targetOrgId: null,
    targetRole: null,
    accessLevel: 'view',
    reason: 'a test',
    ticket: null,
    grantId: null,
    breakGlass: false,
    transport: 'session',
    clientId: null,
    ipAddress: null,
    userAgent: null,
    createdAt: t0,
    expiresAt: t0 + 30 * minute,
    endedAt: null,
    endedReason: null,
    endedNote: null,
    endedBy: null,
    status: 'active',
    ...changes,
  }
}

export function eventOf(
  action: EventAction,
  session: Session,
  changes: Partial<AuditEvent> = {},
): AuditEvent {
  return {
    id: nextId('event'),
    at: session.endedAt ?? session.createdAt,
    action,
    outcome: 'success',
    code: null,
    actorId: session.actorId,
    targetUserId: session.targetUserId,
    actorOrgId: session.actorOrgId,
    targetOrgId: session.targetOrgId,
    sessionId: session.id,
    grantId: session.grantId,
    reason: session.reason,
    ipAddress: session.ipAddress,
    userAgent: session.userAgent,
    clientId: session.clientId,
    requestId: null,
    details: {},
    ...changes,
  }
}

/** The event of an ending, named by it. */
export const endedEvent = (session: Session): AuditEvent[] => [
  eventOf(`impersonation.${session.status}` as EventAction, session),
]

export const extendedEvent = (session: Session): AuditEvent[] => [
  eventOf('impersonation.extended', session),
]

/** A claim at the session's start, `reject` and exclusive unless changed. */
export function claimOf(
  session: Session = sessionOf(),
  changes: Partial<SessionClaim> = {},
): SessionClaim {
  return {
    session,
    now: session.createdAt,
    onConflict: 'reject',
    exclusiveTarget: true,
    events: { started: eventOf('impersonation.started', session), ended: endedEvent },
    ...changes,
  }
}

/** Starts a session that nothing should stand in the way of. */
export async function start(
  store: Store,
  changes: Partial<Session> = {},
  rules: Partial<SessionClaim> = {},
): Promise<Session> {
  const session = sessionOf(changes)
  const result = await store.claimSession(claimOf(session, rules))
  assert.equal(result.outcome, 'started', 'nothing stood in the way of this start')
  return session
}

export function endingOf(changes: Partial<SessionEnding> = {}): SessionEnding {
  return {
    status: 'revoked',
    reason: 'revoked',
    at: t0 + 5 * minute,
    by: 'boss',
    note: null,
    acknowledged: false,
    ...changes,
  }
}

/** The actor's own stop: they know. */
export const stopOf = (actorId = 'root'): SessionEnding =>
  endingOf({ status: 'stopped', reason: 'stopped', by: actorId, acknowledged: true })

/** A session as an ending leaves it. */
export function after(session: Session, ending: SessionEnding): Session {
  const { status, at, reason, note, by } = ending
  return { ...session, status, endedAt: at, endedReason: reason, endedNote: note, endedBy: by }
}

export const expired = (session: Session): Session =>
  after(
    session,
    endingOf({ status: 'expired', reason: 'expired', at: session.expiresAt, by: null }),
  )

/** A session as the next start of its actor leaves it. */
export const replaced = (session: Session, at: number): Session =>
  after(session, endingOf({ status: 'replaced', reason: 'replaced', at, by: session.actorId }))

export function refused(result: ClaimResult): Exclude<ClaimResult, { outcome: 'started' }> {
  assert.notEqual(result.outcome, 'started', 'this start had to be refused')
  return result as Exclude<ClaimResult, { outcome: 'started' }>
}

/** Equality of what a store gives and what it should give, whatever the prototypes. */
export function same(actual: unknown, expected: unknown, message?: string): void {
  assert.deepEqual(actual, expected, message)
}

export async function allSessions(store: Store): Promise<Session[]> {
  return store.listSessions({}, { limit: 1_000_000 })
}

export async function allEvents(store: Store): Promise<AuditEvent[]> {
  return store.listEvents({}, { limit: 1_000_000 })
}

export async function actionsOf(store: Store, session: Session): Promise<string[]> {
  const events = await store.listEvents({ sessionId: session.id }, { limit: 100 })
  return events.map((event) => event.action).sort()
}

/**
 * What holds in every store at every moment: one active session per actor and target, each session
 * with its started event, and with one ending event exactly if it ended.
 */
export async function assertConsistent(store: Store): Promise<void> {
  const [sessions, events] = [await allSessions(store), await allEvents(store)]
  const active = sessions.filter((session) => session.status === 'active')
  const logins = active.filter((session) => session.transport === 'session')
  const count = (values: (string | null)[]) => values.length - new Set(values).size
  assert.equal(
    count(logins.map((session) => session.actorId)),
    0,
    'two active sessions of one actor',
  )
  assert.equal(count(active.map((session) => session.targetUserId)), 0, 'two on one target')

  const bySession = Map.groupBy(events, (event) => event.sessionId)
  for (const session of sessions) {
    const actions = (bySession.get(session.id) ?? [])
      .map((event) => event.action)
      .filter((action) => action !== 'impersonation.extended' && !action.startsWith('grant.'))
      .sort()
    const expected = ['impersonation.started']
    if (session.status !== 'active') expected.push(`impersonation.${session.status}`)
    same(actions, expected.sort(), `session ${session.id} has the events of its life, each once`)
  }
  const known = new Set(sessions.map((session) => session.id))
  const orphans = events.filter((event) => event.sessionId !== null && !known.has(event.sessionId))
  same(orphans, [], 'no event tells of a session that was never stored')
}
