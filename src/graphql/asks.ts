import type { ClassifyRequest } from '../pipeline/classify.ts'

/*
 * What a request asks of a GraphQL server. Servers differ: some look into the query string first,
 * some into the body, some take `query[]`, some a persisted id by one of a dozen names. So all of it
 * is gathered, and what two servers would read in two ways throws.
 */

/** What one place asks for: the query string, a body, a member of a batch. */
export interface Ask {
  readonly document: string | undefined
  readonly operationName: string | undefined
  /** Ids of persisted documents. */
  readonly ids: readonly string[]
  /** What the SHA-256 of the document is said to be, and the id of one that is persisted. */
  readonly hash: string | undefined
}

const idNames = [
  'id',
  'documentId',
  'document_id',
  'docId',
  'doc_id',
  'queryId',
  'query_id',
  'operationId',
  'operation_id',
  'hash',
  'queryHash',
  'sha256Hash',
  'persistedId',
  'persistedQueryId',
]
const names = ['query', 'operationName', 'extensions', 'persisted', 'persistedQuery', ...idNames]
const lowerNames: ReadonlySet<string> = new Set(names.map((name) => name.toLowerCase()))

const mostInBatch = 100

type Values = Readonly<Record<string, unknown>>

class Unclear extends Error {}

/** @throws {Error} where it is ambiguous */
export function askOfSearch(search: string): Ask {
  if (search !== '' && !search.startsWith('?')) throw new Unclear('a query after a #')
  // The web's URL drops tabs and line breaks, `que\try` is `query` to it; no client sends them, or letters, as they are.
  if (/[^\x21-\x7e]/.test(search)) throw new Unclear('a character that is not encoded')
  return askOf(pairsOf(search.slice(1)))
}

/**
 * What the body asks for: one thing, several for a batch, none where there is no body.
 * @throws {Error} where it can't be told
 */
export async function asksOfBody(request: ClassifyRequest): Promise<readonly Ask[]> {
  let body = await request.body()
  if (body === undefined) return []
  if (body instanceof Uint8Array) body = new TextDecoder('utf-8', { fatal: true }).decode(body)
  switch (mediaTypeOf(request.header('content-type'))) {
    case 'application/json':
    case 'application/graphql+json': {
      // Text where a parser of the app has left it so: some servers then parse it themselves.
      if (typeof body === 'string') body = JSON.parse(body)
      if (!Array.isArray(body)) return [askOf(recordOf(body))]
      if (body.length === 0 || body.length > mostInBatch) throw new Unclear('an odd batch')
      return body.map((member) => askOf(recordOf(member)))
    }
    case 'application/graphql':
      return [askOf({ query: textOf(body) })]
    case 'application/x-www-form-urlencoded':
      return [askOf(typeof body === 'string' ? pairsOf(body) : recordOf(body))]
    default:
      throw new Unclear('a body of another type')
  }
}

function mediaTypeOf(header = ''): string {
  return /^\s*([^\s;,]+)\s*(?:;[^,]*)?$/.exec(header)?.[1]?.toLowerCase() ?? ''
}

function askOf(values: Values): Ask {
  const extensions = recordOf(parsed(values.extensions) ?? {})
  const { persistedQuery = values.persistedQuery } = extensions
  if (persistedQuery !== (values.persistedQuery ?? persistedQuery)) throw new Unclear('two hashes')
  const persisted = recordOf(parsed(persistedQuery) ?? {})
  const hash = textOf(persisted.sha256Hash)
  if (Object.keys(persisted).length > 0 && hash === undefined) throw new Unclear('no hash')
  const ids = [values, extensions].flatMap((place) =>
    idNames.flatMap((name) => textOf(place[name]) ?? []),
  )
  const query = textOf(values.query)
  // Mercurius has the id in the place of the document, and says so by a flag.
  const isId = (values.persisted ?? false) !== false
  return {
    document: query,
    operationName: textOf(values.operationName),
    ids: isId && query !== undefined ? [...ids, query] : ids,
    hash,
  }
}

/** Each of our names once at most; what decoders or parsers of query strings disagree about throws. */
function pairsOf(encoded: string): Values {
  if (/[?#;]/.test(encoded)) throw new Unclear('a query string that some cut short')
  const values: Record<string, string> = {}
  for (const pair of encoded.split('&')) {
    const at = pair.indexOf('=')
    const name = decoded(at < 0 ? pair : pair.slice(0, at))
    // Some parsers make the same of `query[]`, `[query]`, `query.x` or ` query`.
    if (!lowerNames.has(/\w+/.exec(name)?.[0].toLowerCase() ?? '')) continue
    if (!names.includes(name) || name in values) throw new Unclear('a name in two ways')
    values[name] = at < 0 ? '' : decoded(pair.slice(at + 1))
  }
  return values
}

/** Where this throws, some decoders leave all of the text as it was, and some a part of it. */
const decoded = (text: string) => decodeURIComponent(text.replaceAll('+', ' '))

function recordOf(value: unknown): Values {
  // No list, and no FormData, whose values are elsewhere.
  if (typeof value !== 'object' || value === null || Symbol.iterator in value)
    throw new Unclear('no object')
  // Where somebody copies it, this becomes what the copy inherits.
  if (Object.hasOwn(value, '__proto__')) throw new Unclear('no plain object')
  return value as Values
}

/** Nothing and the empty text are the same to servers: they look elsewhere. */
function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string') throw new Unclear('no text')
  return value
}

/** Objects come as JSON in query strings. */
const parsed = (value: unknown): unknown =>
  typeof value === 'string' ? (value === '' ? undefined : JSON.parse(value)) : value
