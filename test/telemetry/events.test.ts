import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, describe, expect, it } from 'vitest'
import { type AuditEvent, endedBy, memoryStore, type Store } from '../../src/index.ts'
import { guardStore } from '../../src/stores/guarded.ts'
import { observed } from '../../src/stores/observed.ts'
import { faultyStore } from '../../src/testing/index.ts'
import { requestEvent, requestOf } from '../../src/testing/store/request-fixtures.ts'
import { codeOf, hour, minute, type User, worldOf } from '../support/core-world.ts'

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

function listen<T>(name: string): T[] {
  const heard: T[] = []
  const listener = (message: unknown) => void heard.push(message as T)
  subscribe(name, listener)
  stops.push(() => unsubscribe(name, listener))
  return heard
}

function watchedWorld(store: Store = memoryStore(), more: object = {}) {
  const told: AuditEvent[] = []
  const world = worldOf({ audit: { onEvent: (event) => told.push(event) }, ...more }, store)
  const stored = () => store.listEvents({}, { limit: 1000 })
  return { ...world, told, stored }
}

const byId = (events: readonly AuditEvent[]) => [...events].sort((a, b) => (a.id < b.id ? -1 : 1))

describe('onEvent', () => {
  it('is told exactly what is stored, of every kind of change', async () => {
    const world = watchedWorld(undefined, {
      consent: (_: User, target: User) => target.id === 'bob',
    })
    const { engine, caller, told, stored, clock } = world
    await world.start('root', 'alice')
    await engine.sessions.extend(caller('root'), minute)
    await world.send('root', { method: 'POST' })
    await world.start('root', 'carol')
    await world.start('sup', 'alice')
    clock.tick(2 * hour)
    await engine.reap()
    const ask = { targetUserId: 'bob', reason: 'why' }
    const grant = await engine.grants.request(caller('root'), ask)
    await engine.grants.approve(caller('bob'), grant.id)
    await world.start('root', 'bob', { grantId: grant.id })
    await engine.grants.revoke(caller('bob'), grant.id)
    const denied = await engine.grants.request(caller('root'), ask)
    await engine.grants.deny(caller('bob'), denied.id)
    expect(await codeOf(world.start('mallory', 'alice'))).toBe('not_allowed')
    await expect.poll(async () => (await stored()).length).toBe(told.length)
    expect(byId(told)).toEqual(byId(await stored()))
    expect(new Set(told.map(({ action }) => action)).size).toBeGreaterThanOrEqual(11)
  })

  it('is told the same by diagnostics_channel', async () => {
    const heard = listen<{ event: AuditEvent }>('onbehalf:event')
    const { start, told } = watchedWorld()
    await start('root', 'alice')
    expect(heard.map(({ event }) => event)).toEqual(told)
    expect(told).toHaveLength(1)
    expect(Object.isFrozen(told[0])).toBe(true)
  })

  it('is not told of what was not stored, nor where only the answer was lost', async () => {
    for (const fault of ['before', 'after'] as const) {
      const store = faultyStore(memoryStore(), { claimSession: fault })
      const world = watchedWorld(store)
      await world.start('root', 'alice').catch(() => {})
      expect(
        world.told.filter(({ action }) => action === 'impersonation.started'),
        fault,
      ).toEqual([])
    }
  })

  it('is not told of a request that was not stored, because its code was known', async () => {
    const told: AuditEvent[] = []
    const store = observed(guardStore(memoryStore(), 1000), (event) => told.push(event))
    const code = { mark: 'a mark', at: 1 }
    const ask = () => {
      const request = requestOf()
      return store.requests?.createRequest(request, [requestEvent(request)], code)
    }
    expect([await ask(), await ask()]).toEqual(['created', 'code_used'])
    expect(told).toHaveLength(1)
  })

  it('is told once of an ending that two came to', async () => {
    const world = watchedWorld()
    const session = await world.start('root', 'alice')
    const revoke = () => world.engine.sessions.revoke(world.caller('boss'), session.id)
    await Promise.all([revoke(), revoke(), world.engine.endFor('root')])
    expect(world.told.filter(({ sessionId }) => sessionId === session.id)).toHaveLength(2)
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('listener down')
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('listener down')
      },
    ],
  ])('changes nothing when it %s', async (_, onEvent) => {
    const store = faultyStore(memoryStore())
    const { start } = worldOf({ audit: { onEvent } }, store)
    await start('root', 'alice')
    // Nobody takes it for a store that has failed.
    expect(store.calls).toMatchObject({ claimSession: 1, readSession: 0 })
    expect(await store.listEvents({}, { limit: 9 })).toHaveLength(1)
  })

  it('is not told of what came to nothing, however early the store asked for the event', async () => {
    const inner = memoryStore()
    const store: Store = {
      ...inner,
      async endSession(id, ending, event) {
        const session = await inner.readSession(id)
        if (session) event?.(endedBy(session, ending), null)
        return inner.endSession(id, ending, event)
      },
      async appendEvents() {
        throw new Error('disk full')
      },
    }
    const { start, engine, caller, told } = watchedWorld(store, { onConflict: 'reject' })
    const session = await start('root', 'alice')
    expect(await codeOf(start('root', 'bob'))).toBe('impersonation_already_active')
    await engine.sessions.revoke(caller('boss'), session.id)
    const count = told.length
    // As two who end the same session at the same moment: the second finds it ended.
    await engine.sessions.revoke(caller('boss'), session.id)
    const late = { ...store, readSession: async () => session }
    const other = worldOf({ audit: { onEvent: (event) => told.push(event) } }, late)
    await other.engine.sessions.revoke(other.caller('boss'), session.id).catch(() => {})
    expect(told.slice(count)).toEqual([])
    expect(told.map(({ action }) => action)).toEqual([
      'impersonation.started',
      'impersonation.revoked',
    ])
  })

  it.each([[{ onEvent: 'log' }], [{ key: 'x' }], ['yes'], [[]]])('refuses %j', (audit) => {
    expect(() => worldOf({ audit: audit as never })).toThrow(/option "audit/)
  })
})

describe('what else is told', () => {
  it('a request under impersonation, inside its context, and no other', async () => {
    const heard = listen<{ impersonation: { session: { id: string } } }>('onbehalf:request')
    const world = watchedWorld()
    const inside: unknown[] = []
    const spy = () => void inside.push(world.engine.tryCurrent()?.session.id)
    subscribe('onbehalf:request', spy)
    stops.push(() => unsubscribe('onbehalf:request', spy))
    await world.send('root')
    await world.send('alice')
    expect(heard).toEqual([])
    const session = await world.start('root', 'alice')
    await world.send('root')
    expect(heard.map(({ impersonation }) => impersonation.session.id)).toEqual([session.id])
    expect(inside).toEqual([session.id])
  })

  it('cache lookups: a miss, then hits; none for ordinary users', async () => {
    const heard = listen<{ hit: boolean }>('onbehalf:cache')
    const world = watchedWorld()
    await world.send('alice')
    expect(heard).toEqual([])
    for (let n = 0; n < 3; n++) await world.send('root')
    expect(heard).toEqual([{ hit: false }, { hit: true }, { hit: true }])
  })

  it('each verb of the store, with how long it took and whether it failed', async () => {
    const heard = listen<{ verb: string; failed: boolean; ms: number; store: string }>(
      'onbehalf:store',
    )
    const world = watchedWorld(faultyStore(memoryStore(), { readStanding: { 1: 'before' } }))
    expect((await world.send('root')).code).toBe('impersonation_unavailable')
    await world.send('root')
    await world.start('root', 'alice')
    const verbs = heard.map(({ verb, failed }) => `${verb}${failed ? ' failed' : ''}`)
    expect(verbs).toEqual(
      expect.arrayContaining(['readStanding failed', 'readStanding', 'claimSession']),
    )
    expect(heard.every(({ ms, store }) => ms >= 0 && typeof store === 'string')).toBe(true)
  })

  it('how many sessions are active, each time the reaper looks', async () => {
    const heard = listen<{ count: number }>('onbehalf:active')
    const world = watchedWorld()
    await world.start('root', 'alice')
    await world.start('sup', 'bob')
    await world.engine.reap()
    expect(heard).toEqual([{ count: 2 }])
  })
})
