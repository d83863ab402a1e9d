import type { AccessLevel, AuditEvent } from '../types.ts'
import { type SqlDialect, sqlDialects } from './lexer.ts'

/**
 * For `outside`: lets writes through where it is not known whether somebody is impersonated, such as
 * jobs and scripts.
 *
 * > [!WARNING]
 * > A context that got lost in a request (event emitters, streams) also is an outside. Better wrap
 * > jobs in `impersonation.run(null, () => …)`.
 */
export const allowOutsideRequests: unique symbol = Symbol('onbehalf.allowOutsideRequests')

export interface SqlGuardOptions {
  /** Narrows what is ambiguous. @default none: what any of the three reads otherwise is refused */
  dialect?: SqlDialect
  /**
   * Functions of your own database that change nothing, as statements write them: `slugify`,
   * `billing.total`. @default none beside built-in ones
   */
  readFunctions?: readonly string[]
  /** @default writes outside of requests are refused; `impersonation.run(null, …)` says that nobody is impersonated */
  outside?: typeof allowOutsideRequests
}

/** What the guards ask of an engine: every ImpersonationEngine has it. */
export interface ViewWall {
  tryCurrent():
    | { readonly session: { readonly accessLevel: AccessLevel; readonly actorId: string } }
    | null
    | undefined
  requireLevel(level: AccessLevel, details?: AuditEvent['details']): void
}

/** @throws {TypeError} naming the option in quotes */
export function checkOptions(impersonation: ViewWall, options: SqlGuardOptions): void {
  if (
    typeof impersonation?.tryCurrent !== 'function' ||
    typeof impersonation.requireLevel !== 'function'
  )
    throw new TypeError('"impersonation" must be what createImpersonation gave.')
  if (typeof options !== 'object' || options === null)
    throw new TypeError('"options" must be an object.')
  const { dialect, readFunctions, outside } = options
  if (dialect !== undefined && !sqlDialects.includes(dialect))
    throw new TypeError(`"dialect" must be one of ${sqlDialects.join(', ')}.`)
  if (readFunctions !== undefined && !isListOfNames(readFunctions))
    throw new TypeError('"readFunctions" must be a list of names of functions.')
  if (outside !== undefined && outside !== allowOutsideRequests)
    throw new TypeError('"outside" must be the symbol allowOutsideRequests of onbehalf/sql.')
}

export const isListOfNames = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((name) => typeof name === 'string' && name !== '')
