import { warnOnce } from './warnings.ts'

/** What adapters are made of, beside the engine's three calls. */
export type { Adapter, Entrance, ImpersonationEngine } from './impersonation.ts'
export type { RequestView } from './pipeline/identify.ts'
export type { Impersonation } from './types.ts'

/** The fault of a layer that puts somebody else into the user slot of an impersonated request. */
export function overwritten(slot: string): Error {
  const message =
    `something put another user, or another organisation, into "${slot}" during an impersonation; the request was ` +
    'stopped, because it would have run as somebody else than the target. Mount the middleware after ' +
    'everything that logs users in or picks their organisation'
  warnOnce('ONBEHALF_USER_OVERWRITTEN', message)
  return Object.assign(new Error(message), {
    code: 'ONBEHALF_USER_OVERWRITTEN',
    status: 500,
    statusCode: 500,
  })
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
