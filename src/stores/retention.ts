/**
 * The section of a store for what must not be kept for ever: sessions that are long over, and what is on
 * record about a person. The only verbs that delete. The links of the chain stay, so that it can still be
 * walked; what was taken out of it is said by an event of the core, `audit.pruned` or `audit.erased`.
 *
 * *Prunable* before an instant is: a session that ended before it, with its whole trail; an event older
 * than it whose session is prunable, or not stored, or null; a grant or request that is not open any more
 * and was created and has expired before it; a delivery that was settled before it; a mark of a one-time
 * code older than it. Events whose action begins with `audit.` are never prunable.
 */
export interface RetentionSection {
  /**
   * What pruning would leave of the chain: `upTo` is the greatest `seq` of a link whose event is prunable
   * or gone already, and null where there is none; `kept` the number of links up to there whose event stays.
   */
  surveyChain(before: number): Promise<{ readonly upTo: number | null; readonly kept: number }>

  /**
   * Deletes what is prunable, about `limit` rows of each kind in one atomic unit, a session never without
   * its events and its trail. `more` says whether something is left; the numbers are of this call.
   */
  prune(before: number, limit: number): Promise<Pruned>

  /**
   * Erases what is on record about a person beside their id, about `limit` rows of each kind in one atomic
   * unit. Of events whose actor or target they are, and whose link, if they have one, is not after `upTo`:
   * `reason`, `ipAddress`, `userAgent` become null, `details.ended_note` is taken out, and the `salt` of the
   * link becomes null with it. Of their sessions that are over: `reason`, `ipAddress`, `userAgent`,
   * `endedNote`. Of grants and requests that are not open: `reason`. Of deliveries to them that are settled:
   * the payload becomes `{}`, the error null.
   */
  erasePerson(
    userId: string,
    upTo: number,
    limit: number,
  ): Promise<{ readonly rows: number; readonly more: boolean }>
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
