import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Store } from '../../stores/store.ts'
import type { MakeEntry, TrailHead, TrailSection } from '../../stores/trail.ts'
import type { TrailEntry } from '../../types.ts'
import { type Rule, same, t0 } from './fixtures.ts'

/** An entry before it has a place. */
export type Content = Omit<TrailEntry, 'seq' | 'keyId' | 'mac'>

/** A request that was read and answered, unless it is to be something else. */
export function contentOf(sessionId: string, changes: Partial<Content> = {}): Content {
  return {
    sessionId,
    at: t0,
    completes: null,
    method: 'GET',
    route: '/orders/:id',
    path: '/orders/7',
    status: 200,
    durationMs: 12,
    requestId: null,
    ...changes,
  }
}

/** What became of the request with this number. */
export const completionOf = (
  sessionId: string,
  completes: number,
  changes: Partial<Content> = {},
): Content =>
  contentOf(sessionId, {
    ...{ completes, method: null, route: null, path: null, status: 201, durationMs: 34 },
    ...changes,
  })

/** Makes an entry of it that is bound to the one before, like the core's. */
export const entry =
  (content: Content): MakeEntry =>
  (head) => {
    const seq = (head?.seq ?? 0) + 1
    return { ...content, seq, keyId: 'test', mac: macOf(head, content.path) }
  }

/** … and that is not sealed. */
export const unsealed =
  (content: Content): MakeEntry =>
  (head) => ({ ...content, seq: (head?.seq ?? 0) + 1, keyId: null, mac: null })

const macOf = (head: TrailHead | null, path: string | null) =>
  createHash('sha256')
    .update(JSON.stringify([head?.seq ?? 0, head?.mac ?? null, path]))
    .digest('base64url')

/** Appends these to the trail of their session, each bound to the one before it. */
export const append = (trail: TrailSection, sessionId: string, ...contents: readonly Content[]) =>
  trail.appendTrail(sessionId, contents.map(entry))

/** Everything that stands in the trails of these sessions. */
export const entriesOf = async (
  trail: TrailSection,
  ...sessionIds: readonly string[]
): Promise<TrailEntry[]> => [...(await trail.readTrails(sessionIds, null, 1_000_000))]

/** Every entry of a session that `entry` made: it stands behind the one that it was made from. */
export async function unbroken(trail: TrailSection, sessionId: string): Promise<TrailEntry[]> {
  const entries = await entriesOf(trail, sessionId)
  for (const [n, one] of entries.entries()) {
    const head = entries[n - 1] ?? null
    assert.equal(one.sessionId, sessionId)
    assert.equal(one.seq, n + 1, 'numbered without a gap')
    assert.equal(one.mac, macOf(head, one.path), `entry ${one.seq} is bound to the one before it`)
  }
  return entries
}

/** The end of an unbroken trail. */
export async function headOf(trail: TrailSection, sessionId: string): Promise<TrailHead | null> {
  const last = (await unbroken(trail, sessionId)).at(-1)
  return last ? { seq: last.seq, mac: last.mac } : null
}

/** A rule of the section `trail`: a store without it keeps these by having nothing to keep. */
export type TrailRule = (
  name: string,
  prove: (trail: TrailSection, store: Store) => Promise<void>,
) => void

export function whereTrailed(rule: Rule): TrailRule {
  return (name, prove) =>
    rule(name, async (store) => {
      if (store.trail) await prove(store.trail, store)
    })
}

/** What is in lists whose order is nobody's business. */
export function sameInAnyOrder(actual: readonly unknown[], expected: readonly unknown[]): void {
  const sorted = (all: readonly unknown[]) => all.map((one) => JSON.stringify(one)).sort()
  same(sorted(actual), sorted(expected))
}
