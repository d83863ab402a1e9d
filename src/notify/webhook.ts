import type { DisplayedActor } from '../options.ts'
import type { AccessLevel, EndedReason } from '../types.ts'
import type { Notification, NotificationKind } from './notification.ts'
import { checkUrl, createSignedPost, type SigningOptions } from './signed-post.ts'

export interface WebhookOptions extends SigningOptions {
  /** Where they go. @default `to` of the channel */
  readonly url?: string
}

/** The body of a webhook. All instants are ISO 8601, in UTC. */
export interface WebhookBody {
  readonly type: NotificationKind
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    /** The same at each attempt, as the header `webhook-id` is. */
    readonly id: string
    readonly user_id: string
    readonly channel: string
    readonly forced: boolean
    readonly reader: 'actor' | 'target'
    readonly subject: string
    readonly text: string
    readonly actor: DisplayedActor
    readonly target_user: { readonly id: string; readonly name: string | null }
    readonly session_id: string | null
    readonly grant_id: string | null
    readonly access_level: AccessLevel | null
    readonly reason: string | null
    readonly break_glass: boolean
    readonly expires_at: string | null
    readonly ended_reason: EndedReason | null
    readonly token_prefix: string | null
    readonly scopes: readonly string[] | null
  }
}

/**
 * Makes a sender that posts JSON, signed as the Standard Webhooks specification says; `verifyWebhook`
 * is its other end. Any answer but 2xx is a failure, a redirect too.
 *
 * > [!WARNING]
 * > Where `to` is an address that users give you, they choose whom your server calls. Pass a `fetch`
 * > that reaches no address of your own network.
 *
 * @throws {TypeError} naming the option in quotes and what it wants
 * @example
 * ```ts
 * const send = webhook({ secret: process.env.WEBHOOK_SECRET, url: 'https://hooks.example.com/access' })
 * ```
 */
export function webhook(options: WebhookOptions) {
  const { url } = options
  const post = createSignedPost(options)
  if (url !== undefined) checkUrl(url)

  return async function sendByWebhook(notification: Notification): Promise<void> {
    await post(url ?? notification.to, notification.id, bodyOf(notification))
  }
}

function bodyOf(notification: Notification): WebhookBody {
  const { id, kind, at, userId, channel, forced, reader, subject, text, actor, target } =
    notification
  return {
    type: kind,
    timestamp: iso(at) ?? '',
    data: {
      id,
      user_id: userId,
      channel,
      forced,
      reader,
      subject,
      text,
      actor,
      target_user: target,
      session_id: notification.sessionId,
      grant_id: notification.grantId,
      access_level: notification.accessLevel,
      reason: notification.reason,
      break_glass: notification.breakGlass,
      expires_at: iso(notification.expiresAt),
      ended_reason: notification.endedReason,
      token_prefix: notification.tokenPrefix,
      scopes: notification.scopes,
    },
  }
}

/** Null beyond the last instant that a date can name. */
function iso(ms: number | null): string | null {
  const date = new Date(ms ?? Number.NaN)
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}
