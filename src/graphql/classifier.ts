import { createHash } from 'node:crypto'
import type { Classification, ClassifyRequest } from '../pipeline/classify.ts'
import { compilePatterns, type RoutePattern } from '../pipeline/patterns.ts'
import { type Ask, askOfSearch, asksOfBody } from './asks.ts'
import { createReadDocument, type ReadDocument } from './documents.ts'
import { type FieldLists, guardedFields } from './fields.ts'
import { type Verdict, worst } from './verdict.ts'

export interface GraphqlClassifierOptions {
  /**
   * Where GraphQL is served: the full path, as the client sees it. A `*` at its end stands for
   * everything below. Whatever lies below without one is refused wherever it holds a document, because
   * `app.use('/graphql', …)` serves it. @default '/graphql'
   */
  path?: string | readonly string[]

  /**
   * The fields of each kind of write that nobody may do while impersonating: names of mutation fields,
   * or `'Query.exportKeys'`. They count wherever they stand in an operation. A kind that is left out
   * is guarded by the words of the shipped catalogue (`changePassword`, `createApiKey`), `[]` by none;
   * those count at the root of a mutation, and below it where a field is given arguments or is named by
   * what it does.
   * @default the words of the shipped catalogue, for every kind
   */
  guardrails?: FieldLists

  /**
   * Gives the document of a persisted operation by its id or hash, from where your server has it.
   * @default none: a request without its document is refused
   */
  persisted?: (id: string) => string | null | undefined | Promise<string | null | undefined>
}

/** Those that servers run operations by, or answer pages and preflights to. */
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'POST', 'QUERY'])

/**
 * Makes a `classify` for GraphQL: a request reads if every operation that some server might run for it
 * is a query or a subscription. Undefined for other paths, so that it can stand beside others.
 *
 * > [!WARNING]
 * > A query whose resolver writes counts as a read, and a subscription goes on until somebody ends it:
 * > end streams by the `signal` of `impersonation.current()`. Uploads by `multipart/form-data` can't be
 * > told, and are refused.
 * @throws {TypeError} naming an option that is wrong
 * @example
 * ```ts
 * const graphql = graphqlClassifier({ path: '/api/graphql', guardrails: { payment: ['buySeats'] } })
 * const options = { classify: (request) => graphql(request) ?? rpc(request) }
 * ```
 */
export function graphqlClassifier({
  path = '/graphql',
  guardrails,
  persisted,
}: GraphqlClassifierOptions = {}): (
  request: ClassifyRequest,
) => Classification | Promise<Classification> {
  const exact = [path].flat().map((one): RoutePattern => `* ${one as `/${string}`}`)
  const around = exact.map(
    (one): RoutePattern =>
      one.endsWith('/*') ? one : `${one.replace(/\/$/, '') as RoutePattern}/*`,
  )
  compilePatterns('path', exact)
  if (persisted !== undefined && typeof persisted !== 'function')
    throw new TypeError('option "persisted" must be a function of an id')
  const readDocument = createReadDocument(guardedFields(guardrails))

  return function graphqlClassify(request) {
    if (!around.some((one) => request.mayBe(one))) return undefined
    // What goes through a socket once it is open passes nobody.
    if (/websocket/i.test(request.header('upgrade') ?? '')) return 'unknown'
    return whole(request).catch(() => 'unknown' as const)
  }

  async function whole(request: ClassifyRequest): Promise<Classification> {
    const fromSearch = askOfSearch(request.search)
    const fromBody = await asksOfBody(request)
    const said: Verdict[] = []
    for (const ask of fromBody.length > 0 ? fromBody : [nothing]) {
      const verdicts = await verdictsOf(ask, fromSearch)
      said.push(...(verdicts.length === 0 && fromBody.length > 1 ? [worst([])] : verdicts))
    }
    // A page to type queries into, or a preflight.
    if (said.length === 0 && /^(?:GET|HEAD|OPTIONS)$/.test(request.method)) return undefined
    const verdict = worst(said)
    if (typeof verdict === 'object') return verdict
    return methods.has(request.method) && exact.some((one) => request.is(one)) ? verdict : 'unknown'
  }

  /** What two places ask for together; which of them a server prefers is not known. */
  async function verdictsOf(one: Ask, other: Ask): Promise<readonly Verdict[]> {
    const said = [...judge(readDocument, one, other), ...judge(readDocument, other, one)]
    const documents = [one, other].flatMap(({ document }) => document ?? [])
    for (const [asked, beside] of [
      [one, other],
      [other, one],
    ] as const) {
      for (const id of asked.hash === undefined ? asked.ids : [...asked.ids, asked.hash]) {
        if (documents.some((text) => sha256(text) === id)) continue
        const text = await persisted?.(id)
        for (const name of namesOf(asked, beside))
          said.push(typeof text === 'string' ? readDocument(text, name) : 'unknown')
      }
    }
    return said
  }
}

const nothing: Ask = { document: undefined, operationName: undefined, ids: [], hash: undefined }

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

function judge(read: ReadDocument, ask: Ask, other: Ask): readonly Verdict[] {
  const { document, ids, hash } = ask
  if (document === undefined) return []
  // With a flag that says so, what stands in its place is an id; a server that knows no such flag runs it.
  if (ids.includes(document)) return document.includes('{') ? ['unknown'] : []
  if (hash !== undefined && sha256(document) !== hash) return ['unknown']
  return namesOf(ask, other).map((name) => read(document, name))
}

/** The names a document may be run for: its own, the other place's, none. */
function namesOf({ operationName }: Ask, other: Ask): readonly (string | undefined)[] {
  return [...new Set([operationName, other.operationName ?? operationName])]
}
