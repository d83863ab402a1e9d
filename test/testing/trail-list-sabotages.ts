import type { TrailAction, TrailEntry } from '../../src/types.ts'
import { behind, everything, type TrailSabotage } from './trail-sabotages.ts'

/** The actions of a session, put together by somebody else. */
const actionsBy =
  (
    put: (entry: TrailEntry, completing: readonly TrailEntry[]) => Partial<TrailAction>,
  ): TrailSabotage =>
  (trail) => {
    const all = async (id: string) => {
      const entries = await everything(trail, [id])
      const actions = await trail.listActions(id, 0, 1e6)
      return actions.map((action) => {
        const own = entries.find(({ seq }) => seq === action.seq) as TrailEntry
        const completing = entries.filter(({ completes }) => completes === action.seq)
        return { ...action, ...put(own, completing) }
      })
    }
    return {
      listActions: async (id, after, limit) =>
        (await all(id)).filter(({ seq }) => seq > after).slice(0, limit),
    }
  }

/** Counts by what `key` makes of an action. */
const countedBy =
  (key: (action: TrailAction) => Partial<Pick<TrailAction, 'method' | 'route'>>): TrailSabotage =>
  (trail) => ({
    countActions: async (ids) => {
      const all = [...new Set(ids)].map((id) => trail.listActions(id, 0, 1e6))
      const actions = (await Promise.all(all)).flat().map((one) => ({ ...one, ...key(one) }))
      const groups = Map.groupBy(actions, ({ sessionId, method, route }) =>
        JSON.stringify([sessionId, method, route]),
      )
      return [...groups.values()].flatMap(([first, ...more]) => {
        if (!first) return []
        const { sessionId, method, route } = first
        return [{ sessionId, method, route, count: 1 + more.length }]
      })
    },
  })

/** Faults of the section `trail`, in how it is read. */
export const trailListSabotages: Record<string, TrailSabotage> = {
  'gives the newest entries first': (trail) => ({
    readTrails: async (...args) => (await trail.readTrails(...args)).toReversed(),
  }),
  'orders entries by number, then session': (trail) => ({
    readTrails: async (...args) =>
      (await trail.readTrails(...args)).toSorted((a, b) => a.seq - b.seq),
  }),
  'orders sessions as JavaScript does': (trail) => ({
    readTrails: async (ids, after, limit) => {
      const sorted = [...new Set(ids)].sort()
      const all = await Promise.all(sorted.map((id) => everything(trail, [id])))
      const entries = all.flat()
      const place = after
        ? entries.findIndex((one) => one.sessionId === after.sessionId && one.seq > after.seq)
        : 0
      if (place >= 0) return entries.slice(place, place + limit)
      return entries.filter(({ sessionId }) => sessionId > (after?.sessionId ?? '')).slice(0, limit)
    },
  }),
  'orders sessions as a dictionary does': (trail) => ({
    readTrails: async (ids, after, limit) =>
      after || limit < 1e6
        ? trail.readTrails(ids, after, limit)
        : (await trail.readTrails(ids, after, limit)).toSorted(
            (a, b) => a.sessionId.localeCompare(b.sessionId, 'en') || a.seq - b.seq,
          ),
  }),
  'gives an entry more than the limit': (trail) => ({
    readTrails: (ids, after, limit) => trail.readTrails(ids, after, limit + 1),
  }),
  'begins each page anew': (trail) => ({
    readTrails: (ids, _, limit) => trail.readTrails(ids, null, limit),
  }),
  'begins a page with the end of the last one': (trail) => ({
    readTrails: (ids, after, limit) =>
      trail.readTrails(ids, after && { ...after, seq: after.seq - 1 }, limit),
  }),
  'continues by the number alone': (trail) => ({
    readTrails: async (ids, after, limit) =>
      (await everything(trail, ids)).filter(behind(after)).slice(0, limit),
  }),
  'continues by the session alone': (trail) => ({
    readTrails: (ids, after, limit) =>
      trail.readTrails(ids, after && { ...after, seq: Number.MAX_SAFE_INTEGER }, limit),
  }),
  'reads a trail as often as it is asked for': (trail) => ({
    readTrails: async (ids, after, limit) => {
      const sorted = [...ids].sort()
      const all = await Promise.all(sorted.map((id) => trail.readTrails([id], after, 1e6)))
      return new Set(ids).size === ids.length
        ? trail.readTrails(ids, after, limit)
        : all.flat().slice(0, limit)
    },
  }),
  'reads the trails of the first thousand sessions': (trail) => ({
    readTrails: (ids, after, limit) => trail.readTrails(ids.slice(0, 1000), after, limit),
  }),
  'counts in the trails of the first thousand sessions': (trail) => ({
    countActions: (ids) => trail.countActions(ids.slice(0, 1000)),
  }),
  'lists what completes as an action': (trail) => ({
    listActions: async (id, after, limit) =>
      (await everything(trail, [id])).filter(({ seq }) => seq > after).slice(0, limit) as never,
  }),
  'leaves actions as they began': actionsBy(({ route, status, durationMs }) => ({
    ...{ route, status, durationMs },
  })),
  'takes the route that an action began with': actionsBy(({ route }) => ({ route })),
  'takes the route of what completes, also where it has none': actionsBy((own, [first]) => ({
    route: first ? first.route : own.route,
  })),
  'takes the last that completes': actionsBy((own, completing) => {
    const { status, durationMs, route } = completing.at(-1) ?? own
    return { status, durationMs, route: route ?? own.route }
  }),
  'takes a status that it knows for that of the end': actionsBy((own, [first]) => ({
    status: first?.status ?? own.status,
  })),
  'takes the instant of the end': actionsBy((own, [first]) => ({ at: first?.at ?? own.at })),
  'takes the request of what completes': actionsBy((_, [first]) => ({
    ...(first && { requestId: first.requestId }),
  })),
  'completes by the number alone, in whatever trail': (trail) => {
    const ids = new Set<string>()
    return {
      appendTrail: (id, make) => {
        ids.add(id)
        return trail.appendTrail(id, make)
      },
      listActions: async (id, after, limit) => {
        const entries = await everything(trail, [...ids])
        return (await trail.listActions(id, after, limit)).map((action) => {
          const first = entries.find(({ completes }) => completes === action.seq)
          if (!first) return action
          const { status, durationMs } = first
          return { ...action, status, durationMs, route: first.route ?? action.route }
        })
      },
    }
  },
  'lists actions from the number on': (trail) => ({
    listActions: (id, after, limit) => trail.listActions(id, after - 1, limit),
  }),
  'lists an action more than the limit': (trail) => ({
    listActions: (id, after, limit) => trail.listActions(id, after, limit + 1),
  }),
  'lists the newest actions first': (trail) => ({
    listActions: async (...args) => (await trail.listActions(...args)).toReversed(),
  }),
  'lists every action on the first page': (trail) => ({
    listActions: (id, _, limit) => trail.listActions(id, 0, limit),
  }),
  'counts what completes as well': (trail) => ({
    countActions: async (ids) => {
      const entries = await everything(trail, ids)
      return (await trail.countActions(ids)).map((one) => ({
        ...one,
        count: entries.filter(({ sessionId }) => sessionId === one.sessionId).length,
      }))
    },
  }),
  'counts by the method alone': countedBy(() => ({ route: null })),
  'counts by the route alone': countedBy(() => ({ method: 'GET' })),
  'counts methods of any case together': countedBy(({ method }) => ({
    method: method.toUpperCase(),
  })),
  'counts routes of any case together': countedBy(({ route }) => ({
    route: route?.toLowerCase() ?? null,
  })),
  'counts methods with spaces together': countedBy(({ method }) => ({ method: method.trim() })),
  'counts routes with spaces together': countedBy(({ route }) => ({
    route: route?.trim() ?? null,
  })),
  'counts no action without a route': (trail) => ({
    countActions: async (ids) => (await trail.countActions(ids)).filter(({ route }) => route),
  }),
  'counts by the routes that actions began with': (trail) => ({
    countActions: async (ids) => {
      const entries = (await everything(trail, ids)).filter(({ completes }) => completes === null)
      const groups = Map.groupBy(entries, ({ sessionId, method, route }) =>
        JSON.stringify([sessionId, method, route]),
      )
      return [...groups].map(([key, { length }]) => {
        const [sessionId, method, route] = JSON.parse(key)
        return { sessionId, method, route, count: length }
      })
    },
  }),
  'counts every one that completes': (trail) => ({
    countActions: async (ids) => {
      const entries = await everything(trail, ids)
      return (await trail.countActions(ids)).map((one) => {
        const { length } = entries.filter(
          ({ sessionId, route, completes }) =>
            completes !== null && sessionId === one.sessionId && route === one.route,
        )
        return { ...one, count: Math.max(one.count, length) }
      })
    },
  }),
  'counts 0 where there is no trail': (trail) => ({
    countActions: async (ids) => {
      const counts = await trail.countActions(ids)
      const none = ids.filter((id) => !counts.some(({ sessionId }) => sessionId === id))
      const nothing = { method: 'GET', route: null, count: 0 }
      return [...counts, ...none.map((sessionId) => ({ sessionId, ...nothing }))]
    },
  }),
  'counts a trail as often as it is asked for': (trail) => ({
    countActions: async (ids) =>
      (await Promise.all(ids.map((id) => trail.countActions([id])))).flat(),
  }),
  'gives counts as text': (trail) => ({
    countActions: async (ids) =>
      (await trail.countActions(ids)).map((one) => ({ ...one, count: `${one.count}` as never })),
  }),
}
