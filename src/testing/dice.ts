/** Numbers that look random and come again with the same seed: Marsaglia's xorshift. */
export interface Dice {
  /** A whole number from 0 to `sides - 1`. */
  roll(sides: number): number
  pick<T>(choices: readonly T[]): T
  /** True once in so many times. */
  oneIn(times: number): boolean
}

export function createDice(seed: number): Dice {
  let state = Math.trunc(seed) | 0 || 1
  function roll(sides: number): number {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % sides
  }
  // Small seeds begin with small numbers.
  for (let n = 0; n < 10; n++) roll(2)
  return {
    roll,
    pick: <T>(choices: readonly T[]) => choices[roll(choices.length)] as T,
    oneIn: (times) => roll(times) === 0,
  }
}
