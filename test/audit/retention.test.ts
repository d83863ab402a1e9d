/** Pruning and erasing by the engine, on every store; what stands beside it is in tampering. */
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { sealOf } from '../../src/audit/seal.ts'
import type { RetentionSection } from '../../src/stores/retention.ts'
import type { Store } from '../../src/stores/store.ts'
import { type FaultPlan, faultyStore } from '../../src/testing/faulty-store.ts'
import { eventOf, sessionOf } from '../../src/testing/store/fixtures.ts'
import { grantOf } from '../../src/testing/store/grant-fixtures.ts'
import { deliveryOf } from '../../src/testing/store/outbox-fixtures.ts'
import { requestOf } from '../../src/testing/store/request-fixtures.ts'
import { chainKeys } from '../support/audited.ts'
import { day, hour, noon, type World, worldOf } from '../support/core-world.ts'
import { describeOn, kinds } from '../support/databases.ts'
import { auditedWorld, dump, live, openPlace, type Place, storedSeqs } from '../support/retained.ts'

vi.setConfig({ testTimeout: 60_000 })

const before = noon + 10 * day

/** The same store, which takes one row of each kind at a time. */
function slow(store: Store): Store {
  const retention = store.retention as RetentionSection
  return {
    ...store,
    retention: {
      ...retention,
      prune: (at, upTo) => retention.prune(at, upTo, 1),
      erasePerson: (userId, upTo) => retention.erasePerson(userId, upTo, 1),
    },
  }
}

const ids = (rows: readonly { readonly id: string }[]) => rows.map(({ id }) => id)
const sessionsIn = async (store: Store) => ids(await store.listSessions({}, { limit: 1e6 }))

function rules(place: () => Place): void {
  let world: World
  let liveId: string

  beforeEach(async () => {
    await place().empty()
    world = auditedWorld(place().store)
    ;({ liveId } = await live(world))
    // The refusal is put on record beside the answer.
    await vi.waitFor(async () => expect(await storedSeqs(place().store)).toHaveLength(11))
  })
  const verify = () => world.engine.audit.verify()

  it('a pruning leaves a chain that holds, and little of what it says', async () => {
    const { store } = place()
    const told: unknown[] = []
    const onProgress = (soFar: unknown) => told.push(soFar)
    const checkpoint = await world.engine.audit.checkpoint()
    const { audit } = world.engine
    expect(await audit.prune({ before, onProgress })).toEqual({ sessions: 4, events: 9 })
    expect(told.at(-1)).toEqual({ sessions: 4, events: 9 })
    // Its own event, and those of the two sessions that stay.
    expect(await storedSeqs(store)).toEqual([9, 10, 11, 13])
    expect(await sessionsIn(store)).toHaveLength(2)
    expect((await store.readSession(liveId))?.status).toBe('active')
    const [event] = await store.listEvents({ action: 'audit.*' }, { limit: 9 })
    expect(event).toMatchObject({
      ...{ action: 'audit.pruned', actorId: null, targetUserId: null, reason: null },
      details: { before, up_to: 12, kept: 3, began: noon },
    })
    expect(await audit.verify({ checkpoint: checkpoint ?? undefined } as never)).toEqual({
      ok: true,
      checked: 13,
    })
    for (const part of [{ from: before }, { to: before }, { sessionId: liveId }])
      expect((await audit.verify(part)).ok).toBe(true)
  })

  it('ends what has run out before it counts', async () => {
    await world.engine.audit.prune({ before })
    const { store } = place()
    const links = await store.chain?.readLinks(11, 1)
    // The session of sup ended at its own time, and its event came after all others.
    expect(links?.[0]).toMatchObject({ link: { seq: 12 }, event: null })
    const [pruned] = await store.listEvents({ action: 'audit.pruned' }, { limit: 1 })
    expect(pruned?.details.up_to).toBe(12)
  })

  it('a later pruning goes on from there, and one for less changes nothing', async () => {
    const { audit } = world.engine
    await audit.prune({ before })
    world.clock.tick(30 * day)
    expect(await audit.prune({ before: before - day })).toEqual({ sessions: 0, events: 0 })
    world.clock.tick(1)
    expect((await verify()).ok).toBe(true)
    expect(await audit.prune({ before: world.clock.wall - day })).toEqual({
      sessions: 2,
      events: 4,
    })
    expect(await verify()).toEqual({ ok: true, checked: 16 })
    const events = await place().store.listEvents({}, { limit: 99 })
    expect(events.map(({ action, details }) => [action, details.up_to, details.kept])).toEqual([
      ['audit.pruned', 14, 1],
      ['audit.pruned', 12, 3],
      ['audit.pruned', 12, 3],
    ])
  })

  it('what is not sealed and older goes too, and what is newer is found as before', async () => {
    const { store } = place()
    const plain = eventOf('impersonation.refused', sessionOf(), { sessionId: null })
    await store.appendEvents([{ ...plain, id: 'before the chain', at: noon - day }])
    await world.engine.audit.prune({ before })
    expect(await verify()).toEqual({ ok: true, checked: 13 })
    expect(ids(await store.listEvents({}, { limit: 99 }))).not.toContain('before the chain')
    // At a time of which no sealed event is left.
    await store.appendEvents([{ ...plain, id: 'put in', at: noon + day }])
    expect((await verify()).firstBad).toMatchObject({ problem: 'event_added', eventId: 'put in' })
  })

  describe('a crash', () => {
    const plans: FaultPlan[] = [
      ...(['surveyChain', 'appendEvents', 'readLinks', 'listSessions'] as const).flatMap((verb) => [
        { [verb]: { 1: 'before' } } as FaultPlan,
        { [verb]: { 1: 'after' } } as FaultPlan,
      ]),
      ...[1, 2, 4].flatMap((nth): FaultPlan[] => [
        { prune: { [nth]: 'before' } },
        { prune: { [nth]: 'after' } },
        { prune: { [nth]: { garbage: { sessions: -1, events: 0, more: false } } } },
      ]),
      { surveyChain: { garbage: { upTo: 3, kept: 4 } } },
      { surveyChain: { garbage: { upTo: null, kept: 1 } } },
    ]
    it.each(plans)(
      'of a pruning by %j leaves a chain that holds, and the next ends it',
      async (plan) => {
        const faulty = faultyStore(slow(place().store), plan)
        const other = world.another({ store: faulty })
        await expect(other.audit.prune({ before })).rejects.toThrow()
        expect((await verify()).ok).toBe(true)
        await world.engine.audit.prune({ before })
        expect((await verify()).ok).toBe(true)
        const left = await storedSeqs(place().store)
        expect(left.slice(0, 3)).toEqual([9, 10, 11])
        expect(await sessionsIn(place().store)).toHaveLength(2)
      },
    )

    it.each([
      { appendEvents: { 1: 'before' } },
      { appendEvents: { 1: 'after' } },
      ...[1, 2, 5].flatMap((nth) => [
        { erasePerson: { [nth]: 'before' } },
        { erasePerson: { [nth]: 'after' } },
      ]),
    ] as FaultPlan[])('of an erasure by %j, too', async (plan) => {
      const faulty = faultyStore(slow(place().store), plan)
      const other = world.another({ store: faulty })
      await expect(other.audit.erase('alice')).rejects.toThrow()
      expect((await verify()).ok).toBe(true)
      await world.engine.audit.erase('alice')
      expect((await verify()).ok).toBe(true)
      await world.engine.endFor('root')
      await world.engine.audit.erase('alice')
      expect((await dump(place())).includes('as alice')).toBe(false)
    })
  })

  it('the event is stored before anything is gone', async () => {
    const { store } = place()
    const order: string[] = []
    const { retention } = slow(store) as { retention: RetentionSection }
    const seen = async (what: string) => {
      const [event] = await store.listEvents({ action: 'audit.*' }, { limit: 1 })
      order.push(`${what} after ${event?.action}`)
    }
    const watched: Store = {
      ...store,
      retention: {
        ...retention,
        prune: (...args) => seen('prune').then(() => retention.prune(...args)),
        erasePerson: (...args) => seen('erase').then(() => retention.erasePerson(...args)),
      },
    }
    const other = world.another({ store: watched })
    await other.audit.prune({ before })
    world.clock.tick(1)
    await other.audit.erase('alice')
    expect([...new Set(order)]).toEqual(['prune after audit.pruned', 'erase after audit.erased'])
  })

  it('of several at once, for the same time and others, none makes another look like tampering', async () => {
    const stores = Array.from({ length: 4 }, () => world.another({ store: slow(place().store) }))
    const instants = [before, before - 5 * day, noon + 20 * day, noon + 500]
    let over = false
    const all = Promise.all(
      stores.map((one, n) => one.audit.prune({ before: instants[n] ?? before })),
    ).finally(() => {
      over = true
    })
    while (!over) {
      expect(await verify()).toMatchObject({ ok: true })
      // In memory nothing else would ever come to its turn.
      await new Promise((resolve) => setImmediate(resolve))
    }
    await all
    expect(await verify()).toMatchObject({ ok: true })
    expect(await sessionsIn(place().store)).toHaveLength(2)
  })

  it('a pruning that was overtaken by one that goes further takes nothing back', async () => {
    const { store } = place()
    for (const at of [noon + 5 * day, noon]) {
      const event = { ...eventOf('impersonation.refused', sessionOf()), sessionId: null, at }
      await store.appendEvents([{ ...event, seal: sealOf(event, chainKeys) }])
    }
    const overtaken: Store = {
      ...store,
      async appendEvents(events) {
        // Sealed behind the other one, and it has counted what that one deletes.
        await world.engine.audit.prune({ before })
        await store.appendEvents(events)
      },
    }
    await world.another({ store: overtaken }).audit.prune({ before: noon + day })
    const events = await store.chain?.readLinks(14, 9)
    expect(events?.map(({ event }) => event?.details)).toMatchObject([
      { before, kept: 3 },
      { before: noon + day, kept: 4 },
    ])
    expect(await verify()).toMatchObject({ ok: true })
    await world.engine.audit.prune({ before })
    expect(await verify()).toMatchObject({ ok: true })
  })

  it('what is sealed behind the survey stays for the next pruning, however old', async () => {
    const { store } = place()
    const event = { ...eventOf('impersonation.refused', sessionOf()), sessionId: null, at: noon }
    const late: Store = {
      ...store,
      async appendEvents(events) {
        await store.appendEvents(events)
        await store.appendEvents([{ ...event, seal: sealOf(event, chainKeys) }])
      },
    }
    await world.another({ store: late }).audit.prune({ before })
    expect(await verify()).toMatchObject({ ok: true })
    expect(ids(await store.listEvents({}, { limit: 99 }))).toContain(event.id)
    await world.engine.audit.prune({ before })
    expect(await verify()).toMatchObject({ ok: true })
    expect(ids(await store.listEvents({}, { limit: 99 }))).not.toContain(event.id)
  })

  it('an erasure leaves nothing but ids of a person, and all of the others', async () => {
    const { store } = place()
    const people = { actorId: 'alice', targetUserId: 'bob' }
    const words = { reason: 'by alice' }
    const event = eventOf('grant.denied', sessionOf(people), { ...words, sessionId: null })
    const told = { payload: { said: 'to alice' }, error: 'to alice', settledAt: noon }
    await store.appendEvents([
      {
        ...{ ...event, at: noon, seal: sealOf(event, chainKeys) },
        deliveries: [
          deliveryOf({ ...told, status: 'sent' }),
          deliveryOf({
            ...told,
            status: 'sent',
            userId: 'bob',
            payload: { said: 'to bob' },
            error: null,
          }),
          // What was given up tells others of them.
          ...(['dead', 'skipped'] as const).map((status) =>
            deliveryOf({
              ...{ ...told, status, userId: 'bob' },
              payload: { actor_id: 'alice', target_user_id: 'bob', reason: 'by alice' },
            }),
          ),
          deliveryOf({
            ...{ ...told, status: 'dead', topic: 'event', userId: 'bob' },
            payload: { event: JSON.stringify({ actor_id: 'alice', reason: 'by alice' }) },
          }),
          deliveryOf({
            ...{ status: 'dead', topic: 'event', userId: 'bob', settledAt: noon },
            payload: { event: JSON.stringify({ actor_id: 'sup', reason: 'a dead one of sup' }) },
          }),
        ],
        seal: sealOf({ ...event, at: noon }, chainKeys),
      },
    ])
    await store.grants?.createGrant(grantOf({ ...people, ...words, status: 'denied' }), [])
    await store.requests?.createRequest(
      requestOf({ ...people, ...words, status: 'denied' }),
      [],
      null,
    )
    const canaries = ['as alice', 'note on alice', 'by alice', 'to alice']
    const full = await dump(place())
    for (const canary of canaries) expect(full.includes(canary), canary).toBe(true)
    const reasonsOf = async (id: string) => (await store.readSession(id))?.reason

    const told_: unknown[] = []
    const { rows } = await world.engine.audit.erase('alice', { onProgress: (n) => told_.push(n) })
    expect(told_.at(-1)).toEqual({ rows })
    expect(await verify()).toMatchObject({ ok: true })
    // The session that is live is left alone, and nothing else says it.
    expect(await reasonsOf(liveId)).toBe('root as alice')
    expect((await dump(place())).split('as alice')).toHaveLength(2)

    await world.engine.endFor('root')
    await world.engine.audit.erase('alice')
    expect(await verify()).toMatchObject({ ok: true })
    const left = await dump(place())
    for (const canary of canaries) expect(left.includes(canary), canary).toBe(false)
    // Those of root and boss in the account of alice went as well; in that of bob they are still there.
    for (const other of [
      'root as bob',
      'sup as carol',
      'to bob',
      'address of root',
      'browser of sup',
      'a dead one of sup',
    ])
      expect(left.includes(other), other).toBe(true)
    const events = await store.listEvents({ targetUserId: 'alice' }, { limit: 99 })
    expect(events.length).toBeGreaterThan(5)
    for (const one of events) {
      expect(one).toMatchObject({ reason: null, ipAddress: null, userAgent: null })
      expect(one.details).not.toHaveProperty('ended_note')
    }
    const [erased] = await store.listEvents({ action: 'audit.erased' }, { limit: 1 })
    expect(erased?.details).toMatchObject({ user_id: 'alice', up_to: expect.any(Number) })
    expect(await world.engine.audit.erase('nobody')).toEqual({ rows: 0 })
  })

  it('what is erased can be pruned, and what is pruned leaves nothing to erase', async () => {
    const { audit } = world.engine
    await audit.erase('alice')
    await audit.prune({ before })
    expect(await verify()).toMatchObject({ ok: true })
    await audit.erase('bob')
    expect(await verify()).toMatchObject({ ok: true })
    expect((await dump(place())).includes('as bob')).toBe(false)
  })

  it('without a chain both work, and their events are stored', async () => {
    await place().empty()
    const { store } = place()
    const plain = worldOf({}, store)
    const { liveId: id } = await live(plain)
    await vi.waitFor(async () => expect(await store.listEvents({}, { limit: 99 })).toHaveLength(11))
    expect(await plain.engine.audit.prune({ before })).toEqual({ sessions: 4, events: 9 })
    await plain.engine.audit.erase('bob')
    const [erased, pruned] = await store.listEvents({ action: 'audit.*' }, { limit: 9 })
    expect([erased?.details, pruned?.details].filter((one) => one?.user_id)).toEqual([
      { user_id: 'bob', up_to: 0 },
    ])
    expect([erased?.details, pruned?.details]).toContainEqual({
      ...{ before, up_to: null, kept: 0, began: null },
    })
    expect(await sessionsIn(store)).toContain(id)
    expect((await dump(place())).includes('as bob')).toBe(false)
  })

  it('where events are sealed, nobody without the key prunes or erases', async () => {
    const { audit } = world.another({ audit: {} })
    const whole = await dump(place())
    for (const attempt of [() => audit.prune({ before }), () => audit.erase('alice')]) {
      await expect(attempt()).rejects.toThrow(TypeError)
      await expect(attempt()).rejects.toThrow(/"audit\.key"/)
    }
    expect((await dump(place())) === whole).toBe(true)
    expect(await verify()).toMatchObject({ ok: true })
  })
}

describe('retention (memory)', () => {
  let place: Place
  beforeAll(async () => {
    place = await openPlace('memory')
  })
  rules(() => place)

  it('says what it wants', async () => {
    const { engine, clock } = auditedWorld(place.store)
    for (const wrong of [clock.wall, clock.wall - day + 1, 1.5, Number.NaN, '2030', undefined]) {
      const attempt = engine.audit.prune({ before: wrong as number })
      await expect(attempt).rejects.toThrow(TypeError)
      await expect(attempt).rejects.toThrow(/"before" .*24 hours/)
    }
    expect(await engine.audit.prune({ before: clock.wall - 24 * hour })).toMatchObject({})
    for (const wrong of ['', 7, null]) {
      await expect(engine.audit.erase(wrong as string)).rejects.toThrow(/id of a user/)
    }
    const { retention: _, ...store } = place.store
    const { audit } = auditedWorld(store).engine
    for (const attempt of [() => audit.prune({ before: 0 }), () => audit.erase('alice')]) {
      await expect(attempt()).rejects.toThrow(TypeError)
      await expect(attempt()).rejects.toThrow(/section "retention"/)
    }
  })
})

for (const kind of kinds) {
  describeOn(kind, 'retention', () => {
    let place: Place
    beforeAll(async () => {
      place = await openPlace(kind)
    })
    afterAll(() => place.close())
    rules(() => place)
  })
}
