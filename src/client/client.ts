import type { AccessLevel } from '../types.ts'
import { type ActingClient, actAs } from './acting.ts'
import { ClientError, isClientError, problemOf, tellsOfEnd } from './error.ts'
import { type ClientOptions, type Fetch, settle } from './options.ts'
import { outgoing, pinHeader } from './outgoing.ts'
import {
  ask,
  extended,
  type Read,
  type Started,
  type Status,
  type Stopped,
  started,
  startedByToken,
  status,
  stopped,
} from './wire.ts'

/** What every verb takes beside its own. */
export interface CallOptions {
  /** Gives up waiting: `AbortSignal.timeout(5000)`. What was asked may have happened all the same. */
  readonly signal?: AbortSignal
}

export interface ImpersonateOptions extends CallOptions {
  /** Why, 1 to 500 characters; required unless the server says otherwise. */
  readonly reason?: string
  readonly ticket?: string
  /** How long, in whole minutes. @default what the server says */
  readonly minutes?: number
  /** @default what the server says, `view` as a rule */
  readonly accessLevel?: AccessLevel
  /** The target's consent to start under. */
  readonly grantId?: string
  /** The colleagues' yes to start on. */
  readonly approvalId?: string
  /** One of the target's organisations. */
  readonly targetOrgId?: string
  /** What is calling, for the record. */
  readonly clientId?: string
}

export interface StartOptions extends ImpersonateOptions {
  readonly targetUserId: string
}

/**
 * A caller's hold of impersonation: a page of an admin console, a script, an app. One page, one client:
 * what it pins is what the page shows.
 */
export interface Client {
  /**
   * As fetch, as the caller, with the pin: the session that this client believes in, or `none`, or nothing
   * while it knows nothing. Paths are below `baseUrl`; redirects reject. Gives every answer as it is,
   * refusals too: `problemOf(response)` tells them apart.
   *
   * Once refused because what it believes in is over, it is refused until `stop()` or `start()`: `status()`
   * looks, and moves no pin. A page that is rendered anew makes a new client.
   * @throws {TypeError} for another origin than that of `baseUrl`
   */
  readonly fetch: Fetch
  /** Starts to impersonate: from here on the caller's own login means the target. @throws {ClientError} */
  start(options: StartOptions): Promise<Started>
  /**
   * Stops, or acknowledges that it has ended; null where there was nothing to stop. From then on the caller
   * is themselves. @throws {ClientError} unauthenticated, impersonation_unavailable, …
   */
  stop(options?: CallOptions): Promise<Stopped | null>
  /**
   * Who is impersonated by the caller, if anybody. Pins it where the client knows nothing yet; tells
   * `onEnded` where it is another than the client believes in. @throws {ClientError}
   */
  status(options?: CallOptions): Promise<Status>
  /** Gives the session more whole minutes, at most to the cap. @throws {ClientError} not_impersonating, … */
  extend(minutes: number, options?: CallOptions): Promise<{ readonly expiresAt: number }>
  /**
   * Starts a session that a token carries, and gives a client that acts as the target by it; the caller's
   * own login goes on as it was. The server has to have `impersonationTokens` switched on.
   * @throws {ClientError}
   */
  impersonate(userId: string, options?: ImpersonateOptions): Promise<ActingClient>
}

/**
 * Makes a client of the routes under `basePath`, for browsers and programs.
 *
 * @throws {TypeError} naming the option in quotes
 * @example
 * const client = createClient({ baseUrl: 'https://app.example.com', headers: () => login() })
 * await using alice = await client.impersonate('alice', { reason: 'ticket 7', minutes: 10 })
 * const invoices = await alice.fetch('/invoices')
 */
export function createClient(options: ClientOptions): Client {
  const settings = settle(options)
  const { base, routes, fetch, credentials, login, onEnded, now } = settings
  /** What this client believes is active: a session's id, `none`, or nothing as yet. */
  let { pin } = settings
  /** It was refused, or has seen, that the pin is out of date. The pin stays: it is what refuses the next request. */
  let outdated = false
  /** How many starts and stops are under way. */
  let changing = 0

  const asCaller =
    (pinIt: boolean): Fetch =>
    async (given, more) => {
      // As the caller saw it when they asked: a login that takes its time must not change who a request means.
      const believed = pin
      const { input, init, headers } = outgoing(base, given, more)
      for (const [name, value] of new Headers(await login()))
        if (!headers.has(name)) headers.set(name, value)
      if (pinIt && believed !== undefined && !headers.has(pinHeader))
        headers.set(pinHeader, believed)
      const sent = headers.get(pinHeader)
      const response = await fetch(input, {
        ...(credentials && { credentials }),
        ...init,
        headers,
        // A copy that a browser has kept may be the caller's own view.
        cache: 'no-store',
      })
      if (pinIt && /401|409/.test(`${response.status}`)) learn(await problemOf(response), sent)
      return response
    }
  const pinned = asCaller(true)
  const unpinned = asCaller(false)

  function believe(id: string): void {
    pin = id
    outdated = false
  }

  /** While a start or stop is under way, that may be what has changed it. */
  function outdate(error: ClientError): void {
    if (outdated || changing > 0) return
    outdated = true
    onEnded(error)
  }

  function learn(problem: ClientError | null, sent: string | null): void {
    if (!problem || sent !== (pin ?? null)) return
    const { session_id: id } = problem.details
    // It was the browser's cookie that pinned, and the server has just cleared it.
    if (tellsOfEnd(problem)) pin ??= typeof id === 'string' ? id : pin
    else if (problem.code !== stateChanged) return
    outdate(problem)
  }

  async function change<T>(work: () => Promise<T>): Promise<T> {
    changing++
    try {
      return await work()
    } finally {
      changing--
    }
  }

  /** Refused with a wrong pin: a page that is out of date starts nothing over what it does not know of. */
  function begin<T extends Started>(
    transport: 'session' | 'token',
    { signal, minutes, ...body }: StartOptions,
    read: Read<T>,
  ): Promise<T> {
    return ask(pinned, {
      url: `${routes}/start`,
      body: { ...body, durationMinutes: minutes, transport },
      // What has ended is no longer there to be meant.
      pin: outdated ? 'none' : pin,
      signal,
      read,
    })
  }

  return Object.freeze({
    fetch: pinned,

    start: (options: StartOptions) =>
      change(async () => {
        try {
          const begun = await begin('session', options, started)
          believe(begun.sessionId)
          return begun
        } catch (error) {
          // It may have begun all the same: nothing runs unpinned from here on.
          if (!isRefusal(error)) pin ??= 'none'
          throw error
        }
      }),

    stop: ({ signal }: CallOptions = {}) =>
      change(async () => {
        const url = `${routes}/stop`
        const done = await ask(unpinned, { url, body: {}, signal, read: stopped }).catch(
          (error) => {
            if (isClientError(error) && error.code === 'not_impersonating') return null
            throw error
          },
        )
        believe('none')
        return done
      }),

    async status({ signal }: CallOptions = {}) {
      const before = pin
      const state = await ask(unpinned, { url: `${routes}/status`, signal, read: status })
      const told = state.isImpersonating ? state.sessionId : 'none'
      if (changing || outdated || pin !== before) return state
      if (pin === undefined) pin = told
      else if (pin !== told) outdate(seen(told))
      return state
    },

    extend: (minutes: number, { signal }: CallOptions = {}) =>
      ask(pinned, { url: `${routes}/extend`, body: { minutes }, signal, read: extended }),

    async impersonate(userId: string, options: ImpersonateOptions = {}) {
      const askedAt = now()
      const begun = await begin('token', { ...options, targetUserId: userId }, startedByToken)
      return actAs(settings, begun, askedAt)
    },
  })
}

/** The server has answered, and it was no. */
const isRefusal = (error: unknown) =>
  isClientError(error) && error.status < 500 && error.code !== 'unexpected_answer'

const stateChanged = 'impersonation_state_changed'

/** What a look at the status has shown, as a request would have been refused for it. */
const seen = (told: string) =>
  told === 'none'
    ? new ClientError({ code: 'impersonation_ended', status: 401, title: 'it was ended elsewhere' })
    : new ClientError({ code: stateChanged, status: 409, title: 'another one is active by now' })
