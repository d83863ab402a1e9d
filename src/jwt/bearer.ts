import { ImpersonationError } from '../errors.ts'

/** The parts of Express, Fastify, Hono, Node and web requests that are looked at. */
interface RequestShape {
  /** Express and Node: an object; a web Request: Headers. */
  readonly headers?: HeaderBag | Headers
  readonly rawHeaders?: readonly string[]
  readonly headersDistinct?: Record<string, readonly string[] | undefined>
  /** Fastify: the Node request. */
  readonly raw?: Pick<RequestShape, 'rawHeaders' | 'headersDistinct'>
  /** Hono: `c.req`. */
  readonly req?: {
    readonly raw?: { readonly headers?: Headers }
    header?(name: string): string | undefined
  }
}
type HeaderBag = Record<string, string | readonly string[] | undefined>

/**
 * The bearer token of a request, or null when it carries none (RFC 6750, section 2.1).
 * @throws {ImpersonationError} `invalid_request`: more than one Authorization header.
 */
export function bearerToken(request: unknown): string | null {
  return bearerOf(authorization(request))
}

/**
 * The bearer token of an Authorization header, or null when it carries none (RFC 6750, section 2.1).
 * @throws {ImpersonationError} `invalid_request`: two headers that were joined to one.
 */
export function bearerOf(value: string | null | undefined): string | null {
  if (!value) return null
  if (value.includes(',') && isSeveral(value)) throw several()
  if (value.slice(0, 7).toLowerCase() !== 'bearer ') return null
  let start = 7
  while (value[start] === ' ') start++
  return value.slice(start)
}

function authorization(request: unknown): string | null | undefined {
  const { headers, rawHeaders, headersDistinct, raw, req } = (request ?? {}) as RequestShape
  // Node keeps the first of several in `headers` and says nothing of the others.
  const given = rawHeaders ?? raw?.rawHeaders
  if (given && timesGiven(given) > 1) throw several()
  const distinct = given ? undefined : (headersDistinct ?? raw?.headersDistinct)
  if ((distinct?.authorization?.length ?? 0) > 1) throw several()

  const bag = headers ?? req?.raw?.headers
  if (bag && typeof bag.get === 'function') return (bag as Headers).get('authorization')
  if (bag) {
    const value = (bag as HeaderBag).authorization
    if (value === undefined || typeof value === 'string') return value
    if (value.length > 1) throw several()
    return value[0]
  }
  if (typeof req?.header === 'function') return req.header('authorization')
  throw new TypeError(
    'jwtActor needs a request: of Express, Fastify or Node, a Hono context, or a web Request',
  )
}

function timesGiven(rawHeaders: readonly string[]): number {
  let times = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]
    if (name?.length === 13 && name.toLowerCase() === 'authorization') times++
  }
  return times
}

/**
 * Web requests join repeated headers with a comma. No bearer token holds one; the schemes that do
 * (Digest) have `name=value` behind it, never another scheme and its credentials.
 */
function isSeveral(value: string): boolean {
  const [, ...others] = value.replace(/"(?:[^"\\]|\\.)*"/g, '""').split(',')
  return others.some((other) => /^\s*[\w!#$%&'*+.^`|~-]+ +[^\s=]/.test(other))
}

function several(): ImpersonationError {
  return new ImpersonationError('invalid_request', {
    message: 'The request carries more than one Authorization header.',
  })
}
