import type { Place } from '../../stores/store.ts'
import type { TokenFilter, TokenSection } from '../../stores/tokens.ts'
import type { ApiToken } from '../../types.ts'
import { type Rule, same, t0 } from './fixtures.ts'
import { everyPage, newestFirst } from './lists.ts'
import { allTokens, issue, whereIssued } from './token-fixtures.ts'

export function tokenListRules(someRule: Rule): void {
  const rule = whereIssued(someRule)

  rule('tokens are listed newest first, ties by id, and paged without loss', async (_, tokens) => {
    const expected = newestFirst(await manyTokens(tokens), (token) => token.createdAt)
    same(await allTokens(tokens), expected)
    for (const limit of [1, 2, 3, 100]) {
      const read = (before?: Place) => tokens.listTokens({}, { limit, before })
      same(await everyPage(read, limit, (token) => token.createdAt), expected, `pages of ${limit}`)
    }
    const before = { at: t0 + 1, id: 'list-4x' }
    same(
      await tokens.listTokens({}, { limit: 100, before }),
      expected.filter(
        ({ createdAt, id }) => createdAt < before.at || (createdAt === before.at && id < before.id),
      ),
      'after a place whose row is not there',
    )
  })

  rule('every filter of tokens holds, alone and together', async (_, tokens) => {
    const stored = newestFirst(await manyTokens(tokens), (token) => token.createdAt)
    const cases: [TokenFilter, (token: ApiToken) => boolean][] = [
      [{ userId: 'owner-1' }, (t) => t.userId === 'owner-1'],
      [{ userId: 'issuer-1' }, () => false],
      [{ issuedBy: 'issuer-2' }, (t) => t.issuedBy === 'issuer-2'],
      [{ issuedBy: 'owner-1' }, () => false],
      [{ orgId: 'org-1' }, (t) => t.userOrgId === 'org-1'],
      [{ orgId: 'owner-1' }, () => false],
      [
        { userId: 'owner-0', issuedBy: 'issuer-2' },
        (t) => t.userId === 'owner-0' && t.issuedBy === 'issuer-2',
      ],
      [
        { userId: 'owner-0', orgId: 'org-1', issuedBy: 'issuer-0' },
        (t) => t.userId === 'owner-0' && t.userOrgId === 'org-1' && t.issuedBy === 'issuer-0',
      ],
    ]
    for (const [filter, matches] of cases) {
      const name = JSON.stringify(filter)
      const expected = stored.filter(matches)
      same(await tokens.listTokens(filter, { limit: 100 }), expected, name)
      const read = (before?: Place) => tokens.listTokens(filter, { limit: 1, before })
      same(await everyPage(read, 1, (token) => token.createdAt), expected, `${name}, paged`)
    }
  })

  rule('tokens that nobody can use any more are listed as well', async (_, tokens) => {
    const token = await issue(tokens, { revokedAt: t0, expiresAt: t0 - 1, replacedBy: 'token-x' })
    same(await tokens.listTokens({ userId: token.userId }, { limit: 9 }), [token])
  })
}

/** Two of everything, and instants that collide; ids in an order of their own. */
async function manyTokens(tokens: TokenSection): Promise<ApiToken[]> {
  const stored: ApiToken[] = []
  for (const [n, id] of ['5', '2', '9', '1', '4', '7', '3', '8', '6'].entries()) {
    stored.push(
      await issue(tokens, {
        id: `list-${id}`,
        userId: `owner-${n % 2}`,
        issuedBy: `issuer-${n % 4}`,
        userOrgId: [null, 'org-1', 'org-2', null, 'org-1'][n % 5] ?? null,
        revokedAt: n % 4 === 0 ? t0 + 9 : null,
        createdAt: t0 + (n % 3),
      }),
    )
  }
  return stored
}
