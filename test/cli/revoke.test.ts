import { once } from 'node:events'
import { sql, type Transaction } from 'kysely'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventToWire } from '../../src/audit/formats.ts'
import { sealOf } from '../../src/audit/seal.ts'
import { createRevoker } from '../../src/cli/ending.ts'
import { revokeCommand } from '../../src/cli/revoke.ts'
import { eventDelivery } from '../../src/notify/event-delivery.ts'
import { insertLinks } from '../../src/stores/kysely/chain.ts'
import { kyselyStore } from '../../src/stores/kysely/index.ts'
import type { Tables } from '../../src/stores/kysely/schema.ts'
import { eventOf, minute, nextId, sessionOf } from '../../src/testing/store/fixtures.ts'
import type { Delivery } from '../../src/types.ts'
import { describeOn } from '../support/databases.ts'
import { keysOf, sealEvents, secretOf, startBefore } from './chains.ts'
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

  it('is told to a sink that was told of the start, as it is on record, and to no other', async () => {
    const heard = await startedWith({ actorId: 'a', targetUserId: 'x' }, false, true)
    const unheard = await startedWith({ actorId: 'b', targetUserId: 'y' }, false)
    await desk.cli(['revoke', heard.id, unheard.id])
    const rows = await desk.store.outbox.listDeliveries({ topic: 'event' }, { limit: 10 })
    const events = await eventsOf(heard.id)
    expect(events.map(({ action }) => action).sort()).toEqual([
      'impersonation.revoked',
      'impersonation.started',
    ])
    expect(rows.map(({ id }) => id).sort()).toEqual(events.map(({ id }) => `event ${id}`).sort())
    const ended = events.find(({ action }) => action === 'impersonation.revoked')
    const row = rows.find(({ id }) => id === `event ${ended?.id}`)
    expect(row).toMatchObject({ status: 'pending', userId: 'x' })
    expect(JSON.parse(String(row?.payload.event))).toEqual(ended && eventToWire(ended))
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

describe('the seal of a revocation', () => {
  const [secret, other] = [secretOf(), secretOf()]
  const env = { ONBEHALF_AUDIT_KEY: secret }
  const verify = () => desk.cli(['verify'], { env })

  it.each<[name: string, env: Record<string, string>, why: RegExp]>([
    ['no key', {}, /^ONBEHALF_AUDIT_KEY is not set\./],
    ['a short key', { ONBEHALF_AUDIT_KEY: 's3cret' }, /^ONBEHALF_AUDIT_KEY must be a secret/],
    ['another key', { ONBEHALF_AUDIT_KEY: other }, /^The last link does not hold with the key/],
    [
      'the key under another name',
      { ...env, ONBEHALF_AUDIT_KEY_ID: '2031' },
      /^The last link was made with the key default, which is not given here\./,
    ],
  ])('is left out with %s, and the session ends all the same', async (_name, given, why) => {
    await sealEvents(desk, keysOf(secret), 2)
    const [one, two] = [await startBefore(desk), await startBefore(desk, 'a', 'b')]
    const { code, err } = await desk.cli(['revoke', one.id], { env: given })
    expect(code).toBe(0)
    expect(err).toMatch(why)
    expect(err).toContain('is not sealed, and onbehalf verify will find that as event_added.\n')
    const json = await desk.cli(['revoke', two.id, '--json'], { env: given })
    expect(jsonLines(json.out)).toMatchObject([
      { outcome: 'revoked', sealed: false, warning: expect.stringMatching(why) },
    ])
    expect([await statusOf(one.id), await statusOf(two.id)]).toEqual(['revoked', 'revoked'])
    for (const hidden of [secret, other, 's3cret'])
      expect(err + json.out + json.err).not.toContain(hidden)
    expect(await desk.store.chain.readHead()).toMatchObject({ seq: 2 })
    expect((await verify()).out).toMatch(/^event_added: /)
  })

  it('begins a chain where a key is given', async () => {
    const session = await startBefore(desk)
    expect((await desk.cli(['revoke', session.id], { env })).err).toBe('1 session ended.\n')
    expect((await verify()).out).toBe('1 link holds.\n')
  })

  it('is of the current key, where the last link is of an older one', async () => {
    await sealEvents(desk, keysOf(other, '2029'), 1)
    const session = await startBefore(desk)
    const both = {
      ...{ ...env, ONBEHALF_AUDIT_KEY_ID: '2030' },
      ONBEHALF_AUDIT_OLD_KEYS: JSON.stringify({ 2029: other }),
    }
    expect((await desk.cli(['revoke', session.id], { env: both })).err).toBe('1 session ended.\n')
    const links = await desk.store.chain.readLinks(0, 10)
    expect(links.map(({ link }) => link.keyId)).toEqual(['2029', '2030'])
    expect((await desk.cli(['verify'], { env: both })).out).toBe('2 links hold.\n')
  })

  it('is warned of by --dry-run, and not where nothing is chained or nothing ends', async () => {
    const session = await startBefore(desk)
    const preview = () => desk.cli(['revoke', session.id, '--dry-run'])
    expect((await preview()).err).toBe('1 session would end. Nothing was changed.\n')
    await sealEvents(desk, keysOf(secret), 1)
    expect((await preview()).err).toMatch(/^ONBEHALF_AUDIT_KEY is not set\./)
    expect((await desk.cli(['revoke', '--actor', 'nobody'])).err).toBe('0 sessions ended.\n')
  })

  it('keeps no session, whatever became of the links', async () => {
    await sealEvents(desk, keysOf(secret), 1)
    const [one, two] = [await startBefore(desk), await startBefore(desk, 'a', 'b')]
    await desk.db.schema.dropTable('impersonation_links').execute()
    const keyed = await desk.cli(['revoke', one.id], { env })
    expect(keyed.code).toBe(0)
    expect(keyed.err).toMatch(/^The chain of audit events can’t be used: .* is not sealed/)
    expect((await desk.cli(['revoke', two.id])).err).toBe('1 session ended.\n')
    expect([await statusOf(one.id), await statusOf(two.id)]).toEqual(['revoked', 'revoked'])
    expect(await eventsOf(one.id)).toHaveLength(2)
  })

  it('is there for an event that is stored afterwards, or goes without it', async () => {
    await sealEvents(desk, keysOf(secret), 1)
    const [one, two] = [await startBefore(desk), await startBefore(desk, 'a', 'b')]
    const revokeBy = (id: string, refused: Pick<Desk['store'], 'appendEvents'>) =>
      desk.call(revokeCommand, argsFor(id), {
        json: true,
        chainKeys: () => keysOf(secret),
        store: {
          ...desk.store,
          ...refused,
          endSession: (id, ending, events) =>
            events ? Promise.reject(new Error('lost')) : desk.store.endSession(id, ending, events),
        },
      })
    const late = await revokeBy(one.id, desk.store)
    expect(late).toMatchObject({ code: 0, err: '' })
    expect(jsonLines(late.out)[0]).not.toHaveProperty('sealed')
    expect((await verify()).out).toBe('2 links hold.\n')

    const without = await revokeBy(two.id, {
      appendEvents: async (events) => {
        if (events.some(({ seal }) => seal)) throw new Error('no link')
        await desk.store.appendEvents(events)
      },
    })
    expect(without).toMatchObject({ code: 0, err: expect.stringMatching(/^1 event could not be/) })
    expect(await eventsOf(two.id)).toHaveLength(2)
    expect((await verify()).out).toMatch(/^event_added: /)
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

/** A session whose start was announced, or not, as an engine with a notifier or a sink would have done. */
async function startedWith(
  changes: { actorId: string; targetUserId: string },
  told: boolean,
  heard = false,
) {
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
  const deliveries = [...(told ? [notice] : []), ...(heard ? [eventDelivery(event)] : [])]
  await desk.store.claimSession({
    session,
    now: session.createdAt,
    onConflict: 'reject',
    exclusiveTarget: true,
    events: { started: { ...event, deliveries }, ended: () => [] },
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

for (const kind of ['postgres', 'mysql'] as const) {
  describeOn(kind, 'a revocation where somebody is stuck', () => {
    const secret = secretOf()

    type Case = [who: string, take: (trx: Transaction<Tables>) => Promise<unknown>]
    const sealing: Case = [
      'while they seal',
      (trx) => {
        const event = eventOf('impersonation.started', sessionOf())
        return insertLinks(trx, kind, [{ ...event, seal: sealOf(event, keysOf(secret)) }])
      },
    ]
    const table: Case = [
      'with the table',
      (trx) => sql`lock table impersonation_links`.execute(trx),
    ]
    it.each(kind === 'postgres' ? [sealing, table] : [sealing])(
      '%s, does not wait for them',
      async (_who, take) => {
        const desk = await openDesk(kind)
        try {
          await sealEvents(desk, keysOf(secret), 1)
          const session = await startBefore(desk)
          await desk.db.transaction().execute(async (trx) => {
            await take(trx)
            const env = { ONBEHALF_AUDIT_KEY: secret }
            const { code, err } = await desk.cli(['revoke', session.id], { env })
            expect(code).toBe(0)
            expect(err).toMatch(/^The chain of audit events can’t be used: .*lock .*not sealed/i)
          })
          expect((await desk.store.readSession(session.id))?.status).toBe('revoked')
        } finally {
          await desk.close()
        }
      },
    )
  })
}
