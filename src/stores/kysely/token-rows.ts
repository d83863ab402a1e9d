import type { ApiToken } from '../../types.ts'
import { fromInstant, orNull, toId, toInstant, toText } from './rows.ts'
import type { TokenRow } from './schema.ts'

/** All of a token but its hash, which nobody is given. */
export const tokenColumns = [
  ...(['id', 'user_id', 'user_org_id', 'name', 'prefix', 'scopes', 'issued_by'] as const),
  ...(['created_at', 'expires_at', 'last_used_at', 'revoked_at', 'revoked_by'] as const),
  ...(['replaced_by', 'revision'] as const),
] as const satisfies readonly (keyof TokenRow)[]

export function toTokenRow(token: ApiToken): TokenRow {
  return {
    id: toId(token.id),
    user_id: toId(token.userId),
    user_org_id: orNull(token.userOrgId, toId),
    name: toText(token.name) ?? '',
    prefix: toText(token.prefix) ?? '',
    scopes: JSON.stringify(token.scopes),
    issued_by: toId(token.issuedBy),
    created_at: toInstant(token.createdAt),
    expires_at: toInstant(token.expiresAt),
    last_used_at: orNull(token.lastUsedAt, toInstant),
    revoked_at: orNull(token.revokedAt, toInstant),
    // No key, only named: a revocation never fails over it.
    revoked_by: toText(token.revokedBy),
    replaced_by: orNull(token.replacedBy, toId),
    revision: token.revision,
  }
}

export function fromTokenRow(row: TokenRow): ApiToken {
  return Object.freeze({
    id: row.id,
    userId: row.user_id,
    userOrgId: row.user_org_id,
    name: row.name,
    prefix: row.prefix,
    scopes: Object.freeze(JSON.parse(row.scopes)),
    issuedBy: row.issued_by,
    createdAt: fromInstant(row.created_at),
    expiresAt: fromInstant(row.expires_at),
    lastUsedAt: orNull(row.last_used_at, fromInstant),
    revokedAt: orNull(row.revoked_at, fromInstant),
    revokedBy: row.revoked_by,
    replacedBy: row.replaced_by,
    revision: Number(row.revision),
  })
}

/** As the core makes them. Of anything else, a database may take two for one. */
export const isHash = (hash: unknown): hash is string =>
  typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash)

export function toHash(hash: string): string {
  if (isHash(hash)) return hash
  throw new Error('The hash of a token must be 64 hexadecimal digits in lower case.')
}
