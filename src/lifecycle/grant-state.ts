import { ImpersonationError } from '../errors.ts'
import type { AccessLevel, Grant, GrantStatus } from '../types.ts'

/**
 * The states of a grant:
 *
 *     pending → granted → used
 *        │         ├────→ revoked
 *        │         └────→ expired
 *        ├──→ denied
 *        ├──→ revoked      (withdrawn, or the target changed their mind before they answered)
 *        └──→ expired      (nobody answered)
 */
const follows: Readonly<Record<GrantStatus, readonly GrantStatus[]>> = {
  pending: ['granted', 'denied', 'revoked', 'expired'],
  granted: ['used', 'revoked', 'expired'],
  denied: [],
  used: [],
  revoked: [],
  expired: [],
}

export const mayBecome = (grant: Grant, status: GrantStatus): boolean =>
  follows[grant.status].includes(status)

/** Whether its time is up, though nobody has written that down yet. */
export const isOver = (grant: Grant, at: number): boolean =>
  grant.expiresAt <= at && mayBecome(grant, 'expired')

/** A grant as a change leaves it. */
export function changed(grant: Grant, changes: Partial<Grant>): Grant {
  return Object.freeze({ ...grant, ...changes, revision: grant.revision + 1 })
}

/** As the target's yes leaves it: the level and the time may be lower than asked for, never higher. */
export function granted(
  grant: Grant,
  at: number,
  accessLevel: AccessLevel,
  durationMs: number,
): Grant {
  return changed(grant, {
    status: 'granted',
    accessLevel,
    durationMs,
    decidedAt: at,
    expiresAt: at + durationMs,
  })
}

/** Why a grant lets nobody in. */
export function refusalOf(grant: Grant): ImpersonationError {
  const { status } = grant
  if (status === 'expired') return new ImpersonationError('grant_expired')
  if (status === 'used') {
    const message = 'This grant has been used; ask for another.'
    return new ImpersonationError('grant_already_in_use', { message })
  }
  return new ImpersonationError('grant_not_granted', { details: { grant_status: status } })
}
