import type { TrailEntry } from '../../types.ts'
import { actionOf, compareBytes, entriesBehind, inByteOrder } from '../action.ts'
import type { ActionCount, TrailHead, TrailSection } from '../trail.ts'

export function createTrails() {
  const trails = new Map<string, TrailEntry[]>()

  const entriesOf = (sessionId: string): readonly TrailEntry[] => trails.get(sessionId) ?? []

  function headOf(sessionId: string): TrailHead | null {
    const head = entriesOf(sessionId).at(-1)
    return head ? { seq: head.seq, mac: head.mac } : null
  }

  function actionsOf(sessionId: string) {
    const entries = entriesOf(sessionId)
    // The first that completes an entry counts, and the last that is put into a map stays.
    const completions = new Map(entries.toReversed().map((entry) => [entry.completes, entry]))
    return entries
      .filter(({ completes }) => completes === null)
      .map((entry) => actionOf(entry, completions.get(entry.seq)))
  }

  const section: TrailSection = {
    async appendTrail(sessionId, make) {
      const head = headOf(sessionId)
      const made = entriesBehind(head, sessionId, make)
      const entries = trails.get(sessionId) ?? []
      for (const entry of made) entries.push(Object.freeze({ ...entry }))
      trails.set(sessionId, entries)
      return made.at(-1)?.seq ?? head?.seq ?? 0
    },

    async readTrails(sessionIds, after, limit) {
      return inByteOrder(sessionIds)
        .flatMap(entriesOf)
        .filter((entry) => {
          if (!after) return true
          const order = compareBytes(entry.sessionId, after.sessionId)
          return order > 0 || (order === 0 && entry.seq > after.seq)
        })
        .slice(0, limit)
    },

    async listActions(sessionId, after, limit) {
      return actionsOf(sessionId)
        .filter(({ seq }) => seq > after)
        .slice(0, limit)
    },

    async countActions(sessionIds) {
      const counts = new Map<string, ActionCount>()
      for (const { sessionId, method, route } of inByteOrder(sessionIds).flatMap(actionsOf)) {
        const key = JSON.stringify([sessionId, method, route])
        const count = (counts.get(key)?.count ?? 0) + 1
        counts.set(key, { sessionId, method, route, count })
      }
      return [...counts.values()]
    },
  }

  return { section, headOf, forget: (sessionId: string) => trails.delete(sessionId) }
}
