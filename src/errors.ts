/**
 * The code table: every refusal the library can give, once.
 * The HTTP status and the default sentence hang on the code; README lists the same table.
 */
export const errorTable = {
  invalid_request: [400, 'The request is not as this route wants it.'],
  unauthenticated: [401, 'Log in first.'],
  insufficient_user_authentication: [401, 'Log in again: this needs a recent login.'],
  impersonation_expired: [
    401,
    'The impersonation has expired; nothing was done. Stop or start anew to go on as yourself.',
  ],
  impersonation_revoked: [
    401,
    'The impersonation was revoked; nothing was done. Stop or start anew to go on as yourself.',
  ],
  impersonation_ended: [
    401,
    'The impersonation has ended; nothing was done. Stop or start anew to go on as yourself.',
  ],
  grant_revoked: [
    401,
    'The user has withdrawn their consent; nothing was done. Stop or start anew to go on as yourself.',
  ],
  token_invalid: [401, 'The token is not valid.'],
  not_allowed: [403, 'You are not allowed to do this.'],
  self_impersonation: [403, 'Nobody can impersonate themselves.'],
  target_protected: [403, 'This user has privileges of their own and cannot be impersonated.'],
  grant_required: [403, 'The user has to consent first.'],
  access_level_exceeds_grant: [403, 'The user has consented to a lower access level.'],
  grant_view_only: [403, 'This impersonation may look but not change anything.'],
  full_access_required: [403, 'This route needs the access level full.'],
  impersonation_write_blocked: [403, 'This may never be done while impersonating.'],
  cross_origin_blocked: [403, 'This call comes from another origin.'],
  second_admin_required: [403, 'A second, different person has to confirm this.'],
  second_factor_invalid: [403, 'The one-time code is not valid.'],
  insufficient_scope: [403, 'The token does not cover this.'],
  target_not_found: [404, 'There is no such user.'],
  not_impersonating: [404, 'No impersonation is active.'],
  session_not_found: [404, 'There is no such session.'],
  grant_not_found: [404, 'There is no such grant.'],
  request_not_found: [404, 'There is no such request.'],
  token_not_found: [404, 'There is no such token.'],
  route_not_found: [404, 'There is no such route here.'],
  method_not_allowed: [405, 'This route does not know that method.'],
  payload_too_large: [413, 'The body is larger than 64 KiB.'],
  unsupported_media_type: [415, 'Send the body as application/json.'],
  rate_limited: [429, 'Too many impersonations were started; wait a while.'],
  target_inactive: [409, 'This user is inactive and cannot be impersonated.'],
  nested_impersonation: [409, 'This login is itself an impersonation.'],
  impersonation_already_active: [409, 'You are impersonating already; stop first.'],
  target_already_impersonated: [409, 'Somebody else is impersonating this user already.'],
  grant_already_in_use: [409, 'This grant is in use already.'],
  grant_not_granted: [409, 'This grant was not granted.'],
  token_not_active: [409, 'This token was revoked, has expired, or was rotated already.'],
  request_not_pending: [409, 'This request was decided already.'],
  impersonation_state_changed: [
    409,
    'Another impersonation is active than this request believes; nothing was done. Ask for the status and try again.',
  ],
  grant_expired: [410, 'The grant has expired.'],
  request_expired: [410, 'The request has expired.'],
  impersonation_unavailable: [
    503,
    'It cannot be told at the moment whether you are impersonating; nothing was done. Try again soon.',
  ],
} as const satisfies Record<string, readonly [status: number, message: string]>

export type ErrorCode = keyof typeof errorTable

export interface ErrorExtras {
  /** Instead of the table's sentence. */
  message?: string
  /** Every offending place of a body or query, for `invalid_request`. */
  errors?: readonly FieldError[]
  /** Further members of the problem document. */
  details?: Readonly<Record<string, string | number | boolean | null>>
  /** Further response headers. */
  headers?: Readonly<Record<string, string>>
  cause?: unknown
}

export interface FieldError {
  readonly path: string
  readonly message: string
}

/**
 * A refusal. It carries what each framework's error handler looks for: `status` (Express, Koa),
 * `statusCode` (Fastify, Express) and `getResponse()` (Hono). Tell refusals apart by `code`.
 */
export class ImpersonationError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly statusCode: number
  /** Response headers that belong to the refusal, such as `WWW-Authenticate`. */
  readonly headers: Readonly<Record<string, string>>
  readonly errors: readonly FieldError[] | undefined
  readonly details: Readonly<Record<string, string | number | boolean | null>> | undefined

  constructor(code: ErrorCode, extras: ErrorExtras = {}) {
    const [status, message] = errorTable[code]
    super(extras.message ?? message, extras.cause === undefined ? {} : { cause: extras.cause })
    this.name = 'ImpersonationError'
    this.code = code
    this.status = status
    this.statusCode = status
    this.errors = extras.errors
    this.details = extras.details
    this.headers = Object.freeze({ ...challenge(code, status), ...extras.headers })
  }

  /** The refusal as RFC 9457 writes it. */
  toJSON(): Record<string, unknown> {
    const title = errorTable[this.code][1]
    return {
      type: 'about:blank',
      title,
      status: this.status,
      code: this.code,
      ...(this.message !== title && { detail: this.message }),
      ...this.details,
      ...(this.errors && { errors: this.errors }),
    }
  }

  /** The refusal as a Response: `application/problem+json`, never stored by a cache. */
  getResponse(): Response {
    return new Response(JSON.stringify(this), {
      status: this.status,
      headers: {
        'Content-Type': 'application/problem+json; charset=utf-8',
        'Cache-Control': 'no-store, private',
        ...this.headers,
      },
    })
  }
}

/** Whether a value is a refusal of this library; works across copies of the package. */
export function isImpersonationError(error: unknown): error is ImpersonationError {
  return (
    error instanceof Error &&
    error.name === 'ImpersonationError' &&
    'code' in error &&
    'status' in error
  )
}

/** RFC 9110 wants a challenge on every 401; RFC 6750 wants none of the details where no login was sent. */
function challenge(code: ErrorCode, status: number): Record<string, string> {
  if (status === 401) {
    const error = code === 'token_invalid' ? 'invalid_token' : code
    return {
      'WWW-Authenticate':
        code === 'unauthenticated'
          ? 'Bearer realm="impersonation"'
          : `Bearer realm="impersonation", error="${error}"`,
    }
  }
  return status === 503 ? { 'Retry-After': '1' } : {}
}
