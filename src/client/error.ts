import type { ErrorCode, FieldError } from '../errors.ts'

/**
 * Why a call was refused: a code of the server's table, of a newer server perhaps, or `unexpected_answer`
 * where what came back was no answer of these routes (a page of a proxy, half a document).
 */
export type ClientErrorCode = ErrorCode | 'unexpected_answer' | (string & {})

/** A problem document (RFC 9457), with a code as the server has them. */
interface Problem {
  readonly code: ClientErrorCode
  readonly status: number
  readonly [member: string]: unknown
}

/** A refusal, as the client sees it. Tell them apart by `code`; it never holds a token or a login. */
export class ClientError extends Error {
  readonly code: ClientErrorCode
  /** Of the answer; 401 where the client itself knows that its session is over. */
  readonly status: number
  /** What the server says beyond the sentence of the code. */
  readonly detail: string | undefined
  /** Every offending place of what was sent, for `invalid_request`. */
  readonly errors: readonly FieldError[] | undefined
  /** Further members of the problem document, named as on the wire: `ended_reason`, `guardrail`, … */
  readonly details: Readonly<Record<string, unknown>>
  /** The answer, for its headers: its body has been read where one of the client's verbs was answered. */
  declare readonly response: Response | undefined

  constructor(problem: Problem, response?: Response) {
    const { type, title, code, status, detail, errors, ...details } = problem
    super(`${detail ?? title ?? code}`)
    this.name = 'ClientError'
    this.code = code
    this.status = status
    this.detail = typeof detail === 'string' ? detail : undefined
    this.errors = Array.isArray(errors) ? errors : undefined
    this.details = details
    // Not enumerable: its headers may hold cookies of the app, and errors are logged.
    Object.defineProperty(this, 'response', { value: response })
  }
}

/** Whether a value is a refusal that this client gave; works across copies of the package. */
export function isClientError(error: unknown): error is ClientError {
  return error instanceof Error && error.name === 'ClientError' && 'code' in error
}

/**
 * The refusal that an answer of the app carries (`application/problem+json` with a `code`), or null. The
 * answer can still be read afterwards. Rejects where its body was read before.
 */
export async function problemOf(response: Response): Promise<ClientError | null> {
  if (!isProblem(response)) return null
  const copy = response.clone()
  // Half a document tells nothing.
  return refusalOf(response, await copy.json().catch(() => null))
}

/** The refusal that a document tells; null where it tells none. */
export function refusalOf(response: Response, document: unknown): ClientError | null {
  return isProblem(response) && isRecord(document) && typeof document.code === 'string'
    ? new ClientError({ ...document, code: document.code, status: response.status }, response)
    : null
}

/** Whether a refusal tells that the session it was sent under is over. */
export function tellsOfEnd({ code, status }: ClientError): boolean {
  return status === 401 && /^(impersonation_(expired|revoked|ended)|grant_revoked)$/.test(code)
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const isProblem = ({ headers }: Response) =>
  /^application\/problem\+json\b/i.test(headers.get('content-type') ?? '')
