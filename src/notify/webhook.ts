import type { DisplayedActor } from '../options.ts'
import type { AccessLevel, EndedReason } from '../types.ts'
import type { Notification, NotificationKind } from './notification.ts'
import { secretsOf, sign } from './signature.ts'

export interface WebhookOptions {
  /**
   * What the bodies are signed with: at least 24 bytes, plain or as `whsec_` and base64. Several at once
   * sign each body with all of them, so that receivers can change over from one to the next.
   */
  readonly secret: string | readonly string[]
  /** Where they go. @default `to` of the channel */
  readonly url?: string
  /** How long a receiver may take, in ms. @default 5000 */
  readonly timeoutMs?: number
  /** The clock, in ms since the epoch. @default Date.now */
  readonly now?: () => number
  /** @default the runtime's own */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>
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
  const { secret, url, timeoutMs = 5000, now = Date.now } = options
  const ask = options.fetch ?? ((to, init) => fetch(to, init))
  const keys = secretsOf('secret', secret)
  if (url !== undefined && !isHttp(url)) throw new TypeError(`option "url" must be ${wantedUrl}`)
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs <= 0) {
    throw new TypeError('option "timeoutMs" must be a positive whole number')
  }

  return async function sendByWebhook(notification: Notification): Promise<void> {
    const to = url ?? notification.to
    // Not with the address: it may hold a password.
    if (!isHttp(to)) throw new Error(`the address of a webhook must be ${wantedUrl}`)
    const id = headerId(notification.id)
    const timestamp = String(Math.floor(now() / 1000))
    const body = JSON.stringify(bodyOf(notification))
    const signatures = await Promise.all(
      keys.map(async (key) => `v1,${await sign(key, `${id}.${timestamp}.${body}`)}`),
    )
    const answer = await reach(to, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': signatures.join(' '),
      },
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    })
    // Unread: it is nobody's business here, and the connection is free again.
    await answer.body?.cancel().catch(() => undefined)
    if (answer.ok) return
    const redirected =
      answer.type === 'opaqueredirect' || (answer.status >= 300 && answer.status < 400)
    throw new Error(
      redirected
        ? 'the receiver of the webhook answered with a redirect, which is not followed'
        : `the receiver of the webhook answered with status ${answer.status}`,
    )
  }

  async function reach(to: string, init: RequestInit): Promise<Response> {
    try {
      return await ask(to, init)
    } catch (error) {
      const { name, cause } = error as { name?: unknown; cause?: { code?: unknown } }
      if (name === 'TimeoutError') {
        throw new Error(`the receiver of the webhook did not answer within ${timeoutMs} ms`)
      }
      const code = typeof cause?.code === 'string' ? ` (${cause.code})` : ''
      throw new Error(`the receiver of the webhook can not be reached${code}`)
    }
  }
}

const wantedUrl = 'a URL of http or https, without a user and password in it'

function isHttp(url: unknown): url is string {
  if (typeof url !== 'string' || !URL.canParse(url)) return false
  const { protocol, username, password } = new URL(url)
  return /^https?:$/.test(protocol) && username === '' && password === ''
}

/** The signed content is parted by dots, and a header holds no letter of every alphabet. */
const headerId = (id: string): string =>
  id.replace(/[^\w:~-]/gu, (character) => encodeURIComponent(character).replace('.', '%2E'))

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
    },
  }
}

/** Null beyond the last instant that a date can name. */
function iso(ms: number | null): string | null {
  const date = new Date(ms ?? Number.NaN)
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}
