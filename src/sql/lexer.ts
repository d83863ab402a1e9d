/** MariaDB counts as `mysql`. */
export const sqlDialects = ['postgres', 'mysql', 'sqlite'] as const
export type SqlDialect = (typeof sqlDialects)[number]

export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'parameter' | 'symbol' | 'hole'
  /** Words in lower case, quoted names without their quotes, strings and numbers not at all. */
  readonly text: string
}

/** Stands in a raw fragment for something that is looked at by itself and is no part of the text. */
export const hole = '\ue000'

const blank = /[ \t\r\n\f]+/y
const name = /[a-z_][\w$]*/iy
const numeral = /0x[0-9a-f]+|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?/iy
const sqliteParameter = /[$@:][\w$:]+\((?![\w, ]*\))/y

/** A text that may be read in two ways; the message says where. */
class Unclear extends Error {}

/**
 * Cuts a statement into tokens, or says why it can't be told how a database would cut it: where
 * Postgres, MySQL and SQLite differ and the dialect is not known, the text is unclear, and what is
 * unclear is no read.
 * @param fragment for a piece of a statement: no comments, and holes may stand in it
 */
export function lex(text: string, dialect?: SqlDialect, fragment = false): Token[] | string {
  const tokens: Token[] = []
  const told = dialect === 'postgres' || dialect === 'sqlite'
  const mayBeSqlite = dialect === 'sqlite' || dialect === undefined
  /** Inside `[…]`, which SQLite takes for a quoted name and Postgres for a subscript. */
  let bracket = false
  let at = 0

  const unclear = (why: string): never => {
    throw new Unclear(why)
  }
  const next = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    return pattern.exec(text)?.[0]
  }
  const add = (kind: Token['kind'], length: number, token = ''): true => {
    tokens.push({ kind, text: token })
    at += length
    return true
  }
  /** Goes past something opaque; a `]` in it is one that SQLite would end a name with. */
  const pass = (length: number): true => {
    if (bracket && text.slice(at, at + length).includes(']')) unclear('a bracket')
    at += length
    return true
  }

  function space(): boolean {
    at += next(blank)?.length ?? 0
    return at === text.length
  }

  function word(char: string): boolean {
    // SQLite takes `:name(…)` for one parameter, whatever stands between the parentheses.
    if (mayBeSqlite && '$@:'.includes(char) && next(sqliteParameter)) unclear('a parameter')
    const found = next(name)
    if (found === undefined) return false
    if (found.includes('$')) unclear('a dollar')
    if (/^u$/i.test(found) && /^&['"]/.test(text.slice(at + 1, at + 3))) unclear('a Unicode escape')
    return add('word', found.length, found.toLowerCase())
  }

  function number(): boolean {
    const found = next(numeral)
    if (!found) return false
    // `1delete` is a name in MySQL and two tokens in an older Postgres.
    if (/[\w$]/.test(text[at + found.length] ?? '')) unclear('a number')
    return add('number', found.length)
  }

  function quoted(quote: string): boolean {
    if (quote !== "'" && quote !== '"' && quote !== '`') return false
    let end = at + 1
    while (text[end] !== quote || text[end + 1] === quote) {
      if (end >= text.length) unclear('an open quote')
      end += text[end] === quote ? 2 : 1
    }
    const inside = text.slice(at + 1, end)
    // A backslash escapes in MySQL, in E'…' and where Postgres is set up the old way.
    if (inside.includes('\\') && dialect !== 'sqlite') unclear('a backslash')
    if (inside.includes('\0') || inside.includes(hole)) unclear('a quote')
    // An operator in Postgres, so that what it quotes elsewhere would be code.
    if (quote === '`' && dialect === 'postgres') unclear('a backtick')
    if (quote === '`' && dialect === undefined && !/^(?!.*--)[\w .-]*$/.test(inside))
      unclear('a backtick')
    if (quote === "'") tokens.push({ kind: 'string', text: '' })
    else tokens.push({ kind: 'quoted', text: inside.replaceAll(quote + quote, quote) })
    return pass(end + 1 - at)
  }

  function comment(char: string): boolean {
    const start = text.slice(at, at + 2)
    let found: string | undefined
    if (start === '/*') {
      const end = text.indexOf('*/', at + 2)
      const inside = text.slice(at + 2, end + 1)
      // Postgres nests comments; `/*!` and `/*+` are code of MySQL and hints.
      if (end < 0 || /^[!+/]|^m!|\/\*/i.test(inside)) unclear('a comment')
      found = text.slice(at, end + 2)
    } else if (start === '--') {
      // MySQL wants white space after it.
      found = next(told ? /--[^\n]*/y : /--(?:[ \t\r][^\n]*|(?=\n)|$)/y) ?? unclear('a comment')
    } else if (char === '#' && dialect !== 'postgres') {
      found = dialect === 'mysql' ? next(/#[^\n]*/y) : unclear('a hash')
    }
    if (found === undefined) return false
    // Postgres ends a comment with a lone carriage return, the others do not.
    if (fragment || /\r(?!\n|$)|\0/.test(found)) unclear('a comment')
    return pass(found.length)
  }

  function parameter(char: string): boolean {
    if (char !== '$') return false
    const named = dialect === 'sqlite' ? next(/\$[a-z_]\w*(?![\w$])/iy) : undefined
    const found = named ?? next(/\$\d+(?![\w$])/y) ?? unclear('a dollar')
    return add('parameter', found.length)
  }

  function holeHere(char: string): boolean {
    if (char !== hole || !fragment) return false
    // What comes into the hole must not grow together with its neighbours.
    if (/[\w$'"`\\@#&*/\-\ue000]/.test(text[at - 1] ?? '')) unclear('a hole')
    if (/[\w$'"`\\@#\ue000]/.test(text[at + 1] ?? '')) unclear('a hole')
    return add('hole', 1)
  }

  function symbol(char: string): true {
    const two = text.slice(at, at + 2)
    if (two === '::') return add('symbol', 2, two)
    if (two === ':=') unclear('an assignment')
    if (!'()[],.;:?@#+-*/%<>=!~^&|'.includes(char)) unclear('a character')
    if (char === '[') bracket = mayBeSqlite
    if (char === ']') bracket = false
    return add('symbol', 1, char)
  }

  const readers = [word, number, quoted, comment, parameter, holeHere, symbol]
  try {
    while (!space()) {
      const char = text[at] as string
      readers.some((read) => read(char))
    }
    return tokens
  } catch (error) {
    if (error instanceof Unclear) return error.message
    throw error
  }
}
