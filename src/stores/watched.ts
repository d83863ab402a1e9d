import { warnOnce } from '../warnings.ts'

/** Whether the store's messages can be relied on at this moment. */
export interface Watched {
  /** What the store says of itself. */
  is(up: boolean): void
  isHealthy(): boolean
  close(): void
}

/**
 * A process that stood still (a long pause of the collector, a suspended machine) has not heard what was said
 * meanwhile, and serves requests before its own timers tell it so. A pulse does: where it stopped for
 * longer than the lag, nothing is taken for heard until it beats again.
 */
export function createWatched(lagMs: number): Watched {
  let up = false
  let beatAt = 0
  let pulse: ReturnType<typeof setInterval> | undefined

  const beat = () => {
    beatAt = Date.now()
  }

  function close(): void {
    clearInterval(pulse)
    pulse = undefined
  }

  return {
    is(now) {
      up = now
      if (!up) {
        close()
        warnOnce(
          'ONBEHALF_WATCH',
          'the messages of the store do not arrive at the moment; answers are read again after "revocationLagMs" until they do',
        )
        return
      }
      beat()
      pulse ??= setInterval(beat, lagMs / 4)
      pulse.unref?.()
    },
    isHealthy: () => up && Math.abs(Date.now() - beatAt) < lagMs,
    close,
  }
}
