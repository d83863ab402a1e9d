import assert from 'node:assert/strict'
import { endings, type Session } from '../../types.ts'
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

export function claimRules(rule: Rule): void {
  rule('a started session reads back as it was given, with its event', async (store) => {
    const session = sessionOf({
      actorOrgId: 'staff',
      targetOrgId: 'acme',
      targetRole: 'owner',
      accessLevel: 'full',
      reason: 'invoice is wrong',
      ticket: 'T-1',
      grantId: 'grant-1',
      breakGlass: true,
      clientId: 'console',
      ipAddress: '2001:db8::1',
      userAgent: 'Mozilla/5.0 (ü)',
    })
    const started = eventOf('impersonation.started', session, { requestId: 'r-1', code: null })
    const claim = claimOf(session, { events: { started, ended: endedEvent } })
    same(await store.claimSession(claim), { outcome: 'started', ended: [] })
    same(await store.readSession(session.id), session)
    same(await store.readStanding('root'), { active: session, lapse: null })
    same(await allSessions(store), [session])
    same(await allEvents(store), [started])
  })

  rule('what is null stays null', async (store) => {
    const session = await start(store, { reason: null })
    same(await store.readSession(session.id), session)
  })

  rule('only the actor of a session has a standing, not its target', async (store) => {
    await start(store)
    for (const id of ['alice', 'nobody']) {
      same(await store.readStanding(id), { active: null, lapse: null })
    }
  })

  rule('the standing gives an active session also past its expiry', async (store) => {
    const session = await start(store, { expiresAt: t0 + 1 })
    same(await store.readStanding('root'), { active: session, lapse: null })
  })

  rule('with reject, an actor with an active session is busy and keeps it', async (store) => {
    const first = await start(store)
    const second = sessionOf({ targetUserId: 'bob' })
    same(await store.claimSession(claimOf(second)), { outcome: 'actor_busy', by: first, ended: [] })
    same(await allSessions(store), [first])
    same(await actionsOf(store, second), [])
  })

  rule('with replace, the old session ends as replaced by the actor, who knows', async (store) => {
    const first = await start(store)
    const second = sessionOf({ targetUserId: 'bob', createdAt: t0 + minute })
    const result = await store.claimSession(claimOf(second, { onConflict: 'replace' }))
    const old = replaced(first, t0 + minute)
    same(result, { outcome: 'started', ended: [old] })
    same(await store.readSession(first.id), old)
    same(await store.readStanding('root'), { active: second, lapse: null })
    same(await actionsOf(store, first), ['impersonation.replaced', 'impersonation.started'])
    await assertConsistent(store)
  })

  rule('with replace, an actor may start again on the same target', async (store) => {
    const first = await start(store)
    const second = await start(store, { createdAt: t0 + 1 }, { onConflict: 'replace' })
    same(await allSessions(store), [second, replaced(first, t0 + 1)])
  })

  rule('an exclusive target is busy while somebody else is on it', async (store) => {
    const first = await start(store)
    const second = sessionOf({ actorId: 'sup' })
    for (const onConflict of ['reject', 'replace'] as const) {
      const result = await store.claimSession(claimOf(second, { onConflict }))
      same(result, { outcome: 'target_busy', by: first, ended: [] })
    }
    same(await allSessions(store), [first])
  })

  rule('a refusal for the target leaves the session that was to be replaced', async (store) => {
    await start(store)
    const own = await start(store, { actorId: 'sup', targetUserId: 'bob' })
    const next = sessionOf({ actorId: 'sup' })
    const result = await store.claimSession(claimOf(next, { onConflict: 'replace' }))
    assert.equal(result.outcome, 'target_busy')
    same(await store.readStanding('sup'), { active: own, lapse: null })
    same(await actionsOf(store, own), ['impersonation.started'])
  })

  rule('without exclusiveTarget several actors share a target', async (store) => {
    const shared = { exclusiveTarget: false }
    const first = await start(store, {}, shared)
    const second = await start(store, { actorId: 'sup' }, shared)
    same(await store.readStanding('root'), { active: first, lapse: null })
    same(await store.readStanding('sup'), { active: second, lapse: null })
    const third = await store.claimSession(claimOf(sessionOf(), shared))
    same(third, { outcome: 'actor_busy', by: first, ended: [] })
  })

  rule('an exclusive start sees sessions that were started without it', async (store) => {
    const first = await start(store, {}, { exclusiveTarget: false })
    const result = await store.claimSession(claimOf(sessionOf({ actorId: 'sup' })))
    same(result, { outcome: 'target_busy', by: first, ended: [] })
  })

  rule('of a grant one session is active at a time', async (store) => {
    const grant = { grantId: 'grant-1' }
    const first = await start(store, grant, { exclusiveTarget: false })
    const second = sessionOf({ ...grant, actorId: 'sup' })
    const result = await store.claimSession(claimOf(second, { exclusiveTarget: false }))
    same(result, { outcome: 'grant_busy', by: first, ended: [] })
    await store.endSession(first.id, stopOf(), endedEvent)
    await start(store, { ...grant, actorId: 'sup' }, { exclusiveTarget: false })
  })

  for (const status of endings) {
    rule(
      `the actor, target and grant of a session are free once it is ${status}`,
      async (store) => {
        const first = await start(store, { grantId: 'grant-1' })
        await store.endSession(first.id, endingOf({ status, reason: status }), endedEvent)
        const second = await start(store, { grantId: 'grant-1', createdAt: t0 + 6 * minute })
        assert.equal((await store.readStanding('root')).active?.id, second.id)
        await assertConsistent(store)
      },
    )
  }

  rule('a session is over at its expiry, not a millisecond before', async (store) => {
    const first = await start(store)
    const early = claimOf(sessionOf({ createdAt: first.expiresAt - 1 }))
    assert.equal((await store.claimSession(early)).outcome, 'actor_busy')
    const second = sessionOf({ createdAt: first.expiresAt })
    const result = await store.claimSession(claimOf(second))
    same(result, { outcome: 'started', ended: [expired(first)] })
  })

  rule('expired sessions in the way end at their own expiry, with events', async (store) => {
    const own = await start(store, { targetUserId: 'bob', expiresAt: t0 + minute })
    const other = await start(store, { actorId: 'sup', expiresAt: t0 + 2 * minute })
    const bystander = await start(store, {
      actorId: 'ann',
      targetUserId: 'carol',
      expiresAt: t0 + minute,
    })
    const next = sessionOf({ createdAt: t0 + 60 * minute, expiresAt: t0 + 90 * minute })
    const result = await store.claimSession(claimOf(next, { onConflict: 'replace' }))
    assert.equal(result.outcome, 'started')
    same(byId(result.ended), byId([expired(own), expired(other)]))
    same(await store.readSession(own.id), expired(own))
    same(await store.readSession(bystander.id), bystander)
    const event = (await store.listEvents({ sessionId: own.id }, { limit: 1 }))[0]
    assert.equal(event?.action, 'impersonation.expired')
    assert.equal(event?.at, own.expiresAt)
    same(await store.readStanding('root'), { active: next, lapse: null })
    same(await store.readStanding('sup'), { active: null, lapse: expired(other) })
    await assertConsistent(store)
  })

  rule('what a refused claim closes is expired and has its event', async (store) => {
    const own = await start(store, { expiresAt: t0 + minute })
    const busy = await start(store, { actorId: 'sup', targetUserId: 'bob' })
    const next = sessionOf({ targetUserId: 'bob', createdAt: t0 + 2 * minute })
    const result = refused(await store.claimSession(claimOf(next)))
    assert.equal(result.outcome, 'target_busy')
    same(result.by, busy)
    const { active, lapse } = await store.readStanding('root')
    if (result.ended.length > 0) {
      same(result.ended, [expired(own)])
      same({ active, lapse }, { active: null, lapse: expired(own) })
    } else same({ active, lapse }, { active: own, lapse: null })
    await assertConsistent(store)
  })

  rule('a start acknowledges every lapse of its actor and of nobody else', async (store) => {
    const first = await start(store)
    await store.endSession(first.id, endingOf(), endedEvent)
    const other = await start(store, { actorId: 'sup', targetUserId: 'bob' })
    await store.endSession(other.id, endingOf(), endedEvent)
    const next = await start(store, { createdAt: t0 + 9 * minute })
    same(await store.readStanding('root'), { active: next, lapse: null })
    await store.endSession(next.id, stopOf(), endedEvent)
    same(await store.readStanding('root'), { active: null, lapse: null })
    same((await store.readStanding('sup')).lapse, after(other, endingOf()))
  })

  rule('a refused start acknowledges nothing', async (store) => {
    const lapsed = await start(store, { targetUserId: 'bob' })
    await store.endSession(lapsed.id, endingOf(), endedEvent)
    await start(store, { actorId: 'sup' })
    refused(await store.claimSession(claimOf(sessionOf())))
    same((await store.readStanding('root')).lapse, after(lapsed, endingOf()))
  })

  rule('a token session is no standing, and leaves no lapse', async (store) => {
    const token = await start(store, { transport: 'token' })
    same(await store.readStanding('root'), { active: null, lapse: null })
    await store.endSession(token.id, endingOf(), endedEvent)
    same(await store.readStanding('root'), { active: null, lapse: null })
    same(await store.readSession(token.id), after(token, endingOf()))
  })

  rule('token sessions hinder neither the login of their actor nor each other', async (store) => {
    await start(store, { transport: 'token' })
    await start(store, { transport: 'token', targetUserId: 'bob' })
    const login = await start(store, { targetUserId: 'carol' })
    await start(store, { transport: 'token', targetUserId: 'dave' })
    same(await store.readStanding('root'), { active: login, lapse: null })
  })

  rule('a token session holds its target like any other', async (store) => {
    const token = await start(store, { transport: 'token' })
    const result = await store.claimSession(claimOf(sessionOf({ actorId: 'sup' })))
    same(result, { outcome: 'target_busy', by: token, ended: [] })
    const own = await store.claimSession(claimOf(sessionOf()))
    same(own, { outcome: 'actor_busy', by: token, ended: [] })
    await start(store, { createdAt: t0 + 1 }, { onConflict: 'replace' })
    same(await store.readSession(token.id), replaced(token, t0 + 1))
    await assertConsistent(store)
  })

  rule('a start whose own event cannot be stored leaves nothing behind', async (store) => {
    const first = await start(store, { targetUserId: 'bob' })
    const [taken] = await allEvents(store)
    const next = sessionOf()
    const started = eventOf('impersonation.started', next, { id: taken?.id ?? '' })
    const events = { started, ended: endedEvent }
    await assert.rejects(store.claimSession(claimOf(next, { onConflict: 'replace', events })))
    same(await allSessions(store), [first])
    same(await allEvents(store), [taken])
  })

  rule('a start whose ending events cannot be made or stored ends nothing', async (store) => {
    const first = await start(store)
    const [taken] = await allEvents(store)
    const unmade = () => {
      throw new Error('no event')
    }
    const unstored = (session: Session) => [
      eventOf('impersonation.replaced', session, { id: taken?.id ?? '' }),
    ]
    for (const ended of [unmade, unstored]) {
      const next = sessionOf({ targetUserId: 'bob' })
      const events = { started: eventOf('impersonation.started', next), ended }
      await assert.rejects(store.claimSession(claimOf(next, { onConflict: 'replace', events })))
    }
    same(await store.readStanding('root'), { active: first, lapse: null })
    same(await allSessions(store), [first])
    same(await allEvents(store), [taken])
  })

  rule('a session id is taken once and for all', async (store) => {
    const first = await start(store)
    await store.endSession(first.id, stopOf(), endedEvent)
    const own = await start(store, { targetUserId: 'bob' })
    const again = sessionOf({ id: first.id, targetUserId: 'carol' })
    await assert.rejects(store.claimSession(claimOf(again, { onConflict: 'replace' })))
    same(await store.readSession(first.id), after(first, stopOf()))
    same(await store.readStanding('root'), { active: own, lapse: null })
    await assertConsistent(store)
  })
}

const byId = (sessions: readonly Session[]) => [...sessions].sort((a, b) => (a.id < b.id ? -1 : 1))
