/** What tests of the chain share with the processes they start. */
import assert from 'node:assert/strict'
import type { ChainKeys } from '../../src/audit/seal.ts'
import { verifyChain } from '../../src/audit/verify.ts'
import type { ChainSection } from '../../src/stores/chain.ts'
import type { Store } from '../../src/stores/store.ts'
import type { AuditEvent } from '../../src/types.ts'

export interface Person {
  readonly id: string
}

/** Four admins and six customers. */
export const everyone: ReadonlyMap<string, Person> = new Map(
  ['admin-0', 'admin-1', 'admin-2', 'admin-3', 'c-0', 'c-1', 'c-2', 'c-3', 'c-4', 'c-5'].map(
    (id) => [id, { id }],
  ),
)

export const auditKey = { id: '2030', secret: 'a secret of nobody but the tests' }

export const keysOf = (...all: readonly { id: string; secret: string }[]): ChainKeys => ({
  current: all[0]?.id ?? '',
  secrets: new Map(all.map(({ id, secret }) => [id, new TextEncoder().encode(secret)])),
})

export const chainKeys = keysOf(auditKey)

export function chainOf(store: Store): ChainSection {
  assert.ok(store.chain, 'this store has a chain')
  return store.chain
}

/** How many events of each action there are. */
export function countActions(events: readonly AuditEvent[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { action } of events) counts[action] = (counts[action] ?? 0) + 1
  return counts
}

const endings = ['stopped', 'replaced', 'revoked', 'expired'].map((how) => `impersonation.${how}`)

/**
 * Every event is sealed, once and in one chain without a gap; every start is active or has ended, on record as
 * in the rows. Gives all events.
 */
export async function assertSealed(store: Store): Promise<AuditEvent[]> {
  const chain = chainOf(store)
  const events = await store.listEvents({}, { limit: 1e6 })
  assert.deepEqual(await verifyChain(chain, chainKeys), { ok: true, checked: events.length })
  assert.deepEqual(await chain.readUnsealed(0, 1), [], 'nothing is unsealed')
  const links = await chain.readLinks(0, 1e6)
  assert.deepEqual(
    links.map(({ link }) => link.seq),
    events.map((_, n) => n + 1),
  )
  assert.equal(new Set(links.map(({ link }) => link.eventId)).size, events.length)

  const sessions = await store.listSessions({}, { limit: 1e6 })
  const story = Map.groupBy(events, ({ sessionId }) => sessionId)
  for (const { id, status } of sessions) {
    const own = (story.get(id) ?? []).map(({ action }) => action)
    assert.equal(own.filter((action) => action === 'impersonation.started').length, 1, id)
    assert.deepEqual(
      own.filter((action) => endings.includes(action)),
      status === 'active' ? [] : [`impersonation.${status}`],
      id,
    )
  }
  const counts = countActions(events)
  const ends = endings.reduce((sum, action) => sum + (counts[action] ?? 0), 0)
  const active = sessions.filter(({ status }) => status === 'active').length
  assert.equal(counts['impersonation.started'] ?? 0, sessions.length)
  assert.equal(counts['impersonation.started'] ?? 0, ends + active, 'starts = ends + active')
  return events
}
