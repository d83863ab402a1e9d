import { AsyncLocalStorage } from 'node:async_hooks'
import type { Settings } from '../settings.ts'
import type { Impersonation } from '../types.ts'

/** What code downstream asks and runs in. */
export interface Context<User> {
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
   * Runs code outside requests with a context: `null` says plainly that nobody is impersonated (a cron
   * job, a login route above the middleware), a context from `current()` carries on where it was lost.
   */
  run<T>(context: Impersonation<User> | null, code: () => T): T
  /**
   * Gives a function that runs in the context of now, whoever calls it and when: for listeners of
   * event emitters and streams, where AsyncLocalStorage loses it.
   * @throws {Error} outside a request, as `current()` does
   */
  bind<Args extends unknown[], T>(code: (...args: Args) => T): (...args: Args) => T
}

export function createContext<User extends object>(settings: Settings<User>): Context<User> {
  const storage = new AsyncLocalStorage<Impersonation<User> | null>()
  const everywhere = settings.context === 'always'

  function current(): Impersonation<User> | null {
    const context = storage.getStore()
    if (context !== undefined) return context
    if (!everywhere) return null
    throw new Error(
      'the impersonation context is not known here: this code runs outside a request, before the middleware, ' +
        'or where the context is lost (event emitters, streams). Wrap a listener in impersonation.bind(…), ' +
        'read the context from the request, or, for a job or a login route that is nobody else’s, ' +
        'run the code in impersonation.run(null, () => …)',
    )
  }

  return {
    current,
    tryCurrent() {
      const context = storage.getStore()
      return context === undefined && !everywhere ? null : context
    },
    isImpersonating: () => current() !== null,
    run: (context, code) => storage.run(context, code),
    bind(code) {
      const context = current()
      return (...args) => storage.run(context, () => code(...args))
    },
  }
}
