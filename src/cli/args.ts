import { parseArgs } from 'node:util'
import { UsageError } from './faults.ts'

/** An option of a command. With `value` it takes one, and this is its name in the help. */
export interface Option {
  readonly value?: string
  readonly help: string
}
export type Options = Readonly<Record<string, Option>>

/** A command line as it was typed: each option at most once, none empty. */
export interface Given {
  readonly words: readonly string[]
  /** The value of an option. */
  text(name: string): string | undefined
  /** Whether an option without a value is there. */
  has(name: string): boolean
}

/** @throws {UsageError} for what the command does not know, an option twice, or one without its value */
export function parse(argv: readonly string[], options: Options): Given {
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(
      Object.entries(options).map(([name, { value }]) => [
        name,
        { type: value === undefined ? 'boolean' : 'string' } as const,
      ]),
    ),
    // The rules are below: the parser's own words name no option's meaning, and print what was typed.
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const values = new Map<string, string | true>()
  const words: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value)
    if (token.kind !== 'option') continue
    const { name, rawName, value } = token
    const option = Object.hasOwn(options, name) ? options[name] : undefined
    if (!option || !rawName.startsWith('--')) throw new UsageError(`There is no option ${rawName}.`)
    if (values.has(name)) throw new UsageError(`${rawName} is there twice.`)
    if (option.value === undefined && value !== undefined)
      throw new UsageError(`${rawName} takes no value.`)
    if (option.value !== undefined && isMissing(value, token.inlineValue))
      throw new UsageError(`${rawName} wants a value: ${rawName} <${option.value}>.`)
    values.set(name, value ?? true)
  }
  return {
    words,
    has: (name) => values.has(name),
    text(name) {
      const value = values.get(name)
      return typeof value === 'string' ? value : undefined
    },
  }
}

/** `--actor "$UNSET" …` and `--actor --all` are slips; a value that begins with a dash is given as `--actor=-7`. */
const isMissing = (value: string | undefined, inline: boolean | undefined) =>
  value === undefined || value === '' || (inline !== true && value.startsWith('-'))

/** The value of an option that has to be one of a few words. */
export function oneOf<T extends string>(
  given: Given,
  name: string,
  allowed: readonly T[],
): T | undefined {
  const value = given.text(name)
  const found = allowed.find((one) => one === value)
  if (value !== undefined && found === undefined)
    throw new UsageError(`--${name} must be one of ${allowed.join(', ')}.`)
  return found
}

/** The value of an option that has to be a positive whole number. */
export function countOf(given: Given, name: string, most: number): number | undefined {
  const value = given.text(name)
  if (value === undefined) return undefined
  const n = /^[1-9]\d{0,8}$/.test(value) ? Number(value) : Number.POSITIVE_INFINITY
  if (n <= most) return n
  throw new UsageError(`--${name} must be a whole number from 1 to ${most}.`)
}

const iso = /^(\d{4})-(\d\d)-(\d\d)(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/

/** The value of an option that has to be an instant, in ms since the epoch. */
export function instantOf(given: Given, name: string): number | undefined {
  const value = given.text(name)
  if (value === undefined) return undefined
  if (/^\d{1,15}$/.test(value)) return Number(value)
  const [, year, month, day] = iso.exec(value) ?? []
  const at = Date.parse(value)
  // The 30th of February would else be the 1st or 2nd of March.
  const days = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()
  if (day !== undefined && Number(day) <= days && Number.isFinite(at)) return at
  throw new UsageError(
    `--${name} must be an instant: 2030-01-31, 2030-01-31T12:00:00Z (with its zone), or milliseconds since the epoch.`,
  )
}

/** Two instants, `[from, to)`. */
export function spanOf(given: Given): { readonly from?: number; readonly to?: number } {
  const from = instantOf(given, 'from')
  const to = instantOf(given, 'to')
  if (from !== undefined && to !== undefined && from >= to)
    throw new UsageError('--from must be before --to.')
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) }
}

/** @throws {UsageError} for anything that is no option */
export function refuseWords({ words: [word] }: Given): void {
  // Not the word itself: perhaps it is a database's URL that went without its option.
  if (word !== undefined) throw new UsageError('Everything here is an option that begins with --.')
}
