/** Longer than any crowd needs, shorter than anybody wants to wait for a hung connection. */
const patienceMs = 1_000

export type Queue = <T>(names: readonly string[], task: () => Promise<T>) => Promise<T>

/**
 * Lets tasks of this process that want the same name come one after the other. A courtesy, not a
 * lock: the database decides races, but a crowd on one actor would fill the pool with connections
 * that wait for each other, and on MySQL with attempts that fail. So nobody waits in it for ever.
 */
export function createQueue(): Queue {
  const tails = new Map<string, Promise<void>>()

  async function after<T>(name: string, task: () => Promise<T>): Promise<T> {
    const before = tails.get(name)
    const { promise: mine, resolve: done } = Promise.withResolvers<void>()
    tails.set(name, mine)
    try {
      if (before) await settledOrLate(before)
      return await task()
    } finally {
      done()
      if (tails.get(name) === mine) tails.delete(name)
    }
  }

  // In a fixed order, so that nobody waits for somebody who waits for them.
  return (names, task) =>
    [...new Set(names)].sort().reduceRight((inner, name) => () => after(name, inner), task)()
}

async function settledOrLate(before: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patienceMs)
  })
  await Promise.race([before, late])
  clearTimeout(timer)
}
