import { isScope } from '../api-tokens/option.ts'
import { ImpersonationError } from '../errors.ts'
import type { ApiTokenContext } from '../types.ts'
import { warnOnce } from '../warnings.ts'

/** The wall for API tokens: what a token is not good for stops here. */
export interface ScopeWall<Scope extends string = string> {
  /**
   * Stops here when the request came with an API token that lacks one of these scopes. Whoever came by a login,
   * or impersonates somebody, passes: scopes narrow tokens only.
   * @throws {ImpersonationError} insufficient_scope
   * @throws {TypeError} for what is no scope of the option `apiTokens`
   * @throws {Error} outside a request, as `apiToken()` does
   */
  requireScope(...scopes: Scope[]): void
}

/** What the options allow, by the contexts that were made under them: for markers, which know no engine. */
const allowedBy = new WeakMap<object, ReadonlySet<string>>()

/** Freezes a context whose scopes are those that the options still name. */
export function tokenContext<User>(
  context: ApiTokenContext<User>,
  allowed: ReadonlySet<string>,
): ApiTokenContext<User> {
  const scopes = Object.freeze(context.scopes.filter((scope) => allowed.has(scope)))
  const made = Object.freeze({ ...context, scopes })
  allowedBy.set(made, allowed)
  return made
}

export function createScopeWall(
  apiToken: () => ApiTokenContext<unknown> | null,
  allowed: ReadonlySet<string> | undefined,
): ScopeWall {
  return {
    requireScope(...scopes) {
      checkScopes('requireScope', scopes)
      const unknown = scopes.find((scope) => !allowed?.has(scope))
      if (unknown !== undefined)
        throw new TypeError(
          `requireScope: the option "apiTokens.scopes" does not name "${unknown}"`,
        )
      const refusal = lacking(apiToken(), scopes)
      if (refusal) throw refusal
    },
  }
}

/** The refusal of a request whose API token lacks one of these scopes (RFC 6750, section 3.1); null where none does. */
export function lacking(
  token: ApiTokenContext<unknown> | null,
  scopes: readonly string[],
): ImpersonationError | null {
  if (token === null || scopes.every((scope) => token.scopes.includes(scope))) return null
  const allowed = allowedBy.get(token)
  const unknown = allowed && scopes.find((scope) => !allowed.has(scope))
  if (unknown !== undefined)
    warnOnce(
      'ONBEHALF_UNKNOWN_SCOPE',
      `a route wants the scope "${unknown}", which the option "apiTokens.scopes" does not name: no token passes there`,
    )
  const scope = scopes.join(' ')
  return new ImpersonationError('insufficient_scope', {
    details: { scope },
    headers: {
      'WWW-Authenticate': `Bearer realm="impersonation", error="insufficient_scope", scope="${scope}"`,
    },
  })
}

/** @throws {TypeError} where nothing is wanted, or something that no scope can be */
export function checkScopes(where: string, scopes: readonly unknown[]): void {
  if (scopes.length > 0 && scopes.every(isScope)) return
  throw new TypeError(`${where} wants one or more scopes such as 'upload'`)
}
