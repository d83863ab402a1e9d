import { LRUCache } from 'lru-cache'
import type { TokenSection } from '../stores/tokens.ts'
import type { ApiToken } from '../types.ts'

/** Keeps when tokens were last used, off the way of requests and at most once a minute each. */
export interface Uses {
  note(token: ApiToken, at: number): void
  /**
   * Stores what waits, and waits for it no longer than `limitMs`. Never rejects: what can't be stored is noted
   * again with the next use.
   */
  flush(): Promise<void>
}

const minuteMs = 60_000
const everyMs = 1000
const mostAtOnce = 200

export function createUses(store: Pick<TokenSection, 'touchTokens'>, limitMs: number): Uses {
  /** When each was last noted, by id. */
  const noted = new LRUCache<string, number>({ max: 10_000 })
  let waiting = new Map<string, number>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let writing: Promise<void> = Promise.resolve()

  const isRecent = (last: number | null | undefined, at: number) =>
    last !== null && last !== undefined && at - last < minuteMs

  /** What comes meanwhile waits for the next turn: a store that is down is not asked again at once. */
  async function write(): Promise<void> {
    const uses = [...waiting].map(([id, at]) => ({ id, at }))
    waiting = new Map()
    try {
      while (uses.length > 0) {
        await store.touchTokens(uses.slice(0, mostAtOnce), minuteMs)
        uses.splice(0, mostAtOnce)
      }
    } catch {
      for (const { id } of uses) noted.delete(id)
    }
  }

  function begin(): Promise<void> {
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
      timer ??= setTimeout(begin, everyMs)
      timer.unref?.()
    },
    async flush() {
      let late: ReturnType<typeof setTimeout> | undefined
      const limit = new Promise<void>((resolve) => {
        late = setTimeout(resolve, limitMs)
      })
      await Promise.race([begin(), limit])
      clearTimeout(late)
    },
  }
}
