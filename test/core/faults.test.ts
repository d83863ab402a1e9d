import { describe, expect, it } from 'vitest'
import { type AuditEvent, memoryStore, type Session, type Store } from '../../src/index.ts'
import { type StoreVerb, storeVerbs } from '../../src/stores/store.ts'
import { type Fault, type FaultyStore, faultyStore } from '../../src/testing/faulty-store.ts'
import {
  codeOf,
  type Engine,
  minute,
  type Outcome,
  type World,
  worldOf,
} from '../support/core-world.ts'

/**
 * A store that fails in every way at every call, under a story of an impersonation. Whatever happens,
 * a request of the actor runs as the target of the session that is live, or is refused, or runs as
 * the actor while the store says that there is nothing the actor could mistake it for.
 */
const post = { method: 'POST' }
const writes = { durationMs: 30 * minute, accessLevel: 'full' } as const

const sessionOf = (changes: Partial<Session>): Session => ({
  id: 'made-up',
  actorId: 'root',
  actorOrgId: null,
  targetUserId: 'alice',
  targetOrgId: null,
  targetRole: null,
  accessLevel: 'full',
  reason: null,
  ticket: null,
  grantId: null,
  breakGlass: false,
  transport: 'session',
  clientId: null,
  ipAddress: null,
  userAgent: null,
  createdAt: 0,
  expiresAt: 9e15,
  endedAt: null,
  endedReason: null,
  endedNote: null,
  endedBy: null,
  status: 'active',
  ...changes,
})

const elses = sessionOf({ actorId: 'sup', targetUserId: 'bob' })
const ended = sessionOf({ status: 'revoked', endedAt: 5, endedReason: 'revoked' })
const halfEnded = sessionOf({ status: 'active', endedAt: 5 })

const anyGarbage: readonly unknown[] = [undefined, {}, 'yes', 7, [{}]]
const garbage: Partial<Record<StoreVerb, readonly unknown[]>> = {
  claimSession: [
    null,
    { outcome: 'started' },
    { outcome: 'maybe', by: elses, ended: [] },
    { outcome: 'actor_busy', by: null, ended: [] },
    { outcome: 'actor_busy', by: elses },
    { outcome: 'started', ended: [null] },
  ],
  readStanding: [
    null,
    { active: undefined, lapse: null },
    { active: null },
    { active: elses, lapse: null },
    { active: ended, lapse: null },
    { active: halfEnded, lapse: null },
    { active: sessionOf({ targetUserId: 'root' }), lapse: null },
    { active: sessionOf({ expiresAt: Number.NaN }), lapse: null },
    { active: sessionOf({ accessLevel: 'root' as never }), lapse: null },
    { active: sessionOf({ transport: 'token' }), lapse: null },
    { active: null, lapse: elses },
    {
      active: null,
      lapse: sessionOf({
        ...{ status: 'revoked', endedAt: 5, endedReason: 'revoked' },
        transport: 'pigeon' as never,
      }),
    },
    { active: null, lapse: sessionOf({}) },
  ],
  readSession: [elses, sessionOf({ id: '' })],
  listSessions: [null, [null], { length: 0 }],
  endSession: [
    { session: elses, changed: true },
    { session: sessionOf({}), changed: false },
  ],
  extendSession: [elses, ended],
}

const kinds: ReadonlyArray<readonly [name: string, fault: (verb: StoreVerb) => readonly Fault[]]> =
  [
    ['fails before', () => ['before']],
    ['is done and then reports an error', () => ['after']],
    ['hangs', () => ['hang']],
    [
      'answers garbage',
      (verb) => [...anyGarbage, ...(garbage[verb] ?? [])].map((each) => ({ garbage: each })),
    ],
  ]

interface Stage {
  readonly world: World
  readonly inner: Store
  readonly store: FaultyStore
}

function stage(): Stage {
  const inner = memoryStore()
  const store = faultyStore(inner)
  // A read may take a millisecond, a change five; what does not hang takes no time at all.
  const world = worldOf({ storeTimeoutMs: 1 }, store)
  return { world, inner, store }
}

/** What must hold of a request, by what the store says after it. */
async function check(stage: Stage, outcome: Outcome, note: string): Promise<void> {
  const { active, lapse } = await stage.inner.readStanding('root')
  if (outcome.ran === null) {
    expect([401, 409, 503], note).toContain(outcome.status)
    return
  }
  if (outcome.context) {
    expect(outcome.ran, note).toBe(outcome.context.target.id)
    expect(outcome.context.actor.id, note).toBe('root')
    expect(active, `${note}: ran under what is live`).toMatchObject({
      id: outcome.context.session.id,
      targetUserId: outcome.ran,
    })
    return
  }
  expect(outcome.ran, note).toBe('root')
  expect(active, `${note}: ran as root while a session is live`).toBeNull()
  expect(lapse, `${note}: ran as root while a lapse is not acknowledged`).toBeNull()
}

type Step = readonly [name: string, run: (stage: Stage) => Promise<void>]

const attempt = (promise: Promise<unknown>) => promise.catch(() => undefined)

async function act(stage: Stage, note: string, on?: Engine): Promise<void> {
  const { world } = stage
  await check(stage, await world.send('root', post, on), note)
  const [live] = await stage.inner.listSessions({ status: 'active', actorId: 'root' }, { limit: 1 })
  if (live) {
    await check(stage, await world.send('root', { ...post, pin: live.id }, on), `${note}, pinned`)
    const none = await world.send('root', { ...post, pin: 'none' }, on)
    expect(none.ran, `${note}, pinned to none`).toBeNull()
  }
  // Nobody else notices anything, ever.
  for (const who of ['mallory', 'alice', null]) {
    expect((await world.send(who, post, on)).ran, `${note}: ${who}`).toBe(who ?? 'nobody')
  }
}

const story: readonly Step[] = [
  ['act', (s) => act(s, 'before')],
  [
    'start',
    async (s) => {
      const code = await codeOf(s.world.start('root', 'alice', writes))
      expect(['done', 'impersonation_unavailable']).toContain(code)
    },
  ],
  ['act', (s) => act(s, 'after start')],
  [
    'extend',
    (s) => attempt(s.world.engine.sessions.extend(s.world.caller('root'), minute)) as never,
  ],
  ['act', (s) => act(s, 'after extend')],
  ['stop', (s) => attempt(s.world.engine.sessions.stop(s.world.caller('root'))) as never],
  ['act', (s) => act(s, 'after stop')],
  ['start again', (s) => attempt(s.world.start('root', 'bob', writes)) as never],
  ['act', (s) => act(s, 'after start again')],
  [
    'revoke',
    async (s) => {
      const [live] = await s.inner.listSessions({ status: 'active' }, { limit: 1 })
      if (!live) return
      const code = await codeOf(s.world.engine.sessions.revoke(s.world.caller('boss'), live.id))
      expect(['done', 'impersonation_unavailable']).toContain(code)
    },
  ],
  ['act', (s) => act(s, 'after revoke')],
  ['reap', (s) => attempt(s.world.engine.reap()) as never],
  [
    'act later',
    async (s) => {
      s.world.clock.tick(2000)
      await act(s, 'two seconds later')
    },
  ],
  ['status', (s) => attempt(s.world.engine.sessions.status(s.world.caller('root'))) as never],
  ['stop', (s) => attempt(s.world.engine.sessions.stop(s.world.caller('root'))) as never],
  ['act', (s) => act(s, 'at the end')],
]

/** How often a story calls a verb when nothing goes wrong. */
async function callsOf(verb: StoreVerb): Promise<number> {
  const each = stage()
  for (const [, run] of story) await run(each)
  return each.store.calls[verb]
}

/** Once the store is well again, everything comes right, and every session has one ending. */
async function recover(each: Stage): Promise<void> {
  const { world, store, inner } = each
  store.plan({})
  store.release()
  await new Promise<void>((done) => setImmediate(done))
  // What hung may have changed something just now; that is seen as a change of another process is.
  world.clock.tick(2000)
  await act(each, 'once the store is well')
  await attempt(world.engine.sessions.stop(world.caller('root')))
  world.clock.tick(2000)
  await act(each, 'after a last stop')
  await world.engine.reap()
  await world.engine.reap()

  const sessions = await inner.listSessions({}, { limit: 1000 })
  const events = await inner.listEvents({}, { limit: 1000 })
  for (const session of sessions) {
    expect(session.status).not.toBe('active')
    expect(
      actionsOf(events, session).filter((action) => action !== 'extended'),
      JSON.stringify(session),
    ).toEqual([session.status, 'started'].sort())
  }
}

const actionsOf = (events: readonly AuditEvent[], { id }: Session) =>
  events
    .filter((event) => event.sessionId === id)
    .map((event) => event.action.replace('impersonation.', ''))
    .sort()

describe.each(storeVerbs)('%s', (verb) => {
  it.each(kinds)(
    '%s, at any of its calls',
    async (_, faultsOf) => {
      const faults = faultsOf(verb)
      const most = (await callsOf(verb)) + 2
      for (let nth = 1; nth <= most; nth++) {
        // Two kinds of garbage at each call, so that each kind comes at some.
        const two = new Set([faults[nth % faults.length], faults[(nth * 7 + 3) % faults.length]])
        for (const fault of two) {
          const each = stage()
          each.store.plan({ [verb]: { [nth]: fault as Fault } })
          for (const [, run] of story) await run(each)
          await recover(each)
        }
      }
    },
    60_000,
  )

  it.each(kinds)(
    '%s, at all of its calls',
    async (_, faultsOf) => {
      for (const fault of faultsOf(verb)) {
        const each = stage()
        await each.world.start('root', 'alice', writes)
        each.store.plan({ [verb]: fault })
        for (const [, run] of story) await run(each)
        await recover(each)
      }
    },
    60_000,
  )
})

describe('the whole store', () => {
  it.each(['before', 'after', 'hang', 'garbage'] as const)(
    '%s: an actor is answered 503, everybody else notices nothing',
    async (fault) => {
      const each = stage()
      const { world, store } = each
      const { id } = await world.start('root', 'alice', writes)
      store.plan(Object.fromEntries(storeVerbs.map((verb) => [verb, fault])))
      for (const ask of [{}, post, { pin: id }, { cookie: id }, { pin: 'none' }]) {
        const outcome = await world.send('root', ask)
        expect(outcome.line).toBe('503 impersonation_unavailable')
        expect(outcome.answer?.headers.get('retry-after')).toBe('1')
      }
      expect((await world.send('boss', post)).status).toBe(503)
      for (const who of ['mallory', 'alice', null]) {
        expect((await world.send(who, post)).ran).toBe(who ?? 'nobody')
        // Not even with the cookie of another login of the same browser.
        expect((await world.send(who, { ...post, cookie: id })).ran).toBe(who ?? 'nobody')
      }
      // A program that pins has asked to be refused when that can't be told.
      expect((await world.send('mallory', { pin: id })).line).toBe('503 impersonation_unavailable')
      for (const path of ['/stop', '/extend', '/start']) {
        const body = path === '/extend' ? { minutes: 1 } : { target_user_id: 'bob', reason: 'x' }
        const outcome = await world.send('root', {
          ...post,
          path: `/impersonation${path}`,
          body: path === '/stop' ? undefined : body,
        })
        expect(outcome.line, path).toBe('503 impersonation_unavailable')
      }
      expect((await world.send('root', { path: '/impersonation/status' })).status).toBe(503)
      await recover(each)
    },
  )

  it('what is cached goes on for as long as it may, and no longer', async () => {
    const { world, store } = stage()
    await world.start('root', 'alice', writes)
    await world.send('root')
    store.plan(Object.fromEntries(storeVerbs.map((verb) => [verb, 'before'])))
    world.clock.tick(1999)
    expect((await world.send('root', post)).line).toBe('alice')
    world.clock.tick(1)
    expect((await world.send('root', post)).line).toBe('503 impersonation_unavailable')
    expect((await world.send('root', post)).line).toBe('503 impersonation_unavailable')
  })
})

describe('a start whose answer is lost', () => {
  it('and which has happened is a start', async () => {
    const { world, store } = stage()
    store.plan({ claimSession: 'after' })
    const session = await world.start('root', 'alice', writes)
    expect((await world.send('root', { ...post, pin: session.id })).line).toBe('alice')
  })

  it('and which has not happened is 503 with no row', async () => {
    const { world, store, inner } = stage()
    store.plan({ claimSession: 'before' })
    expect(await codeOf(world.start('root', 'alice', writes))).toBe('impersonation_unavailable')
    expect(await inner.listSessions({}, { limit: 9 })).toEqual([])
    expect(await world.actions()).toEqual([])
    expect((await world.send('root', post)).line).toBe('root')
  })

  it.each(['hang', 'after'] as const)(
    '(%s) and was answered 503 does not come to life later',
    async (fault) => {
      const each = stage()
      const { world, store, inner } = each
      store.plan({ claimSession: fault, readSession: 'before' })
      expect(await codeOf(world.start('root', 'alice', writes))).toBe('impersonation_unavailable')
      store.plan({})
      store.release()
      await new Promise<void>((done) => setImmediate(done))
      const { active } = await inner.readStanding('root')
      expect(active, 'the database did it all the same').not.toBeNull()
      expect((await world.send('root', post)).line).toBe('401 impersonation_revoked')
      expect(await inner.readSession(active?.id ?? '')).toMatchObject({
        status: 'revoked',
        endedReason: 'start_failed',
      })
      await recover(each)
    },
  )

  it('nor does it where nobody asks: the reaper ends it, and other engines with it', async () => {
    const { world, store, inner } = stage()
    store.plan({ claimSession: 'hang', readSession: 'before' })
    await codeOf(world.start('root', 'alice', writes))
    store.plan({})
    store.release()
    await new Promise<void>((done) => setImmediate(done))
    await world.engine.reap()
    expect((await inner.readStanding('root')).active).toBeNull()
    expect((await world.send('root', post, world.another())).line).toBe('401 impersonation_revoked')
  })

  it('a start against a hanging one leaves one', async () => {
    const { world, store, inner } = stage()
    store.plan({ claimSession: { 1: 'hang' } })
    const [slow, fast] = await Promise.all([
      codeOf(world.start('root', 'alice', writes)),
      codeOf(world.start('root', 'bob', writes)),
    ])
    expect([slow, fast]).toEqual(['impersonation_unavailable', 'done'])
    expect((await world.send('root')).line).toBe('bob')
    store.release()
    await new Promise<void>((done) => setImmediate(done))
    world.clock.tick(2000)
    // The late one has replaced the other, and is ended as soon as it is seen.
    expect((await world.send('root', post)).line).toBe('401 impersonation_revoked')
    expect((await inner.readStanding('root')).active).toBeNull()
  })
})

describe('where events can’t be stored', () => {
  /** Every change that wants an event fails, and so does every event by itself. */
  function withoutAudit() {
    const inner = memoryStore()
    let down = false
    let bare = 0
    const broken = () => {
      if (down) throw new Error('relation "impersonation_events" does not exist')
    }
    const store: Store = {
      ...inner,
      async claimSession(claim) {
        broken()
        return inner.claimSession(claim)
      },
      async endSession(id, ending, event) {
        if (event) broken()
        else bare++
        return inner.endSession(id, ending, event)
      },
      async extendSession(id, change, event) {
        broken()
        return inner.extendSession(id, change, event)
      },
      async appendEvents(events) {
        broken()
        return inner.appendEvents(events)
      },
    }
    return {
      world: worldOf({}, store),
      inner,
      bare: () => bare,
      fail: (now: boolean) => {
        down = now
      },
    }
  }

  it('nothing starts and nothing is extended', async () => {
    const { world, inner, fail } = withoutAudit()
    await world.start('root', 'alice', writes)
    fail(true)
    expect(await codeOf(world.start('sup', 'bob'))).toBe('impersonation_unavailable')
    expect(await codeOf(world.engine.sessions.extend(world.caller('root'), minute))).toBe(
      'impersonation_unavailable',
    )
    const [only, ...others] = await inner.listSessions({}, { limit: 9 })
    expect(others).toEqual([])
    expect((only?.expiresAt ?? 0) - (only?.createdAt ?? 0)).toBe(30 * minute)
  })

  const endings: ReadonlyArray<
    readonly [string, string, (world: World, id: string) => Promise<unknown>]
  > = [
    ['stop', 'stopped', (world) => world.engine.sessions.stop(world.caller('root'))],
    ['revoke', 'revoked', (world, id) => world.engine.sessions.revoke(world.caller('boss'), id)],
    ['endFor', 'revoked', (world) => world.engine.endFor('root')],
    [
      'expiry',
      'expired',
      async (world) => {
        world.clock.tick(30 * minute)
        await world.send('root')
      },
    ],
  ]
  it.each(endings)('%s works, and its event is stored later, once', async (_, action, end) => {
    const { world, inner, fail } = withoutAudit()
    const { id } = await world.start('root', 'alice', writes)
    await world.send('root')
    fail(true)
    await end(world, id)
    expect(await inner.readSession(id)).toMatchObject({ status: action })
    expect((await world.send('root', { ...post, pin: id })).status).toBe(401)
    await attempt(world.engine.reap())
    expect(await world.actions(id)).toEqual(['started'])
    fail(false)
    await world.engine.reap()
    await world.engine.reap()
    expect(await world.actions(id)).toEqual([action, 'started'].sort())
  })

  it('does not try it without while the event goes in', async () => {
    const { world, bare } = withoutAudit()
    await world.start('root', 'alice', writes)
    await world.engine.sessions.stop(world.caller('root'))
    expect(bare()).toBe(0)
  })

  it('many owed events are stored once each, also by rounds at once', async () => {
    const { world, fail } = withoutAudit()
    const ids: string[] = []
    for (let n = 0; n < 120; n++) {
      const { id } = await world.start('root', 'alice', writes)
      fail(true)
      await world.engine.sessions.stop(world.caller('root'))
      fail(false)
      ids.push(id)
      // Owed ones are paid by and by; a start is not one of them.
      if (n === 60) await Promise.all([world.engine.reap(), world.engine.reap()])
    }
    for (let round = 0; round < 2; round++) {
      await Promise.all([world.engine.reap(), world.engine.reap(), world.engine.reap()])
    }
    for (const id of ids) expect(await world.actions(id)).toEqual(['started', 'stopped'])
  })

  it('one that was stored and reported as failed does not hold up the others', async () => {
    const { world, store, inner } = stage()
    const stopped = async (endSession: Fault, appendEvents: Fault) => {
      const { id } = await world.start('root', 'alice', writes)
      store.plan({ endSession: { 1: endSession }, appendEvents })
      await world.engine.sessions.stop(world.caller('root'))
      await new Promise<void>((done) => setImmediate(done))
      store.plan({})
      return id
    }
    const first = await stopped('before', 'after')
    const second = await stopped('before', 'before')
    await world.engine.reap()
    await world.engine.reap()
    const events = await inner.listEvents({ action: 'impersonation.stopped' }, { limit: 9 })
    expect(events.map((event) => event.sessionId).sort()).toEqual([first, second].sort())
  })

  // Not here: the first fails and the second hangs, so that nobody can tell yet what it will do.
  const twice: ReadonlyArray<readonly [first: string, second: string]> = [
    ['before', 'before'],
    ['before', 'after'],
    ['after', 'before'],
    ['after', 'after'],
    ['after', 'hang'],
    ['hang', 'before'],
    ['hang', 'after'],
    ['hang', 'hang'],
  ]
  it.each(twice)(
    'an ending whose two answers are lost (%s, %s) is audited once, if it happened',
    async (first, second) => {
      const each = stage()
      const { world, store, inner } = each
      const { id } = await world.start('root', 'alice', writes)
      await world.send('root')
      store.plan({ endSession: { 1: first as Fault, 2: second as Fault } })
      const code = await codeOf(world.engine.sessions.stop(world.caller('root')))
      const over = (await inner.readSession(id))?.status === 'stopped'
      expect(code).toBe(over ? 'done' : 'impersonation_unavailable')
      store.plan({})
      store.release()
      await new Promise<void>((done) => setImmediate(done))
      await world.engine.reap()
      if (over) expect(await world.actions(id)).toEqual(['started', 'stopped'])
      await recover(each)
    },
  )

  it('a refusal is a refusal all the same', async () => {
    const { world, fail } = withoutAudit()
    fail(true)
    expect(await codeOf(world.start('mallory', 'bob'))).toBe('not_allowed')
  })
})
