import { type ChainKeys, sealOf } from '../../src/audit/seal.ts'
import type { ChainedEvent, ChainHead, ChainSection, Link } from '../../src/stores/chain.ts'
import type { GuardedStore } from '../../src/stores/guarded.ts'
import type { RecordedEvent } from '../../src/stores/outbox.ts'
import { recording } from '../../src/stores/recording.ts'
import type { RequestSection } from '../../src/stores/requests.ts'
import type { EndEventsFor, Store } from '../../src/stores/store.ts'
import type { AuditEvent } from '../../src/types.ts'
import type { GrantSabotage, Sabotage } from './grant-sabotages.ts'

type RequestSabotage = (requests: RequestSection) => Partial<RequestSection>
type ChainSabotage = (chain: ChainSection, store: Store) => Partial<ChainSection>

const bare = (events: readonly RecordedEvent[]): RecordedEvent[] =>
  events.map(({ seal: _, ...event }) => event)

const bareFor =
  (events: EndEventsFor): EndEventsFor =>
  (session, trail) =>
    bare(events(session, trail))

/** Something done to each event that comes through any door. */
const eachEvent =
  (change: (event: RecordedEvent) => RecordedEvent): Sabotage =>
  (store) =>
    recording(store as GuardedStore, change) as Store

const eventOfLink =
  (change: (event: AuditEvent) => AuditEvent): ChainSabotage =>
  (chain) => ({
    readLinks: async (after, limit) =>
      (await chain.readLinks(after, limit)).map(({ link, event }) => ({
        link,
        event: event && change(event),
      })),
  })

const otherKeys: ChainKeys = {
  current: 'other',
  secrets: new Map([['other', new TextEncoder().encode('of somebody else'.padEnd(32))]]),
}

/** Faults of the section `chain`. */
export const chainSabotages: Record<string, ChainSabotage> = {
  'knows no head': () => ({ readHead: async () => null }),
  'takes the first link for the head': (chain) => ({
    readHead: async () => (await chain.readLinks(0, 1))[0]?.link ?? null,
  }),
  'gives the newest links first': (chain) => ({
    readLinks: async (after, limit) => (await chain.readLinks(after, limit)).toReversed(),
  }),
  'skips a link between pages': (chain) => ({
    readLinks: (after, limit) => chain.readLinks(after === 0 ? 0 : after + 1, limit),
  }),
  'gives a link more than the limit': (chain) => ({
    readLinks: (after, limit) => chain.readLinks(after, limit + 1),
  }),
  'gives links without their events': (chain) => ({
    readLinks: async (after, limit) =>
      (await chain.readLinks(after, limit)).map(({ link }) => ({ link, event: null })),
  }),
  'gives links with the events beside': (chain) => ({
    readLinks: async (after, limit) => {
      const page = await chain.readLinks(after, limit)
      return page.map(({ link }, n) => ({
        link,
        event: page[(n + 1) % page.length]?.event ?? null,
      }))
    },
  }),
  'leaves out links whose events are not of a session': (chain) => ({
    readLinks: async (after, limit) =>
      (await chain.readLinks(after, limit)).filter(({ event }) => event?.sessionId !== null),
  }),
  'drops spaces at the end of what an event says': eventOfLink((event) => ({
    ...event,
    reason: event.reason?.trimEnd() ?? null,
  })),
  'ends what an event says at NUL': eventOfLink((event) => ({
    ...event,
    reason: event.reason?.split('\0')[0] ?? null,
  })),
  'ends what an event says at U+FFFD': eventOfLink((event) => ({
    ...event,
    userAgent: event.userAgent?.toWellFormed().split('\uFFFD')[0] ?? null,
  })),
  'composes what an event says': eventOfLink((event) => ({
    ...event,
    reason: event.reason?.normalize('NFC') ?? null,
  })),
  'takes an empty text for none': eventOfLink((event) => ({
    ...event,
    requestId: event.requestId || null,
  })),
  'forgets details that are null': eventOfLink((event) => ({
    ...event,
    details: Object.fromEntries(
      Object.entries(event.details).filter(([, value]) => value !== null),
    ),
  })),
  'keeps flags as numbers': eventOfLink((event) => ({
    ...event,
    details: Object.fromEntries(
      Object.entries(event.details).map(([name, value]) => [
        name,
        typeof value === 'boolean' ? Number(value) : value,
      ]),
    ),
  })),
  'finds nothing unsealed': () => ({ readUnsealed: async () => [] }),
  'takes sealed events for unsealed ones': (_, store) => ({
    readUnsealed: async (from, limit) => {
      const events = await store.listEvents({ from }, { limit: 1e6 })
      return events.toReversed().slice(0, limit)
    },
  }),
  'gives the newest unsealed events first': (chain) => ({
    readUnsealed: async (from, limit) => (await chain.readUnsealed(from, limit)).toReversed(),
  }),
  'orders unsealed events by the instant alone': (chain) => ({
    readUnsealed: async (from, limit) =>
      (await chain.readUnsealed(from, limit)).toReversed().sort((a, b) => a.at - b.at),
  }),
  'finds unsealed events of any time': (chain) => ({
    readUnsealed: (_, limit) => chain.readUnsealed(0, limit),
  }),
  'finds unsealed events after the instant alone': (chain) => ({
    readUnsealed: (from, limit) => chain.readUnsealed(from + 1, limit),
  }),
  'gives an unsealed event more than the limit': (chain) => ({
    readUnsealed: (from, limit) => chain.readUnsealed(from, limit + 1),
  }),
}

/** Faults of the section `grants`, in what it seals. */
export const grantSealSabotages: Record<string, GrantSabotage> = {
  'seals nothing with a grant': (grants) => ({
    createGrant: (grant, events) => grants.createGrant(grant, bare(events)),
  }),
  'seals nothing with a change of a grant': (grants) => ({
    changeGrant: (change, events, ending) => grants.changeGrant(change, bare(events), ending),
  }),
  'seals nothing where a session ends with its grant': (grants) => ({
    changeGrant: (change, events, ending) =>
      grants.changeGrant(change, events, ending && { ...ending, event: bareFor(ending.event) }),
  }),
}

/** Faults of the section `requests`, in what it seals. */
export const requestSealSabotages: Record<string, RequestSabotage> = {
  'seals nothing with a request': (requests) => ({
    createRequest: (request, events, code) => requests.createRequest(request, bare(events), code),
  }),
  'seals nothing with a change of a request': (requests) => ({
    changeRequest: (change, events, code) => requests.changeRequest(change, bare(events), code),
  }),
}

/** Links looked up by their numbers, as a database does: two may have the same. */
const byNumber = ({ chain }: Store): Partial<Store> => ({
  chain: {
    ...(chain as ChainSection),
    readLinks: async (after, limit) => {
      const all = (await chain?.readLinks(0, 1e6)) ?? []
      return all.filter(({ link }) => link.seq > after).slice(0, limit)
    },
  },
})

/** Links in a list beside the store, put there by `link` around each change. */
function beside(
  store: Store,
  link: (around: {
    readonly sealed: () => readonly RecordedEvent[]
    readonly put: (events: readonly RecordedEvent[], head: ChainHead | null) => void
    readonly head: () => ChainHead | null
    readonly change: () => Promise<unknown>
  }) => Promise<unknown>,
): Partial<Store> {
  const links: Link[] = []
  const head = () => links.at(-1) ?? null
  const put = (events: readonly RecordedEvent[], from: ChainHead | null) => {
    let last = from
    for (const { seal } of events) {
      if (!seal) continue
      const made = seal(last)
      links.push(made)
      last = made
    }
  }
  const appendEvents: Store['appendEvents'] = async (events) => {
    await link({ sealed: () => events, put, head, change: () => store.appendEvents(bare(events)) })
  }
  const chain: ChainSection = {
    readHead: async () => {
      const last = head()
      return last && { seq: last.seq, mac: last.mac }
    },
    readLinks: async (after, limit) => {
      const events = await store.listEvents({}, { limit: 1e6 })
      return links
        .filter(({ seq }) => seq > after)
        .slice(0, limit)
        .map((one): ChainedEvent => {
          const event = events.find(({ id }) => id === one.eventId) ?? null
          return { link: one, event }
        })
    },
    readUnsealed: async () => [],
  }
  return { appendEvents, chain }
}

/** Faults of what the other verbs seal. */
export const sealSabotages: Record<string, Sabotage> = {
  'seals nothing at a start': (store) => ({
    claimSession: ({ events, ...claim }) => {
      const [started = events.started] = bare([events.started])
      return store.claimSession({ ...claim, events: { ...events, started } })
    },
  }),
  'seals nothing where a start ends another session': (store) => ({
    claimSession: ({ events, ...claim }) =>
      store.claimSession({ ...claim, events: { ...events, ended: bareFor(events.ended) } }),
  }),
  'seals nothing where a start is on a request': (store) => ({
    claimSession: ({ request, ...claim }) =>
      store.claimSession({
        ...claim,
        request: request && { ...request, events: bare(request.events) },
      }),
  }),
  'seals nothing at an ending': (store) => ({
    endSession: (id, ending, event) => store.endSession(id, ending, event && bareFor(event)),
  }),
  'seals nothing at an extension': (store) => ({
    extendSession: (id, change, event) =>
      store.extendSession(id, change, (session) => bare(event(session))),
  }),
  'seals no event that comes alone': (store) => ({
    appendEvents: (events) => store.appendEvents(bare(events)),
  }),
  'begins the chain anew with each event': (store) => ({
    ...eachEvent((event) => {
      const { seal } = event
      return seal ? { ...event, seal: () => seal(null) } : event
    })(store),
    ...byNumber(store),
  }),
  'seals what nobody asked to seal': eachEvent((event) => ({
    ...event,
    seal: event.seal ?? sealOf(event, otherKeys),
  })),
  'hands out events with what sealed them': (store) => {
    const seals = new Map<string, RecordedEvent>()
    const sealing = eachEvent((event) => {
      if (event.seal) seals.set(event.id, event)
      return event
    })(store)
    return {
      ...sealing,
      listEvents: async (filter, page) =>
        (await store.listEvents(filter, page)).map((event) => seals.get(event.id) ?? event),
    }
  },
  'seals the events of one unit from the last to the first': (store) => ({
    appendEvents: (events) => store.appendEvents(events.toReversed()),
  }),
  'seals the events of one unit behind the same head': (store) => ({
    ...byNumber(store),
    appendEvents: (events) => {
      let first: ChainHead | null | undefined
      return store.appendEvents(
        events.map((event) => {
          const { seal } = event
          if (!seal) return event
          return {
            ...event,
            seal: (head) => {
              if (first === undefined) first = head
              return seal(first)
            },
          }
        }),
      )
    },
  }),
  'seals the start before what it ends': (store) => ({
    claimSession: ({ events, ...claim }) => {
      // The two change places, and each says what the other would have said.
      const { started } = events
      let last: RecordedEvent = started
      const ended: EndEventsFor = (session, trail) => {
        const [first, ...more] = events.ended(session, trail)
        if (!first) return []
        last = first
        return [started, ...more]
      }
      const swapped = {
        get started() {
          return last
        },
        ended,
      }
      return store.claimSession({ ...claim, events: swapped })
    },
  }),
  'links before it stores, whatever becomes of that': (store) =>
    beside(store, async ({ sealed, put, head, change }) => {
      put(sealed(), head())
      await change()
    }),
  'links what could not be stored': (store) =>
    beside(store, ({ sealed, put, head, change }) => change().finally(() => put(sealed(), head()))),
  'reads the head first and links afterwards': (store) =>
    beside(store, async ({ sealed, put, head, change }) => {
      const last = head()
      await new Promise((resolve) => setImmediate(resolve))
      await change()
      put(sealed(), last)
    }),
}
