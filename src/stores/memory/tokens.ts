import type { ApiToken } from '../../types.ts'
import type { RecordedEvent } from '../outbox.ts'
import type { TokenChange, TokenFilter, TokenSection } from '../tokens.ts'
import { paged, same } from './lists.ts'

/** @param prepareEvents throws what can't be stored, and gives what stores the rest */
export function createTokens(prepareEvents: (events: readonly RecordedEvent[]) => () => void) {
  const tokens = new Map<string, ApiToken>()
  /** The ids, by hash. */
  const ids = new Map<string, string>()

  const stillFrom = ({ from, after }: TokenChange) => tokens.get(after.id)?.revision === from

  function put(token: ApiToken): void {
    tokens.set(token.id, Object.freeze({ ...token, scopes: Object.freeze([...token.scopes]) }))
  }

  function swap({ after }: TokenChange): void {
    put({ ...after, lastUsedAt: tokens.get(after.id)?.lastUsedAt ?? null })
  }

  const section: TokenSection = {
    async createToken(token, hash, events, replaces) {
      if (replaces && !stillFrom(replaces)) return 'changed_since'
      if (tokens.has(token.id) || ids.has(hash)) throw new Error('This token is stored already.')
      const storeEvents = prepareEvents(events)
      if (replaces) swap(replaces)
      put(token)
      ids.set(hash, token.id)
      storeEvents()
      return 'created'
    },

    async readToken(tokenId) {
      return tokens.get(tokenId) ?? null
    },

    async findToken(hash) {
      return tokens.get(ids.get(hash) ?? '') ?? null
    },

    async listTokens(filter, page) {
      const matching = [...tokens.values()].filter((token) => matches(token, filter))
      return paged(matching, (token) => token.createdAt, page)
    },

    async changeToken(change, events) {
      if (!stillFrom(change)) return false
      const storeEvents = prepareEvents(events)
      swap(change)
      storeEvents()
      return true
    },

    async touchTokens(uses, everyMs) {
      for (const { id, at } of uses) {
        const token = tokens.get(id)
        if (!token || (token.lastUsedAt !== null && token.lastUsedAt > at - everyMs)) continue
        put({ ...token, lastUsedAt: at })
      }
    },
  }

  return { section, tokens, ids }
}

function matches(token: ApiToken, filter: TokenFilter): boolean {
  return (
    same(filter.userId, token.userId) &&
    same(filter.orgId, token.userOrgId) &&
    same(filter.issuedBy, token.issuedBy)
  )
}
