/**
 * The nouns. Everything here is data; nothing here does anything.
 * One word for one thing: the same words stand in the code, on the wire, in SQL and in the docs.
 */

/** What a session may do, from least to most. */
export const accessLevels = ['view', 'interactive', 'full'] as const
export type AccessLevel = (typeof accessLevels)[number]

/** Kinds of write that no access level may ever do. */
export const guardrailKinds = [
  'password',
  'mfa',
  'email',
  'recovery_code',
  'role_grant',
  'payment',
  'legal_acceptance',
  'account_deletion',
  'credential',
] as const
export type Guardrail = (typeof guardrailKinds)[number]

/** What `can(user, action, target?)` is asked about. */
export const actions = [
  'start',
  'list',
  'revoke',
  'break_glass',
  'confirm_break_glass',
  'approve',
  'issue_token',
  'read_audit',
  'test_session',
] as const
export type Action = (typeof actions)[number]

/** How a session ended. */
export const endings = ['stopped', 'expired', 'revoked', 'replaced'] as const
export type Ending = (typeof endings)[number]

export const sessionStatuses = ['active', ...endings] as const
export type SessionStatus = (typeof sessionStatuses)[number]

/** Why a session ended; the causes of a revocation are told apart. */
export const endedReasons = [
  ...endings,
  'grant_revoked',
  'actor_not_allowed',
  'actor_logged_out',
  'target_gone',
  'target_inactive',
  'target_privileged',
  'start_failed',
] as const
export type EndedReason = (typeof endedReasons)[number]

export const transports = ['session', 'token'] as const
export type Transport = (typeof transports)[number]

/** What the library needs to know of a user; `describe(user)` gives it. */
export interface UserProfile {
  /** Opaque, never coerced: `'7'` and `'07'` are two people. */
  readonly id: string
  readonly email: string | null
  readonly name: string | null
  readonly orgId: string | null
  readonly role: string | null
  /** An inactive user can neither impersonate nor be impersonated. */
  readonly active: boolean
}

/** One bounded period of actor-as-target. All instants are milliseconds since the epoch. */
export interface Session {
  readonly id: string
  readonly actorId: string
  readonly actorOrgId: string | null
  readonly targetUserId: string
  readonly targetOrgId: string | null
  readonly targetRole: string | null
  readonly accessLevel: AccessLevel
  readonly reason: string | null
  readonly ticket: string | null
  readonly grantId: string | null
  readonly breakGlass: boolean
  readonly transport: Transport
  readonly clientId: string | null
  readonly ipAddress: string | null
  readonly userAgent: string | null
  readonly createdAt: number
  readonly expiresAt: number
  readonly endedAt: number | null
  readonly endedReason: EndedReason | null
  /** The words of whoever revoked it. */
  readonly endedNote: string | null
  /** Who ended it; null when nobody did (expiry, a judgement of the library). */
  readonly endedBy: string | null
  readonly status: SessionStatus
}

export const grantStatuses = ['pending', 'granted', 'denied', 'used', 'revoked', 'expired'] as const
export type GrantStatus = (typeof grantStatuses)[number]

/**
 * The target's own consent: for one actor, up to a level, until a time. All instants are milliseconds
 * since the epoch.
 */
export interface Grant {
  readonly id: string
  /** Who asked, and the only one it lets in. */
  readonly actorId: string
  readonly actorOrgId: string | null
  readonly targetUserId: string
  readonly targetOrgId: string | null
  /** Up to what it goes; until it is decided, what was asked for. */
  readonly accessLevel: AccessLevel
  readonly requestedAccessLevel: AccessLevel
  readonly reason: string | null
  readonly ticket: string | null
  /** For how long, in ms, from the yes on. */
  readonly durationMs: number
  readonly status: GrantStatus
  readonly createdAt: number
  /** When the target said yes or no. */
  readonly decidedAt: number | null
  /** While pending, when the question lapses; once granted, when the consent ends. */
  readonly expiresAt: number
  /** Counts the changes: a change names the one it was made from, so that of two only one is made. */
  readonly revision: number
}

/** On whose word, other than the target's, an account may be entered. */
export const requestKinds = ['break_glass', 'approval'] as const
export type RequestKind = (typeof requestKinds)[number]

export const requestStatuses = [
  'unproven',
  'pending',
  'approved',
  'used',
  'denied',
  'withdrawn',
  'locked',
  'expired',
] as const
export type RequestStatus = (typeof requestStatuses)[number]

/**
 * One actor asks colleagues to take responsibility with them: for a break-glass start, or for an
 * ordinary one that needs four eyes. All instants are milliseconds since the epoch.
 */
export interface AccessRequest {
  readonly id: string
  readonly kind: RequestKind
  /** Who asked, and the only one it lets in. */
  readonly actorId: string
  readonly actorOrgId: string | null
  readonly targetUserId: string
  readonly targetOrgId: string | null
  readonly accessLevel: AccessLevel
  readonly reason: string | null
  readonly ticket: string | null
  readonly status: RequestStatus
  /** Who said yes, in that order; at most 20. */
  readonly approvedBy: readonly string[]
  readonly deniedBy: string | null
  /** How many one-time codes were tried to confirm it. */
  readonly attempts: number
  readonly createdAt: number
  readonly expiresAt: number
  /** The session that it opened. */
  readonly sessionId: string | null
  /** Counts the changes: a change names the one it was made from, so that of two only one is made. */
  readonly revision: number
}

/**
 * A credential of one user for programs: opaque, scoped, revocable. The token itself is kept by nobody, and of
 * its hash nothing but the store knows. All instants are milliseconds since the epoch.
 */
export interface ApiToken {
  readonly id: string
  /** Whose it is: requests with it run as them. */
  readonly userId: string
  /** The organisation in which; null where the user had none. */
  readonly userOrgId: string | null
  /** What it is for, in the words of whoever issued it; empty once erased. */
  readonly name: string
  /** How it begins, to tell it from others: not enough to guess the rest. */
  readonly prefix: string
  readonly scopes: readonly string[]
  /** Who issued it, or the first of those that were rotated into it. */
  readonly issuedBy: string
  readonly createdAt: number
  readonly expiresAt: number
  /** To the minute; null where it was never used. */
  readonly lastUsedAt: number | null
  readonly revokedAt: number | null
  readonly revokedBy: string | null
  /** The token that it was rotated into, once. */
  readonly replacedBy: string | null
  /** Counts the changes: a change names the one it was made from, so that of two only one is made. */
  readonly revision: number
}

/** What the outbox is about: a message to a person, a user of a test session to be removed, an audit event. */
export const deliveryTopics = ['notice', 'disposal', 'event'] as const
export type DeliveryTopic = (typeof deliveryTopics)[number]

/** `skipped`: there was nobody to tell, or they don't want to be told. `dead`: tried too often. */
export const deliveryStatuses = ['pending', 'sent', 'skipped', 'dead'] as const
export type DeliveryStatus = (typeof deliveryStatuses)[number]

/**
 * Something that has to leave the store: written in the unit of the change that it tells of, delivered
 * at least once. All instants are milliseconds since the epoch.
 */
export interface Delivery {
  /** Also the idempotency key: the same at each attempt. */
  readonly id: string
  readonly topic: DeliveryTopic
  /** Whom it is for or about. */
  readonly userId: string
  /** Over which way (mail, push); null until that is looked up. */
  readonly channel: string | null
  /** What it tells: flat, free of secrets. */
  readonly payload: Readonly<Record<string, string | number | boolean | null>>
  readonly status: DeliveryStatus
  /** How often it was handed out. */
  readonly attempts: number
  readonly createdAt: number
  /** While pending: not before this instant. */
  readonly dueAt: number
  /** When it left the state `pending`. */
  readonly settledAt: number | null
  /** Why the last attempt failed, or why it was skipped. */
  readonly error: string | null
  /** Counts the changes: a change names the one it was made from, so that of two only one is made. */
  readonly revision: number
}

/** What handlers see while impersonating: both people and the session. Frozen. */
export interface Impersonation<User> {
  /** Who is really there, as the host's login gave it. */
  readonly actor: User
  /** Whom the request runs as, as `findUser` gave it. */
  readonly target: User
  readonly session: Session
  /** Fires when this process learns that the session is over: end long work and streams by it. */
  readonly signal: AbortSignal
}

/**
 * What handlers see of the API token that a request came with. Frozen. It is no impersonation: the owner's own
 * program is there, with no more than its scopes.
 */
export interface ApiTokenContext<User, Scope extends string = string> {
  /** As `findUser` gave it: also what stands in the user slot. */
  readonly owner: User
  readonly id: string
  readonly name: string
  /** Those of the token that the options still name. */
  readonly scopes: readonly Scope[]
  /** The id of whoever issued it. */
  readonly issuedBy: string
  /** In ms since the epoch. */
  readonly expiresAt: number
}

export const eventActions = [
  'impersonation.refused',
  'impersonation.started',
  'impersonation.extended',
  'impersonation.stopped',
  'impersonation.expired',
  'impersonation.revoked',
  'impersonation.replaced',
  'impersonation.write_blocked',
  'impersonation.burst',
  'grant.requested',
  'grant.granted',
  'grant.denied',
  'grant.used',
  'grant.revoked',
  'grant.expired',
  'break_glass.opened',
  'break_glass.confirmed',
  'break_glass.locked',
  'break_glass.expired',
  'approval.requested',
  'approval.approved',
  'approval.denied',
  'approval.withdrawn',
  'approval.used',
  'approval.expired',
  'token.issued',
  'token.rotated',
  'token.revoked',
  'audit.pruned',
  'audit.erased',
] as const
export type EventAction = (typeof eventActions)[number]

/** An immutable record that names actor *and* target. */
export interface AuditEvent {
  readonly id: string
  readonly at: number
  readonly action: EventAction
  readonly outcome: 'success' | 'refused'
  /** The error code of a refusal. */
  readonly code: string | null
  readonly actorId: string | null
  readonly targetUserId: string | null
  readonly actorOrgId: string | null
  readonly targetOrgId: string | null
  readonly sessionId: string | null
  readonly grantId: string | null
  readonly reason: string | null
  readonly ipAddress: string | null
  readonly userAgent: string | null
  readonly clientId: string | null
  readonly requestId: string | null
  /** Small, flat, free of secrets. */
  readonly details: Readonly<Record<string, string | number | boolean | null>>
}

/**
 * One entry of the action trail, as it is stored and never changed: a request, or what became of one that
 * was put on record before it ran.
 */
export interface TrailEntry {
  readonly sessionId: string
  /** Its number in the trail of its session, from 1 on. */
  readonly seq: number
  /** In ms since the epoch: when the request came in; where it completes another, when that was over. */
  readonly at: number
  /** The number of the entry that this one completes; null where it stands for a request itself. */
  readonly completes: number | null
  /** Null where it completes another. */
  readonly method: string | null
  /** The route that the framework matched, as the app wrote it; null where it did not tell. */
  readonly route: string | null
  /** Without the query, but for parameters that `audit.query` names. Null where it completes another. */
  readonly path: string | null
  /** Of the answer; null while it is not known, and where there was none. */
  readonly status: number | null
  /** Whole milliseconds; null where `status` is not known yet. */
  readonly durationMs: number | null
  readonly requestId: string | null
  /** Which key `mac` was made with; null where the trail is not sealed. */
  readonly keyId: string | null
  /** Binds the entry to its place: base64url, 43 characters. */
  readonly mac: string | null
}

/** What was done under a session: one request. */
export interface TrailAction {
  readonly sessionId: string
  /** Its place among the actions of its session; not every number is one. */
  readonly seq: number
  /** In ms since the epoch. */
  readonly at: number
  readonly method: string
  readonly route: string | null
  readonly path: string
  /** Null where nobody knows what became of it: its process ended, or the client hung up. */
  readonly status: number | null
  readonly durationMs: number | null
  readonly requestId: string | null
}
