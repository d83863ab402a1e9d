import { secretsOf, sign } from './signature.ts'

export interface SigningOptions {
  /**
   * What the bodies are signed with: at least 24 bytes, plain or as `whsec_` and base64. Several at once
   * sign each body with all of them, so that receivers can change over from one to the next.
   */
  readonly secret: string | readonly string[]
  /** How long a receiver may take, in ms. @default 5000 */
  readonly timeoutMs?: number
  /** The clock, in ms since the epoch. @default Date.now */
  readonly now?: () => number
  /** @default the runtime's own */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>
}

/**
 * Posts JSON, signed as the Standard Webhooks specification says. Any answer but 2xx is a failure, a
 * redirect too.
 * @throws {TypeError} naming the option in quotes and what it wants
 */
export function createSignedPost(options: SigningOptions) {
  const { secret, timeoutMs = 5000, now = Date.now } = options
  const ask = options.fetch ?? ((to, init) => fetch(to, init))
  const keys = secretsOf('secret', secret)
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs <= 0) {
    throw new TypeError('option "timeoutMs" must be a positive whole number')
  }

  /** @param messageId the same at each attempt */
  return async function post(to: string, messageId: string, json: object): Promise<void> {
    // Not with the address: it may hold a password.
    if (!isHttp(to)) throw new Error(`the address of a webhook must be ${wantedUrl}`)
    const id = headerId(messageId)
    const timestamp = String(Math.floor(now() / 1000))
    const body = JSON.stringify(json)
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

/** @throws {TypeError} when the option "url" is none that can be posted to */
export function checkUrl(url: unknown): asserts url is string {
  if (!isHttp(url)) throw new TypeError(`option "url" must be ${wantedUrl}`)
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
