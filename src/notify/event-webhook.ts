import type { eventToWire } from '../audit/formats.ts'
import type { EventSink } from '../options.ts'
import type { EventAction } from '../types.ts'
import { checkUrl, createSignedPost, type SigningOptions } from './signed-post.ts'

export interface EventWebhookOptions extends SigningOptions {
  /** Where the events go. */
  readonly url: string
}

/** The body of a webhook that tells an audit event. */
export interface EventWebhookBody {
  readonly type: `onbehalf.${EventAction}`
  /** When it happened: ISO 8601, in UTC. */
  readonly timestamp: string
  /** The event as `GET /audit` gives it. Its `id` is the same at each attempt, as the header `webhook-id` is. */
  readonly data: Readonly<ReturnType<typeof eventToWire>>
}

/**
 * Makes a sink that posts each audit event as JSON, signed as the Standard Webhooks specification says;
 * `verifyWebhook` is its other end. Any answer but 2xx is a failure, a redirect too, and is tried again.
 *
 * @throws {TypeError} naming the option in quotes and what it wants
 * @example
 * ```ts
 * const impersonation = createImpersonation({
 *   // …
 *   audit: { sink: eventWebhook({ url: 'https://siem.example.com/in', secret: process.env.SINK_SECRET }) },
 * })
 * ```
 */
export function eventWebhook(options: EventWebhookOptions): EventSink {
  const { url } = options
  const post = createSignedPost(options)
  checkUrl(url)

  return Object.freeze({
    async send(event: Readonly<Record<string, unknown>>): Promise<void> {
      const { id, at, action } = event
      await post(url, String(id), { type: `onbehalf.${action}`, timestamp: at, data: event })
    },
  })
}
