/**
 * A process that starts, stops, revokes and extends without end, with and without grants and requests, issues
 * API tokens, and delivers what all of that leaves behind, until somebody kills it. It tells its parent of every step, so that a kill can come after any number of them.
 */
import { randomUUID } from 'node:crypto'
import type { RecordedEvent } from '../../src/stores/outbox.ts'
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
import { deliveryOf, leaseOf, settlementOf } from '../../src/testing/store/outbox-fixtures.ts'
import { requestEvent, requestOf, stepOf } from '../../src/testing/store/request-fixtures.ts'
import {
  hashOf,
  revocationOf,
  rotationOf,
  tokenEvent,
  tokenOf,
} from '../../src/testing/store/token-fixtures.ts'
import type { ApiToken, AuditEvent, Grant, Session } from '../../src/types.ts'
import { connect } from './connect.ts'

const { store } = connect(JSON.parse(process.argv[2] ?? ''), 2)
/** Every event has an id of its own, and a delivery that is named by it. */
function unique(event: AuditEvent): RecordedEvent {
  const id = randomUUID()
  return { ...event, id, deliveries: [deliveryOf({ id: `notice of ${id}` })] }
}
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

/** A request from the question to the start on it: revision 1, 2 and 3, each with its event. */
async function requestStep(store: Store, actorId: string): Promise<void> {
  const { requests } = store
  if (!requests) throw new Error('This store has no requests.')
  const people = { actorId, targetUserId: `target-${random(4)}` }
  const request = requestOf({ ...people, id: randomUUID() })
  const event = (after: typeof request) =>
    unique(requestEvent(after, { details: { request: request.id } }))
  await requests.createRequest(request, [event(request)], { mark: `1 ${request.id}`, at: t0 })
  process.send?.('asked')
  const yes = stepOf(request, { status: 'approved', approvedBy: ['boss'] })
  await requests.changeRequest(yes, [event(yes.after)], { mark: `2 ${request.id}`, at: t0 })
  process.send?.('approved')
  const session = sessionOf({ ...people, id: randomUUID() })
  const used = stepOf(yes.after, { status: 'used', sessionId: session.id })
  await store.claimSession({
    session,
    now: t0 + random(40) * minute,
    onConflict: 'replace',
    exclusiveTarget: true,
    request: { ...used, events: [event(used.after)] },
    events: { started: unique(eventOf('impersonation.started', session)), ended },
  })
  process.send?.('claimed')
}

/** A token, the one that comes in its place, and the end of that: each names itself in its events. */
async function tokenStep({ tokens }: Store, actorId: string): Promise<void> {
  if (!tokens) throw new Error('This store has no API tokens.')
  const event = (token: ApiToken) => unique(tokenEvent(token, { details: { token: token.id } }))
  const token = tokenOf({ id: randomUUID(), issuedBy: actorId })
  await tokens.createToken(token, hashOf(token.id), [event(token)], null)
  process.send?.('issued')
  const { next, replaces } = rotationOf(token, { id: randomUUID(), name: token.id })
  const events = [event(replaces.after), event(next)]
  await tokens.createToken(next, hashOf(next.id), events, replaces)
  process.send?.('rotated')
  const revocation = revocationOf(next)
  await tokens.changeToken(revocation, [event(revocation.after)])
  process.send?.('revoked')
}

/** Hands out what is due and settles some of it, each with another delivery that follows on it. */
async function deliver({ outbox }: Store): Promise<void> {
  if (!outbox) throw new Error('This store has no outbox.')
  const now = t0 + minute + random(9)
  const handed = await outbox.leaseDeliveries(leaseOf(now, now + random(9), { limit: 5 }))
  process.send?.('handed out')
  for (const delivery of handed) {
    if (random(3) === 0) continue
    const more = deliveryOf({ id: `after ${delivery.id}`, status: 'skipped' })
    await outbox.changeDelivery(settlementOf(delivery), [more])
  }
  process.send?.('delivered')
}

async function churn(actorId: string): Promise<never> {
  const steps = [step, step, consentStep, consentStep, requestStep, tokenStep, deliver]
  for (;;) await steps[random(steps.length)]?.(store, actorId)
}

process.on('disconnect', () => process.exit())
await Promise.all([churn(`actor-${random(3)}`), churn(`actor-${random(3)}`)])
