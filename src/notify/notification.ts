import type { DisplayedActor } from '../options.ts'
import type { AccessLevel, EndedReason } from '../types.ts'

type Awaitable<T> = T | Promise<T>

/**
 * What people are told of. `grant_granted` and `grant_denied` go to the operator, `grant_revoked` to the
 * other side than the one who did it, the others to the target, or to the owner of the API token.
 */
export const notificationKinds = [
  'grant_requested',
  'grant_granted',
  'grant_denied',
  'grant_revoked',
  'session_started',
  'session_ended',
  'break_glass',
  'token_issued',
  'token_rotated',
  'token_revoked',
] as const
export type NotificationKind = (typeof notificationKinds)[number]

/** One way to reach a user; one entry for each name. */
export interface Channel {
  /** Such as `mail`, `push`, `in-app`: a name of your own, at most 64 characters. */
  readonly channel: string
  /** Where that reaches them: an address, a URL, a device. */
  readonly to: string
  /** They don't want to be told this way. Not heeded for break-glass. @default false */
  readonly optedOut?: boolean
}

/** What happened, as far as its reader may know. */
export interface Told {
  readonly kind: NotificationKind
  /** For whose eyes it is. */
  readonly reader: 'actor' | 'target'
  /** When it happened, in ms since the epoch. */
  readonly at: number
  /** The operator as `displayActor` shows them to the target. */
  readonly actor: DisplayedActor
  readonly target: { readonly id: string; readonly name: string | null }
  readonly sessionId: string | null
  readonly grantId: string | null
  readonly accessLevel: AccessLevel | null
  readonly reason: string | null
  readonly breakGlass: boolean
  /** When the session, the consent, the question or the API token ends, in ms since the epoch. */
  readonly expiresAt: number | null
  /** How a session ended. */
  readonly endedReason: EndedReason | null
  /** How the API token begins that it is about; null where it is about none. */
  readonly tokenPrefix: string | null
  /** What that token is good for. */
  readonly scopes: readonly string[] | null
}

export interface Words {
  /** One line. */
  readonly subject: string
  /** Plain text. It holds what people wrote: escape it where it becomes HTML. */
  readonly text: string
}

/** A message for one person on one channel. */
export interface Notification extends Told, Words {
  /** The same at each attempt: an idempotency key. */
  readonly id: string
  readonly channel: string
  readonly to: string
  /** Told whatever they opted out of. */
  readonly forced: boolean
  /** The id of the user it is for. */
  readonly userId: string
}

export interface Notifier<User> {
  /** How a user can be reached with a message of this kind; read anew at each attempt. */
  readonly channels: (user: User, kind: NotificationKind) => Awaitable<readonly Channel[]>
  /**
   * Sends it, within 10 s. A rejection is tried again, 15 times within about five hours. It may come
   * twice: heed `id`.
   * `mail`, `webhook` and `byChannel` from `onbehalf/notify` make such functions.
   */
  readonly send: (notification: Notification) => Awaitable<unknown>
  /** Your own words, by kind. @default English ones */
  readonly words?: Partial<Readonly<Record<NotificationKind, (told: Told) => Words>>>
}
