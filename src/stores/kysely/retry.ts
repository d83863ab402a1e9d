/** How long a change is tried again before its last error is handed on, in milliseconds. */
const patienceMs = 4_000
const longestPauseMs = 25

/** Thrown inside a transaction that lost a race: what it read is no longer so. */
export class LostRace extends Error {
  override readonly name = 'LostRace'
}

/**
 * Whether an error says that nothing happened and that the same may succeed the next time: a
 * deadlock, a serialization failure, a busy SQLite file, or one of the keys that decide races. A
 * lost connection is not among them, for then nobody knows whether the change was committed.
 */
export function isTransient(error: unknown): boolean {
  if (error instanceof LostRace) return true
  if (!(error instanceof Error)) return false
  const { code, errno, errcode } = error as { code?: unknown; errno?: unknown; errcode?: unknown }
  return (
    // Postgres: serialization_failure, deadlock_detected
    code === '40001' ||
    code === '40P01' ||
    // MySQL: deadlock, lock wait timeout, record changed since last read
    errno === 1213 ||
    errno === 1205 ||
    errno === 1020 ||
    // SQLite: SQLITE_BUSY and SQLITE_LOCKED with their extended codes
    (typeof errcode === 'number' && [5, 6].includes(errcode & 0xff)) ||
    (typeof code === 'string' && /^SQLITE_(BUSY|LOCKED)/.test(code)) ||
    isDecidingKey(error)
  )
}

/** The keys that decide races, as Postgres and MySQL name them, and by their columns as SQLite does. */
const decidingKeys =
  /(?:constraint|key) .*(?:active_(?:actor|target|grant)_key|actions_place)|\.active_(?:actor|target|grant)_key|actions\.session_id, impersonation_actions\.seq/

/** A unique violation of a key that decides races: all three databases name it in the message. */
function isDecidingKey({ message }: Error): boolean {
  return /unique|duplicate/i.test(message) && decidingKeys.test(message)
}

/** Runs a task until it succeeds, fails for good, or `patienceMs` are over. */
export async function retried<T>(task: () => Promise<T>, forMs: number = patienceMs): Promise<T> {
  const deadline = performance.now() + forMs
  for (let attempt = 0; ; attempt++) {
    try {
      return await task()
    } catch (error) {
      if (!isTransient(error) || performance.now() >= deadline) throw error
    }
    await pause(Math.random() * Math.min(longestPauseMs, 2 ** attempt))
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
