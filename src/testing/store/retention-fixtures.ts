import { placed } from '../../audit/trail-seal.ts'
import type { RetentionSection } from '../../stores/retention.ts'
import type { SessionEnding, Store } from '../../stores/store.ts'
import type { AuditEvent, Session } from '../../types.ts'
import { keys, sealed } from './chain.ts'
import {
  claimOf,
  endedEvent,
  endingOf,
  eventOf,
  minute,
  type Rule,
  sessionOf,
  t0,
} from './fixtures.ts'
import { contentOf } from './trail-fixtures.ts'

export const day = 24 * 60 * minute
/** What is older is prunable. */
export const before = t0 + day

/** A rule of the section `retention`: a store without it keeps these by having nothing to keep. */
export type RetentionRule = (
  name: string,
  prove: (store: Store, retention: RetentionSection) => Promise<void>,
) => void

export function whereRetained(rule: Rule): RetentionRule {
  return (name, prove) =>
    rule(name, async (store) => {
      if (store.retention) await prove(store, store.retention)
    })
}

let people = 0

/** A session of two people of its own, with an entry in its trail; its start is sealed. */
export async function begun(store: Store, changes: Partial<Session> = {}): Promise<Session> {
  const n = ++people
  const session = sessionOf({ actorId: `actor-${n}`, targetUserId: `target-${n}`, ...changes })
  const claim = claimOf(session)
  const started = sealed(claim.events.started)
  await store.claimSession({ ...claim, events: { ...claim.events, started } })
  const done = contentOf(session.id)
  await store.trail?.appendTrail(session.id, [(head) => placed(done, head, keys)])
  return session
}

/** … that ended at an instant, with the sealed event of its end. */
export async function over(
  store: Store,
  at: number,
  changes: Partial<Session> = {},
  ending: Partial<SessionEnding> = {},
): Promise<Session> {
  const createdAt = at - 10 * minute
  const session = await begun(store, { createdAt, expiresAt: at + minute, ...changes })
  const how = endingOf({ at, acknowledged: true, ...ending })
  const result = await store.endSession(session.id, how, (ended) => endedEvent(ended).map(sealed))
  return result?.session ?? session
}

/** An event of no session, sealed. */
export async function lone(store: Store, changes: Partial<AuditEvent> = {}): Promise<AuditEvent> {
  const event = eventOf('impersonation.refused', sessionOf(), { sessionId: null, ...changes })
  await store.appendEvents([sealed(event)])
  return event
}

/** Where the chain ends; past everything where there is none. */
export const endOf = async ({ chain }: Store): Promise<number> =>
  (await chain?.readHead())?.seq ?? 1_000_000

/** Prunes until nothing is left, whatever is linked. */
export async function pruneAll(store: Store, retention: RetentionSection, at = before) {
  const totals = { sessions: 0, events: 0 }
  for (;;) {
    const { sessions, events, more } = await retention.prune(at, await endOf(store), 100)
    totals.sessions += sessions
    totals.events += events
    if (!more) return totals
  }
}

export async function eraseAll(store: Store, retention: RetentionSection, userId: string) {
  let rows = 0
  for (;;) {
    const unit = await retention.erasePerson(userId, await endOf(store), 100)
    rows += unit.rows
    if (!unit.more) return rows
  }
}
