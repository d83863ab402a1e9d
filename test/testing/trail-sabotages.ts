import type { EndEventsFor, Store } from '../../src/stores/store.ts'
import type { MakeEntry, TrailHead, TrailSection } from '../../src/stores/trail.ts'
import type { TrailAction, TrailEntry } from '../../src/types.ts'
import type { GrantSabotage, Sabotage } from './grant-sabotages.ts'

type TrailSabotage = (trail: TrailSection, store: Store) => Partial<TrailSection>

/** Something done to each entry on its way out. */
const eachRead =
  (change: (entry: TrailEntry) => object): TrailSabotage =>
  (trail) => ({
    readTrails: async (ids, after, limit) =>
      (await trail.readTrails(ids, after, limit)).map((entry) => change(entry) as TrailEntry),
  })

/** What words become on their way in. */
const eachWord = (change: (text: string) => string | null): TrailSabotage => {
  const of = (text: string | null) => (text === null ? null : change(text))
  return (trail) => ({
    appendTrail: (id, make) =>
      trail.appendTrail(
        id,
        make.map(
          (next): MakeEntry =>
            (head) => {
              const { method, route, path, requestId, ...entry } = next(head)
              const words = { method: of(method), route: of(route), path: of(path) }
              return { ...entry, ...words, requestId: of(requestId) }
            },
        ),
      ),
  })
}

/** One trail for all sessions whose ids become the same. */
const oneTrailFor =
  (key: (id: string) => string): TrailSabotage =>
  (trail) => {
    const told = <T extends { readonly sessionId: string }>(id: string, all: readonly T[]) =>
      all.map((one) => ({ ...one, sessionId: id }))
    return {
      appendTrail: (id, make) =>
        trail.appendTrail(
          key(id),
          make.map(
            (next): MakeEntry =>
              (head) => ({ ...next(head), sessionId: key(id) }),
          ),
        ),
      readTrails: async (ids, after, limit) => {
        const found = await Promise.all(
          ids.map(async (id) => told(id, await trail.readTrails([key(id)], null, 1e6))),
        )
        if (ids.length === 1) return (found[0] ?? []).filter(behind(after)).slice(0, limit)
        return trail.readTrails(ids, after, limit)
      },
      listActions: async (id, after, limit) =>
        told(id, await trail.listActions(key(id), after, limit)),
      countActions: async (ids) => {
        const found = ids.map(async (id) => told(id, await trail.countActions([key(id)])))
        return (await Promise.all(found)).flat()
      },
    }
  }

const behind = (after: { readonly seq: number } | null) => (entry: TrailEntry) =>
  entry.seq > (after?.seq ?? 0)

const everything = (trail: TrailSection, ids: readonly string[]) => trail.readTrails(ids, null, 1e6)

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

/** Faults of the section `trail`. */
export const trailSabotages: Record<string, TrailSabotage> = {
  'makes every entry of a unit from the same head': (trail) => ({
    appendTrail: (id, make) => {
      let first: TrailHead | null
      return trail.appendTrail(
        id,
        make.map(
          (next, n): MakeEntry =>
            (head) => {
              if (n === 0) first = head
              return { ...next(first), seq: (head?.seq ?? 0) + 1 }
            },
        ),
      )
    },
  }),
  'hands out heads without what seals them': (trail) => ({
    appendTrail: (id, make) =>
      trail.appendTrail(
        id,
        make.map(
          (next): MakeEntry =>
            (head) =>
              next(head && { ...head, mac: null }),
        ),
      ),
  }),
  'takes a head that is not sealed for none': (trail) => ({
    appendTrail: (id, make) =>
      trail.appendTrail(
        id,
        make.map(
          (next): MakeEntry =>
            (head) => ({
              ...next(head?.mac ? head : null),
              seq: (head?.seq ?? 0) + 1,
            }),
        ),
      ),
  }),
  'gives the number of the first one': (trail) => ({
    appendTrail: async (id, make) => (await trail.appendTrail(id, make)) - make.length + 1,
  }),
  'gives how many it appended': (trail) => ({
    appendTrail: async (id, make) => {
      await trail.appendTrail(id, make)
      return make.length
    },
  }),
  'appends one entry after the other': (trail) => ({
    appendTrail: async (id, make) => {
      let last = 0
      for (const next of make) last = await trail.appendTrail(id, [next])
      return last
    },
  }),
  'keeps what was made before one could not be': (trail) => ({
    appendTrail: async (id, make) => {
      let made = 0
      const counted = make.map(
        (next): MakeEntry =>
          (head) => {
            const entry = next(head)
            made += 1
            return entry
          },
      )
      return trail.appendTrail(id, counted).catch(async (error) => {
        if (made > 0) await trail.appendTrail(id, make.slice(0, made))
        throw error
      })
    },
  }),
  'reads the head first and appends afterwards': (trail) => ({
    appendTrail: async (id, make) => {
      const last = (await everything(trail, [id])).at(-1) ?? null
      await new Promise((resolve) => setImmediate(resolve))
      let head: TrailHead | null = last
      const made = make.map((next) => {
        const entry = next(head)
        head = entry
        return entry
      })
      return trail.appendTrail(
        id,
        made.map(
          (entry): MakeEntry =>
            (now) => ({ ...entry, seq: (now?.seq ?? 0) + 1 }),
        ),
      )
    },
  }),
  'keeps no more than a thousand entries of a unit': (trail) => ({
    appendTrail: async (id, make) => {
      const last = await trail.appendTrail(id, make.slice(0, 1000))
      return last + Math.max(0, make.length - 1000)
    },
  }),
  'knows a trail for stored sessions only': (trail, store) => ({
    appendTrail: async (id, make) => {
      if (!(await store.readSession(id))) throw new Error('There is no such session.')
      return trail.appendTrail(id, make)
    },
  }),
  'closes the trail of a session that is over': (trail, store) => ({
    appendTrail: async (id, make) => {
      if ((await store.readSession(id))?.endedAt) throw new Error('This session is over.')
      return trail.appendTrail(id, make)
    },
  }),
  'keeps one trail for all sessions': oneTrailFor(() => 'all'),
  'knows no difference of case between sessions': oneTrailFor((id) => id.toLowerCase()),
  'knows no space at the end of a session': oneTrailFor((id) => id.trimEnd()),
  'knows no difference of composition between sessions': oneTrailFor((id) => id.normalize('NFKC')),
  'ends the id of a session at NUL': oneTrailFor((id) => id.split('\0')[0] ?? ''),
  'replaces halves of characters in the id of a session': oneTrailFor((id) => id.toWellFormed()),
  'cuts the id of a session': oneTrailFor((id) => [...id].slice(0, 255).join('')),
  'drops spaces at the end of words': eachWord((text) => text.trimEnd()),
  'takes empty words for none': eachWord((text) => text || null),
  'composes words': eachWord((text) => text.normalize('NFC')),
  'cuts words': eachWord((text) => text.slice(0, 255)),
  'ends words at NUL': eachWord((text) => text.split('\0')[0] ?? ''),
  'fails over words with NUL': eachWord((text) => {
    if (text.includes('\0')) throw new Error('invalid byte sequence')
    return text
  }),
  'drops halves of characters': eachWord((text) => text.replaceAll(/[\ud800-\udfff]/gu, '')),
  'gives numbers as text': eachRead((entry) => ({ ...entry, durationMs: `${entry.durationMs}` })),
  'gives the place that is completed as text': eachRead((entry) => ({
    ...entry,
    completes: entry.completes === null ? null : `${entry.completes}`,
  })),
  'gives 0 where there is no status': eachRead((entry) => ({
    ...entry,
    status: entry.status ?? 0,
  })),
  'keeps durations of 32 bits': eachRead((entry) => ({
    ...entry,
    durationMs: entry.durationMs === null ? null : entry.durationMs | 0,
  })),
  'forgets who asked': eachRead((entry) => ({ ...entry, requestId: null })),
  'forgets with which key': eachRead((entry) => ({ ...entry, keyId: null })),
  'seals what is not sealed': eachRead((entry) => ({ ...entry, mac: entry.mac ?? '' })),
  'hands out what it keeps': (trail) => {
    const kept = new Map<string, TrailEntry>()
    return {
      readTrails: async (ids, after, limit) =>
        (await trail.readTrails(ids, after, limit)).map((entry) => {
          const key = JSON.stringify([entry.sessionId, entry.seq])
          if (!kept.has(key)) kept.set(key, { ...entry })
          return kept.get(key) as TrailEntry
        }),
    }
  },
  'keeps what it was handed': (trail) => {
    const handed = new Map<string, TrailEntry>()
    return {
      appendTrail: (id, make) =>
        trail.appendTrail(
          id,
          make.map(
            (next): MakeEntry =>
              (head) => {
                const entry = next(head)
                handed.set(JSON.stringify([id, entry.seq]), entry)
                return entry
              },
          ),
        ),
      readTrails: async (ids, after, limit) =>
        (await trail.readTrails(ids, after, limit)).map((entry) => ({
          ...entry,
          ...handed.get(JSON.stringify([entry.sessionId, entry.seq])),
        })),
    }
  },
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
    route: route && route.toLowerCase(),
  })),
  'counts methods with spaces together': countedBy(({ method }) => ({ method: method.trim() })),
  'counts routes with spaces together': countedBy(({ route }) => ({
    route: route && route.trim(),
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
