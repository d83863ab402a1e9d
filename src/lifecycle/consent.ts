import { ImpersonationError } from '../errors.ts'
import type { Settings } from '../settings.ts'

/** What a rule of consent may say of one actor and one target. */
export const consentRules = ['off', 'required', 'forbidden'] as const
export type ConsentRule = (typeof consentRules)[number]

/**
 * Whether a start needs the target's yes. A rule that throws, or says something else than it may,
 * asks for it: without the answer nobody has said that it can be done without.
 */
export async function consentFor<User extends object>(
  { consent }: Pick<Settings<User>, 'consent'>,
  actor: User,
  target: User,
): Promise<ConsentRule> {
  if (typeof consent !== 'function') return consent
  try {
    const said = await consent(actor, target)
    if (said === false || said === 'off') return 'off'
    return said === 'forbidden' ? 'forbidden' : 'required'
  } catch {
    return 'required'
  }
}

/**
 * Refuses where the rule says `'forbidden'`; nothing else that it says matters to somebody who comes
 * without consent. A rule that throws has not said that it is not forbidden.
 * @throws {ImpersonationError} not_allowed, impersonation_unavailable
 */
export async function checkNotForbidden<User extends object>(
  { consent }: Pick<Settings<User>, 'consent'>,
  actor: User,
  target: User,
): Promise<void> {
  if (typeof consent !== 'function') return
  let said: unknown
  try {
    said = await consent(actor, target)
  } catch (cause) {
    throw new ImpersonationError('impersonation_unavailable', { cause })
  }
  if (said === 'forbidden') throw forbidden()
}

export function forbidden(): ImpersonationError {
  return new ImpersonationError('not_allowed', { message: 'Nobody may impersonate this user.' })
}
