import type { RecordedEvent } from '../stores/outbox.ts'
import type { TokenChange, TokenUse } from '../stores/tokens.ts'
import type { ApiToken } from '../types.ts'

/** The API tokens in their plainest form. */
export interface TokenModel {
  readonly tokens: readonly ApiToken[]
  token(id: string): ApiToken | null
  tokenBy(hash: string): ApiToken | null
  createToken(
    token: ApiToken,
    hash: string,
    events: readonly RecordedEvent[],
    replaces: TokenChange | null,
  ): 'created' | 'changed_since' | 'taken'
  changeToken(change: TokenChange, events: readonly RecordedEvent[]): boolean
  touchTokens(uses: readonly TokenUse[], everyMs: number): void
}

/** @param record stores events with their deliveries */
export function createTokenModel(record: (events: readonly RecordedEvent[]) => void): TokenModel {
  let tokens: ApiToken[] = []
  const hashes = new Map<string, string>()
  const find = (id: string | undefined) => tokens.find((token) => token.id === id)

  function changeTo(after: ApiToken): void {
    tokens = tokens.map((other) => (other.id === after.id ? after : other))
  }

  function swap({ from, after }: TokenChange): boolean {
    const before = find(after.id)
    if (before?.revision !== from) return false
    changeTo({ ...after, lastUsedAt: before.lastUsedAt })
    return true
  }

  return {
    get tokens() {
      return tokens
    },
    token: (id) => find(id) ?? null,
    tokenBy: (hash) => find(hashes.get(hash)) ?? null,

    createToken(token, hash, events, replaces) {
      if (replaces && find(replaces.after.id)?.revision !== replaces.from) return 'changed_since'
      if (find(token.id) || hashes.has(hash)) return 'taken'
      if (replaces) swap(replaces)
      tokens.push(token)
      hashes.set(hash, token.id)
      record(events)
      return 'created'
    },

    changeToken(change, events) {
      if (!swap(change)) return false
      record(events)
      return true
    },

    touchTokens(uses, everyMs) {
      for (const { id, at } of uses) {
        const token = find(id)
        if (token && (token.lastUsedAt ?? Number.NEGATIVE_INFINITY) <= at - everyMs) {
          changeTo({ ...token, lastUsedAt: at })
        }
      }
    },
  }
}
