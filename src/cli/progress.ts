import { count, type Sink } from './output.ts'

/** How far a command has come, on one line of a terminal that is gone at the end. */
export function progressOn(err: Sink, wanted: boolean, what: string) {
  const shown = wanted && err.isTTY
  return {
    at: async (n: number) => {
      if (shown) await err.write(`\r${count(n, what)}`)
    },
    end: async () => {
      if (shown) await err.write('\r\u001b[K')
    },
  }
}
