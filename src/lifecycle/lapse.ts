import { type ErrorCode, ImpersonationError } from '../errors.ts'
import type { Ending, Session } from '../types.ts'

/** How a session has ended; one that was found unfit and could not be ended yet counts as revoked. */
export const endingOf = (session: Session): Ending =>
  session.status === 'active' ? 'revoked' : session.status

/** The 401 that tells how a session has ended. */
export function lapseError(session: Session): ImpersonationError {
  const code: ErrorCode =
    session.endedReason === 'grant_revoked'
      ? 'grant_revoked'
      : (({ expired: 'impersonation_expired', revoked: 'impersonation_revoked' } as const)[
          endingOf(session) as 'expired' | 'revoked'
        ] ?? 'impersonation_ended')
  return new ImpersonationError(code, {
    details: { session_id: session.id, ended_reason: session.endedReason },
  })
}
