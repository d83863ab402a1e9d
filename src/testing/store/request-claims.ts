import assert from 'node:assert/strict'
import type { RecordedEvent } from '../../stores/outbox.ts'
import type { SessionClaim } from '../../stores/store.ts'
import type { AccessRequest, Session } from '../../types.ts'
import {
  actionsOf,
  after,
  allEvents,
  allSessions,
  assertConsistent,
  claimOf,
  endedEvent,
  endingOf,
  eventOf,
  expired,
  minute,
  type Rule,
  refused,
  replaced,
  same,
  sessionOf,
  start,
  stopOf,
  t0,
} from './fixtures.ts'
import { changeOf, consent } from './grant-fixtures.ts'
import { lookAlikes } from './grants.ts'
import {
  allRequests,
  ask,
  requestEvent,
  requestOf,
  stepOf,
  whereRequested,
} from './request-fixtures.ts'

/** A claim on a request, which it leaves used. */
function claimOn(
  request: AccessRequest,
  session: Session = sessionOf(),
  changes: Partial<SessionClaim> = {},
  events?: readonly RecordedEvent[],
): SessionClaim {
  const step = stepOf(request, { status: 'used', sessionId: session.id })
  const told = events ?? [requestEvent(step.after)]
  return claimOf(session, { request: { ...step, events: told }, ...changes })
}

export function requestedRules(someRule: Rule): void {
  const rule = whereRequested(someRule)

  rule('a start leaves its request as the start was to leave it', async (store, requests) => {
    const request = await ask(requests, { status: 'approved', approvedBy: ['sup'] })
    const session = sessionOf()
    const claim = claimOn(request, session)
    same(await store.claimSession(claim), { outcome: 'started', ended: [] })
    same(await requests.readRequest(request.id), claim.request?.after)
    same(await store.readStanding('root'), { active: session, lapse: null })
    same((await allEvents(store)).map(({ action }) => action).sort(), [
      'approval.approved',
      'approval.used',
      'impersonation.started',
    ])
    await assertConsistent(store)
  })

  rule('a start on a request of another revision changes nothing', async (store, requests) => {
    const request = await ask(requests, { status: 'approved', revision: 5 })
    const lapsed = await start(store, { targetUserId: 'bob' })
    await store.endSession(lapsed.id, endingOf(), endedEvent)
    const events = await allEvents(store)
    for (const revision of [4, 6]) {
      const claim = claimOn({ ...request, revision })
      same(await store.claimSession(claim), { outcome: 'request_changed', ended: [] })
    }
    same(await allRequests(requests), [request])
    same(await allSessions(store), [after(lapsed, endingOf())])
    same(await allEvents(store), events)
    same((await store.readStanding('root')).lapse, after(lapsed, endingOf()), 'still not told')
  })

  rule('a start on a request that is not there starts nothing', async (store, requests) => {
    const request = await ask(requests, { id: 'Grant-é' })
    for (const id of [...lookAlikes, 'x'.repeat(256), 'Grant-é\0']) {
      const claim = claimOn({ ...request, id })
      same(await store.claimSession(claim), { outcome: 'request_changed', ended: [] }, id)
    }
    same(await allRequests(requests), [request])
    same(await allSessions(store), [])
  })

  rule('a start whose request changed replaces nothing of the actor', async (store, requests) => {
    const own = await start(store, { targetUserId: 'bob' })
    const request = await ask(requests, { status: 'approved' })
    const session = sessionOf({ createdAt: t0 + 1 })
    const stale = claimOn({ ...request, revision: 9 }, session, { onConflict: 'replace' })
    same(await store.claimSession(stale), { outcome: 'request_changed', ended: [] })
    same(await store.readStanding('root'), { active: own, lapse: null })
    same(await actionsOf(store, own), ['impersonation.started'])
    const good = claimOn(request, session, { onConflict: 'replace' })
    same(await store.claimSession(good), { outcome: 'started', ended: [replaced(own, t0 + 1)] })
  })

  rule('a start that is refused leaves its request alone', async (store, requests) => {
    const request = await ask(requests, { status: 'approved' })
    const busy = await start(store, { actorId: 'sup' })
    const events = await allEvents(store)
    const outcome = async (changes: Partial<Session>) =>
      refused(await store.claimSession(claimOn(request, sessionOf(changes)))).outcome
    assert.equal(await outcome({}), 'target_busy')
    assert.equal(await outcome({ actorId: 'sup', targetUserId: 'bob' }), 'actor_busy')
    same(await allRequests(requests), [request])
    same(await allSessions(store), [busy])
    same(await allEvents(store), events)
  })

  rule('a refusal comes before what became of the request', async (store, requests) => {
    const request = await ask(requests)
    await start(store, { actorId: 'sup' })
    const stale = claimOn({ ...request, revision: 9 })
    assert.equal(refused(await store.claimSession(stale)).outcome, 'target_busy')
  })

  rule('a start that fails leaves its request as it was', async (store, requests) => {
    const request = await ask(requests, { status: 'approved' })
    const old = await start(store, { targetUserId: 'bob' })
    await store.endSession(old.id, stopOf(), endedEvent)
    const stored = await allEvents(store)
    const id = stored[0]?.id ?? ''
    const session = sessionOf()
    const started = eventOf('impersonation.started', session, { id })
    const told = requestEvent(request)
    for (const claim of [
      claimOn(request, session, { events: { started, ended: endedEvent } }),
      claimOn(request, sessionOf({ id: old.id })),
      claimOn(request, session, {}, [told, { ...told, id }]),
      claimOn(request, session, {}, [told, told]),
    ]) {
      await assert.rejects(store.claimSession(claim))
    }
    same(await allRequests(requests), [request])
    same(await allSessions(store), [after(old, stopOf())])
    same(await allEvents(store), stored)
  })

  rule(
    'what expired in the way of a start whose request changed has its event',
    async (store, requests) => {
      const request = await ask(requests)
      const old = await start(store, { actorId: 'sup', expiresAt: t0 + minute })
      const next = sessionOf({ createdAt: t0 + 2 * minute })
      const claim = claimOn({ ...request, revision: 9 }, next)
      const { outcome, ended } = await store.claimSession(claim)
      assert.equal(outcome, 'request_changed')
      same(await store.readSession(old.id), ended.length > 0 ? expired(old) : old)
      if (ended.length > 0) same(ended, [expired(old)])
      same(await store.readSession(next.id), null)
      same(await allRequests(requests), [request])
      await assertConsistent(store)
    },
  )

  rule('of many starts on one request at once one starts', async (store, requests) => {
    const request = await ask(requests, { status: 'approved' })
    const claims = Array.from({ length: 30 }, (_, n) =>
      claimOn(request, sessionOf({ targetUserId: `target-${n}` }), { onConflict: 'replace' }),
    )
    const results = await Promise.all(claims.map((claim) => store.claimSession(claim)))
    const outcomes = results.map(({ outcome }) => outcome)
    assert.equal(outcomes.filter((outcome) => outcome === 'started').length, 1)
    assert.equal(outcomes.filter((outcome) => outcome === 'request_changed').length, 29)
    const [session, ...more] = await allSessions(store)
    same(more, [])
    same((await store.readStanding('root')).active, session)
    same(
      await requests.readRequest(request.id),
      stepOf(request, { status: 'used', sessionId: session?.id ?? '' }).after,
    )
    assert.equal((await allEvents(store)).length, 3)
    await assertConsistent(store)
  })

  rule('a start and a denial of its request at once agree', async (store, requests) => {
    await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const people = { actorId: `actor-${n}`, targetUserId: `target-${n}` }
        const request = await ask(requests, { ...people, status: 'approved' })
        const denial = stepOf(request, { status: 'denied', deniedBy: 'boss' })
        const [claimed, denied] = await Promise.all([
          store.claimSession(claimOn(request, sessionOf(people))),
          requests.changeRequest(denial, [requestEvent(denial.after)], null),
        ])
        const started = claimed.outcome === 'started'
        assert.equal(denied, started ? 'changed_since' : 'changed')
        const stored = await requests.readRequest(request.id)
        assert.equal(stored?.status, started ? 'used' : 'denied')
        assert.equal(stored?.revision, 2)
      }),
    )
    await assertConsistent(store)
  })

  rule('where grant and request changed, the grant is named', async (store, requests) => {
    if (!store.grants) return
    const [grant, request] = [await consent(store.grants), await ask(requests)]
    const session = sessionOf({ grantId: grant.id })
    const stale = { grant: changeOf({ ...grant, revision: 9 }) }
    const outcome = async (claim: SessionClaim) => (await store.claimSession(claim)).outcome
    const old = { ...request, revision: 9 }
    assert.equal(await outcome(claimOn(old, session, stale)), 'grant_changed')
    assert.equal(await outcome(claimOn(request, session, stale)), 'grant_changed')
    const good = { grant: changeOf(grant) }
    assert.equal(await outcome(claimOn(old, session, good)), 'request_changed')
    same(await store.grants.readGrant(grant.id), grant, 'neither is changed without the other')
    same(await requests.readRequest(request.id), request)
    assert.equal(await outcome(claimOn(request, session, good)), 'started')
    same(await store.grants.readGrant(grant.id), good.grant.after)
    assert.equal((await requests.readRequest(request.id))?.status, 'used')
  })

  rule('a session and its request end apart from each other', async (store, requests) => {
    const request = await ask(requests, { status: 'approved' })
    const claim = claimOn(request)
    await store.claimSession(claim)
    await store.endSession(claim.session.id, endingOf(), endedEvent)
    same(await allRequests(requests), [claim.request?.after ?? requestOf()])
  })
}
