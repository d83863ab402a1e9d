import { createHmac } from 'node:crypto'
import type { TrailHead } from '../stores/trail.ts'
import type { TrailEntry } from '../types.ts'
import { type ChainKeys, keyObjectOf } from './seal.ts'

/** The entry in its place behind the head, sealed where there is a key. */
export function placed(
  entry: Omit<TrailEntry, 'seq' | 'keyId' | 'mac'>,
  head: TrailHead | null,
  keys: ChainKeys | undefined,
): TrailEntry {
  const seq = (head?.seq ?? 0) + 1
  if (!keys) return { ...entry, seq, keyId: null, mac: null }
  const { current, secrets } = keys
  const unsealed = { ...entry, seq, keyId: current }
  return { ...unsealed, mac: entryMac(unsealed, head, secrets.get(current) as Uint8Array) }
}

/** The mac that an entry has to have behind this head: nothing in it may be erased, so all of it goes in. */
export function entryMac(
  entry: Omit<TrailEntry, 'mac'>,
  head: TrailHead | null,
  key: Uint8Array,
): string {
  return createHmac('sha256', keyObjectOf(key))
    .update(
      JSON.stringify([
        ...['onbehalf trail 1', entry.sessionId, entry.seq, head?.mac ?? '', entry.keyId],
        ...[entry.at, entry.completes, entry.method, entry.route, entry.path],
        ...[entry.status, entry.durationMs, entry.requestId],
      ]),
    )
    .digest('base64url')
}
