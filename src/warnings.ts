/**
 * Says once per process that something is wired wrongly, by the runtime's own channel for warnings
 * (`process.on('warning')` sees it, with `code`). The codes stand in the README under "Warnings".
 */
export function warnOnce(code: WarningCode, message: string): void {
  if (said.has(code)) return
  said.add(code)
  const text = `${message} (see the README, section "Warnings", ${code})`
  if (typeof process === 'object' && typeof process.emitWarning === 'function') {
    process.emitWarning(text, { type: 'OnbehalfWarning', code })
  } else {
    console.warn(`${code}: ${text}`)
  }
}

const said = new Set<WarningCode>()

export type WarningCode =
  /** A caller with credentials arrived, but the user slot is empty: the login runs after us, or elsewhere. */
  | 'ONBEHALF_NO_ACTOR'
  /** The user slot was filled after us: the login runs after us. */
  | 'ONBEHALF_WRONG_ORDER'
  /** Something put another identity or organisation into the user slot during an impersonation. */
  | 'ONBEHALF_USER_OVERWRITTEN'
  /** The store's tables are missing or too old. */
  | 'ONBEHALF_SCHEMA'
  /** The store failed; actors were answered 503. */
  | 'ONBEHALF_STORE_FAILED'
  /** The store's messages do not arrive; the cache does without them. */
  | 'ONBEHALF_WATCH'
  | 'ONBEHALF_EVENT_NOT_STORED'
  /** The action trail could not be stored; it is tried again. */
  | 'ONBEHALF_TRAIL_NOT_STORED'
  /** `findUser` gave a user with another id than the one asked for. */
  | 'ONBEHALF_OTHER_USER'
  /** A route is marked as guarded, but the middleware has not run for it. */
  | 'ONBEHALF_NOT_MOUNTED'
  /** A route wants a scope that no API token can have. */
  | 'ONBEHALF_UNKNOWN_SCOPE'
  /** A route pattern means no route that the app has. */
  | 'ONBEHALF_UNUSED_PATTERN'
  /** A message, the removal of a test user, or an event for the sink, was tried too often and given up. */
  | 'ONBEHALF_NOT_DELIVERED'
  /** `verifySecondFactor` threw; the code counts as wrong. */
  | 'ONBEHALF_SECOND_FACTOR'
  /** A listener of the host threw; what it was told of stands. */
  | 'ONBEHALF_LISTENER_FAILED'
