import type {
  AccessLevel,
  AuditEvent,
  EndedReason,
  Ending,
  Grant,
  GrantStatus,
  Session,
  SessionStatus,
} from '../types.ts'
import type { ChainSection } from './chain.ts'
import type { OutboxSection, RecordedEvent } from './outbox.ts'
import type { RequestChange, RequestSection } from './requests.ts'
import type { RetentionSection } from './retention.ts'
import type { TokenSection } from './tokens.ts'
import type { TrailHead, TrailSection } from './trail.ts'

/**
 * The store contract: what a database has to do for `onbehalf`.
 *
 * Three rules carry everything; `storeTests` from `onbehalf/testing` proves them.
 *
 * 1. **Policy is the core's, atomicity is yours.** No verb decides whether somebody *may* do a thing;
 *    every verb either happens completely, audit events included, or not at all.
 * 2. **You decide races.** At most one active session per actor, and with `exclusiveTarget` per target,
 *    however many processes ask at once. A unique key decides; reading first and writing after loses.
 * 3. **Time is an argument.** Instants are absolute milliseconds since the epoch and come from the
 *    caller. Never use the database's clock, never turn them into a TTL, never delete a row (but in `retention`).
 *
 * A verb that can't do its work rejects. The core then answers 503 to whoever may impersonate: a
 * rejection costs an operator a retry, while an empty answer in its place would hand them their own
 * powers in the middle of an impersonation.
 *
 * Ids are opaque and compared byte by byte: `'Root'`, `'root'` and `'root '` are three people, also
 * where the database's collation thinks otherwise. Up to 255 code points have to be kept; an id that
 * can't be kept as it is (too long, NUL, half a surrogate pair) makes a change reject and is found by no read.
 */
export interface Store {
  /** A short name for messages: `'memory'`, `'postgres'`, … */
  readonly name: string

  /**
   * Opens a session: the one verb in which races are decided.
   *
   * In one atomic unit:
   * 1. end every active session that stands in the way and is over by the clock (`expiresAt <= now`),
   *    as `expired`, at its own `expiresAt`;
   * 2. if the actor still has an active session: with `onConflict: 'replace'` end it as `replaced` (by
   *    the actor, acknowledged), with `'reject'` answer `actor_busy`;
   *    An actor's session is the one whose transport is `session`, and with `exclusiveTarget` also their
   *    own session for this very target, whatever the transport of the two. Tokens do not hinder each other;
   * 3. if `exclusiveTarget` and another actor's session for this target is still active, answer
   *    `target_busy`; if another active session holds the same grant, answer `grant_busy`;
   * 4. acknowledge every lapse of the actor;
   * 5. with `grant`: look whether the stored grant still has that revision, and put `grant.after` in its
   *    place; where it has another one, or is not there, answer `grant_changed` and start nothing;
   * 6. with `request`: the same for the stored request; otherwise `request_changed`;
   * 7. insert the session, `events.started`, and the events of `request`.
   *
   * Each session ended on the way gets its `events.ended(session, trail)` in the same unit, where `trail` is
   * the end of its trail as it is in that unit (null where it has none), here and in every other verb. A refusal
   * (`*_busy`, `*_changed`) leaves the actor's own session as it was; expired ones may be closed all the same.
   * A session or event whose id is stored already makes the verb reject, and nothing happens at all.
   *
   * Every session that ends, here or by any other verb, makes its grant `used` in the same unit, where
   * that is `granted`: see `usedGrant` for how it looks then.
   *
   * Two starts of one actor with `'replace'` both succeed, one after the other: the loser of the race
   * tries again in here. Take locks in a fixed order of keys, so that two starts never wait for each other.
   */
  claimSession(claim: SessionClaim): Promise<ClaimResult>

  /**
   * Where an actor stands: the live session and the last unacknowledged lapse. It runs for a request
   * whenever the cache has no answer, so it must stay on an index that holds active rows and
   * unacknowledged lapses only.
   *
   * `active` is the row with status `active` and transport `session`, also when its `expiresAt` has
   * passed: the core judges that. `lapse` is the session of this actor, transport `session` as well, that
   * ended last by anything but their own stop and was not acknowledged yet.
   */
  readStanding(actorId: string): Promise<Standing>

  /** One session by its id, whatever its status; null when there is none. */
  readSession(sessionId: string): Promise<Session | null>

  /**
   * Sessions that match every given filter, newest first: by `createdAt` descending, then `id`
   * descending. `before` continues after that row. Gives at most `limit` rows.
   */
  listSessions(filter: SessionFilter, page: Page): Promise<Session[]>

  /**
   * Ends an active session and stores `event(session, trail)` in the same unit. Gives the session as it is
   * now, and whether this call was the one that ended it: of any number of callers exactly one gets
   * `changed: true`, and only that one's event is stored. Null when the id is unknown.
   *
   * With `event` null it ends the session without one: the core's last resort, so that stopping and
   * revoking work even where the audit table does not.
   */
  endSession(
    sessionId: string,
    ending: SessionEnding,
    event: EndEventsFor | null,
  ): Promise<EndResult | null>

  /**
   * Moves `expiresAt` from `from` to `to` and stores `event(session)`, if the session is still active,
   * not over at `now`, and `from` is still its expiry. Otherwise changes nothing and gives null: the core reads again.
   */
  extendSession(
    sessionId: string,
    change: SessionExtension,
    event: EventsFor,
  ): Promise<Session | null>

  /** Marks every lapse of the actor as known to them, so that `readStanding` stops giving it. */
  acknowledgeLapses(actorId: string): Promise<void>

  /** Stores events that belong to no change of state, such as refusals. All or none: an id stored already rejects. */
  appendEvents(events: readonly RecordedEvent[]): Promise<void>

  /** Events that match, newest first: by `at` descending, then `id` descending. */
  listEvents(filter: EventFilter, page: Page): Promise<AuditEvent[]>

  /** Consents of targets. A store may lack it; then `consent` can't be switched on. */
  readonly grants?: GrantSection

  /** Colleagues' word for a start: break-glass and approvals. Without it they can't be switched on. */
  readonly requests?: RequestSection

  /**
   * What has to be delivered: notifications, and users of test sessions to be removed. A store with it
   * keeps the `deliveries` of every event it is handed, in the unit of that event. Without it, what needs
   * one can't be switched on.
   */
  readonly outbox?: OutboxSection

  /** The chain of audit events. A store with it keeps a link for every event that is handed in with `seal`. */
  readonly chain?: ChainSection

  /** What was done under each session. Without it, `audit.trail` can't be switched on. */
  readonly trail?: TrailSection

  /** API tokens. Without it, `apiTokens` can't be switched on. */
  readonly tokens?: TokenSection

  /** Deletes what is over for long, and erases what is on record about a person. */
  readonly retention?: RetentionSection

  /**
   * Looks whether the schema is there and new enough. Rejects with a sentence that names the command
   * which mends it. Stores that make their own schema leave it out.
   */
  check?(): Promise<void>

  /**
   * Tells this process what others changed, so that the cache may keep an answer for its whole TTL.
   * Without it, entries are read again after `revocationLagMs`. Gives a function that ends the watching.
   *
   * Messages only invalidate; they never carry state, so a forged one can do no harm. A change of an API token
   * is told as one of its owner.
   */
  watch?(watcher: StoreWatcher): () => void | Promise<void>

  /** Releases what the store itself opened. A store that was handed its client leaves it alone. */
  close?(): Promise<void>
}

export interface SessionClaim {
  /** The session to open; status `active`. */
  readonly session: Session
  readonly now: number
  readonly onConflict: 'replace' | 'reject'
  readonly exclusiveTarget: boolean
  /** The consent that this session starts under, as it is to be from then on. */
  readonly grant?: GrantChange | undefined
  /** The colleagues' word that this session starts on, as it is to be from then on, and its events. */
  readonly request?: (RequestChange & { readonly events: readonly RecordedEvent[] }) | undefined
  readonly events: {
    readonly started: RecordedEvent
    /** Called with each session that the claim ends, as it is after its end. */
    readonly ended: EndEventsFor
  }
}

export type ClaimResult =
  | { readonly outcome: 'started'; readonly ended: readonly Session[] }
  | {
      readonly outcome: 'actor_busy' | 'target_busy' | 'grant_busy'
      readonly by: Session
      readonly ended: readonly Session[]
    }
  | { readonly outcome: 'grant_changed' | 'request_changed'; readonly ended: readonly Session[] }

/** Puts a grant in the place of the one with this revision: compare and swap. */
export interface GrantChange {
  /** The revision that the change was made from. */
  readonly from: number
  /** As it is afterwards; its revision is one more. */
  readonly after: Grant
}

/**
 * The section of grants. Policy is the core's here, too: which change may follow on which, and who may
 * make it. The store compares revisions, so that of any number of changes made from the same one exactly
 * one is made.
 */
export interface GrantSection {
  /** Stores a new grant and its event. An id that is stored already rejects. */
  createGrant(grant: Grant, events: readonly RecordedEvent[]): Promise<void>

  /** One grant by its id; null when there is none. */
  readGrant(grantId: string): Promise<Grant | null>

  /**
   * Grants that match every given filter, newest first: by `createdAt` descending, then `id`
   * descending. `before` continues after that row. Gives at most `limit` rows.
   */
  listGrants(filter: GrantFilter, page: Page): Promise<Grant[]>

  /**
   * Changes a grant and stores `events` in the same unit, if it still has the revision `from`; else
   * changes nothing and gives false. With `ending`, an active session under this grant ends with it, in
   * the same unit, with `ending.event(session, trail)`, and the answer names it; the grant is then as `after`
   * says, and not made `used` on top of it. An id that can't be kept is one that nobody has: false.
   */
  changeGrant(
    change: GrantChange,
    events: readonly RecordedEvent[],
    ending: { readonly how: SessionEnding; readonly event: EndEventsFor } | null,
  ): Promise<GrantResult>
}

export type GrantResult =
  | { readonly changed: false }
  | { readonly changed: true; readonly ended: Session | null }

export interface GrantFilter {
  readonly status?: GrantStatus
  readonly actorId?: string
  readonly targetUserId?: string
  /** `expiresAt <= expiredBy`: those whose time is up. */
  readonly expiredBy?: number
}

export interface Standing {
  readonly active: Session | null
  readonly lapse: Session | null
}

/** Makes the events for a session as it is after the change. Pure and synchronous. */
export type EventsFor = (session: Session) => readonly RecordedEvent[]

/** … of its end, with the end of its trail. */
export type EndEventsFor = (session: Session, trail: TrailHead | null) => readonly RecordedEvent[]

export interface SessionEnding {
  readonly status: Ending
  readonly reason: EndedReason
  readonly at: number
  readonly by: string | null
  readonly note: string | null
  /** True when the actor knows (their own stop): no lapse then. */
  readonly acknowledged: boolean
}

export interface EndResult {
  readonly session: Session
  readonly changed: boolean
}

export interface SessionExtension {
  readonly from: number
  readonly to: number
  readonly now: number
}

export interface SessionFilter {
  readonly status?: SessionStatus
  readonly actorId?: string
  readonly targetUserId?: string
  /** The target's organisation. */
  readonly orgId?: string
  readonly accessLevel?: AccessLevel
  /** `createdAt >= from` */
  readonly from?: number
  /** `createdAt < to` */
  readonly to?: number
}

export interface EventFilter {
  /** An action, or a prefix with a trailing `*`. */
  readonly action?: string
  readonly actorId?: string
  readonly targetUserId?: string
  readonly sessionId?: string
  readonly from?: number
  readonly to?: number
}

/** A place in a list: the instant (`createdAt` or `at`) and id of the last row seen. */
export interface Place {
  readonly at: number
  readonly id: string
}

export interface Page {
  readonly limit: number
  readonly before?: Place | undefined
}

export interface StoreWatcher {
  /** Something about this actor, or owner of API tokens, changed; null means anything may have. */
  invalidate(actorId: string | null): void
  /**
   * Whether messages can be relied on. False at once on a gap, a lost connection or a silence of
   * `silenceMs`; true again only when everything that follows will be heard.
   */
  healthy(up: boolean): void
  /** How long a silence may last before the watch counts as unhealthy, in milliseconds. */
  readonly silenceMs: number
}

/** The verbs that every store has. */
export const storeVerbs = [
  'claimSession',
  'readStanding',
  'readSession',
  'listSessions',
  'endSession',
  'extendSession',
  'acknowledgeLapses',
  'appendEvents',
  'listEvents',
] as const satisfies readonly (keyof Store)[]
export type StoreVerb = (typeof storeVerbs)[number]

/** The verbs of the section `grants`. */
export const grantVerbs = [
  'createGrant',
  'readGrant',
  'listGrants',
  'changeGrant',
] as const satisfies readonly (keyof GrantSection)[]
export type GrantVerb = (typeof grantVerbs)[number]
