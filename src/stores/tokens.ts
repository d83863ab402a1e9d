import type { ApiToken } from '../types.ts'
import type { RecordedEvent } from './outbox.ts'
import type { Page } from './store.ts'

/**
 * The section of a store for API tokens. Policy is the core's: who may have one, for what and how long. The
 * store compares revisions, so that of any number of changes made from the same one exactly one is made.
 * It is given the hash of a token, never the token, and gives the hash to nobody.
 */
export interface TokenSection {
  /**
   * Stores a new token under its hash, and its events. An id or a hash that is stored already rejects. With
   * `replaces`, the one it comes in place of is changed in the same unit, as `changeToken` does; where that has
   * another revision by now, or is not there, nothing happens, and the answer is `changed_since`.
   * @param hash 64 hexadecimal digits in lower case
   */
  createToken(
    token: ApiToken,
    hash: string,
    events: readonly RecordedEvent[],
    replaces: TokenChange | null,
  ): Promise<'created' | 'changed_since'>

  /** One token by its id, whatever has become of it; null when there is none. */
  readToken(tokenId: string): Promise<ApiToken | null>

  /**
   * One token by its hash, on a unique index; null when there is none. Runs for a request whenever the cache
   * has no answer, and takes the same time for whatever is not there.
   */
  findToken(hash: string): Promise<ApiToken | null>

  /**
   * Tokens that match every given filter, newest first: by `createdAt` descending, then `id` descending.
   * `before` continues after that row. Gives at most `limit` rows.
   */
  listTokens(filter: TokenFilter, page: Page): Promise<ApiToken[]>

  /**
   * Puts a token in the place of the one with the revision `from` and stores `events` in the same unit; else
   * changes nothing and gives false, also for an id that nobody has. Its hash stays, and so does `lastUsedAt`
   * as it is stored, whatever `after` says.
   */
  changeToken(change: TokenChange, events: readonly RecordedEvent[]): Promise<boolean>

  /**
   * Keeps when tokens were used: `lastUsedAt` becomes `at` where it is null, or at least `everyMs` before that.
   * Nothing else changes, the revision neither; ids that nobody has are passed over.
   */
  touchTokens(uses: readonly TokenUse[], everyMs: number): Promise<void>
}

/** Puts a token in the place of the one with this revision: compare and swap. */
export interface TokenChange {
  /** The revision that the change was made from. */
  readonly from: number
  /** As it is afterwards; its revision is one more. */
  readonly after: ApiToken
}

export interface TokenUse {
  readonly id: string
  /** When it was used, in ms since the epoch. */
  readonly at: number
}

export interface TokenFilter {
  /** Whose it is. */
  readonly userId?: string
  /** The organisation in which it is theirs. */
  readonly orgId?: string
  readonly issuedBy?: string
}

/** The verbs of the section `tokens`. */
export const tokenVerbs = [
  'createToken',
  'readToken',
  'findToken',
  'listTokens',
  'changeToken',
  'touchTokens',
] as const satisfies readonly (keyof TokenSection)[]
export type TokenVerb = (typeof tokenVerbs)[number]
