export const pinHeader = 'X-Impersonation-Session'

/** A request that may leave: what fetch takes, and its headers to be filled in. */
export interface Outgoing {
  readonly input: string | Request
  readonly init: RequestInit
  readonly headers: Headers
}

/**
 * Every request of the client comes by here, so that no pin, token or login reaches another origin:
 * neither by its URL nor by a redirect. A redirect rejects, as fetch has it, or is handed back where
 * `redirect: 'manual'` asks for it: what follows one is not told before the headers are gone.
 * @throws {TypeError} for another origin, and for `no-cors`, which would lose the pin without a word
 */
export function outgoing(
  base: URL,
  input: string | URL | Request,
  init: RequestInit = {},
): Outgoing {
  const request = typeof input === 'object' && 'url' in input ? input : undefined
  const url = new URL(request?.url ?? String(input), base)
  // Not by `origin`: a blob has the one of whoever made it.
  if (url.protocol !== base.protocol || url.host !== base.host)
    throw new TypeError(`this client sends to ${base.origin} alone, and not to ${url.href}`)
  if ((init.mode ?? request?.mode) === 'no-cors')
    throw new TypeError('option "mode" must not be "no-cors": it drops the headers of this client')
  const manual = (init.redirect ?? request?.redirect) === 'manual'
  return {
    input: request ?? url.href,
    init: { ...init, redirect: manual ? 'manual' : 'error' },
    headers: new Headers(init.headers ?? request?.headers),
  }
}
