/**
 * A process that starts, stops, revokes and extends without end, with and without grants, until
 * somebody kills it. It tells its parent of every step, so that a kill can come after any number of them.
 */
import { randomUUID } from 'node:crypto'
import type { Store } from '../../src/stores/store.ts'
import {
  endedEvent,
  endingOf,
  eventOf,
  extendedEvent,
  minute,
  sessionOf,
  stopOf,
  t0,
} from '../../src/testing/store/fixtures.ts'
import { changeOf, grantEvent, grantOf } from '../../src/testing/store/grant-fixtures.ts'
import type { AuditEvent, Grant, Session } from '../../src/types.ts'
import { connect } from './connect.ts'

const { store } = connect(JSON.parse(process.argv[2] ?? ''), 2)
const unique = (event: AuditEvent): AuditEvent => ({ ...event, id: randomUUID() })
const ended = (session: Session) => endedEvent(session).map(unique)
const random = (sides: number) => Math.floor(Math.random() * sides)

async function step(store: Store, actorId: string): Promise<void> {
  const session = sessionOf({ id: randomUUID(), actorId, targetUserId: `target-${random(4)}` })
  const claimed = await store.claimSession({
    session,
    now: t0 + random(40) * minute,
    onConflict: 'replace',
    exclusiveTarget: true,
    events: { started: unique(eventOf('impersonation.started', session)), ended },
  })
  process.send?.('claimed')
  if (claimed.outcome !== 'started') return
  if (random(2) === 0) {
    const change = { from: session.expiresAt, to: session.expiresAt + minute, now: t0 }
    await store.extendSession(session.id, change, (extended) => extendedEvent(extended).map(unique))
  }
  if (random(3) > 0) {
    await store.endSession(session.id, random(2) ? stopOf(actorId) : endingOf(), ended)
  }
  process.send?.('ended')
}

/** A consent from the question to its end: used by the end of its session, or revoked with it. */
async function consentStep(store: Store, actorId: string): Promise<void> {
  const { grants } = store
  if (!grants) throw new Error('This store has no grants.')
  const people = { actorId, targetUserId: `target-${random(4)}` }
  let grant = grantOf({ ...people, id: randomUUID() })
  const event = () => [unique(grantEvent(grant))]
  const change = (changes: Partial<Grant>) => {
    const change = changeOf(grant, changes)
    grant = change.after
    return change
  }
  await grants.createGrant(grant, event())
  process.send?.('requested')
  await grants.changeGrant(change({ status: 'granted' }), event(), null)
  const session = sessionOf({ ...people, id: randomUUID(), grantId: grant.id })
  const claimed = await store.claimSession({
    session,
    now: t0 + random(40) * minute,
    onConflict: 'replace',
    exclusiveTarget: true,
    grant: change({}),
    events: { started: unique(eventOf('impersonation.started', session)), ended },
  })
  process.send?.('claimed')
  if (claimed.outcome !== 'started') return
  if (random(3) === 0) await store.endSession(session.id, stopOf(actorId), ended)
  else {
    const ending = { how: endingOf({ reason: 'grant_revoked' }), event: ended }
    await grants.changeGrant(change({ status: 'revoked' }), event(), ending)
  }
  process.send?.('ended')
}

async function churn(actorId: string): Promise<never> {
  for (;;) await (random(2) ? step : consentStep)(store, actorId)
}

process.on('disconnect', () => process.exit())
await Promise.all([churn(`actor-${random(3)}`), churn(`actor-${random(3)}`)])
