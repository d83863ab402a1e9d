export type InTurn = <T>(key: string, work: () => Promise<T>) => Promise<T>

/** Does the work of one key one after the other; that of different keys side by side. */
export function createTurns(): InTurn {
  const last = new Map<string, Promise<unknown>>()
  return async function inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = last.get(key)
    const mine = before === undefined ? work() : before.then(work, work)
    last.set(key, mine)
    try {
      return await mine
    } finally {
      if (last.get(key) === mine) last.delete(key)
    }
  }
}
