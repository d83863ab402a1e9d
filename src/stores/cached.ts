import { LRUCache } from 'lru-cache'
import { ImpersonationError } from '../errors.ts'
import { isHeard, tell } from '../telemetry/channels.ts'

/**
 * A cache of answers by key that would rather ask again than be wrong: a hit is synchronous, any
 * number of concurrent misses are one load, a failed load is never kept, and an invalidation that
 * comes during a load wins over it.
 */
export interface Cached<V extends object, Hint> {
  /** The value if it is fresh, else a promise of a loaded one. `hint` goes to the load. */
  get(key: string, hint: Hint): V | Promise<V>
  /** Loads past the cache and past loads that were asked earlier. */
  fresh(key: string, hint: Hint): Promise<V>
  /** What is kept, fresh or not, without counting as a use. */
  peek(key: string): V | undefined
  /** Forgets a key, or all of them; loads under way for it are asked again. */
  invalidate(key: string | null): void
  /** Asks every load under way again; what is kept stays. */
  askAgain(): void
  values(): Iterable<V>
  entries(): Iterable<[key: string, value: V]>
  readonly size: number
}

export interface CacheParts<V, Hint> {
  readonly max: number
  isFresh(value: V): boolean
  load(key: string, hint: Hint, previous: V | undefined): Promise<V>
}

interface Load<V> {
  readonly promise: Promise<V>
  /** Whether the loader was called yet: who comes before that may share its answer as a fresh one. */
  asked: boolean
  superseded: boolean
}

/** How often a waiter follows newer loads before it gives up: reached only under a storm of changes. */
const patience = 20

export function createCache<V extends object, Hint>(parts: CacheParts<V, Hint>): Cached<V, Hint> {
  const entries = new LRUCache<string, V>({ max: parts.max })
  const loading = new Map<string, Load<V>>()

  function begin(key: string, hint: Hint, previous: V | undefined, turn: number): Promise<V> {
    const load: Load<V> = { promise: run(), asked: false, superseded: false }
    loading.set(key, load)
    return load.promise

    async function run(): Promise<V> {
      // One tick gathers a burst of readers, also those who want a fresh answer, into one load.
      await null
      load.asked = true
      try {
        const value = await parts.load(key, hint, previous)
        if (!load.superseded) {
          entries.set(key, value)
          return value
        }
      } finally {
        if (loading.get(key) === load) loading.delete(key)
      }
      if (turn >= patience) {
        const cause = new Error('the state changed faster than it could be read')
        throw new ImpersonationError('impersonation_unavailable', { cause })
      }
      return loading.get(key)?.promise ?? begin(key, hint, undefined, turn + 1)
    }
  }

  function supersede(key: string): void {
    const load = loading.get(key)
    if (load) load.superseded = true
    loading.delete(key)
  }

  function askAgain(): void {
    for (const key of [...loading.keys()]) supersede(key)
  }

  return {
    get(key, hint) {
      const kept = entries.get(key)
      const hit = kept !== undefined && parts.isFresh(kept)
      if (isHeard('onbehalf:cache')) tell('onbehalf:cache', { hit })
      if (hit) return kept
      return loading.get(key)?.promise ?? begin(key, hint, kept, 0)
    },
    fresh(key, hint) {
      const load = loading.get(key)
      if (load && !load.asked) return load.promise
      supersede(key)
      return begin(key, hint, undefined, 0)
    },
    peek: (key) => entries.peek(key),
    askAgain,
    invalidate(key) {
      if (key === null) {
        entries.clear()
        askAgain()
      } else {
        entries.delete(key)
        supersede(key)
      }
    },
    values: () => entries.values(),
    entries: () => entries.entries(),
    get size() {
      return entries.size
    },
  }
}
