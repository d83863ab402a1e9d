import { readFunctionsOf } from './functions.ts'
import type { SqlDialect, Token } from './lexer.ts'
import { positional, reserved } from './words.ts'

/** Functions of the host's own database, as the host wrote them, and in lower case. */
export type OwnFunctions = ReadonlySet<string>
export const ownFunctions = (names: readonly string[]): OwnFunctions =>
  new Set(names.flatMap((name) => [name, name.toLowerCase()]))

/** How a text is to be read. */
export interface Reading {
  readonly dialect?: SqlDialect | undefined
  readonly functions: OwnFunctions
}

/**
 * Looks at what stands before the parenthesis at an index: a call of a function that is not known to
 * only read gives a reason.
 */
export function callReason(
  tokens: readonly Token[],
  open: number,
  { dialect, functions }: Reading,
): string | null {
  const name = tokens[open - 1]
  if (name === undefined) return null
  if (name.kind === 'symbol') return name.text === ']' ? 'an unclear call' : null
  if (name.kind === 'string' || name.kind === 'number') return 'an unclear call'
  if (name.kind === 'parameter') return null

  const start = startOfName(tokens, open - 1)
  const before = tokens[start - 1]
  // A type after a cast, and an alias with its columns.
  if (isSymbol(before, '::') || isWord(before, 'as')) return null
  /** A quoted name may be a function of the host's that has the name of a built-in one. */
  const isBuiltIn = name.kind === 'word' && readFunctionsOf[dialect ?? 'unknown'].has(name.text)
  const parts = tokens.slice(start, open).filter(({ kind }) => kind !== 'symbol')
  const known =
    parts.length === 1
      ? isSyntax(tokens, start) || isNameOfQuery(tokens, start, open) || isBuiltIn
      : parts.length === 2 && isWord(parts[0], 'pg_catalog') && isBuiltIn
  return known || isOwn(parts, functions) ? null : `a call of ${spoken(parts)}`
}

/** From `c` back to `a` in `a.b.c`. */
function startOfName(tokens: readonly Token[], end: number): number {
  let start = end
  while (isSymbol(tokens[start - 1], '.') && isName(tokens[start - 2])) start -= 2
  return start
}

function isSyntax(tokens: readonly Token[], at: number): boolean {
  const { kind, text } = tokens[at] as Token
  if (kind !== 'word') return false
  if (reserved.has(text)) return !isSymbol(tokens[at - 1], '.')
  const before = tokens[at - 1]
  if (text === 'explain') return at === 0
  if (text === 'materialized') return isWord(before, 'not') && isWord(tokens[at - 2], 'as')
  // `json_table(doc, '$[*]' columns (…))`
  if (text === 'columns') return before?.kind === 'string' || before?.kind === 'parameter'
  return (
    before !== undefined &&
    before.kind !== 'quoted' &&
    Object.hasOwn(positional, text) &&
    (positional[text]?.has(before.text) ?? false)
  )
}

/** `with name (a, b) as (select …`: no call of a function is followed by AS and a query. */
function isNameOfQuery(tokens: readonly Token[], at: number, open: number): boolean {
  const before = tokens[at - 1]
  if (!isWord(before, 'with') && !isWord(before, 'recursive') && !isSymbol(before, ','))
    return false
  let next = open + 1
  while (isName(tokens[next]) && isSymbol(tokens[next + 1], ',')) next += 2
  if (!isName(tokens[next]) || !isSymbol(tokens[next + 1], ')')) return false
  next += 2
  if (!isWord(tokens[next++], 'as')) return false
  if (isWord(tokens[next], 'not')) next++
  if (isWord(tokens[next], 'materialized')) next++
  const inside = tokens[next + 1]
  if (!isSymbol(tokens[next], '(')) return false
  if (isWord(inside, 'values')) return isSymbol(tokens[next + 2], '(')
  return isWord(inside, 'select') || isWord(inside, 'with')
}

function isOwn(parts: readonly Token[], own: OwnFunctions): boolean {
  const written = parts.map(({ text }) => text).join('.')
  return own.has(written)
}

/** A bare name is no secret; anything else is not repeated. */
function spoken(parts: readonly Token[]): string {
  const plain = parts.every(({ kind, text }) => kind === 'word' && text.length < 64)
  return plain ? `${parts.map(({ text }) => text).join('.')}()` : 'a function'
}

export const isWord = (token: Token | undefined, text: string) =>
  token?.kind === 'word' && token.text === text
export const isSymbol = (token: Token | undefined, text: string) =>
  token?.kind === 'symbol' && token.text === text
export const isName = (token: Token | undefined) =>
  token?.kind === 'word' || token?.kind === 'quoted' || token?.kind === 'hole'
