import { isImpersonationError } from 'onbehalf'
import type { User } from './users.ts'

/** Whatever the application itself refuses. */
export class Problem extends Error {
  readonly status: number

  constructor(status: number, title: string) {
    super(title)
    this.status = status
  }
}

/** @throws {Problem} 401 when nobody is logged in */
export function signedIn(user: User | null | undefined): User {
  if (!user) throw new Problem(401, 'Log in first')
  return user
}

/**
 * How an error leaves the application: its own problems and the refusals of `impersonation.guard()`
 * as one kind of document. Null for what is nobody's business outside.
 */
export function documentOf(error: unknown): { status: number; body: string; type: string } | null {
  const type = 'application/problem+json; charset=utf-8'
  if (isImpersonationError(error)) {
    return { status: error.status, body: JSON.stringify(error), type }
  }
  if (error instanceof Problem) {
    const { status, message: title } = error
    return { status, body: JSON.stringify({ type: 'about:blank', title, status }), type }
  }
  return null
}
