import type { Store } from '../../src/stores/store.ts'
import type { MakeEntry, TrailHead, TrailSection } from '../../src/stores/trail.ts'
import type { TrailEntry } from '../../src/types.ts'

export type TrailSabotage = (trail: TrailSection, store: Store) => Partial<TrailSection>

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

export const behind = (after: { readonly seq: number } | null) => (entry: TrailEntry) =>
  entry.seq > (after?.seq ?? 0)

export const everything = (trail: TrailSection, ids: readonly string[]) =>
  trail.readTrails(ids, null, 1e6)

/** Faults of the section `trail`, in what it keeps. */
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
  'hands out the entries that it keeps': (trail) => {
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
}
