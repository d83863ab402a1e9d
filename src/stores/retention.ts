/**
 * The section of a store for what must not be kept for ever: sessions that are long over, and what is on
 * record about a person. The only verbs that delete. The links of the chain stay, so that it can still be
 * walked; what was taken out of it is said by an event of the core, `audit.pruned` or `audit.erased`.
 *
 * *Prunable* before an instant is: a session that ended before it, with its whole trail and all its events;
 * an event older than it whose session is not stored, or null; a grant or request that is not open any more
 * and was created and has expired before it; a delivery that was settled before it; a mark of a one-time
 * code older than it; an API token that was revoked or has expired before it. Events whose action begins with
 * `audit.` are never prunable.
 */
export interface RetentionSection {
  /**
   * What pruning would leave of the chain: `upTo` is the greatest `seq` of a link whose event is prunable,
   * or `atLeast`, if that is greater; null where it would be 0. `kept` is the number of links up to there whose
   * event is stored and not prunable, and of those after `atLeast` whose event is gone: nobody has pruned it.
   */
  surveyChain(before: number, atLeast: number): Promise<Survey>

  /**
   * Deletes what is prunable, about `limit` rows of each kind in one atomic unit, a session never without
   * its events and its trail. What has an event whose link is after `upTo` stays: nobody has surveyed it.
   * `more` says whether something is left; the numbers are of this call.
   */
  prune(before: number, upTo: number, limit: number): Promise<Pruned>

  /**
   * Erases what is on record about a person beside their id, about `limit` rows of each kind in one atomic
   * unit. Of events whose actor or target they are, and whose link, if they have one, is not after `upTo`:
   * `reason`, `ipAddress`, `userAgent` become null, `details.ended_note` is taken out, and the `salt` of the
   * link becomes null with it. Of their sessions that are over: `reason`, `ipAddress`, `userAgent`,
   * `endedNote`. Of grants and requests that are not open: `reason`. Of deliveries to them that are settled:
   * the payload becomes `{}`, the error null, and the revision one more. Of their API tokens: the name becomes
   * empty, and the revision one more. `rows` counts what was changed; `more` says whether something is left. An
   * id that can't be kept is one that nobody has.
   */
  erasePerson(userId: string, upTo: number, limit: number): Promise<Erased>
}

export interface Survey {
  readonly upTo: number | null
  readonly kept: number
}

export interface Erased {
  readonly rows: number
  readonly more: boolean
}

export interface Pruned {
  readonly sessions: number
  readonly events: number
  readonly more: boolean
}

/** The verbs of the section `retention`. */
export const retentionVerbs = [
  'surveyChain',
  'prune',
  'erasePerson',
] as const satisfies readonly (keyof RetentionSection)[]
export type RetentionVerb = (typeof retentionVerbs)[number]
