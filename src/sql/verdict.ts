import { callReason, isName, isSymbol, isWord, type Reading } from './calls.ts'
import { lex, type Token } from './lexer.ts'
import {
  alsoFunctions,
  beforeSavepoint,
  explainWords,
  queryHeads,
  readPragmas,
  readPragmasOfNames,
  transactionHeads,
  transactionWords,
  writing,
} from './words.ts'

/**
 * Whether a text is one statement that only reads: null, or in a few words why that can't be said.
 * Tokens only, no grammar: what no statement that reads needs is refused wherever it stands.
 * @param fragments whether the text is put together of raw fragments, with holes
 */
export function onlyReads(text: string, reading: Reading, fragments = false): string | null {
  const all = lex(text, reading.dialect, fragments)
  if (typeof all === 'string') return `unclear: ${all}`
  let end = all.length
  while (isSymbol(all[end - 1], ';')) end--
  const tokens = all.slice(0, end)
  if (tokens.some((token) => isSymbol(token, ';'))) return 'several statements'

  const head = tokens.find((token) => !isSymbol(token, '('))
  if (head?.kind !== 'word') return 'an unknown statement'
  if (queryHeads.has(head.text)) return queryReason(tokens, reading)
  if (head !== tokens[0]) return 'an unknown statement'
  if (head.text === 'show') return queryReason(tokens, reading)
  if (head.text === 'explain' || head.text === 'describe' || head.text === 'desc')
    return explainReason(tokens, reading)
  if (transactionHeads.has(head.text)) return transactionReason(tokens)
  if (head.text === 'pragma' && reading.dialect !== 'postgres') return pragmaReason(tokens)
  return writing.has(head.text) ? head.text : 'an unknown statement'
}

/** The same for a piece of a statement that is complete in itself: all but how it begins. */
export function fragmentReads(text: string, reading: Reading): string | null {
  const tokens = lex(text, reading.dialect, true)
  if (typeof tokens === 'string') return `unclear: ${tokens}`
  let depth = 0
  for (const token of tokens) {
    if (isSymbol(token, ';')) return 'several statements'
    if (isSymbol(token, '(')) depth++
    if (isSymbol(token, ')') && --depth < 0) break
  }
  return depth === 0 ? queryReason(tokens, reading) : 'unclear: a parenthesis'
}

function queryReason(tokens: readonly Token[], reading: Reading): string | null {
  for (const [at, token] of tokens.entries()) {
    if (isSymbol(token, '(')) {
      const reason = callReason(tokens, at, reading)
      if (reason) return reason
    }
    if (token.kind !== 'word') continue
    const next = tokens[at + 1]
    const before = tokens[at - 1]
    if (writing.has(token.text) && !isMember(tokens, at)) {
      if (!alsoFunctions.has(token.text) || !isSymbol(next, '(')) return token.text
    }
    if (token.text === 'share' && (isWord(before, 'for') || isWord(before, 'key'))) return 'a lock'
    // MariaDB: NEXT VALUE FOR a sequence.
    if (token.text === 'value' && isWord(before, 'next')) return 'nextval'
    if (token.text === 'nextval') return 'nextval'
  }
  return null
}

/** `p.comment`: after a dot every dialect takes a word for a name. */
function isMember(tokens: readonly Token[], at: number): boolean {
  return isSymbol(tokens[at - 1], '.') && isName(tokens[at - 2])
}

/** `explain analyze` runs what it explains, so all of it has to read. */
function explainReason(tokens: readonly Token[], reading: Reading): string | null {
  const reason = queryReason(tokens, reading)
  if (reason) return reason
  let at = 1
  const startsQuery = (token: Token | undefined) =>
    token?.kind === 'word' && queryHeads.has(token.text)
  if (isSymbol(tokens[1], '(') && !startsQuery(tokens[2]) && !isSymbol(tokens[2], '(')) {
    while (at < tokens.length && !isSymbol(tokens[at], ')')) at++
    at++
  }
  const options = at
  while (isOption(tokens[at])) at++
  if (startsQuery(tokens.slice(at).find((token) => !isSymbol(token, '(')))) return null
  // `describe notes`, of MySQL.
  if (at > options) return 'an unknown statement'
  const [table, dot, member, more] = tokens.slice(options)
  const isTable = isName(table) && (!dot || (isSymbol(dot, '.') && isName(member) && !more))
  return isTable ? null : 'an unknown statement'
}

const isOption = (token: Token | undefined) =>
  isSymbol(token, '=') || (token?.kind === 'word' && explainWords.has(token.text))

function transactionReason(tokens: readonly Token[]): string | null {
  const [first, second] = tokens
  const wanted = isWord(first, 'start') || isWord(first, 'set')
  if (wanted && !isWord(second, 'transaction')) return first?.text ?? 'an unknown statement'
  for (const [at, token] of tokens.entries()) {
    const before = tokens[at - 1]
    const named = before?.kind === 'word' && beforeSavepoint.has(before.text)
    if (named && isName(token)) continue
    if (token.kind === 'word' && transactionWords.has(token.text)) continue
    if (isSymbol(token, ',')) continue
    return isWord(token, 'write') ? 'read write' : 'an unknown statement'
  }
  return null
}

function pragmaReason(tokens: readonly Token[]): string | null {
  const rest = isSymbol(tokens[2], '.') ? tokens.slice(3) : tokens.slice(1)
  const [name, open, argument, close] = rest
  if (name?.kind !== 'word') return 'pragma'
  if (rest.length === 1 && (readPragmas.has(name.text) || readPragmasOfNames.has(name.text)))
    return null
  const named = isSymbol(open, '(') && isSymbol(close, ')') && rest.length === 4
  const isNamed = isName(argument) || argument?.kind === 'string'
  return named && isNamed && readPragmasOfNames.has(name.text) ? null : 'pragma'
}
