import { createHash } from 'node:crypto'
import type { Store } from '../../stores/store.ts'
import type { TokenChange, TokenSection } from '../../stores/tokens.ts'
import type { ApiToken, AuditEvent } from '../../types.ts'
import { eventOf, minute, nextId, type Rule, sessionOf, t0 } from './fixtures.ts'

/** What `root` issued for `alice` at `t0`, for half an hour. */
export function tokenOf(changes: Partial<ApiToken> = {}): ApiToken {
  return {
    id: nextId('token'),
    userId: 'alice',
    userOrgId: null,
    name: 'a test',
    prefix: 'pv_live_abcd',
    scopes: ['read'],
    issuedBy: 'root',
    createdAt: t0,
    expiresAt: t0 + 30 * minute,
    lastUsedAt: null,
    revokedAt: null,
    revokedBy: null,
    replacedBy: null,
    revision: 1,
    ...changes,
  }
}

/** The hash of the token with an id. */
export const hashOf = (id: string): string => createHash('sha256').update(id).digest('hex')

/** What follows on a token, from the revision that it has. */
export function stepOf(token: ApiToken, changes: Partial<ApiToken> = {}) {
  const after = { ...token, ...changes, revision: token.revision + 1 }
  return { from: token.revision, after } satisfies TokenChange
}

export const revocationOf = (token: ApiToken, by = 'boss') =>
  stepOf(token, { revokedAt: t0 + minute, revokedBy: by })

/** The one that comes in place of a token, and what becomes of that. */
export function rotationOf(token: ApiToken, changes: Partial<ApiToken> = {}) {
  const next = tokenOf({ ...token, id: nextId('token'), lastUsedAt: null, revision: 1, ...changes })
  const replaces = stepOf(token, { replacedBy: next.id, expiresAt: t0 + 5 * minute })
  return { next, replaces }
}

/** Stores a token with its event. */
export async function issue(
  tokens: TokenSection,
  changes: Partial<ApiToken> = {},
): Promise<ApiToken> {
  const token = tokenOf(changes)
  await tokens.createToken(token, hashOf(token.id), [tokenEvent(token)], null)
  return token
}

/** The event of a token, named by what became of it. */
export function tokenEvent(token: ApiToken, changes: Partial<AuditEvent> = {}): AuditEvent {
  const { issuedBy: actorId, userId: targetUserId } = token
  const past = token.revokedAt === null ? 'token.issued' : 'token.revoked'
  const action = token.replacedBy === null ? past : 'token.rotated'
  return { ...eventOf(action, sessionOf({ actorId, targetUserId })), sessionId: null, ...changes }
}

/** A rule of the section `tokens`: a store without it keeps these by having nothing to keep. */
export type TokenRule = (
  name: string,
  prove: (store: Store, tokens: TokenSection) => Promise<void>,
) => void

export function whereIssued(rule: Rule): TokenRule {
  return (name, prove) =>
    rule(name, async (store) => {
      if (store.tokens) await prove(store, store.tokens)
    })
}

export async function allTokens({ listTokens }: TokenSection): Promise<ApiToken[]> {
  return listTokens({}, { limit: 1_000_000 })
}

/** What a store says of a token: by its id, and by its hash. */
export const bothWays = async (tokens: TokenSection, { id }: { readonly id: string }) => [
  await tokens.readToken(id),
  await tokens.findToken(hashOf(id)),
]
