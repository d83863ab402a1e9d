import type { EndEventsFor } from '../../src/stores/store.ts'
import type { TrailHead } from '../../src/stores/trail.ts'
import type { GrantSabotage, Sabotage } from './grant-sabotages.ts'

/** What an ending is told instead of the end of the trail. */
const instead =
  (events: EndEventsFor, tell: (trail: TrailHead | null) => TrailHead | null): EndEventsFor =>
  (session, trail) =>
    events(session, tell(trail))

/** Faults of the other verbs, in what they tell of trails. */
export const trailEndingSabotages: Record<string, Sabotage> = {
  'tells an ending of no trail': (store) => ({
    endSession: (id, ending, event) =>
      store.endSession(id, ending, event && instead(event, () => null)),
  }),
  'tells what a start ends of no trail': (store) => ({
    claimSession: ({ events, ...claim }) =>
      store.claimSession({
        ...claim,
        events: { ...events, ended: instead(events.ended, () => null) },
      }),
  }),
  'tells what is over at a start of no trail': (store) => ({
    claimSession: ({ events, ...claim }) =>
      store.claimSession({
        ...claim,
        events: {
          ...events,
          ended: (session, trail) =>
            events.ended(session, session.status === 'expired' ? null : trail),
        },
      }),
  }),
  'tells what a start replaces of no trail': (store) => ({
    claimSession: ({ events, ...claim }) =>
      store.claimSession({
        ...claim,
        events: {
          ...events,
          ended: (session, trail) =>
            events.ended(session, session.status === 'replaced' ? null : trail),
        },
      }),
  }),
  'tells all that a start ends of the first trail': (store) => ({
    claimSession: ({ events, ...claim }) => {
      let first: TrailHead | null | undefined
      const ended: EndEventsFor = (session, trail) => {
        if (first === undefined) first = trail
        return events.ended(session, first)
      }
      return store.claimSession({ ...claim, events: { ...events, ended } })
    },
  }),
  'tells an ending of the number alone': (store) => ({
    endSession: (id, ending, event) =>
      store.endSession(
        id,
        ending,
        event && instead(event, (head) => head && { ...head, mac: null }),
      ),
  }),
  'tells an ending of a trail that is not sealed as of none': (store) => ({
    endSession: (id, ending, event) =>
      store.endSession(id, ending, event && instead(event, (head) => (head?.mac ? head : null))),
  }),
  'tells an ending of an empty trail where there is none': (store) => ({
    endSession: (id, ending, event) =>
      store.endSession(
        id,
        ending,
        event && instead(event, (head) => head ?? { seq: 0, mac: null }),
      ),
  }),
  'tells an ending of the trail as it was before': (store) => {
    const read = new Map<string, TrailHead | null>()
    return {
      endSession: async (id, ending, event) => {
        const entries = (await store.trail?.readTrails([id], null, 1e6)) ?? []
        const head = entries.at(-2) ?? entries.at(-1) ?? null
        read.set(id, head)
        return store.endSession(id, ending, event && instead(event, () => read.get(id) ?? null))
      },
    }
  },
  'tells an ending of the trail of a look-alike': (store) => ({
    endSession: async (id, ending, event) => {
      const other = (await store.trail?.readTrails([`${id} `], null, 1e6)) ?? []
      return store.endSession(
        id,
        ending,
        event && instead(event, (head) => head ?? other.at(-1) ?? null),
      )
    },
  }),
}

/** Faults of the section `grants`, in what it tells of trails. */
export const grantTrailSabotages: Record<string, GrantSabotage> = {
  'tells a session that ends with its grant of no trail': (grants) => ({
    changeGrant: (change, events, ending) =>
      grants.changeGrant(
        change,
        events,
        ending && { ...ending, event: instead(ending.event, () => null) },
      ),
  }),
}
