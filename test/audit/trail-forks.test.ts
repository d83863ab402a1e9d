/** Entries that the key did make, in places that are not theirs: of another session, or of a history that was undone. */
import { expect, it } from 'vitest'
import { placed } from '../../src/audit/trail-seal.ts'
import { createTrailCheck } from '../../src/audit/verify-trail.ts'
import { memoryStore } from '../../src/index.ts'
import { eventOf, sessionOf } from '../../src/testing/store/fixtures.ts'
import type { TrailEntry } from '../../src/types.ts'
import { chainKeys } from '../support/audited.ts'

/** Entries of these paths, each sealed behind the one before it. */
function trailOf(sessionId: string, ...paths: string[]): TrailEntry[] {
  const plain = { at: 1, completes: null, method: 'GET', route: null, status: 200, durationMs: 1 }
  const entries: TrailEntry[] = []
  for (const path of paths) {
    const content = { ...plain, sessionId, path, requestId: null }
    entries.push(placed(content, entries.at(-1) ?? null, chainKeys))
  }
  return entries
}

/** What is found where these entries are stored, and the session's end was sealed with this head. */
async function found(entries: readonly TrailEntry[], head: TrailEntry | undefined) {
  const { trail } = memoryStore()
  if (!trail) throw new Error('the store has no trail')
  const sessionId = entries[0]?.sessionId ?? ''
  await trail.appendTrail(
    sessionId,
    entries.map((entry) => () => entry),
  )
  const event = eventOf('impersonation.stopped', sessionOf({ id: sessionId }))
  const details = { trail_seq: head?.seq ?? 0, trail_mac: head?.mac ?? null }
  const link = {
    seq: 7,
    mac: '',
    eventId: event.id,
    keyId: '',
    digest: '',
    personalDigest: '',
    salt: null,
  }
  const check = createTrailCheck(trail, chainKeys)
  check.add({ link, event: { ...event, sessionId, details } })
  const bad = await check.rest()
  return bad && `${bad.problem} at ${bad.actionSeq}`
}

const [told, undone] = [trailOf('s-1', '/a', '/b', '/c'), trailOf('s-1', '/a', '/x', '/y')]

it('holds as it was made', async () => {
  expect(await found(told, told.at(-1))).toBeNull()
})

it('an entry of a history that was undone does not fit into another one', async () => {
  const spliced = [...told.slice(0, 2), ...undone.slice(2)]
  expect(await found(spliced, undone.at(-1))).toBe('action_forged at 3')
})

it('a whole history that was undone is not the one that the end of the session has sealed', async () => {
  expect(await found(undone, told.at(-1))).toBe('action_forged at 3')
})

it('an entry of another session is none of this one, also at the same place', async () => {
  const moved = trailOf('s-2', '/a').map((entry) => ({ ...entry, sessionId: 's-1' }))
  expect(await found(moved, moved.at(-1))).toBe('action_forged at 1')
})
