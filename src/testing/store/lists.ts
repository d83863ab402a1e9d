import assert from 'node:assert/strict'
import type { EventFilter, Place, SessionFilter, Store } from '../../stores/store.ts'
import type { AuditEvent, EventAction, Session } from '../../types.ts'
import {
  after,
  allEvents,
  allSessions,
  endedEvent,
  endingOf,
  eventOf,
  type Rule,
  same,
  sessionOf,
  start,
  t0,
} from './fixtures.ts'

export function listRules(rule: Rule): void {
  rule('sessions are listed newest first, ties by id, and paged without loss', async (store) => {
    const stored = await manySessions(store)
    const expected = newestFirst(stored, (session) => session.createdAt)
    same(await allSessions(store), expected)
    for (const limit of [1, 2, 3, 5, 100]) {
      const read = (before?: Place) => store.listSessions({}, { limit, before })
      same(
        await everyPage(read, limit, (session) => session.createdAt),
        expected,
        `pages of ${limit}`,
      )
    }
  })

  rule('ties are in the order of the bytes of their ids', async (store) => {
    const ids = ['A', 'Z', '_', 'a', 'a!', 'b', 'É', 'é', '\uffee', '💥']
    const events = ids.map((id) => eventOf('impersonation.refused', sessionOf(), { id }))
    await store.appendEvents(events.toSorted((a, b) => (a.id.length < b.id.length ? 1 : -1)))
    const expected = ids.toReversed()
    const listed = await allEvents(store)
    same(
      listed.map((event) => event.id),
      expected,
    )
    const read = (before?: Place) => store.listEvents({}, { limit: 1, before })
    same(await everyPage(read, 1, (event) => event.at), listed)
  })

  rule('a page continues after a place whose row is not there', async (store) => {
    const stored = newestFirst(await manySessions(store), (session) => session.createdAt)
    const before = { at: t0 + 1, id: 'list-4x' }
    const expected = stored.filter(
      ({ createdAt, id }) => createdAt < before.at || (createdAt === before.at && id < before.id),
    )
    same(await store.listSessions({}, { limit: 100, before }), expected)
  })

  rule('every filter of sessions holds, alone and together', async (store) => {
    const stored = newestFirst(await manySessions(store), (session) => session.createdAt)
    const cases: [SessionFilter, (session: Session) => boolean][] = [
      [{ status: 'active' }, (s) => s.status === 'active'],
      [{ status: 'revoked' }, (s) => s.status === 'revoked'],
      [{ status: 'replaced' }, () => false],
      [{ actorId: 'actor-1' }, (s) => s.actorId === 'actor-1'],
      [{ targetUserId: 'target-2' }, (s) => s.targetUserId === 'target-2'],
      [{ orgId: 'acme' }, (s) => s.targetOrgId === 'acme'],
      [{ orgId: 'staff' }, () => false],
      [{ accessLevel: 'full' }, (s) => s.accessLevel === 'full'],
      [{ from: t0 + 1 }, (s) => s.createdAt >= t0 + 1],
      [{ to: t0 + 1 }, (s) => s.createdAt < t0 + 1],
      [{ from: t0 + 1, to: t0 + 2 }, (s) => s.createdAt === t0 + 1],
      [{ actorId: 'nobody' }, () => false],
      [
        { status: 'active', orgId: 'acme', accessLevel: 'full', from: t0, to: t0 + 9 },
        (s) => s.status === 'active' && s.targetOrgId === 'acme' && s.accessLevel === 'full',
      ],
    ]
    for (const [filter, matches] of cases) {
      const name = JSON.stringify(filter)
      const expected = stored.filter(matches)
      same(await store.listSessions(filter, { limit: 100 }), expected, name)
      const read = (before?: Place) => store.listSessions(filter, { limit: 2, before })
      same(await everyPage(read, 2, (session) => session.createdAt), expected, `${name}, paged`)
    }
  })

  rule('events are listed newest first, ties by id, and paged without loss', async (store) => {
    const stored = await manyEvents(store)
    const expected = newestFirst(stored, (event) => event.at)
    same(await allEvents(store), expected)
    for (const limit of [1, 2, 3, 100]) {
      const read = (before?: Place) => store.listEvents({}, { limit, before })
      same(await everyPage(read, limit, (event) => event.at), expected, `pages of ${limit}`)
    }
  })

  rule('every filter of events holds, alone and together', async (store) => {
    const stored = newestFirst(await manyEvents(store), (event) => event.at)
    const cases: [EventFilter, (event: AuditEvent) => boolean][] = [
      [{ action: 'impersonation.refused' }, (e) => e.action === 'impersonation.refused'],
      [{ action: 'impersonation.*' }, () => true],
      [{ action: '*' }, () => true],
      [{ action: 'impersonation.re*' }, (e) => e.action.startsWith('impersonation.re')],
      [{ action: 'impersonation.write_*' }, (e) => e.action === 'impersonation.write_blocked'],
      [{ action: 'impersonation_*' }, () => false],
      [{ action: 'IMPERSONATION.*' }, () => false],
      [{ action: 'impersonation.%*' }, () => false],
      [{ action: 'impersonation.refuse' }, () => false],
      [{ actorId: 'root' }, (e) => e.actorId === 'root'],
      [{ targetUserId: 'bob' }, (e) => e.targetUserId === 'bob'],
      [{ sessionId: 'session-a' }, (e) => e.sessionId === 'session-a'],
      [{ from: t0 + 1 }, (e) => e.at >= t0 + 1],
      [{ to: t0 + 1 }, (e) => e.at < t0 + 1],
      [
        { action: 'impersonation.re*', actorId: 'root', from: t0, to: t0 + 2 },
        (e) => e.action.startsWith('impersonation.re') && e.actorId === 'root' && e.at < t0 + 2,
      ],
    ]
    for (const [filter, matches] of cases) {
      const expected = stored.filter(matches)
      same(await store.listEvents(filter, { limit: 100 }), expected, JSON.stringify(filter))
    }
  })

  rule('events without a change are stored all or none', async (store) => {
    const session = sessionOf()
    const first = eventOf('impersonation.refused', session, { id: 'a' })
    await store.appendEvents([first])
    await store.appendEvents([])
    const twins = ['b', 'c', 'b'].map((id) => eventOf('impersonation.refused', session, { id }))
    const taken = ['d', 'a'].map((id) => eventOf('impersonation.refused', session, { id }))
    await assert.rejects(store.appendEvents(twins))
    await assert.rejects(store.appendEvents(taken))
    same(await allEvents(store), [first])
  })

  rule('a thousand events go in at once', async (store) => {
    const events = Array.from({ length: 1000 }, () => eventOf('impersonation.refused', sessionOf()))
    await store.appendEvents(events)
    assert.equal((await allEvents(store)).length, 1000)
  })
}

/** Three actors and instants that collide, ids in an order of their own. */
async function manySessions(store: Store): Promise<Session[]> {
  const stored: Session[] = []
  for (const [n, id] of [
    'list-5',
    'list-2',
    'list-9',
    'list-1',
    'list-4',
    'list-7',
    'list-3',
  ].entries()) {
    const session = await start(store, {
      id,
      actorId: `actor-${n % 3}`,
      targetUserId: `target-${n}`,
      actorOrgId: 'staff',
      targetOrgId: n % 2 === 0 ? 'acme' : null,
      accessLevel: n % 3 === 0 ? 'full' : 'view',
      createdAt: t0 + (n % 3),
    })
    if (n >= 4) stored.push(session)
    else {
      await store.endSession(id, endingOf(), endedEvent)
      stored.push(after(session, endingOf()))
    }
  }
  return stored
}

async function manyEvents(store: Store): Promise<AuditEvent[]> {
  const actions = ['refused', 'started', 'replaced', 'write_blocked', 'revoked', 'stopped']
  const events = actions.map((action, n) =>
    eventOf(`impersonation.${action}` as EventAction, sessionOf(), {
      id: `event-${(n * 5) % 7}`,
      at: t0 + (n % 3),
      actorId: n % 2 === 0 ? 'root' : null,
      targetUserId: n % 3 === 0 ? 'bob' : 'alice',
      sessionId: n % 2 === 0 ? 'session-a' : null,
      outcome: n === 0 ? 'refused' : 'success',
      code: n === 0 ? 'not_allowed' : null,
    }),
  )
  await store.appendEvents(events)
  return events
}

export function newestFirst<T extends { id: string }>(
  rows: readonly T[],
  at: (row: T) => number,
): T[] {
  return [...rows].sort((a, b) => at(b) - at(a) || (a.id < b.id ? 1 : -1))
}

export async function everyPage<T extends { id: string }>(
  read: (before?: Place) => Promise<T[]>,
  limit: number,
  at: (row: T) => number,
): Promise<T[]> {
  const rows: T[] = []
  for (let before: Place | undefined; ; ) {
    const page = await read(before)
    assert.ok(page.length <= limit, 'a page holds no more than its limit')
    rows.push(...page)
    assert.ok(rows.length < 1_000, 'the pages come to an end')
    const last = page.at(-1)
    if (!last || page.length < limit) return rows
    before = { at: at(last), id: last.id }
  }
}
