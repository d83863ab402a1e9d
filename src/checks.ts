import type { Store } from './stores/store.ts'

/** What an option may be refused for; each names it in quotes and says what it wants. */

export function want(option: string, holds: boolean, wanted: string): asserts holds {
  if (!holds) throw new TypeError(`option "${option}" must be ${wanted}`)
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function noOthers(inside: string, value: object, allowed: readonly string[]): void {
  for (const key of Object.keys(value)) {
    if (allowed.includes(key)) continue
    throw new TypeError(`option "${inside}${key}" is unknown; there are: ${allowed.join(', ')}`)
  }
}

export function positive(option: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise
  want(option, Number.isSafeInteger(value) && value > 0, 'a positive whole number')
  return value
}

export function flag(option: string, value: boolean | undefined, otherwise: boolean): boolean {
  want(option, value === undefined || typeof value === 'boolean', 'true or false')
  return value ?? otherwise
}

export function oneOf<const T extends string | boolean>(
  option: string,
  value: T | undefined,
  choices: readonly T[],
  otherwise: NoInfer<T>,
): T {
  if (value === undefined) return otherwise
  want(
    option,
    choices.includes(value),
    `one of ${choices.map((one) => JSON.stringify(one)).join(', ')}`,
  )
  return value
}

/** A feature that the store can't carry is told at the start, not at its first use. */
export function wantSection(
  option: string,
  store: Store,
  name: 'grants' | 'requests' | 'outbox' | 'chain' | 'trail' | 'retention' | 'tokens',
  verbs: readonly string[],
): void {
  const section = store[name] as Readonly<Record<string, unknown>> | undefined
  const missing = verbs.filter((verb) => typeof section?.[verb] !== 'function')
  want(
    option,
    missing.length === 0,
    `left out with this store: its section "${name}" lacks ${missing.join(', ')}`,
  )
}
