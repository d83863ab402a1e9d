import type { AuditEvent } from '../types.ts'

/**
 * What the chain itself allows to be gone: the core says of each pruning and each erasure, in a sealed event,
 * how far it goes, before anything is deleted. Weighed at the end of a walk, when all of them are found.
 */
export interface Allowances {
  /** An event that holds. */
  found(event: AuditEvent): void
  /** An event that nobody asked for. */
  passed(event: AuditEvent): void
  /** The event of a link is not there. */
  missing(seq: number): void
  /** What may be erased of an event, and the salt of its link, are not there. */
  blank(seq: number, event: AuditEvent): void
  /** The first link whose event, or what it said, is gone and should not be. */
  weigh(): Unallowed | null
  readonly pruned: PrunedSoFar
}

export interface Unallowed {
  readonly seq: number
  readonly problem: 'event_missing' | 'event_changed'
}

/** What all prunings together have said. */
export interface PrunedSoFar {
  /** The greatest instant that one went to; null before the first. */
  readonly before: number | null
  /** The greatest place of the chain that one went to. */
  readonly upTo: number
  /** When the oldest event was sealed, pruned ones included. */
  readonly began: number
}

interface Pruning {
  readonly before: number
  readonly upTo: number
  /** How many events up to there had to stay. */
  readonly kept: number
}

export function createAllowances(): Allowances {
  const gaps = createRuns()
  const blanks = new Map<string, { readonly people: readonly string[]; readonly seqs: number[] }>()
  const erasedUpTo = new Map<string, number>()
  let widest: Pruning | null = null
  let upTo = 0
  let began = Number.POSITIVE_INFINITY

  function firstMissing(): number | null {
    // The one that goes furthest in time says how many are left; of two such the later knows it better.
    if (widest && widest.upTo - gaps.upTo(widest.upTo) < widest.kept) return gaps.first(0)
    return gaps.first(upTo)
  }

  function firstBlank(): number | null {
    const all = [...blanks.values()].flatMap(({ people, seqs }) => {
      const allowed = Math.max(0, ...people.map((id) => erasedUpTo.get(id) ?? 0))
      return seqs.find((seq) => seq > allowed) ?? []
    })
    return all.length > 0 ? all.reduce((a, b) => Math.min(a, b)) : null
  }

  function passed({ at }: AuditEvent): void {
    began = Math.min(began, at)
  }

  return {
    passed,
    found(event) {
      passed(event)
      const { action, details } = event
      if (action === 'audit.pruned') {
        const { before, up_to, kept, began: since } = details
        if (typeof before !== 'number' || typeof kept !== 'number') return
        const pruning = { before, upTo: typeof up_to === 'number' ? up_to : 0, kept }
        if (before >= (widest?.before ?? Number.NEGATIVE_INFINITY)) widest = pruning
        upTo = Math.max(upTo, pruning.upTo)
        if (typeof since === 'number') began = Math.min(began, since)
      }
      if (action === 'audit.erased') {
        const { user_id, up_to } = details
        if (typeof user_id !== 'string' || typeof up_to !== 'number') return
        erasedUpTo.set(user_id, Math.max(erasedUpTo.get(user_id) ?? 0, up_to))
      }
    },
    missing: gaps.add,
    blank(seq, event) {
      passed(event)
      const { actorId, targetUserId } = event
      const key = JSON.stringify([actorId, targetUserId])
      const people = [actorId, targetUserId].filter((id) => id !== null)
      const entry = blanks.get(key) ?? { people, seqs: [] }
      entry.seqs.push(seq)
      blanks.set(key, entry)
    },
    weigh() {
      const [gone, changed] = [firstMissing(), firstBlank()]
      if (gone !== null && (changed === null || gone < changed)) {
        return { seq: gone, problem: 'event_missing' }
      }
      return changed === null ? null : { seq: changed, problem: 'event_changed' }
    },
    get pruned() {
      return { before: widest?.before ?? null, upTo, began }
    },
  }
}

/** Numbers that come in order, kept as their runs: what was pruned is mostly one. */
function createRuns() {
  const [from, to]: [number[], number[]] = [[], []]

  return {
    add(n: number): void {
      if (to.at(-1) === n - 1) to.pop()
      else from.push(n)
      to.push(n)
    },
    /** The first that is greater. */
    first(after: number): number | null {
      const place = to.findIndex((end) => end > after)
      return place === -1 ? null : Math.max(from[place] ?? 0, after + 1)
    },
    /** How many are not greater. */
    upTo(most: number): number {
      return from.reduce(
        (count, begin, n) => count + Math.max(0, Math.min(to[n] ?? 0, most) - begin + 1),
        0,
      )
    },
  }
}
