/**
 * Two clocks read as one. Deadlines follow the wall clock (`now`); ages follow whichever of the wall
 * clock and the monotonic one says older, so that setting the wall clock back keeps nothing fresh.
 */
export interface Clock {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  instant(): Instant
  /** Whether `then` is at least this old. */
  olderThan(then: Instant, ms: number): boolean
}

export interface Instant {
  readonly wall: number
  readonly steady: number
}

export function createClock(now: () => number): Clock {
  return {
    now,
    instant: () => ({ wall: now(), steady: performance.now() }),
    olderThan(then, ms) {
      const age = now() - then.wall
      return age < 0 || age >= ms || performance.now() - then.steady >= ms
    },
  }
}
