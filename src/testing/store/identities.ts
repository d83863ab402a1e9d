import assert from 'node:assert/strict'
import type { Session } from '../../types.ts'
import {
  actionsOf,
  after,
  allEvents,
  allSessions,
  claimOf,
  endedEvent,
  endingOf,
  eventOf,
  extendedEvent,
  minute,
  type Rule,
  same,
  sessionOf,
  start,
  t0,
} from './fixtures.ts'

/**
 * Ids that some database, collation or JavaScript object takes for each other or for something
 * else.
 */
export const distinctIds = [
  'root',
  'Root',
  'ROOT',
  'root ',
  'root  ',
  ' root',
  'root\t',
  'root\n',
  'root\u00a0',
  'root\u200b',
  'roöt',
  'roo\u0308t',
  'ｒｏｏｔ',
  'rοοt',
  'ro%t',
  'ro_t',
  'root|',
  'root\\',
  "ro'ot",
  'ro"ot',
  '`root`',
  "'; drop table impersonation_sessions; --",
  '$1',
  ':root',
  '?',
  '7',
  '07',
  '7.0',
  '1e3',
  '1000',
  'null',
  'undefined',
  '__proto__',
  'constructor',
  'toString',
  'ß',
  'ss',
  'ẞ',
  'ı',
  'i',
  'I',
  '💥',
  '💣',
  '\uffff',
  'x'.repeat(255),
  `${'x'.repeat(254)}y`,
  `${'x'.repeat(254)} `,
  '💥'.repeat(255),
]

/** Ids that many databases can't keep, each with the one they would make of it. */
export const lossyIds = [
  [`${'x'.repeat(255)} `, 'x'.repeat(255)],
  ['x'.repeat(256), 'x'.repeat(255)],
  ['root\0', 'root'],
  ['root\0x', 'root'],
  ['root\ud800', 'root\ufffd'],
  ['root\udc00', 'root\ufffd'],
] as const

export function identityRules(rule: Rule): void {
  rule('ids are opaque: look-alikes are different actors and targets', async (store) => {
    const sessions = new Map<string, Session>()
    for (const [n, id] of distinctIds.entries()) {
      const targetUserId = `target-${n}`
      sessions.set(id, await start(store, { actorId: id, targetUserId, targetOrgId: id }))
    }
    for (const [id, session] of sessions) {
      const name = JSON.stringify(id)
      same(await store.readStanding(id), { active: session, lapse: null }, name)
      same(await store.listSessions({ actorId: id }, { limit: 100 }), [session], name)
      same(await store.listSessions({ orgId: id }, { limit: 100 }), [session], name)
      const events = await store.listEvents({ actorId: id }, { limit: 100 })
      same(
        events.map((event) => event.sessionId),
        [session.id],
        name,
      )
    }
  })

  rule('a look-alike of the actor is a target like any other', async (store) => {
    for (const [n, id] of ['Root', 'root ', ' root'].entries()) {
      const session = await start(
        store,
        { targetUserId: id, createdAt: t0 + n },
        { onConflict: 'replace' },
      )
      same(await store.listSessions({ targetUserId: id }, { limit: 100 }), [session])
      same((await store.listEvents({ targetUserId: id }, { limit: 100 })).length, 1)
    }
  })

  rule('look-alikes of a target do not make it busy', async (store) => {
    for (const [n, id] of distinctIds.entries()) {
      await start(store, { actorId: `actor-${n}`, targetUserId: id })
    }
    for (const id of distinctIds) {
      const [session, ...more] = await store.listSessions({ targetUserId: id }, { limit: 100 })
      assert.equal(session?.targetUserId, id)
      same(more, [])
    }
  })

  rule('a lapse is acknowledged for one actor, not for look-alikes', async (store) => {
    const lapses = new Map<string, Session>()
    for (const [n, actorId] of ['root', 'Root', 'root ', ' root'].entries()) {
      const session = await start(store, { actorId, targetUserId: `target-${n}` })
      await store.endSession(session.id, endingOf(), endedEvent)
      lapses.set(actorId, after(session, endingOf()))
    }
    await store.acknowledgeLapses('root')
    for (const [actorId, lapse] of lapses) {
      same((await store.readStanding(actorId)).lapse, actorId === 'root' ? null : lapse)
    }
  })

  rule('a look-alike of a session id finds, ends and extends nothing', async (store) => {
    const session = await start(store, { id: 'Session-é' })
    const change = { from: session.expiresAt, to: session.expiresAt + minute, now: t0 }
    for (const id of [
      'session-é',
      'Session-é ',
      ' Session-é',
      'Session-e\u0301',
      'Session-É',
      'Session-_',
    ]) {
      same(await store.readSession(id), null, id)
      same(await store.endSession(id, endingOf(), endedEvent), null, id)
      same(await store.extendSession(id, change, extendedEvent), null, id)
      same(await store.listEvents({ sessionId: id }, { limit: 10 }), [], id)
    }
    same(await store.readSession(session.id), session)
    same(await actionsOf(store, session), ['impersonation.started'])
  })

  rule('an id is kept as it is or refused, never as another', async (store) => {
    for (const [lossy, likely] of lossyIds) {
      const name = JSON.stringify(lossy).slice(-20)
      const session = sessionOf({ actorId: lossy, targetUserId: 'carol' })
      const kept = await store.claimSession(claimOf(session)).then(
        () => true,
        () => false,
      )
      same(await store.readStanding(likely), { active: null, lapse: null }, name)
      same(await store.listSessions({ actorId: likely }, { limit: 10 }), [], name)
      const standing = { active: kept ? session : null, lapse: null }
      same(await store.readStanding(lossy), standing, name)
      if (!kept) {
        same(await allSessions(store), [], name)
        same(await allEvents(store), [], name)
        continue
      }
      await store.endSession(session.id, endingOf({ acknowledged: true }), endedEvent)
    }
  })

  rule('a read never finds the look-alike of a lossy id', async (store) => {
    for (const [n, [lossy, likely]] of lossyIds.slice(1).entries()) {
      const actorId = n === 0 ? likely : `${likely}${n}`
      const session = await start(store, { actorId, targetUserId: `target-${n}` })
      const read = n === 0 ? lossy : `${lossy}${n}`
      same(await store.readStanding(read), { active: null, lapse: null })
      same(await store.readStanding(actorId), { active: session, lapse: null })
    }
  })
}

export function textRules(rule: Rule): void {
  rule('a reason of 500 emoji is stored whole', async (store) => {
    const reason = '🧯'.repeat(500)
    const session = await start(store, { reason })
    assert.equal((await store.readSession(session.id))?.reason, reason)
    assert.equal((await allEvents(store))[0]?.reason, reason)
  })

  rule('words of others are stored as they are', async (store) => {
    const words = `it's "quoted" \\ %_ \r\n\t \u202e \u001b[31m =cmd() {"a":1} <b> $1 ? ; --`
    const session = await start(store, {
      reason: words,
      ticket: words,
      clientId: words,
      ipAddress: words,
      userAgent: words.repeat(100),
      targetRole: words,
    })
    same(await store.readSession(session.id), session)
    const ending = endingOf({ note: words })
    await store.endSession(session.id, ending, endedEvent)
    same(await store.readSession(session.id), after(session, ending))
  })

  rule('ending works whatever the words, and whoever did it', async (store) => {
    for (const note of ['\0', 'a\0b', '\ud800', 'x'.repeat(5000)]) {
      const session = await start(store)
      const ending = endingOf({ note, by: `boss${note}` })
      const result = await store.endSession(session.id, ending, endedEvent)
      assert.equal(result?.changed, true)
      assert.equal((await store.readStanding('root')).active, null)
    }
  })

  rule('the details of an event are kept with their types', async (store) => {
    const details = { n: 1, half: 0.5, yes: true, no: false, nothing: null, text: '"💥\n\u2028' }
    const event = eventOf('impersonation.refused', sessionOf(), { details, code: 'not_allowed' })
    const bare = eventOf('impersonation.refused', sessionOf(), {
      at: t0 - 1,
      actorId: null,
      targetUserId: null,
      sessionId: null,
      reason: null,
    })
    await store.appendEvents([event, bare])
    same(await allEvents(store), [event, bare])
  })

  rule('what was handed in or out can change nothing that is stored', async (store) => {
    const session = sessionOf() as { -readonly [K in keyof Session]: Session[K] }
    const details: Record<string, string> = { kept: 'yes' }
    const started = { ...eventOf('impersonation.started', session), details }
    const copies = structuredClone({ session, started })
    await store.claimSession(claimOf(session, { events: { started, ended: endedEvent } }))
    session.targetUserId = 'bob'
    started.targetUserId = 'bob'
    details.kept = 'no'
    const tamper = (value: object | null | undefined) => {
      try {
        Object.assign(value ?? {}, { targetUserId: 'mallory', details: null })
      } catch {
        // Frozen is as good as copied.
      }
    }
    for (let round = 0; round < 2; round++) {
      const standing = await store.readStanding('root')
      same(standing, { active: copies.session, lapse: null })
      const [listed, event] = [(await allSessions(store))[0], (await allEvents(store))[0]]
      same([listed, event], [copies.session, copies.started])
      for (const value of [standing.active, listed, event, event?.details]) tamper(value)
      tamper(await store.readSession(copies.session.id))
    }
    same(await store.readSession(copies.session.id), copies.session)
  })
}
