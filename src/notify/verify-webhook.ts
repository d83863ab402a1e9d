import type { EventWebhookBody } from './event-webhook.ts'
import { isSigned, secretsOf } from './signature.ts'
import type { WebhookBody } from './webhook.ts'

export interface VerifyOptions {
  /** Those that a body may be signed with, as the sender takes them: the old and the new one while they change. */
  readonly secrets: string | readonly string[]
  /** How far the sender's clock may be from this one, and so how long a body can be replayed, in ms. @default 300_000 (5 min) */
  readonly toleranceMs?: number
  /** The clock, in ms since the epoch. @default Date.now */
  readonly now?: () => number
}

/** The headers of a request as `fetch`, Node or a framework gives them. */
export type WebhookHeaders =
  | Pick<Headers, 'get'>
  | Readonly<Record<string, string | readonly string[] | undefined>>

/** Why a webhook is refused. */
export type WebhookRefusal =
  /** A header is missing, or is not what the specification says. */
  | 'webhook_header_invalid'
  /** It was signed too long ago, or will be. */
  | 'webhook_timestamp_invalid'
  /** None of the secrets made this signature for this body. */
  | 'webhook_signature_invalid'
  /** The body is signed and is no JSON. */
  | 'webhook_body_invalid'

/**
 * Makes the receiver's check of what `webhook` sends, or as `verifyWebhook<EventWebhookBody>` of what
 * `eventWebhook` does. Give it the body as it came, byte by byte: parsed and written anew it is another
 * one. A body may come twice: heed `data.id`.
 *
 * @throws {TypeError} naming the option in quotes and what it wants
 * @example
 * ```ts
 * const verify = verifyWebhook({ secrets: process.env.WEBHOOK_SECRET })
 * app.post('/hooks/access', async (c) => {
 *   const { type, data } = await verify(c.req.raw.headers, await c.req.text())
 *   return c.body(null, 204)
 * })
 * ```
 */
export function verifyWebhook<Body extends WebhookBody | EventWebhookBody = WebhookBody>(
  options: VerifyOptions,
) {
  const { secrets, toleranceMs = 5 * 60_000, now = Date.now } = options
  const keys = secretsOf('secrets', secrets)
  if (!Number.isSafeInteger(toleranceMs) || toleranceMs <= 0) {
    throw new TypeError('option "toleranceMs" must be a positive whole number')
  }

  /** @throws {Error} with a `code` of `WebhookRefusal` */
  return async function verify(headers: WebhookHeaders, body: string | Uint8Array): Promise<Body> {
    const id = read(headers, 'webhook-id')
    const timestamp = read(headers, 'webhook-timestamp')
    const signatures = read(headers, 'webhook-signature')
      .split(' ')
      .filter((one) => one.startsWith('v1,'))
      .map((one) => one.slice('v1,'.length))
    if (!/^\d{1,12}$/.test(timestamp)) {
      throw refusal('webhook_header_invalid', 'the header webhook-timestamp holds no seconds')
    }
    if (Math.abs(now() - Number(timestamp) * 1000) > toleranceMs) {
      throw refusal('webhook_timestamp_invalid', 'the webhook is too old, or ahead of its time')
    }
    const text = typeof body === 'string' ? body : utf8.decode(body)
    if (!(await isSigned(keys, signatures, `${id}.${timestamp}.${text}`))) {
      throw refusal('webhook_signature_invalid', 'the webhook is not signed with a known secret')
    }
    try {
      return JSON.parse(text) as Body
    } catch {
      throw refusal('webhook_body_invalid', 'the body of the webhook is no JSON')
    }
  }
}

function read(headers: WebhookHeaders, name: string): string {
  const value =
    typeof headers.get === 'function'
      ? headers.get(name)
      : Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1]
  if (typeof value === 'string' && value !== '') return value
  throw refusal('webhook_header_invalid', `the header ${name} is missing, or there twice`)
}

const refusal = (code: WebhookRefusal, message: string): Error =>
  Object.assign(new Error(message), { code })

/** As it came: a mark at its beginning is part of what was signed. */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
