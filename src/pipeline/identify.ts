import { ImpersonationError } from '../errors.ts'
import type { Guardrail } from '../types.ts'

/**
 * What an adapter tells of its framework's request: functions of the request, so that a request
 * costs no object of ours. Header names come in lower case; repeated headers are joined by commas.
 */
export interface RequestView<Req> {
  method(request: Req): string
  /** The request target as the client sent it, query included. */
  target(request: Req): string
  /** The path below the place where the middleware is mounted, without the query. */
  path(request: Req): string
  header(request: Req, name: string): string | undefined
  /** Whether there is more than one `Authorization` header. */
  hasTwoLogins(request: Req): boolean
  /** Takes a header away, wherever the framework keeps it. */
  removeHeader(request: Req, name: string): void
  /** The route the framework has matched, where it knows already, in each way a pattern may be written for it. */
  routes?(request: Req): readonly string[]
  /** The matched route as the app wrote it, where the framework knows it before the handler runs; for the record. */
  route?(request: Req): string | undefined
  /** The guardrail that the matched route is marked with, where the framework knows routes beforehand. */
  marked?(request: Req): Guardrail | undefined
  /**
   * The body, left in place for whoever reads it next: what a parser has made of it, or its bytes (none
   * when there is no body). Undefined when it is longer than `limit`, or somebody has taken it.
   */
  peekBody?(request: Req, limit: number): Promise<PeekedBody | undefined>
  /** Whether the request came by https, as the framework sees it. */
  isSecure(request: Req): boolean
  /** The client's address, as the framework sees it. */
  ip(request: Req): string | undefined
  /** The request in the web's form, made only for our own routes. `body` may be read by somebody before. */
  toRequest(request: Req): Request | Promise<Request>
}

export type PeekedBody = { readonly parsed: unknown } | { readonly bytes: Uint8Array }

/** What a client says it believes is active: a session's id, or `'none'`. */
export interface Pin {
  readonly id: string
  readonly by: 'header' | 'cookie'
}

export const pinHeader = 'x-impersonation-session'

/** The name of the hint cookie. `__Host-` keeps other hosts from planting it, but needs https. */
export function cookieName(secure: boolean): string {
  return secure ? '__Host-onbehalf' : 'onbehalf'
}

/**
 * Reads the pin; the header wins over the cookie.
 * @throws {ImpersonationError} invalid_request: two pins of a kind, or one that can't be a pin
 */
export function readPin(
  header: string | undefined,
  cookies: string | undefined,
  name: string,
): Pin | null {
  if (header !== undefined)
    return { id: checkPin(decode(header), 'X-Impersonation-Session'), by: 'header' }
  if (cookies === undefined || !cookies.includes(name)) return null
  let id: string | undefined
  for (const pair of cookies.split(';')) {
    const at = pair.indexOf('=')
    if (at < 0 || pair.slice(0, at).trim() !== name) continue
    const value = pair.slice(at + 1).trim()
    if (id !== undefined && id !== value) throw malformed(`the cookie ${name} is there twice`)
    id = value
  }
  // An emptied cookie says nothing.
  return id ? { id: checkPin(id, `the cookie ${name}`), by: 'cookie' } : null
}

function checkPin(id: string, where: string): string {
  if (/^[\x21-\x2b\x2d-\x7e]{1,255}$/.test(id)) return id
  throw malformed(`${where} must hold one session id or "none"`)
}

function decode(value: string): string {
  const trimmed = value.trim()
  try {
    return trimmed.includes('%') ? decodeURIComponent(trimmed) : trimmed
  } catch {
    return trimmed
  }
}

function malformed(message: string): ImpersonationError {
  return new ImpersonationError('invalid_request', {
    message:
      'The request says in two ways, or in none that can be read, which impersonation it means.',
    errors: [{ path: 'headers', message }],
  })
}

export function twoLogins(): ImpersonationError {
  return new ImpersonationError('invalid_request', {
    message: 'The request carries more than one Authorization header.',
    errors: [{ path: 'headers.authorization', message: 'must be there once' }],
  })
}
