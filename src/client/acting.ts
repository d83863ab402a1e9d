import type { AccessLevel } from '../types.ts'
import { ClientError, type ClientErrorCode, isClientError, problemOf, tellsOfEnd } from './error.ts'
import type { Fetch, Settings } from './options.ts'
import { outgoing, pinHeader } from './outgoing.ts'
import { ask, type StartedByToken, type Status, status, stopped, type TargetUser } from './wire.ts'

/**
 * A client that acts as the target, by a token of its own. The token is nowhere to be read: not on this
 * object, not in its JSON, not in an error. It can't be renewed; start anew for another one.
 */
export interface ActingClient extends AsyncDisposable {
  readonly user: TargetUser
  readonly sessionId: string
  readonly accessLevel: AccessLevel
  /** In ms since the epoch, by the server's clock. */
  readonly expiresAt: number
  /**
   * As fetch, as the target: with the token and the pin, and without any login of the caller's (no cookies,
   * no `Authorization` of `init`). Paths are below `baseUrl`; redirects reject.
   * @throws {ClientError} once it is over, by the clock, a stop or the server's word: `impersonation_expired`,
   *   `impersonation_ended`, `impersonation_revoked`, `grant_revoked`, `token_invalid`
   * @throws {TypeError} for another origin than that of `baseUrl`
   */
  readonly fetch: Fetch
  /**
   * Ends it; no request goes out from then on, even where the call fails. Idempotent; called again, it tries
   * again if the first call failed. Also what `await using` does.
   */
  stop(options?: { readonly signal?: AbortSignal }): Promise<void>
  /** How it stands. @throws {ClientError} as `fetch`, once it is over */
  status(options?: { readonly signal?: AbortSignal }): Promise<Status>
}

/** @param askedAt when its start was asked: it is over by this clock no later than by the server's */
export function actAs(settings: Settings, begun: StartedByToken, askedAt: number): ActingClient {
  const { base, fetch, now, routes } = settings
  const { accessToken, expiresIn, targetUser, sessionId, accessLevel, expiresAt } = begun
  const overAt = askedAt + expiresIn * 1000
  let ended: ClientErrorCode | undefined
  let stopping: Promise<void> | undefined

  /** Never the caller's login: were the token overlooked, the request would run with the caller's own powers. */
  const asTarget: Fetch = (given, more) => {
    const { input, init, headers } = outgoing(base, given, more)
    headers.set('Authorization', `Bearer ${accessToken}`)
    headers.delete('Cookie')
    if (!headers.has(pinHeader)) headers.set(pinHeader, sessionId)
    // A copy that a browser has kept may be the caller's view.
    return fetch(input, { ...init, headers, credentials: 'omit', cache: 'no-store' })
  }

  function checkLive(): void {
    if (now() >= overAt) ended ??= 'impersonation_expired'
    if (ended)
      throw new ClientError({ code: ended, status: 401, title: `acting is over: ${ended}` })
  }

  /** Whether a refusal says that it is over; then it stays so. */
  function isOver(error: unknown): error is ClientError {
    if (!isClientError(error) || !(tellsOfEnd(error) || error.code === 'token_invalid'))
      return false
    ended ??= error.code
    return true
  }

  async function tellServer(signal: AbortSignal | undefined): Promise<void> {
    try {
      await ask(asTarget, { url: `${routes}/stop`, body: {}, signal, read: stopped })
    } catch (error) {
      if (isOver(error)) return
      stopping = undefined
      throw error
    }
  }

  /** Also after a 401 of the app's own: only the route that stops knows for sure. */
  function stop({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    ended ??= 'impersonation_ended'
    stopping ??= tellServer(signal)
    return stopping
  }

  return Object.freeze({
    user: targetUser,
    sessionId,
    accessLevel,
    expiresAt,
    async fetch(input: string | URL | Request, init?: RequestInit) {
      checkLive()
      const response = await asTarget(input, init)
      const problem = response.status === 401 ? await problemOf(response) : null
      if (isOver(problem)) throw problem
      return response
    },
    stop,
    async status({ signal }: { readonly signal?: AbortSignal } = {}) {
      checkLive()
      try {
        return await ask(asTarget, { url: `${routes}/status`, signal, read: status })
      } catch (error) {
        isOver(error)
        throw error
      }
    },
    // Browsers without `await using` have no such symbol.
    [(Symbol.asyncDispose ?? Symbol()) as typeof Symbol.asyncDispose]: () => stop(),
  })
}
