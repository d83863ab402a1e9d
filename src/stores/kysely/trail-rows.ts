import type { TrailEntry } from '../../types.ts'
import { fromInstant, orNull, toId, toInstant, toText } from './rows.ts'
import type { ActionRow } from './schema.ts'

export function toActionRow(entry: TrailEntry): ActionRow {
  return {
    session_id: toId(entry.sessionId),
    seq: toCount(entry.seq),
    at: toInstant(entry.at),
    completes: orNull(entry.completes, toCount),
    method: toText(entry.method),
    route: toText(entry.route),
    path: toText(entry.path),
    status: orNull(entry.status, toCount),
    duration_ms: orNull(entry.durationMs, toInstant),
    request_id: toText(entry.requestId),
    key_id: entry.keyId,
    mac: entry.mac,
  }
}

export function fromActionRow(row: ActionRow): TrailEntry {
  return Object.freeze({
    sessionId: row.session_id,
    seq: Number(row.seq),
    at: fromInstant(row.at),
    completes: orNull(row.completes, Number),
    method: row.method,
    route: row.route,
    path: row.path,
    status: orNull(row.status, Number),
    durationMs: orNull(row.duration_ms, fromInstant),
    requestId: row.request_id,
    keyId: row.key_id,
    mac: row.mac,
  })
}

function toCount(count: number): number {
  if (Number.isSafeInteger(count)) return count
  throw new Error('The number of an entry and the status of an answer must be whole numbers.')
}
