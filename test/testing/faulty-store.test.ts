import { expect, it } from 'vitest'
import { chainVerbs } from '../../src/stores/chain.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { outboxVerbs } from '../../src/stores/outbox.ts'
import { requestVerbs } from '../../src/stores/requests.ts'
import { retentionVerbs } from '../../src/stores/retention.ts'
import { grantVerbs, storeVerbs } from '../../src/stores/store.ts'
import { tokenVerbs } from '../../src/stores/tokens.ts'
import { trailVerbs } from '../../src/stores/trail.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { claimOf, sessionOf, start } from '../../src/testing/store/fixtures.ts'
import { grantOf } from '../../src/testing/store/grant-fixtures.ts'
import {
  deliveryOf,
  leased,
  leaseOf,
  post,
  settlementOf,
} from '../../src/testing/store/outbox-fixtures.ts'
import { requestOf, stepOf } from '../../src/testing/store/request-fixtures.ts'
import { hashOf, stepOf as stepOfToken, tokenOf } from '../../src/testing/store/token-fixtures.ts'
import { contentOf, entry } from '../../src/testing/store/trail-fixtures.ts'

const none = { active: null, lapse: null }

it('without a plan it is the store, and counts', async () => {
  const store = faultyStore(memoryStore())
  expect(store.name).toBe('memory')
  await start(store)
  await store.readStanding('root')
  await store.readStanding('root')
  expect(store.calls).toMatchObject({ claimSession: 1, readStanding: 2, endSession: 0 })
  expect(Object.keys(store.calls)).toEqual([
    ...[...storeVerbs, ...grantVerbs],
    ...[...requestVerbs, ...outboxVerbs, ...chainVerbs, ...trailVerbs, ...retentionVerbs],
    ...tokenVerbs,
  ])
})

it('before: rejects and nothing was done', async () => {
  const store = faultyStore(memoryStore(), { claimSession: 'before' })
  await expect(store.claimSession(claimOf())).rejects.toThrow('failed before anything was done')
  expect(await store.readStanding('root')).toEqual(none)
})

it('after: rejects and it was done', async () => {
  const store = faultyStore(memoryStore(), { claimSession: 'after' })
  const session = sessionOf()
  await expect(store.claimSession(claimOf(session))).rejects.toThrow('then reported an error')
  expect((await store.readStanding('root')).active).toEqual(session)
})

it('at the nth call only', async () => {
  const store = faultyStore(memoryStore(), { readStanding: { 2: 'before', 4: 'garbage' } })
  expect(await store.readStanding('root')).toEqual(none)
  await expect(store.readStanding('root')).rejects.toThrow()
  expect(await store.readStanding('root')).toEqual(none)
  expect(await store.readStanding('root')).toBeUndefined()
  expect(await store.readStanding('root')).toEqual(none)
})

it('garbage: this or undefined', async () => {
  const store = faultyStore(memoryStore(), {
    readStanding: { garbage: 'nonsense' },
    readSession: 'garbage',
  })
  expect(await store.readStanding('root')).toBe('nonsense')
  expect(await store.readSession('none')).toBeUndefined()
})

it('hang: reaches the store when it is released', async () => {
  const store = faultyStore(memoryStore(), { claimSession: 'hang' })
  const claim = store.claimSession(claimOf())
  expect(store.hanging).toBe(1)
  expect(await store.readStanding('root')).toEqual(none)
  store.release()
  expect(store.hanging).toBe(0)
  expect((await claim).outcome).toBe('started')
})

it('another plan counts anew, and an empty one heals', async () => {
  const store = faultyStore(memoryStore(), { readStanding: 'before' })
  await expect(store.readStanding('root')).rejects.toThrow()
  store.plan({ readStanding: { 1: 'before' } })
  await expect(store.readStanding('root')).rejects.toThrow()
  expect(store.calls.readStanding).toBe(1)
  store.plan({})
  expect(await store.readStanding('root')).toEqual(none)
})

it('has the optional verbs of its store and no others', () => {
  const bare = faultyStore(memoryStore())
  expect([bare.check, bare.watch, bare.close]).toEqual([undefined, undefined, undefined])
  const full = faultyStore({ ...memoryStore(), check: async () => {}, close: async () => {} })
  expect([typeof full.check, full.watch, typeof full.close]).toEqual([
    'function',
    undefined,
    'function',
  ])
})

it('has the verbs of grants where its store has them, with their faults', async () => {
  const { grants: _, ...without } = memoryStore()
  expect(faultyStore(without).grants).toBeUndefined()

  const store = faultyStore(memoryStore(), {
    createGrant: 'after',
    readGrant: { 2: 'before' },
    listGrants: 'garbage',
    changeGrant: { garbage: 'nonsense' },
  })
  const grant = grantOf()
  await expect(store.grants?.createGrant(grant, [])).rejects.toThrow('then reported an error')
  expect(await store.grants?.readGrant(grant.id)).toEqual(grant)
  await expect(store.grants?.readGrant(grant.id)).rejects.toThrow('before anything was done')
  expect(await store.grants?.listGrants({}, { limit: 9 })).toBeUndefined()
  const change = { from: 1, after: { ...grant, revision: 2 } }
  expect(await store.grants?.changeGrant(change, [], null)).toBe('nonsense')
  expect(await store.grants?.readGrant(grant.id), 'it was done').toEqual(change.after)
  expect(store.calls).toMatchObject({
    createGrant: 1,
    readGrant: 3,
    listGrants: 1,
    changeGrant: 1,
    readSession: 0,
  })
  store.plan({})
  expect(store.calls.readGrant).toBe(0)
})

it('has the verbs of a trail where its store has them, with their faults', async () => {
  const { trail: _, ...without } = memoryStore()
  expect(faultyStore(without).trail).toBeUndefined()

  const store = faultyStore(memoryStore(), { appendTrail: 'after', readTrails: { 2: 'before' } })
  const make = [entry(contentOf('one'))]
  await expect(store.trail?.appendTrail('one', make)).rejects.toThrow('then reported an error')
  expect(await store.trail?.readTrails(['one'], null, 9)).toHaveLength(1)
  await expect(store.trail?.readTrails(['one'], null, 9)).rejects.toThrow('before anything')
  store.plan({ listActions: 'garbage', countActions: { garbage: 'nonsense' } })
  expect(await store.trail?.listActions('one', 0, 9)).toBeUndefined()
  expect(await store.trail?.countActions(['one'])).toBe('nonsense')
  expect(store.calls).toMatchObject({ appendTrail: 0, listActions: 1, countActions: 1 })
})

it('has the verbs of requests where its store has them, with their faults', async () => {
  const { requests: _, ...without } = memoryStore()
  expect(faultyStore(without).requests).toBeUndefined()

  const store = faultyStore(memoryStore(), {
    createRequest: 'after',
    readRequest: { 2: 'before' },
    listRequests: 'garbage',
    changeRequest: { garbage: 'nonsense' },
  })
  const request = requestOf()
  await expect(store.requests?.createRequest(request, [], null)).rejects.toThrow('then reported')
  expect(await store.requests?.readRequest(request.id)).toEqual(request)
  await expect(store.requests?.readRequest(request.id)).rejects.toThrow('before anything was done')
  expect(await store.requests?.listRequests({}, { limit: 9 })).toBeUndefined()
  const change = stepOf(request)
  expect(await store.requests?.changeRequest(change, [], null)).toBe('nonsense')
  expect(await store.requests?.readRequest(request.id), 'it was done').toEqual(change.after)
  const [createRequest, readRequest, listRequests, changeRequest] = [1, 3, 1, 1]
  expect(store.calls).toMatchObject({ createRequest, readRequest, listRequests, changeRequest })
})

it('has the verbs of the outbox where its store has it, with their faults', async () => {
  const { outbox: _, ...without } = memoryStore()
  expect(faultyStore(without).outbox).toBeUndefined()

  const store = faultyStore(memoryStore(), {
    leaseDeliveries: { 1: 'before', 2: 'after' },
    changeDelivery: { garbage: 'nonsense' },
    readDelivery: { 2: 'before' },
    listDeliveries: 'garbage',
  })
  const delivery = deliveryOf()
  await post(store, delivery)
  const lease = leaseOf(delivery.dueAt, delivery.dueAt + 1)
  await expect(store.outbox?.leaseDeliveries(lease)).rejects.toThrow('before anything was done')
  await expect(store.outbox?.leaseDeliveries(lease)).rejects.toThrow('then reported an error')
  const handed = leased(delivery, lease.until)
  expect(await store.outbox?.readDelivery(delivery.id), 'it was done').toEqual(handed)
  const change = settlementOf(handed)
  expect(await store.outbox?.changeDelivery(change, [])).toBe('nonsense')
  await expect(store.outbox?.readDelivery(delivery.id)).rejects.toThrow('before anything was done')
  expect(await store.outbox?.readDelivery(delivery.id)).toEqual(change.after)
  expect(await store.outbox?.listDeliveries({}, { limit: 9 })).toBeUndefined()
  const [leaseDeliveries, changeDelivery, readDelivery, listDeliveries] = [2, 1, 3, 1]
  expect(store.calls).toMatchObject({
    ...{ leaseDeliveries, changeDelivery },
    ...{ readDelivery, listDeliveries },
  })
})

it('has the verbs of API tokens where its store has them, with their faults', async () => {
  const { tokens: _, ...without } = memoryStore()
  expect(faultyStore(without).tokens).toBeUndefined()

  const store = faultyStore(memoryStore(), {
    createToken: 'after',
    readToken: { 2: 'before' },
    findToken: 'before',
    listTokens: 'garbage',
    changeToken: { garbage: 'nonsense' },
    touchTokens: 'after',
  })
  const token = tokenOf()
  const hash = hashOf(token.id)
  await expect(store.tokens?.createToken(token, hash, [], null)).rejects.toThrow('then reported')
  expect(await store.tokens?.readToken(token.id)).toEqual(token)
  await expect(store.tokens?.readToken(token.id)).rejects.toThrow('before anything was done')
  await expect(store.tokens?.findToken(hash)).rejects.toThrow('before anything was done')
  expect(await store.tokens?.listTokens({}, { limit: 9 })).toBeUndefined()
  const { from, after } = stepOfToken(token)
  expect(await store.tokens?.changeToken({ from, after }, [])).toBe('nonsense')
  const uses = [{ id: token.id, at: 7 }]
  await expect(store.tokens?.touchTokens(uses, 0)).rejects.toThrow('then reported')
  const read = await store.tokens?.readToken(token.id)
  expect(read, 'both were done').toEqual({ ...after, lastUsedAt: 7 })
  const [createToken, readToken, findToken, listTokens] = [1, 3, 1, 1]
  const [changeToken, touchTokens] = [1, 1]
  expect(store.calls).toMatchObject({ createToken, readToken, findToken, listTokens })
  expect(store.calls).toMatchObject({ changeToken, touchTokens })
})
