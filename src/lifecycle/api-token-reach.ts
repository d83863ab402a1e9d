import { ImpersonationError } from '../errors.ts'
import type { People } from '../people.ts'
import type { Page } from '../stores/store.ts'
import type { TokenFilter, TokenSection } from '../stores/tokens.ts'
import type { ApiToken } from '../types.ts'
import { createReach } from './reach.ts'
import type { Caller } from './start.ts'

const mostAtOnce = 200

/**
 * Whose tokens somebody who may issue some reaches: everybody's, or those of the people in their own
 * organisation for whom they may. What is out of reach is not there.
 */
export interface TokenReach<User> {
  /** @throws {ImpersonationError} not_allowed, token_not_found: also where it is null */
  one(caller: Caller<User>, token: ApiToken | null): Promise<ApiToken>
  /** @throws {ImpersonationError} not_allowed */
  list(caller: Caller<User>, filter: TokenFilter, page: Page): Promise<ApiToken[]>
}

export function createTokenReach<User extends object>(
  people: People<User>,
  tokens: TokenSection,
): TokenReach<User> {
  const reach = createReach<User>(people)

  /** For whoever may in their organisation only. Asks once for each owner. */
  function coveredBy({ user, profile }: Caller<User>) {
    const known = new Map<string, Promise<boolean>>()

    async function covers(userId: string): Promise<boolean> {
      // As the member of that organisation, where they are in several.
      const owner = (await people.anybody(userId, profile.orgId)) ?? (await people.anybody(userId))
      // That of an account that is gone is still one of the organisation.
      return owner === null || (await people.may(user, 'issue_token', owner)) === true
    }

    return async ({ userId, userOrgId }: ApiToken): Promise<boolean> => {
      if (userOrgId === null || userOrgId !== profile.orgId) return false
      const covered = known.get(userId) ?? covers(userId)
      known.set(userId, covered)
      return covered
    }
  }

  return {
    async one(caller, token) {
      const scope = await reach.scope(caller, 'issue_token')
      if (!token || (scope !== null && !(await coveredBy(caller)(token))))
        throw new ImpersonationError('token_not_found')
      return token
    },

    async list(caller, filter, page) {
      const orgId = await reach.scope(caller, 'issue_token')
      if (orgId === null) return tokens.listTokens(filter, page)
      if (filter.orgId !== undefined && filter.orgId !== orgId) return []
      const covers = coveredBy(caller)
      // Many at once, because few of them may be within reach.
      const limit = Math.max(page.limit, mostAtOnce)
      const found: ApiToken[] = []
      for (let { before } = page; ; ) {
        const rows = await tokens.listTokens({ ...filter, orgId }, { limit, before })
        for (const row of rows) if (await covers(row)) found.push(row)
        const last = rows.at(-1)
        if (!last || rows.length < limit || found.length >= page.limit)
          return found.slice(0, page.limit)
        before = { at: last.createdAt, id: last.id }
      }
    },
  }
}
