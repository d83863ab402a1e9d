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
