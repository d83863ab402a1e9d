import type { OutboxSection, RecordedEvent } from '../../src/stores/outbox.ts'
import type { EndEventsFor, Store } from '../../src/stores/store.ts'
import { type Delivery, deliveryTopics } from '../../src/types.ts'
import type { GrantSabotage, Sabotage } from './grant-sabotages.ts'

type OutboxSabotage = (outbox: OutboxSection, store: Store) => Partial<OutboxSection>

/** Faults of the section `outbox`. */
export const outboxSabotages: Record<string, OutboxSabotage> = {
  'hands out the latest first': (outbox) => ({
    leaseDeliveries: async (lease) => (await outbox.leaseDeliveries(lease)).reverse(),
  }),
  'hands out one more than was asked for': (outbox) => ({
    leaseDeliveries: (lease) => outbox.leaseDeliveries({ ...lease, limit: lease.limit + 1 }),
  }),
  'hands out a millisecond early': (outbox) => ({
    leaseDeliveries: (lease) => outbox.leaseDeliveries({ ...lease, now: lease.now + 1 }),
  }),
  'hands out a millisecond late': (outbox) => ({
    leaseDeliveries: (lease) => outbox.leaseDeliveries({ ...lease, now: lease.now - 1 }),
  }),
  'hands out every topic': (outbox) => ({
    leaseDeliveries: (lease) => outbox.leaseDeliveries({ ...lease, topics: deliveryTopics }),
  }),
  'takes no topic for every topic': (outbox) => ({
    leaseDeliveries: ({ topics, ...lease }) =>
      outbox.leaseDeliveries({ ...lease, topics: topics.length === 0 ? deliveryTopics : topics }),
  }),
  'hands out the first topic alone': (outbox) => ({
    leaseDeliveries: ({ topics, ...lease }) =>
      outbox.leaseDeliveries({ ...lease, topics: topics.slice(0, 1) }),
  }),
  'hands out one topic after the other': (outbox) => ({
    leaseDeliveries: async ({ topics, limit, ...lease }) => {
      const handed: Delivery[] = []
      for (const topic of topics) {
        const left = { ...lease, limit: limit - handed.length, topics: [topic] }
        if (left.limit > 0) handed.push(...(await outbox.leaseDeliveries(left)))
      }
      return handed
    },
  }),
  'counts other topics against the limit, and keeps them from others': (outbox) => ({
    leaseDeliveries: async (lease) => {
      const handed = await outbox.leaseDeliveries({ ...lease, topics: deliveryTopics })
      return handed.filter(({ topic }) => lease.topics.includes(topic))
    },
  }),
  'hands out what is settled': (outbox) => ({
    leaseDeliveries: async (lease) => {
      const all = await outbox.listDeliveries({}, { limit: 1e6 })
      const settled = all.filter(
        ({ topic, status, dueAt }) =>
          lease.topics.includes(topic) && status !== 'pending' && dueAt <= lease.now,
      )
      return [...(await outbox.leaseDeliveries(lease)), ...settled]
    },
  }),
  'hands out what others were handed': (outbox) => ({
    leaseDeliveries: (lease) => outbox.leaseDeliveries({ ...lease, until: lease.now }),
  }),
  'gives deliveries as they were before they were handed out': (outbox) => ({
    leaseDeliveries: async (lease) =>
      (await outbox.leaseDeliveries(lease)).map((one) => ({
        ...one,
        attempts: one.attempts - 1,
        revision: one.revision - 1,
      })),
  }),
  'counts no attempts': (outbox) => ({
    leaseDeliveries: async (lease) => {
      const handed = await outbox.leaseDeliveries(lease)
      const put = handed.map((one) => ({ ...one, attempts: one.attempts - 1 }))
      for (const after of put) await outbox.changeDelivery({ from: after.revision, after }, [])
      return put
    },
  }),
  'keeps the revision of what it hands out': (outbox) => ({
    leaseDeliveries: async (lease) => {
      const handed = await outbox.leaseDeliveries(lease)
      const put = handed.map((one) => ({ ...one, revision: one.revision - 1 }))
      for (const after of put) await outbox.changeDelivery({ from: after.revision + 1, after }, [])
      return put
    },
  }),
  'reads first and hands out after': (outbox) => ({
    leaseDeliveries: async ({ now, until, limit, topics }) => {
      const all = await outbox.listDeliveries({ status: 'pending' }, { limit: 1e6 })
      const due = all.filter(({ topic, dueAt }) => topics.includes(topic) && dueAt <= now)
      due.sort((a, b) => a.dueAt - b.dueAt || Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)))
      const handed = due.slice(0, limit).map((one) => ({
        ...one,
        dueAt: until,
        attempts: one.attempts + 1,
        revision: one.revision + 1,
      }))
      for (const after of handed) {
        await outbox.changeDelivery({ from: after.revision - 1, after }, [])
      }
      return handed
    },
  }),
  'loses what it finds locked': (outbox) => {
    let asked = 0
    return {
      leaseDeliveries: async (lease) => {
        const handed = await outbox.leaseDeliveries(lease)
        return asked++ % 2 === 0 ? handed : handed.slice(1)
      },
    }
  },
  'settles from any revision': (outbox) => ({
    changeDelivery: async (change, more) => {
      const from = (await outbox.readDelivery(change.after.id))?.revision ?? change.from
      return outbox.changeDelivery({ ...change, from }, more)
    },
  }),
  'settles by a look-alike of an id': (outbox) => ({
    changeDelivery: ({ from, after }, more) => {
      const id = after.id.normalize('NFC').trim()
      return outbox.changeDelivery({ from, after: { ...after, id } }, more)
    },
  }),
  'brings nothing along': (outbox) => ({
    changeDelivery: (change) => outbox.changeDelivery(change, []),
  }),
  'brings along also where nothing was settled': (outbox, store) => ({
    changeDelivery: async (change, more) => {
      const changed = await outbox.changeDelivery(change, more)
      if (!changed) await deliver(store, more).catch(() => {})
      return changed
    },
  }),
  'brings along in a second unit, and rejects what is stored already': (outbox, store) => ({
    changeDelivery: async (change, more) => {
      const changed = await outbox.changeDelivery(change, [])
      if (changed) await deliver(store, more)
      return changed
    },
  }),
  'brings along anew what is stored already': (outbox) => ({
    changeDelivery: async (change, more) => {
      const changed = await outbox.changeDelivery(change, more)
      for (const after of changed ? more : []) {
        const { revision = 0 } = (await outbox.readDelivery(after.id)) ?? {}
        await outbox.changeDelivery({ from: revision, after }, [])
      }
      return changed
    },
  }),
  'leaves out look-alikes of what is stored already': (outbox) => ({
    changeDelivery: async (change, more) => {
      const missing = []
      for (const one of more) {
        if (!(await outbox.readDelivery(one.id.trimEnd()))) missing.push(one)
      }
      return outbox.changeDelivery(change, missing)
    },
  }),
  'drops spaces at the end of a delivery id': (outbox) => ({
    readDelivery: (id) => outbox.readDelivery(id.trimEnd()),
  }),
  'hands out the deliveries that it keeps': (outbox) => {
    const kept = new Map<string, object>()
    return {
      readDelivery: async (id) => {
        const delivery = await outbox.readDelivery(id)
        if (delivery && !kept.has(id)) kept.set(id, { ...delivery })
        return (kept.get(id) as typeof delivery) ?? null
      },
    }
  },
  'lists the oldest deliveries first': (outbox) => ({
    listDeliveries: async (filter, page) => (await outbox.listDeliveries(filter, page)).reverse(),
  }),
  'pages deliveries by the instant alone': (outbox) => ({
    listDeliveries: (filter, { limit, before }) =>
      outbox.listDeliveries(filter, { limit, before: before && { at: before.at, id: '' } }),
  }),
  'takes the topic of deliveries for no filter': (outbox) => ({
    listDeliveries: ({ topic: _, ...filter }, page) => outbox.listDeliveries(filter, page),
  }),
  'takes no notice of case in whom a delivery is for': (outbox) => ({
    listDeliveries: async ({ userId, ...filter }, page) => {
      if (userId === undefined) return outbox.listDeliveries(filter, page)
      const all = await outbox.listDeliveries(filter, { ...page, limit: 1e6 })
      const wanted = userId.toLowerCase()
      return all.filter((one) => one.userId.toLowerCase() === wanted).slice(0, page.limit)
    },
  }),
}

async function deliver(store: Store, deliveries: RecordedEvent['deliveries'] = []): Promise<void> {
  const [like] = await store.listEvents({}, { limit: 1 })
  if (like) await store.appendEvents([{ ...like, id: crypto.randomUUID(), deliveries }])
}

const bare = (events: readonly RecordedEvent[]): RecordedEvent[] =>
  events.map(({ deliveries: _, ...event }) => event)

const bareFor =
  (event: EndEventsFor): EndEventsFor =>
  (session, trail) =>
    bare(event(session, trail))

/** Faults of what the other verbs do with deliveries. */
export const deliverySabotages: Record<string, Sabotage> = {
  'delivers nothing at a start': (store) => ({
    claimSession: (claim) => {
      const { deliveries: _, ...started } = claim.events.started
      return store.claimSession({ ...claim, events: { ...claim.events, started } })
    },
  }),
  'delivers nothing where a start ends another session': (store) => ({
    claimSession: (claim) => {
      const ended = bareFor(claim.events.ended)
      return store.claimSession({ ...claim, events: { ...claim.events, ended } })
    },
  }),
  'delivers nothing where a start is on a request': (store) => ({
    claimSession: ({ request, ...claim }) =>
      store.claimSession({
        ...claim,
        request: request && { ...request, events: bare(request.events) },
      }),
  }),
  'delivers nothing at an ending': (store) => ({
    endSession: (id, ending, event) => store.endSession(id, ending, event && bareFor(event)),
  }),
  'delivers nothing at an extension': (store) => ({
    extendSession: (id, change, event) =>
      store.extendSession(id, change, (session) => bare(event(session))),
  }),
  'delivers nothing for events alone': (store) => ({
    appendEvents: (events) => store.appendEvents(bare(events)),
  }),
  'delivers in a unit of its own': (store) => ({
    appendEvents: async (events) => {
      await store.appendEvents(bare(events))
      for (const { deliveries } of events) {
        const like = { ...events[0], id: crypto.randomUUID() } as RecordedEvent
        await store.appendEvents([{ ...like, deliveries }] as RecordedEvent[])
      }
    },
  }),
  'delivers what an ending that was none would have told': (store) => ({
    endSession: async (id, ending, event) => {
      const result = await store.endSession(id, ending, event)
      if (result && !result.changed && event) {
        for (const { deliveries } of event(result.session, null)) await deliver(store, deliveries)
      }
      return result
    },
  }),
  'delivers for a start that it refused': (store) => ({
    claimSession: async (claim) => {
      const result = await store.claimSession(claim)
      if (result.outcome !== 'started') await deliver(store, claim.events.started.deliveries)
      return result
    },
  }),
  'gives deliveries back with their events': (store) => {
    const told = new Map<string, RecordedEvent>()
    return {
      appendEvents: async (events) => {
        await store.appendEvents(events)
        for (const event of events) told.set(event.id, event)
      },
      listEvents: async (filter, page) =>
        (await store.listEvents(filter, page)).map((event) => told.get(event.id) ?? event),
    }
  },
}

/** Faults of what the verbs of grants do with deliveries. */
export const grantDeliverySabotages: Record<string, GrantSabotage> = {
  'delivers nothing for a grant': (grants) => ({
    createGrant: (grant, events) => grants.createGrant(grant, bare(events)),
  }),
  'delivers nothing for a change of a grant': (grants) => ({
    changeGrant: (change, events, ending) => grants.changeGrant(change, bare(events), ending),
  }),
  'delivers the ending with a grant in a unit of its own': (grants, store) => ({
    changeGrant: async (change, events, ending) => {
      if (!ending) return grants.changeGrant(change, events, null)
      const event = bareFor(ending.event)
      const result = await grants.changeGrant(change, events, { ...ending, event })
      if (result.changed && result.ended) {
        for (const { deliveries } of ending.event(result.ended, null))
          await deliver(store, deliveries)
      }
      return result
    },
  }),
}
