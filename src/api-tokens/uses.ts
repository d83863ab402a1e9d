import { LRUCache } from 'lru-cache'
import type { TokenSection } from '../stores/tokens.ts'
import type { ApiToken } from '../types.ts'

/** Keeps when tokens were last used, off the way of requests and at most once a minute each. */
export interface Uses {
  note(token: ApiToken, at: number): void
  /** Stores what waits. Never rejects: what can't be stored is noted again with the next use. */
  flush(): Promise<void>
}

const minuteMs = 60_000
const everyMs = 1000
const mostAtOnce = 200

export function createUses(store: Pick<TokenSection, 'touchTokens'>): Uses {
  /** When each was last noted, by id. */
  const noted = new LRUCache<string, number>({ max: 10_000 })
  const waiting = new Map<string, number>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let writing: Promise<void> = Promise.resolve()

  const isRecent = (last: number | null | undefined, at: number) =>
    last !== null && last !== undefined && at - last < minuteMs

  async function write(): Promise<void> {
    while (waiting.size > 0) {
      const batch = [...waiting].slice(0, mostAtOnce).map(([id, at]) => ({ id, at }))
      for (const { id } of batch) waiting.delete(id)
      try {
        await store.touchTokens(batch, minuteMs)
      } catch {
        for (const { id } of batch) noted.delete(id)
      }
    }
  }

  function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    writing = writing.then(write)
    return writing
  }

  return {
    note({ id, lastUsedAt }, at) {
      if (isRecent(lastUsedAt, at) || isRecent(noted.get(id), at)) return
      noted.set(id, at)
      waiting.set(id, at)
      timer ??= setTimeout(flush, everyMs)
      timer.unref?.()
    },
    flush,
  }
}
