import type { Impersonation } from '../types.ts'

/** A statement with bound parameters: what `client.query` of pg takes, or kysely's `CompiledQuery.raw(text, values)`. */
export interface SqlSettings {
  readonly text: string
  readonly values: string[]
}

const settings = [
  "set_config('onbehalf.access_level', $1, true)",
  "set_config('onbehalf.actor_id', $2, true)",
  "set_config('onbehalf.target_user_id', $3, true)",
  "set_config('onbehalf.session_id', $4, true)",
].join(', ')

/** The only statements of this form; a guard that refuses `set_config` lets exactly these through. */
const free = `select ${settings}`
const readOnly = `${free}, set_config('transaction_read_only', 'on', true)`

export const isSqlSettings = (text: string): boolean => text === free || text === readOnly

/**
 * While nobody is impersonated the level is `none`: a policy that asks for a level it allows then also
 * refuses where the settings were forgotten. Under `view` the transaction becomes read-only, so that no
 * function can write either.
 */
export function sqlSettingsOf(context: Impersonation<unknown> | null): SqlSettings {
  if (context === null) return { text: free, values: ['none', '', '', ''] }
  const { accessLevel, actorId, targetUserId, id } = context.session
  return {
    text: accessLevel === 'view' ? readOnly : free,
    values: [accessLevel, actorId, targetUserId, id],
  }
}
