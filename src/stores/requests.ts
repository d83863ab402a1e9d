import type { AccessRequest, RequestKind, RequestStatus } from '../types.ts'
import type { RecordedEvent } from './outbox.ts'
import type { Page } from './store.ts'

/**
 * The section of a store for what an actor asks of colleagues. As with grants, policy is the core's:
 * which change may follow on which, and who may make it. The store compares revisions, so that of any
 * number of changes made from the same one exactly one is made.
 */
export interface RequestSection {
  /**
   * Stores a new request and its events. An id that is stored already rejects. With `code`, the mark of
   * the one-time code that came with it: where that mark is stored already, nothing happens, and the
   * answer is `code_used`.
   */
  createRequest(
    request: AccessRequest,
    events: readonly RecordedEvent[],
    code: UsedCode | null,
  ): Promise<'created' | 'code_used'>

  /** One request by its id; null when there is none. */
  readRequest(requestId: string): Promise<AccessRequest | null>

  /**
   * Requests that match every given filter, newest first: by `createdAt` descending, then `id`
   * descending. `before` continues after that row. Gives at most `limit` rows.
   */
  listRequests(filter: RequestFilter, page: Page): Promise<AccessRequest[]>

  /**
   * Changes a request and stores `events` in the same unit, if it still has the revision `from`; else
   * changes nothing and answers `changed_since`, also for an id that nobody has. With `code`, as
   * `createRequest`: a mark that is stored already answers `code_used`, and nothing happens.
   */
  changeRequest(
    change: RequestChange,
    events: readonly RecordedEvent[],
    code: UsedCode | null,
  ): Promise<'changed' | 'changed_since' | 'code_used'>
}

/** Puts a request in the place of the one with this revision: compare and swap. */
export interface RequestChange {
  /** The revision that the change was made from. */
  readonly from: number
  /** As it is afterwards; its revision is one more. */
  readonly after: AccessRequest
}

/** A one-time code that was tried: never the code itself. Kept until it is pruned, so that it is tried once. */
export interface UsedCode {
  /** Of the person and the code, at most 64 characters; unique. */
  readonly mark: string
  readonly at: number
}

export interface RequestFilter {
  readonly kind?: RequestKind
  readonly status?: RequestStatus
  readonly actorId?: string
  readonly targetUserId?: string
  /** `createdAt >= from` */
  readonly from?: number
  /** `expiresAt <= expiredBy`: those whose time is up. */
  readonly expiredBy?: number
}

/** The verbs of the section `requests`. */
export const requestVerbs = [
  'createRequest',
  'readRequest',
  'listRequests',
  'changeRequest',
] as const satisfies readonly (keyof RequestSection)[]
export type RequestVerb = (typeof requestVerbs)[number]
