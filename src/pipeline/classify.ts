import type { ImpersonationOptions } from '../options.ts'
import type { Guardrail } from '../types.ts'
import { guardrailKinds } from '../types.ts'
import type { RequestView } from './identify.ts'
import {
  compilePatterns,
  type PatternSet,
  pathOf,
  type RoutePattern,
  readsOneWay,
} from './patterns.ts'

/**
 * What a request does, where its method does not tell (GraphQL, RPC, a GET that writes):
 * - `'read'`: it changes nothing, so `view` may do it, whatever its method;
 * - `'write'`: it changes something, so `view` may not, whatever its method;
 * - `{ guard }`: it is a guarded write, which no level may do;
 * - `'unknown'`: it can't be told, and might be a guarded write: refused at every level;
 * - undefined: its method and path tell.
 */
export type Classification =
  | 'read'
  | 'write'
  | 'unknown'
  | { readonly guard: Guardrail }
  | undefined

/** The request that `classify` is asked about. */
export interface ClassifyRequest {
  /** As sent. */
  readonly method: string
  /** The path as sent: from the host on, still encoded, without the query. */
  readonly path: string
  /** What follows the path, as sent: still encoded, from the `?` (or a stray `#`) on; empty when there is nothing. */
  readonly search: string
  readonly query: URLSearchParams
  /** By its name in any case; repeated headers are joined by commas. */
  header(name: string): string | undefined
  /**
   * The body, without taking it from the handler: what a parser has made of it, else JSON parsed, else
   * text; undefined when there is none. At most 1 MiB.
   * @throws {Error} when it can't be told: too large, compressed, not UTF-8, taken by somebody else,
   * JSON that does not parse. Let it throw: that makes the request unknown, and refused
   */
  body(): Promise<unknown>
  /**
   * Whether the path is this route for every router there is. Ask this before you say `'read'`.
   * @example request.is('POST /search') ? 'read' : undefined
   */
  is(pattern: RoutePattern): boolean
  /** Whether some router may take the path for this route. Never enough to say `'read'`. */
  mayBe(pattern: RoutePattern): boolean
  /** The framework's own request. */
  readonly native: unknown
}

const longestBody = 1024 * 1024
const utf8 = /;\s*charset\s*=\s*(?:utf-?8|"utf-?8")\s*(?=;|$)/gi

/** Asks the host's `classify`. Whatever it throws or gives that is no classification counts as unknown. */
export function createClassify<Req>(
  classify: NonNullable<ImpersonationOptions<object>['classify']>,
  view: RequestView<Req>,
) {
  const exact = compiler('exact')
  const loose = compiler('loose')

  return function ask(
    request: Req,
    readings: readonly string[],
  ): Classification | Promise<Classification> {
    const target = view.target(request)
    const path = pathOf(target)
    const method = view.method(request)
    const start = target.search(/[?#]/)
    const search = start < 0 ? '' : target.slice(start)
    const asked: ClassifyRequest = {
      method,
      path,
      search,
      get query() {
        return new URLSearchParams(search.split('#', 1)[0])
      },
      header: (name) => view.header(request, name.toLowerCase()),
      body: () => readBody(request, view),
      is: (pattern) => readsOneWay(path) && exact(pattern).find(method, [path]) !== undefined,
      mayBe: (pattern) => loose(pattern).find(method, readings) !== undefined,
      native: request,
    }
    try {
      const said = classify(asked)
      return said instanceof Promise ? said.then(checked, () => 'unknown' as const) : checked(said)
    } catch {
      return 'unknown'
    }
  }
}

function checked(said: Classification): Classification {
  if (said === undefined || said === 'read' || said === 'write') return said
  if (typeof said === 'object' && said !== null && guardrailKinds.includes(said.guard)) return said
  return 'unknown'
}

/** Patterns are compiled once, however often a hook asks for them. */
function compiler(spelling: 'loose' | 'exact') {
  const sets = new Map<string, PatternSet>()
  return (pattern: RoutePattern): PatternSet => {
    let set = sets.get(pattern)
    if (!set) {
      set = compilePatterns('classify', [pattern], spelling)
      // A pattern made from the request would let the map grow for ever.
      if (sets.size < 1000) sets.set(pattern, set)
    }
    return set
  }
}

async function readBody<Req>(request: Req, view: RequestView<Req>): Promise<unknown> {
  const type = view.header(request, 'content-type') ?? ''
  const encoding = view.header(request, 'content-encoding')?.trim().toLowerCase()
  const body = await view.peekBody?.(request, longestBody)
  if (body === undefined) throw new Error('the body can not be read without taking it away')
  if ('parsed' in body) return body.parsed
  if (body.bytes.length === 0) return undefined
  // What a parser further down makes of such a body is not known here.
  if (encoding !== undefined && encoding !== 'identity') throw new Error('the body is compressed')
  // Of two charsets some parsers take the first and some the last, and in UTF-7 a comment may end early.
  if (/charset/i.test(type.replace(utf8, ''))) throw new Error('the body is not UTF-8')
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body.bytes)
  return /^\s*[\w.+-]+\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type) ? JSON.parse(text) : text
}
