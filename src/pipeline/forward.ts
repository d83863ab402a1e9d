import type { Impersonation } from '../types.ts'
import { encodeHeader } from './headers.ts'

/** The headers of a request, as Node, the web or a plain record hold them. */
export type IncomingHeaders =
  | Headers
  | Readonly<Record<string, string | readonly string[] | undefined>>

export interface ForwardOptions {
  /** Further headers to pass on. What may be a credential is left out while impersonating. @default [] */
  readonly allow?: readonly string[]
  /**
   * Passes the credentials that `allow` names on while impersonating, too.
   *
   * > [!WARNING]
   * > They are the actor's: the other service then sees the operator, with all their rights.
   */
  readonly credentials?: typeof actorCredentials
}

/** For `forwardHeaders`: lets the actor's own credentials out while impersonating. */
export const actorCredentials: unique symbol = Symbol('onbehalf.actorCredentials')

/** They name no person. */
const harmless = [
  'traceparent',
  'tracestate',
  'x-request-id',
  'x-correlation-id',
  'accept-language',
]
const credential =
  /auth|cookie|token|key|session|secret|credential|jwt|assertion|identity|user|email|signature/i

export function forwardedHeaders(
  context: Impersonation<unknown> | null,
  incoming: IncomingHeaders = {},
  { allow = [], credentials }: ForwardOptions = {},
): Record<string, string> {
  const forwarded: Record<string, string> = {}
  for (const [name, value] of entriesOf(incoming)) {
    const wanted = harmless.includes(name) || allow.some((one) => one.toLowerCase() === name)
    // What a client says of an impersonation is never passed on as if we had said it.
    if (!wanted || value === undefined || /^x-impersonat/.test(name)) continue
    if (context && credentials !== actorCredentials && credential.test(name)) continue
    forwarded[name] = typeof value === 'string' ? value : value.join(', ')
  }
  if (!context) return forwarded
  const { actorId, targetUserId, accessLevel, id } = context.session
  return {
    ...forwarded,
    'X-Impersonating': 'true',
    'X-Impersonated-User-Id': encodeHeader(targetUserId),
    'X-Impersonator-Id': encodeHeader(actorId),
    'X-Impersonation-Access-Level': accessLevel,
    // Not X-Impersonation-Session: that is a pin, and the other service may know it.
    'X-Impersonation-Id': encodeHeader(id),
  }
}

function entriesOf(
  incoming: IncomingHeaders,
): readonly (readonly [string, string | readonly string[] | undefined])[] {
  const entries = incoming instanceof Headers ? [...incoming] : Object.entries(incoming)
  return entries.map(([name, value]) => [name.toLowerCase(), value] as const)
}
