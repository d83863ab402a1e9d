import type { TrailAction, TrailEntry } from '../types.ts'
import type { MakeEntry, TrailHead } from './trail.ts'

/** What every store does with a trail. */

/** The entries behind a head, each made from the one before it. */
export function entriesBehind(
  head: TrailHead | null,
  sessionId: string,
  make: readonly MakeEntry[],
): TrailEntry[] {
  const made: TrailEntry[] = []
  for (const next of make) {
    const last = made.at(-1) ?? head
    const entry = next(last && { seq: last.seq, mac: last.mac })
    if (entry.sessionId !== sessionId || entry.seq !== (last?.seq ?? 0) + 1) {
      throw new TypeError(
        'An entry must be made for its session, and be numbered one after the head.',
      )
    }
    made.push(entry)
  }
  return made
}

/** What completes an entry says of it. */
export type Completion = Pick<TrailEntry, 'route' | 'status' | 'durationMs'>

/** An entry that stands for a request, put together with the first one that completes it. */
export function actionOf(entry: TrailEntry, completion: Completion | undefined): TrailAction {
  const { sessionId, seq, at, method, path, requestId } = entry
  const { status, durationMs } = completion ?? entry
  return Object.freeze({
    ...{ sessionId, seq, at, method: method ?? '', route: completion?.route ?? entry.route },
    ...{ path: path ?? '', status, durationMs, requestId },
  })
}

/** Each once, in the order of their bytes: UTF-16, which JavaScript sorts by, has another one. */
export function inByteOrder(ids: Iterable<string>): string[] {
  return [...new Set(ids)].sort(compareBytes)
}

/** What is no text, and so has no bytes of its own, is still told apart. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) || (a < b ? -1 : Number(a > b))
}
