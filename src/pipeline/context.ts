import { AsyncLocalStorage } from 'node:async_hooks'
import { blockedEvent } from '../audit/events.ts'
import type { Recorder } from '../audit/recorder.ts'
import { ImpersonationError } from '../errors.ts'
import type { Settings } from '../settings.ts'
import { type Guardrail, guardrailKinds, type Impersonation } from '../types.ts'

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
   * Stops here while impersonating, at every access level. Put it next to what must never happen.
   * @throws {ImpersonationError} impersonation_write_blocked: while impersonating
   * @throws {Error} outside a request, as `current()` does
   */
  guard(kind: Guardrail): void
  /** Who is behind a change, for rows and log lines; `{}` while not impersonating. */
  auditFields(): AuditFields
  /** The organisation in which the target is impersonated; null when there is none or nobody is impersonated. */
  currentOrgId(): string | null
  /**
   * Runs code outside requests with a context: `null` says plainly that nobody is impersonated (a cron
   * job), a context from `current()` carries on where it was lost (an event emitter, a stream).
   */
  run<T>(context: Impersonation<User> | null, code: () => T): T
}

export type AuditFields =
  | { impersonated_by: string; impersonation_target: string }
  | Record<never, string>

export function createContext<User extends object>(
  settings: Settings<User>,
  recorder: Recorder,
): Context<User> {
  const storage = new AsyncLocalStorage<Impersonation<User> | null>()
  const everywhere = settings.context === 'always'

  function current(): Impersonation<User> | null {
    const context = storage.getStore()
    if (context !== undefined) return context
    if (!everywhere) return null
    throw new Error(
      'the impersonation context is not known here: this code runs outside a request, before the middleware, ' +
        'or where the context is lost (event emitters, streams). Read it from the request, ' +
        "or wrap the code in impersonation.run(context, () => …), with null for a job that is nobody's",
    )
  }

  return {
    current,
    tryCurrent() {
      const context = storage.getStore()
      return context === undefined && !everywhere ? null : context
    },
    isImpersonating: () => current() !== null,
    guard(kind) {
      if (!guardrailKinds.includes(kind)) {
        throw new TypeError(
          `guard wants one of ${guardrailKinds.join(', ')}; got ${JSON.stringify(kind)}`,
        )
      }
      const context = current()
      if (context === null) return
      const code = 'impersonation_write_blocked'
      recorder.note(blockedEvent(context.session, settings.now(), code, { guardrail: kind }))
      throw new ImpersonationError(code, { details: { guardrail: kind } })
    },
    auditFields() {
      const context = current()
      if (context === null) return {}
      const { actorId, targetUserId } = context.session
      return { impersonated_by: actorId, impersonation_target: targetUserId }
    },
    currentOrgId: () => current()?.session.targetOrgId ?? null,
    run: (context, code) => storage.run(context, code),
  }
}
