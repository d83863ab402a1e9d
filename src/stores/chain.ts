import type { AuditEvent } from '../types.ts'

/**
 * The section of a store for the chain of audit events: each link is made from the one before it and
 * from its event, so that none can be changed, removed or put in unseen. What a link is made of is the
 * core's; that there is one chain without a gap or a fork, whoever writes at once, is the store's.
 *
 * An event that is handed in with `seal` goes to the end of the chain in the unit in which it is stored:
 * take a lock on the head as the last lock of the unit, hand the head to `seal`, store the link that it
 * gives as the new head. Several events of one unit follow each other as they were handed in.
 */
export interface ChainSection {
  /** The last link; null while there is none. */
  readHead(): Promise<ChainHead | null>

  /**
   * Links with `seq > after`, in that order, each with its event; null for the event where it is gone.
   * Gives at most `limit`.
   */
  readLinks(after: number, limit: number): Promise<readonly ChainedEvent[]>

  /**
   * Up to `limit` stored events with `at >= from` that no link is for, oldest first: by `at`, then `id`.
   */
  readUnsealed(from: number, limit: number): Promise<readonly AuditEvent[]>
}

export interface ChainHead {
  /** 1 for the first link. */
  readonly seq: number
  /** Base64url, 43 characters. */
  readonly mac: string
}

/** What binds an event to its place. Everything but numbers and ids is base64url, 43 characters at most. */
export interface Link extends ChainHead {
  readonly eventId: string
  /** Which key the `mac` was made with. At most 64 characters. */
  readonly keyId: string
  /** Of the event; in place of what may be erased in it stands `personalDigest`. */
  readonly digest: string
  readonly personalDigest: string
  /** What `personalDigest` is made with; null once that data was erased. */
  readonly salt: string | null
}

export interface ChainedEvent {
  readonly link: Link
  readonly event: AuditEvent | null
}

/** Makes the link that puts one event behind the head. Pure and synchronous; may be asked again after a lost race. */
export type Seal = (head: ChainHead | null) => Link

/** The verbs of the section `chain`. */
export const chainVerbs = [
  'readHead',
  'readLinks',
  'readUnsealed',
] as const satisfies readonly (keyof ChainSection)[]
export type ChainVerb = (typeof chainVerbs)[number]
