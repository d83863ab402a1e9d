import type { ChainKeys } from '../audit/seal.ts'
import { checkAudit } from '../audit-option.ts'
import type { Store } from '../stores/store.ts'
import { UsageError } from './faults.ts'

/** Keys come from the environment alone: a command line stands in the list of processes. */
export const keyVariables = {
  key: 'ONBEHALF_AUDIT_KEY',
  id: 'ONBEHALF_AUDIT_KEY_ID',
  old: 'ONBEHALF_AUDIT_OLD_KEYS',
} as const

type Env = Readonly<Record<string, string | undefined>>

/**
 * The keys of the chain by the rules of the option `audit`; undefined where none is given, or an empty
 * one, as a secret that CI does not know.
 * @throws {UsageError} naming the variable, and never what it holds
 */
export function chainKeysOf(env: Env, store: Store): ChainKeys | undefined {
  const secret = env[keyVariables.key]
  if (!secret) return undefined
  const key = { id: env[keyVariables.id] || 'default', secret }
  const oldKeys = oldKeysOf(env[keyVariables.old])
  try {
    return checkAudit({ key, oldKeys }, store).chainKeys
  } catch (error) {
    throw new UsageError(`${inWords(error instanceof Error ? error.message : '')}.`)
  }
}

function oldKeysOf(text: string | undefined) {
  if (!text) return []
  const entries = Object.entries(parsed(text))
  if (entries.some(([, secret]) => typeof secret !== 'string')) throw notRecord()
  return entries.map(([id, secret]) => ({ id, secret: secret as string }))
}

/** The parser's own words quote what it was given. */
function parsed(text: string): object {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw notRecord()
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw notRecord()
  return value
}

const notRecord = () => new UsageError(`${keyVariables.old} must be JSON: {"<id>": "<secret>", …}.`)

const spellings: readonly (readonly [RegExp, string])[] = [
  [/^option "audit\.key"/, keyVariables.key],
  [/^option "audit\.key\.id"/, keyVariables.id],
  [/^option "audit\.oldKeys\[\d+\]\.id"/, `Each id in ${keyVariables.old}`],
  [/^option "audit\.oldKeys\[\d+\]"/, `Each value in ${keyVariables.old}`],
  [/^option "audit\.oldKeys"/, keyVariables.old],
]

/** What the library says of its option, said of the variable. */
function inWords(message: string): string {
  const [pattern, name] = spellings.find(([option]) => option.test(message)) ?? []
  return pattern && name ? message.replace(pattern, name) : `${keyVariables.key} can’t be used`
}
