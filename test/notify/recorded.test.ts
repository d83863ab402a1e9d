import { describe, expect, it, vi } from 'vitest'
import { sessionEvent } from '../../src/audit/events.ts'
import {
  type AuditEvent,
  type Delivery,
  type Grant,
  memoryStore,
  type RecordedEvent,
  type Session,
} from '../../src/index.ts'
import { recorded } from '../../src/recorded.ts'
import { type GuardedStore, guardStore } from '../../src/stores/guarded.ts'
import { type Fault, type FaultPlan, faultyStore } from '../../src/testing/faulty-store.ts'
import type { AccessRequest } from '../../src/types.ts'
import { hour, minute, noon, worldOf } from '../support/core-world.ts'
import { breakGlass, deliveryOf, outboxOf } from './support.ts'

/** Says of every event that it was seen. */
const announce = ({ id }: AuditEvent): Delivery[] => [deliveryOf({ id: `told ${id}` })]

function setUp(plan: FaultPlan = {}) {
  const faulty = faultyStore(memoryStore(), plan)
  const wake = vi.fn<() => void>()
  const store = recorded(guardStore(faulty, 1000), { announce, wake })
  const told = async () =>
    (await outboxOf(faulty).listDeliveries({}, { limit: 99 })).map(({ id }) => id).sort()
  return { faulty, store, wake, told }
}

let serial = 0
const session = (changes: Partial<Session> = {}) =>
  ({
    id: `session ${++serial}`,
    actorId: 'root',
    actorOrgId: null,
    targetUserId: 'alice',
    targetOrgId: null,
    targetRole: null,
    accessLevel: 'view',
    reason: 'ticket 7',
    ticket: null,
    grantId: null,
    breakGlass: false,
    transport: 'session',
    clientId: null,
    ipAddress: null,
    userAgent: null,
    createdAt: noon,
    expiresAt: noon + hour,
    endedAt: null,
    endedReason: null,
    endedNote: null,
    endedBy: null,
    status: 'active',
    ...changes,
  }) satisfies Session
const event = (id: string, more: Partial<RecordedEvent> = {}): RecordedEvent => ({
  ...sessionEvent('impersonation.started', session(), noon),
  ...more,
  id,
})
const claim = (
  store: GuardedStore,
  name: string,
  more: object = {},
  changes: Partial<Session> = {},
) =>
  store.claimSession({
    session: session({ id: name, ...changes }),
    now: noon,
    onConflict: 'replace',
    exclusiveTarget: true,
    events: { started: event(`start of ${name}`), ended: ({ id }) => [event(`end of ${id}`)] },
    ...more,
  })
const stop = {
  status: 'stopped',
  reason: 'stopped',
  at: noon,
  by: 'root',
  note: null,
  acknowledged: true,
} as const
const grant = (changes: Partial<Grant> = {}): Grant => ({
  id: 'grant',
  actorId: 'root',
  actorOrgId: null,
  targetUserId: 'alice',
  targetOrgId: null,
  accessLevel: 'view',
  requestedAccessLevel: 'view',
  reason: null,
  ticket: null,
  durationMs: hour,
  status: 'granted',
  createdAt: noon,
  decidedAt: noon,
  expiresAt: noon + hour,
  revision: 1,
  ...changes,
})
const request = (changes: Partial<AccessRequest> = {}): AccessRequest => ({
  id: 'request',
  kind: 'approval',
  actorId: 'root',
  actorOrgId: null,
  targetUserId: 'alice',
  targetOrgId: null,
  accessLevel: 'view',
  reason: null,
  ticket: null,
  status: 'pending',
  approvedBy: [],
  deniedBy: null,
  attempts: 0,
  createdAt: noon,
  expiresAt: noon + hour,
  sessionId: null,
  revision: 1,
  ...changes,
})

type Step = (store: GuardedStore) => Promise<unknown>
const steps: [verb: string, prepare: Step, step: Step, told: string[]][] = [
  ['claimSession', async () => {}, (store) => claim(store, 'one'), ['start of one']],
  [
    'claimSession, of what it ends',
    (store) => claim(store, 'one'),
    (store) => claim(store, 'two'),
    ['end of one', 'start of one', 'start of two'],
  ],
  [
    'claimSession, of its request',
    async (store) => store.requests?.createRequest(request(), [event('asked')], null),
    (store) => {
      const after = request({ status: 'used', revision: 2 })
      return claim(store, 'one', { request: { from: 1, after, events: [event('used')] } })
    },
    ['asked', 'start of one', 'used'],
  ],
  [
    'endSession',
    (store) => claim(store, 'one'),
    (store) => store.endSession('one', stop, () => [event('stopped')]),
    ['start of one', 'stopped'],
  ],
  [
    'extendSession',
    (store) => claim(store, 'one'),
    (store) => {
      const change = { from: noon + hour, to: noon + hour + minute, now: noon }
      return store.extendSession('one', change, () => [event('extended')])
    },
    ['extended', 'start of one'],
  ],
  [
    'appendEvents',
    async () => {},
    (store) => store.appendEvents([event('a'), event('b')]),
    ['a', 'b'],
  ],
  [
    'createGrant',
    async () => {},
    async (store) => store.grants?.createGrant(grant(), [event('asked')]),
    ['asked'],
  ],
  [
    'changeGrant, and the session that ends with it',
    async (store) => {
      await store.grants?.createGrant(grant(), [])
      await claim(store, 'one', {}, { grantId: 'grant' })
    },
    async (store) => {
      const after = grant({ status: 'revoked', revision: 2 })
      const ending = { how: stop, event: () => [event('ended with it')] }
      return store.grants?.changeGrant({ from: 1, after }, [event('revoked')], ending)
    },
    ['ended with it', 'revoked', 'start of one'],
  ],
  [
    'createRequest',
    async () => {},
    async (store) => store.requests?.createRequest(request(), [event('asked')], null),
    ['asked'],
  ],
  [
    'changeRequest',
    async (store) => store.requests?.createRequest(request(), [], null),
    async (store) => {
      const after = request({ status: 'denied', revision: 2 })
      return store.requests?.changeRequest({ from: 1, after }, [event('denied')], null)
    },
    ['denied'],
  ],
]

describe('every verb that takes events stores what is to be delivered with them', () => {
  it.each(steps)('%s', async (_verb, prepare, step, expected) => {
    const { store, wake, told } = setUp()
    await prepare(store)
    wake.mockClear()
    await step(store)
    expect(await told()).toEqual(expected.map((id) => `told ${id}`))
    expect(wake).toHaveBeenCalledOnce()
  })

  it.each(steps)('%s: in the same unit, or not at all', async (name, prepare, step) => {
    const verb = name.split(',')[0] as keyof FaultPlan
    const { faulty, store, told } = setUp()
    await prepare(store)
    const stored = await told()
    faulty.plan({ [verb]: 'before' satisfies Fault })
    await expect(step(store)).rejects.toThrow()
    expect(await told()).toEqual(stored)
  })

  it.each(steps)('%s: a lost answer wakes all the same', async (name, prepare, step, expected) => {
    const verb = name.split(',')[0] as keyof FaultPlan
    const { faulty, store, wake, told } = setUp()
    await prepare(store)
    wake.mockClear()
    faulty.plan({ [verb]: 'after' satisfies Fault })
    await expect(step(store)).rejects.toThrow()
    expect(await told()).toEqual(expected.map((id) => `told ${id}`))
    expect(wake).toHaveBeenCalledOnce()
  })
})

describe('it leaves alone', () => {
  it('what an event carries already', async () => {
    const { store, told } = setUp()
    await store.appendEvents([event('one', { deliveries: [deliveryOf({ id: 'its own' })] })])
    expect(await told()).toEqual(['its own', 'told one'])
  })

  it('an end without an event', async () => {
    const { store, wake, told } = setUp()
    await claim(store, 'one')
    wake.mockClear()
    await store.endSession('one', stop, null)
    expect(await told()).toEqual(['told start of one'])
    expect(wake).not.toHaveBeenCalled()
  })

  it('events of which nobody is told', async () => {
    const faulty = faultyStore(memoryStore())
    const wake = vi.fn<() => void>()
    const store = recorded(guardStore(faulty, 1000), { announce: () => [], wake })
    await claim(store, 'one')
    expect(wake).not.toHaveBeenCalled()
    expect(await outboxOf(faulty).listDeliveries({}, { limit: 9 })).toEqual([])
  })

  it('an engine without a notifier and a sandbox', async () => {
    const world = worldOf()
    await world.start('root', 'alice')
    expect(await outboxOf(world.store).listDeliveries({}, { limit: 9 })).toEqual([])
    await breakGlass(world, { actorId: 'boss', targetUserId: 'bob' })
    expect(await world.active()).toHaveLength(2)
  })
})
