import { AsyncLocalStorage } from 'node:async_hooks'
import type { Settings } from '../settings.ts'
import type { ApiTokenContext, Impersonation } from '../types.ts'

/** What code downstream asks and runs in. */
export interface Context<User, Scope extends string = string> {
  /**
   * The impersonation this code runs under; null when nobody is impersonated.
   * @throws {Error} outside a request, where the answer is unknown: "nobody" would be a guess, and a dangerous one
   */
  current(): Impersonation<User> | null
  /** Like `current()`, but undefined outside a request. */
  tryCurrent(): Impersonation<User> | null | undefined
  /** Whether somebody is impersonated. @throws {Error} outside a request, as `current()` does */
  isImpersonating(): boolean
  /**
   * The API token that this code runs by; null when there is none. It is no impersonation: `current()` is
   * null then.
   * @throws {Error} outside a request, as `current()` does
   */
  apiToken(): ApiTokenContext<User, Scope> | null
  /** Like `apiToken()`, but undefined outside a request. */
  tryApiToken(): ApiTokenContext<User, Scope> | null | undefined
  /**
   * Runs code outside requests with a context: `null` says plainly that nobody is impersonated (a cron
   * job, a login route above the middleware), one from `current() ?? apiToken()` carries on where it was lost.
   */
  run<T>(context: Impersonation<User> | ApiTokenContext<User> | null, code: () => T): T
  /**
   * Gives a function that runs in the context of now, whoever calls it and when: for listeners of
   * event emitters and streams, where AsyncLocalStorage loses it.
   * @throws {Error} outside a request, as `current()` does
   */
  bind<Args extends unknown[], T>(code: (...args: Args) => T): (...args: Args) => T
}

/** One of the two, so that no request can ever run under both. */
type Frame<User> = Impersonation<User> | ApiTokenContext<User> | null

/** That a token has no scopes but those of the options is seen to where it is made. */
export function createContext<User extends object, Scope extends string = string>(
  settings: Settings<User>,
): Context<User, Scope> {
  const storage = new AsyncLocalStorage<Frame<User>>()
  const everywhere = settings.context === 'always'

  function frame(): Frame<User> {
    const found = storage.getStore()
    if (found !== undefined) return found
    if (!everywhere) return null
    throw new Error(
      'the impersonation context is not known here: this code runs outside a request, before the middleware, ' +
        'or where the context is lost (event emitters, streams). Wrap a listener in impersonation.bind(…), ' +
        'read the context from the request, or, for a job or a login route that is nobody else’s, ' +
        'run the code in impersonation.run(null, () => …)',
    )
  }

  function tryFrame(): Frame<User> | undefined {
    const found = storage.getStore()
    return found === undefined && !everywhere ? null : found
  }

  return {
    current: () => impersonationOf(frame()),
    tryCurrent: () => known(tryFrame(), impersonationOf),
    isImpersonating: () => impersonationOf(frame()) !== null,
    apiToken: () => apiTokenOf<User, Scope>(frame()),
    tryApiToken: () => known(tryFrame(), apiTokenOf<User, Scope>),
    run: (context, code) => storage.run(context, code),
    bind(code) {
      const bound = frame()
      return (...args) => storage.run(bound, () => code(...args))
    },
  }
}

/** Undefined stays undefined: nobody knows. */
const known = <T, V>(frame: T | undefined, look: (frame: T) => V): V | undefined =>
  frame === undefined ? undefined : look(frame)

const isApiToken = <User>(frame: Frame<User>): frame is ApiTokenContext<User> =>
  frame !== null && 'issuedBy' in frame

const impersonationOf = <User>(frame: Frame<User>): Impersonation<User> | null =>
  isApiToken(frame) ? null : frame

const apiTokenOf = <User, Scope extends string>(
  frame: Frame<User>,
): ApiTokenContext<User, Scope> | null =>
  isApiToken(frame) ? (frame as ApiTokenContext<User, Scope>) : null
