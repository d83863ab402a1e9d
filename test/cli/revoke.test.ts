import { once } from 'node:events'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createRevoker } from '../../src/cli/ending.ts'
import { revokeCommand } from '../../src/cli/revoke.ts'
import { kyselyStore } from '../../src/stores/kysely/index.ts'
import { eventOf, minute, nextId } from '../../src/testing/store/fixtures.ts'
import type { Delivery } from '../../src/types.ts'
import { describeOn } from '../support/databases.ts'
import { type Desk, jsonLines, openDesk, spawned } from './desk.ts'

let desk: Desk
beforeEach(async () => {
  desk = await openDesk()
})
afterEach(() => desk.close())

const statusOf = async (id: string) => (await desk.store.readSession(id))?.status
const eventsOf = (sessionId: string) => desk.store.listEvents({ sessionId }, { limit: 10 })

describe('what it ends', () => {
  it('is what the filters say, all of them, and what is active', async () => {
    const own = await desk.start({ actorId: 'a', targetUserId: 't1', targetOrgId: 'o' })
    const other = await desk.start({ actorId: 'b', targetUserId: 't2', targetOrgId: 'o' })
    const none = await desk.cli(['revoke', '--actor', 'a', '--target', 't2'])
    expect(none).toEqual({ code: 0, out: '', err: '0 sessions ended.\n' })
    await desk.cli(['revoke', '--actor', 'a', '--org', 'o'])
    expect([await statusOf(own.id), await statusOf(other.id)]).toEqual(['revoked', 'active'])
    const rest = await desk.cli(['revoke', '--org', 'o'])
    expect(rest.out).toBe(`${other.id}: revoked (b as t2)\n`)
    expect(await statusOf(other.id)).toBe('revoked')
    expect(await eventsOf(own.id)).toHaveLength(2)
  })

  it('is every active session with --all, past the first page', async () => {
    const now = Date.now()
    const rows = Array.from({ length: 230 }, (_, n) => ({
      actorId: `a${n}`,
      targetUserId: `t${n}`,
    }))
    for (const row of rows)
      await desk.start({ ...row, createdAt: now - 1, expiresAt: now + minute })
    const { code, out, err } = await desk.cli(['revoke', '--all', '--yes', '--json'])
    expect(code).toBe(0)
    expect(err).toBe('')
    expect(new Set(jsonLines(out).map(({ id }) => id)).size).toBe(230)
    expect(jsonLines(out).every(({ outcome }) => outcome === 'revoked')).toBe(true)
    expect(await desk.store.listSessions({ status: 'active' }, { limit: 1 })).toEqual([])
  })

  it('has expired, where its time was up, at its own end', async () => {
    const now = Date.now()
    const late = { createdAt: now - 2 * minute, expiresAt: now - minute }
    const session = await desk.start(late)
    const { out } = await desk.cli(['revoke', session.id])
    expect(out).toContain('ended, its time was up')
    expect(await desk.store.readSession(session.id)).toMatchObject({
      status: 'expired',
      endedAt: late.expiresAt,
    })
  })

  it('is told of each id, also of those that are over or unknown', async () => {
    const [one, two] = [await desk.start({ actorId: 'a' }), 'no such id\u001b[2J']
    await desk.cli(['revoke', one.id, '--note', 'first'])
    const again = await desk.cli(['revoke', one.id, two, one.id, '--note', 'second'])
    expect(again).toEqual({
      code: 1,
      out: `${one.id}: had ended before (a as alice)\nno such id\\u{1b}[2J: there is no such session\n`,
      err: '0 sessions ended.\n',
    })
    expect(await desk.store.readSession(one.id)).toMatchObject({ endedNote: 'first' })
    expect(await eventsOf(one.id)).toHaveLength(2)
  })
})

describe('--dry-run', () => {
  it('changes nothing', async () => {
    const session = await desk.start()
    const before = [await desk.store.readSession(session.id), await eventsOf(session.id)]
    for (const what of [[session.id], ['--actor', 'root'], ['--all'], ['--all', '--json']]) {
      const { code, out } = await desk.cli(['revoke', ...what, '--dry-run'])
      expect(code).toBe(0)
      expect(out).toContain(session.id)
    }
    expect([await desk.store.readSession(session.id), await eventsOf(session.id)]).toEqual(before)
  })
})

describe('--all', () => {
  it('is refused where nobody can be asked', async () => {
    const session = await desk.start()
    const { code, out, err } = await desk.cli(['revoke', '--all'])
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain('nobody is here to be asked: add --yes')
    const process = await spawned(['revoke', '--all'], { DATABASE_URL: desk.url })
    expect(process.code).toBe(2)
    expect(await statusOf(session.id)).toBe('active')
  })

  it('asks with the number, and takes no for no', async () => {
    const session = await desk.start()
    const asked: string[] = []
    const answer = (yes: boolean) => ({
      confirm: async (question: string) => {
        asked.push(question)
        return yes
      },
    })
    const no = await desk.cli(['revoke', '--all'], answer(false))
    expect(no).toEqual({ code: 1, out: '', err: 'Nothing was changed.\n' })
    expect(await statusOf(session.id)).toBe('active')
    expect((await desk.cli(['revoke', '--all'], answer(true))).code).toBe(0)
    expect(await statusOf(session.id)).toBe('revoked')
    expect(asked).toEqual(['End 1 session?', 'End 1 session?'])
  })
})

describe('a revocation', () => {
  it('ends without its event rather than not at all, and says so', async () => {
    const session = await desk.start()
    await desk.db.schema.alterTable('impersonation_events').renameTo('hidden').execute()
    const { code, out, err } = await desk.cli(['revoke', session.id])
    expect(code).toBe(1)
    expect(out).toContain(': revoked')
    expect(err).toContain('Ended, but without an audit event')
    expect(await statusOf(session.id)).toBe('revoked')
  })

  it('stores the event afterwards, where only its unit failed', async () => {
    const session = await desk.start()
    let failures = 1
    const flaky = {
      ...desk.store,
      endSession: (...[id, ending, events]: Parameters<typeof desk.store.endSession>) =>
        failures-- > 0
          ? Promise.reject(new Error('lost'))
          : desk.store.endSession(id, ending, events),
    }
    const { code } = await desk.call(revokeCommand, argsFor(session.id), { store: flaky })
    expect(code).toBe(0)
    const [ended, ...others] = await eventsOf(session.id)
    expect(ended).toMatchObject({ action: 'impersonation.revoked', details: { via: 'cli' } })
    expect(others).toHaveLength(1)
  })

  it('that fails keeps no other from its end', async () => {
    const [bad, good] = [
      await desk.start({ actorId: 'a', targetUserId: 'x' }),
      await desk.start({ actorId: 'b', targetUserId: 'y' }),
    ]
    const flaky = {
      ...desk.store,
      endSession: (...[id, ending, events]: Parameters<typeof desk.store.endSession>) =>
        id === bad.id
          ? Promise.reject(new Error('broken'))
          : desk.store.endSession(id, ending, events),
    }
    const ran = await desk.call(revokeCommand, argsFor(bad.id, good.id), { store: flaky })
    expect(ran.code).toBe(1)
    expect(ran.out).toMatch(new RegExp(`${bad.id}: NOT ended .*broken\n${good.id}: revoked`))
    expect([await statusOf(bad.id), await statusOf(good.id)]).toEqual(['active', 'revoked'])
  })

  it('goes on when nobody listens any more', async () => {
    const sessions = [
      await desk.start({ actorId: 'a', targetUserId: 'x' }),
      await desk.start({ actorId: 'b', targetUserId: 'y' }),
    ]
    const gone = { closed: true, isTTY: false, write: async () => {} }
    await desk.cli(['revoke', '--all', '--yes'], { out: gone, err: gone })
    for (const { id } of sessions) expect(await statusOf(id)).toBe('revoked')
  })

  it('is told to a target who was told of the start, and to no other', async () => {
    const told = await startedWith({ actorId: 'a', targetUserId: 'x' }, true)
    const untold = await startedWith({ actorId: 'b', targetUserId: 'y' }, false)
    await desk.cli(['revoke', told.id, untold.id])
    const notices = await desk.store.outbox.listDeliveries({}, { limit: 10 })
    const ended = notices.filter(({ payload }) => payload.kind === 'session_ended')
    expect(ended).toMatchObject([
      { userId: 'x', status: 'pending', payload: { session_id: told.id } },
    ])
    const [event] = await eventsOf(told.id)
    expect(ended[0]?.id).toBe(event?.id)
  })

  it('of a session without the table of deliveries works as well', async () => {
    const session = await desk.start()
    await desk.db.schema.dropTable('impersonation_deliveries').execute()
    expect((await desk.cli(['revoke', session.id])).code).toBe(0)
    expect(await statusOf(session.id)).toBe('revoked')
    expect(await eventsOf(session.id)).toHaveLength(2)
  })

  it('of one that somebody else has just ended is theirs', async () => {
    const session = await desk.start()
    await desk.cli(['revoke', session.id])
    const late = await createRevoker(desk.store, Date.now).revoke(session, null)
    expect(late?.changed).toBe(false)
    expect(await eventsOf(session.id)).toHaveLength(2)
  })
})

const argsFor = (...ids: string[]) => ({
  ids,
  filter: {},
  all: false,
  note: null,
  dryRun: false,
  yes: false,
})

/** A session whose start was announced, or not, as an engine with a notifier would have done. */
async function startedWith(changes: { actorId: string; targetUserId: string }, told: boolean) {
  const session = { ...(await sessionAt(changes)) }
  const event = eventOf('impersonation.started', session)
  const notice: Delivery = {
    id: event.id,
    topic: 'notice',
    userId: session.targetUserId,
    channel: null,
    payload: { kind: 'session_started' },
    status: 'sent',
    attempts: 1,
    createdAt: session.createdAt,
    dueAt: session.createdAt,
    settledAt: session.createdAt,
    error: null,
    revision: 2,
  }
  await desk.store.claimSession({
    session,
    now: session.createdAt,
    onConflict: 'reject',
    exclusiveTarget: true,
    events: { started: { ...event, deliveries: told ? [notice] : [] }, ended: () => [] },
  })
  return session
}

async function sessionAt(changes: { actorId: string; targetUserId: string }) {
  const { sessionOf } = await import('../../src/testing/store/fixtures.ts')
  const now = Date.now()
  return sessionOf({ id: nextId('told'), createdAt: now, expiresAt: now + minute, ...changes })
}

describeOn('postgres', 'a revocation from the command line', () => {
  it('is heard at once by a process that listens', async () => {
    const desk = await openDesk('postgres')
    try {
      const session = await desk.start({ actorId: 'root' })
      const store = kyselyStore(desk.db, { listen: () => new pg.Client(desk.url) })
      const heard: (string | null)[] = []
      const { promise: up, resolve: isUp } = Promise.withResolvers<void>()
      const news = new EventTarget()
      const stop = store.watch?.({
        silenceMs: 2_000,
        healthy: (healthy) => healthy && isUp(),
        invalidate: (actorId) => {
          heard.push(actorId)
          if (actorId === 'root') news.dispatchEvent(new Event('root'))
        },
      })
      await up
      const root = once(news, 'root')
      const { code } = await spawned(['revoke', session.id], { DATABASE_URL: desk.url })
      expect(code).toBe(0)
      await root
      expect(heard).toContain('root')
      await stop?.()
    } finally {
      await desk.close()
    }
  })
})
