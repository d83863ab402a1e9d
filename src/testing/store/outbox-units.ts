import assert from 'node:assert/strict'
import type { RecordedEvent } from '../../stores/outbox.ts'
import type { Store } from '../../stores/store.ts'
import type { AuditEvent, Delivery, Session } from '../../types.ts'
import {
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
import { changeOf, consent, grantEvent, grantOf, live } from './grant-fixtures.ts'
import { newestFirst } from './lists.ts'
import {
  allDeliveries,
  deliveryOf,
  post,
  whereDelivered,
  withDeliveries,
} from './outbox-fixtures.ts'
import { ask, requestEvent, requestOf, stepOf } from './request-fixtures.ts'
import {
  allTokens,
  hashOf,
  issue,
  revocationOf,
  rotationOf,
  tokenEvent,
  tokenOf,
} from './token-fixtures.ts'

/** One thing that a verb does, with deliveries on account of its event; what it needs is made before. */
interface Way {
  readonly name: string
  readonly prepare: (store: Store) => Promise<(tell: Tell) => Promise<unknown>>
}

/** Puts the deliveries on an event. */
type Tell = (event: AuditEvent) => RecordedEvent

const session = (n: number) => sessionOf({ actorId: `actor-${n}`, targetUserId: `target-${n}` })

/** Every way in which an event comes into a store. */
export const ways: readonly Way[] = [
  {
    name: 'a start',
    prepare: async (store) => (tell) => {
      const claim = claimOf(session(1))
      const started = tell(claim.events.started)
      return store.claimSession({ ...claim, events: { started, ended: endedEvent } })
    },
  },
  {
    name: 'an ending on the way of a start',
    prepare: async (store) => {
      await start(store, { expiresAt: t0 + minute })
      const next = sessionOf({ actorId: 'sup', createdAt: t0 + 2 * minute })
      return (tell) => {
        const claim = claimOf(next)
        const ended = (over: Session) => endedEvent(over).map(tell)
        return store.claimSession({ ...claim, events: { ...claim.events, ended } })
      }
    },
  },
  {
    name: 'an ending',
    prepare: async (store) => {
      const { id } = await start(store)
      return (tell) => store.endSession(id, endingOf(), (over) => endedEvent(over).map(tell))
    },
  },
  {
    name: 'an extension',
    prepare: async (store) => {
      const { id, expiresAt } = await start(store)
      const change = { from: expiresAt, to: expiresAt + 1, now: t0 }
      return (tell) => store.extendSession(id, change, (one) => extendedEvent(one).map(tell))
    },
  },
  {
    name: 'an event alone',
    prepare: async (store) => (tell) =>
      store.appendEvents([tell(eventOf('impersonation.refused', session(1), { sessionId: null }))]),
  },
  {
    name: 'a grant',
    prepare: async ({ grants }) => {
      const grant = grantOf()
      return async (tell) => grants?.createGrant(grant, [tell(grantEvent(grant))])
    },
  },
  {
    name: 'a change of a grant',
    prepare: async ({ grants }) => {
      const change = changeOf(grants ? await consent(grants) : grantOf())
      return async (tell) => grants?.changeGrant(change, [tell(grantEvent(change.after))], null)
    },
  },
  {
    name: 'an ending with a change of its grant',
    prepare: async (store) => {
      const { grants } = store
      if (!grants) return async () => undefined
      const [grant] = await live(store, grants)
      const event = (tell: Tell) => (over: Session) => endedEvent(over).map(tell)
      const change = changeOf(grant, { status: 'revoked' })
      return (tell) => grants.changeGrant(change, [], { how: endingOf(), event: event(tell) })
    },
  },
  {
    name: 'a request',
    prepare: async ({ requests }) => {
      const request = requestOf()
      return async (tell) => requests?.createRequest(request, [tell(requestEvent(request))], null)
    },
  },
  {
    name: 'a change of a request',
    prepare: async ({ requests }) => {
      const change = stepOf(requests ? await ask(requests) : requestOf())
      const event = requestEvent(change.after)
      return async (tell) => requests?.changeRequest(change, [tell(event)], null)
    },
  },
  {
    name: 'a start on a request',
    prepare: async (store) => {
      const { requests } = store
      const step = stepOf(requests ? await ask(requests) : requestOf(), { status: 'used' })
      return async (tell) => {
        const request = { ...step, events: [tell(requestEvent(step.after))] }
        return requests && store.claimSession(claimOf(session(1), { request }))
      }
    },
  },
  {
    name: 'an API token',
    prepare: async ({ tokens }) => {
      const token = tokenOf()
      return async (tell) =>
        tokens?.createToken(token, hashOf(token.id), [tell(tokenEvent(token))], null)
    },
  },
  {
    name: 'an API token in place of another',
    prepare: async ({ tokens }) => {
      const { next, replaces } = rotationOf(tokens ? await issue(tokens) : tokenOf())
      return async (tell) =>
        tokens?.createToken(next, hashOf(next.id), [tell(tokenEvent(next))], replaces)
    },
  },
  {
    name: 'a change of an API token',
    prepare: async ({ tokens }) => {
      const change = revocationOf(tokens ? await issue(tokens) : tokenOf())
      return async (tell) => tokens?.changeToken(change, [tell(tokenEvent(change.after))])
    },
  },
]

/** Whether a store has no such way. */
export const lacks = (store: Store, name: string): boolean =>
  (/grant/.test(name) && !store.grants) ||
  (/request/.test(name) && !store.requests) ||
  (/API token/.test(name) && !store.tokens)

/** Everything but the outbox, to be compared with itself. */
async function everythingIn(store: Store): Promise<unknown[]> {
  return [
    await allSessions(store),
    await allEvents(store),
    await store.grants?.listGrants({}, { limit: 1e6 }),
    await store.requests?.listRequests({}, { limit: 1e6 }),
    store.tokens && (await allTokens(store.tokens)),
  ]
}

export function outboxUnitRules(someRule: Rule): void {
  const rule = whereDelivered(someRule)

  for (const { name, prepare } of ways) {
    rule(`${name} stores its deliveries with its event`, async (store, outbox) => {
      if (lacks(store, name)) return
      const act = await prepare(store)
      const deliveries = [deliveryOf(), deliveryOf({ userId: 'bob', createdAt: t0 + 1 })]
      let told: AuditEvent | undefined
      await act((event) => {
        told = event
        return withDeliveries(event, ...deliveries)
      })
      same(await allDeliveries(outbox), byAge(deliveries))
      const stored = (await allEvents(store)).find(({ id }) => id === told?.id)
      same(stored, told, 'read back without them')
    })

    rule(`${name} whose deliveries cannot be stored does not happen`, async (store, outbox) => {
      if (lacks(store, name)) return
      const taken = deliveryOf({ payload: { first: true } })
      await post(store, taken)
      const act = await prepare(store)
      const before = await everythingIn(store)
      const fresh = deliveryOf()
      for (const unstorable of [
        [fresh, deliveryOf({ id: taken.id })],
        [fresh, fresh],
      ]) {
        await assert.rejects(act((event) => withDeliveries(event, ...unstorable)))
        same(await everythingIn(store), before)
        same(await allDeliveries(outbox), [taken])
      }
      await act((event) => withDeliveries(event, fresh))
      same(await allDeliveries(outbox), byAge([taken, fresh]))
    })
  }

  rule('what did not happen delivers nothing', async (store, outbox) => {
    const { id, expiresAt } = await start(store)
    await store.endSession(id, endingOf(), endedEvent)
    const tell: Tell = (event) => withDeliveries(event, deliveryOf())
    await store.endSession(id, endingOf(), (over) => endedEvent(over).map(tell))
    const late = { from: expiresAt, to: expiresAt + 1, now: t0 }
    await store.extendSession(id, late, (one) => extendedEvent(one).map(tell))
    await start(store)
    const claim = claimOf(sessionOf({ actorId: 'sup' }))
    const started = tell(claim.events.started)
    await store.claimSession({ ...claim, events: { started, ended: endedEvent } })
    const grant = grantOf()
    await store.grants?.changeGrant(changeOf(grant), [tell(grantEvent(grant))], null)
    const request = requestOf()
    await store.requests?.changeRequest(stepOf(request), [tell(requestEvent(request))], null)
    const token = tokenOf()
    const { next, replaces } = rotationOf(token)
    await store.tokens?.changeToken(revocationOf(token), [tell(tokenEvent(token))])
    await store.tokens?.createToken(next, hashOf(next.id), [tell(tokenEvent(next))], replaces)
    same(await allDeliveries(outbox), [])
  })

  rule('of events that are stored together each keeps its deliveries', async (store, outbox) => {
    const told = Array.from({ length: 3 }, (_, n) =>
      withDeliveries(eventOf('impersonation.refused', session(n)), deliveryOf(), deliveryOf()),
    )
    const plain = eventOf('impersonation.refused', session(4))
    await store.appendEvents([...told, plain])
    same(await allDeliveries(outbox), byAge(told.flatMap(({ deliveries = [] }) => deliveries)))
    assert.equal((await allEvents(store)).length, 4)
    const doubled = deliveryOf()
    const twice = [1, 2].map((n) =>
      withDeliveries(eventOf('impersonation.refused', session(n)), doubled),
    )
    await assert.rejects(store.appendEvents(twice))
    assert.equal((await allEvents(store)).length, 4)
    same(await outbox.readDelivery(doubled.id), null)
  })

  rule('a thousand deliveries of one change are stored', async (store, outbox) => {
    const many = Array.from({ length: 1_100 }, () => deliveryOf())
    await post(store, ...many)
    assert.equal((await allDeliveries(outbox)).length, many.length)
    await assert.rejects(post(store, ...many.map(() => deliveryOf()), many[0] ?? deliveryOf()))
    assert.equal((await allDeliveries(outbox)).length, many.length, 'all or none')
  })
}

const byAge = (deliveries: readonly Delivery[]) =>
  newestFirst(deliveries, (delivery) => delivery.createdAt)
