import type { TrailAction, TrailEntry } from '../types.ts'

/**
 * The section of a store for the action trail: what was done under each session, in the order in which it
 * was put on record. Entries are never changed. What an entry says, and what seals it, is the core's; that
 * each session has one trail without a gap or a fork, whoever writes at once, is the store's.
 */
export interface TrailSection {
  /**
   * Puts entries at the end of a session's trail, in one atomic unit: the last entry is handed to the first
   * of `make` (null while there is none), what that gives to the second, and so on. Gives the number of the
   * last one. A session that is over, or not stored, has a trail all the same. Of two callers at once one
   * comes after the other; the loser of the race asks `make` again. A session's id that can't be kept rejects.
   */
  appendTrail(sessionId: string, make: readonly MakeEntry[]): Promise<number>

  /**
   * Entries of these sessions as they are stored, by session, then number; `after` continues behind that
   * place. Gives at most `limit`. Sessions are ordered by the bytes of their ids.
   */
  readTrails(
    sessionIds: readonly string[],
    after: TrailPlace | null,
    limit: number,
  ): Promise<readonly TrailEntry[]>

  /**
   * What was done under a session, in that order: an entry each that does not complete another, put together
   * with the one that completes it, where there is one. Those with `seq > after`, at most `limit`.
   */
  listActions(sessionId: string, after: number, limit: number): Promise<TrailAction[]>

  /** How often what was done under these sessions; in any order. A session without a trail is not in it. */
  countActions(sessionIds: readonly string[]): Promise<ActionCount[]>
}

/** The end of a trail. */
export interface TrailHead {
  /** 1 for the first entry. */
  readonly seq: number
  /** Null where the last entry is not sealed. */
  readonly mac: string | null
}

/** Makes the entry that comes behind the head. Pure and synchronous; may be asked again after a lost race. */
export type MakeEntry = (head: TrailHead | null) => TrailEntry

export interface TrailPlace {
  readonly sessionId: string
  readonly seq: number
}

/** By method and route, as `listActions` gives them. */
export interface ActionCount {
  readonly sessionId: string
  readonly method: string
  readonly route: string | null
  readonly count: number
}

/** The verbs of the section `trail`. */
export const trailVerbs = [
  'appendTrail',
  'readTrails',
  'listActions',
  'countActions',
] as const satisfies readonly (keyof TrailSection)[]
export type TrailVerb = (typeof trailVerbs)[number]
