import { randomBytes } from 'node:crypto'
import { type ChainKeys, sealOf } from '../../src/audit/seal.ts'
import { eventOf, minute, sessionOf } from '../../src/testing/store/fixtures.ts'
import type { AuditEvent } from '../../src/types.ts'
import type { Desk } from './desk.ts'

export const secretOf = () => randomBytes(32).toString('base64')

export const keysOf = (secret: string, id = 'default'): ChainKeys => ({
  current: id,
  secrets: new Map([[id, new TextEncoder().encode(secret)]]),
})

/** Stores sealed events, as servers with `audit.key` do; the first some minutes ago. */
export async function sealEvents(
  desk: Desk,
  keys: ChainKeys,
  n: number,
  sessionId = 'one',
): Promise<readonly AuditEvent[]> {
  const at = Date.now() - 5 * minute
  const events = Array.from({ length: n }, () => ({
    ...eventOf('impersonation.started', sessionOf({ id: sessionId })),
    at,
  }))
  await desk.store.appendEvents(events.map((event) => ({ ...event, seal: sealOf(event, keys) })))
  return events
}

/** A session from before the chain, whose own start nobody sealed. */
export function startBefore(desk: Desk, actorId = 'root', targetUserId = 'alice') {
  const now = Date.now()
  return desk.start({
    ...{ actorId, targetUserId },
    ...{ createdAt: now - 10 * minute, expiresAt: now + minute },
  })
}
