import { ImpersonationError } from './errors.ts'
import { refusalAt } from './pipeline/live.ts'
import { lacking } from './pipeline/scopes.ts'
import type { ApiTokenContext, Guardrail, Impersonation } from './types.ts'
import { warnOnce } from './warnings.ts'

/** What adapters are made of, beside the engine's three calls. */
export type { Trace } from './audit/trail.ts'
export type { Adapter, Entrance, RequestContext } from './entrance.ts'
export type { ImpersonationEngine } from './impersonation.ts'
export type { RequestView } from './pipeline/identify.ts'
export type { KnownRoute } from './pipeline/known-routes.ts'
export { checkScopes } from './pipeline/scopes.ts'
export { checkKind } from './pipeline/walls.ts'
export type { ApiTokenContext, Guardrail, Impersonation } from './types.ts'

/**
 * What becomes of a request that has reached a route marked as guarded, given what the adapter has put
 * on the request: its refusal, or null when nobody is impersonated.
 * @throws {Error} ONBEHALF_NOT_MOUNTED: the middleware has not run, so nobody knows
 */
export function markedRoute(
  context: Impersonation<unknown> | null | undefined,
  kind: Guardrail,
): ImpersonationError | null {
  if (context !== undefined) return context && refusalAt(context, kind)
  throw notMounted(
    `a route guarded as "${kind}" was reached by a request that the impersonation middleware has not seen; ` +
      'it was stopped. Mount impersonate(impersonation) above that route',
  )
}

/** How a request came: by an API token, by a login (or an impersonation, which began with one), or as nobody. */
export type Came = ApiTokenContext<unknown> | 'login' | 'nobody'

/**
 * What becomes of a request that has reached a route which wants scopes: its refusal, or null. A login passes
 * with whatever its user may; nobody does not.
 * @param came undefined where the adapter has not seen it, or where there are no API tokens
 * @throws {Error} ONBEHALF_NOT_MOUNTED
 */
export function scopedRoute(
  came: Came | undefined,
  scopes: readonly string[],
): ImpersonationError | null {
  if (came === 'nobody') return new ImpersonationError('unauthenticated')
  if (came !== undefined) return came === 'login' ? null : lacking(came, scopes)
  throw notMounted(
    `a route that wants the scope "${scopes.join(' ')}" was reached by a request that the impersonation middleware ` +
      'has not seen, or the option "apiTokens" is missing; it was stopped. Mount impersonate(impersonation) above that route',
  )
}

function notMounted(message: string): Error {
  warnOnce('ONBEHALF_NOT_MOUNTED', message)
  return wiringError('ONBEHALF_NOT_MOUNTED', message)
}

function wiringError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code, status: 500, statusCode: 500 })
}

/** The fault of a layer that puts somebody else into the user slot than the one whom the request runs as. */
export function overwritten(slot: string): Error {
  const message =
    `something put another user, or another organisation, into "${slot}" during an impersonation, or a request with ` +
    'an API token; the request was stopped, because it would have run as somebody else. Mount the middleware after ' +
    'everything that logs users in or picks their organisation'
  warnOnce('ONBEHALF_USER_OVERWRITTEN', message)
  return wiringError('ONBEHALF_USER_OVERWRITTEN', message)
}

/** Notices logins that come after us. Looks at the first requests without a user only, so that it costs nothing later. */
export function wrongOrder(looks = 100) {
  let left = looks
  return {
    mayTell: () => left > 0 && left-- > 0,
    tell(filled: boolean): void {
      if (!filled) return
      left = 0
      warnOnce(
        'ONBEHALF_WRONG_ORDER',
        'the user slot was empty when a request arrived and filled afterwards: mount the middleware after the one that logs users in',
      )
    },
  }
}
