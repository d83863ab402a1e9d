import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ChainKeys, macOf, sealOf } from '../../src/audit/seal.ts'
import { type Checkpoint, verifyChain } from '../../src/audit/verify.ts'
import type { ChainedEvent, ChainSection, Link } from '../../src/stores/chain.ts'
import type { AuditEvent } from '../../src/types.ts'

const keysOf = (current: string, ...ids: string[]): ChainKeys => ({
  current,
  secrets: new Map(
    [current, ...ids].map((id) => [id, new TextEncoder().encode(`${id} `.padEnd(32, 'k'))]),
  ),
})
const keys = keysOf('2030')

function eventOf(n: number, changes: Partial<AuditEvent> = {}): AuditEvent {
  return {
    id: `event-${n}`,
    at: 1000 + n,
    action: n % 2 === 0 ? 'impersonation.started' : 'impersonation.stopped',
    outcome: 'success',
    code: null,
    actorId: 'root',
    targetUserId: 'alice',
    actorOrgId: null,
    targetOrgId: 'acme',
    sessionId: `session-${n >> 1}`,
    grantId: null,
    reason: 'ticket 7',
    ipAddress: '192.0.2.1',
    userAgent: 'curl',
    clientId: null,
    requestId: null,
    details: { access_level: 'view', expires_at: 5000, ended_note: null },
    ...changes,
  }
}

/** A database that anybody may write to. */
interface Rows {
  links: Link[]
  events: Map<string, AuditEvent>
}

function append(rows: Rows, event: AuditEvent, by: ChainKeys = keys): void {
  rows.links.push(sealOf(event, by)(rows.links.at(-1) ?? null))
  rows.events.set(event.id, event)
}

function chainOf(count: number, by: ChainKeys = keys): Rows {
  const rows: Rows = { links: [], events: new Map() }
  for (let n = 0; n < count; n++) append(rows, eventOf(n), by)
  return rows
}

const section = ({ links, events }: Rows): ChainSection => ({
  readHead: async () => links.at(-1) ?? null,
  readLinks: async (after, limit) =>
    links
      .filter(({ seq }) => seq > after)
      .slice(0, limit)
      .map((link): ChainedEvent => ({ link, event: events.get(link.eventId) ?? null })),
  readUnsealed: async (from, limit) =>
    [...events.values()]
      .filter(({ id, at }) => at >= from && !links.some(({ eventId }) => eventId === id))
      .slice(0, limit),
})

const verify = (rows: Rows, options = {}, by: ChainKeys = keys) =>
  verifyChain(section(rows), by, options)

async function problemOf(rows: Rows, options = {}, by: ChainKeys = keys) {
  const { ok, firstBad } = await verify(rows, options, by)
  expect(ok).toBe(firstBad === undefined)
  return firstBad ? `${firstBad.problem} at ${firstBad.seq ?? firstBad.eventId}` : 'none'
}

/** Puts something else into a place of the list. */
function change<T extends object>(rows: T[], n: number, changes: Partial<T>): void {
  rows[n] = { ...(rows[n] as T), ...changes }
}

const headOf = ({ links }: Rows): Checkpoint => {
  const { seq, mac } = links.at(-1) as Link
  return { seq, mac, at: 0 }
}

describe('a chain that nobody touched', () => {
  it.each([0, 1, 2, 2000, 2001, 4000])('of %i links holds', async (count) => {
    const told: number[] = []
    const onProgress = (checked: number) => told.push(checked)
    expect(await verify(chainOf(count), { onProgress })).toEqual({ ok: true, checked: count })
    expect(told.at(-1)).toBe(count)
  })

  it('holds over a rotation of keys, while the old one is there', async () => {
    const rows = chainOf(3)
    const next = keysOf('2031', '2030')
    for (let n = 3; n < 6; n++) append(rows, eventOf(n), next)
    expect(await problemOf(rows, {}, next)).toBe('none')
    expect(await problemOf(rows, {}, keysOf('2031'))).toBe('key_unknown at 1')
    expect(await problemOf(rows)).toBe('key_unknown at 4')
  })

  it('holds against an earlier checkpoint while it grows', async () => {
    const rows = chainOf(3)
    const checkpoint = headOf(rows)
    append(rows, eventOf(3))
    expect(await problemOf(rows, { checkpoint })).toBe('none')
  })

  it('holds though databases replace what they can’t keep, and sort details as they like', async () => {
    const rows = chainOf(1)
    append(rows, eventOf(1, { reason: 'a\0b\ud800', details: { b: '\0', a: 1, c: 'x\udc00' } }))
    const stored = eventOf(1, {
      reason: 'a\uFFFDb\uFFFD',
      details: { c: 'x\uFFFD', a: 1, b: '\uFFFD' },
    })
    rows.events.set(stored.id, stored)
    expect(await problemOf(rows)).toBe('none')
  })
})

describe('tampering is named:', () => {
  const others: Partial<AuditEvent>[] = [
    ...[{ at: 1 }, { action: 'impersonation.revoked' as const }, { outcome: 'refused' as const }],
    ...[{ code: 'not_allowed' }, { actorId: 'boss' }, { actorId: null }, { targetUserId: 'bob' }],
    ...[{ actorOrgId: 'x' }, { targetOrgId: null }, { sessionId: 'other' }, { grantId: 'g' }],
    ...[{ reason: 'another' }, { reason: null }, { ipAddress: null }, { ipAddress: '192.0.2.2' }],
    ...[{ userAgent: 'wget' }, { clientId: 'c' }, { requestId: 'r' }, { details: {} }],
    { details: { access_level: 'full', expires_at: 5000, ended_note: null } },
    { details: { access_level: 'view', expires_at: 5000, ended_note: 'words' } },
  ]
  it.each(others)('an event that says %j', async (changes) => {
    const rows = chainOf(5)
    rows.events.set('event-2', { ...eventOf(2), ...changes })
    expect(await problemOf(rows)).toBe('event_changed at 3')
  })

  it('an event removed, with its link or without', async () => {
    const rows = chainOf(5)
    rows.events.delete('event-2')
    expect(await problemOf(rows)).toBe('event_missing at 3')
    rows.links.splice(2, 1)
    expect(await problemOf(rows)).toBe('link_missing at 4')
    // Numbered anew, so that no gap shows.
    rows.links = rows.links.map((link, n) => ({ ...link, seq: n + 1 }))
    expect(await problemOf(rows)).toBe('link_forged at 3')
  })

  it('two events that changed places, and two links', async () => {
    const rows = chainOf(5)
    rows.events.set('event-1', { ...eventOf(2), id: 'event-1' })
    rows.events.set('event-2', { ...eventOf(1), id: 'event-2' })
    expect(await problemOf(rows)).toBe('event_changed at 2')
    const swapped = chainOf(5)
    const [, second, third] = swapped.links as [Link, Link, Link]
    change(swapped.links, 1, { ...third, seq: 2 })
    change(swapped.links, 2, { ...second, seq: 3 })
    expect(await problemOf(swapped)).toBe('link_forged at 2')
  })

  it('an end that was cut off, by the head where it was left, else by a checkpoint', async () => {
    const rows = chainOf(5)
    const checkpoint = headOf(rows)
    const left = { ...section(rows), readHead: async () => checkpoint }
    rows.links.length = 3
    rows.events.delete('event-3')
    rows.events.delete('event-4')
    expect(await verifyChain(left, keys)).toMatchObject({
      firstBad: { problem: 'cut_off', seq: 4 },
    })
    expect(await problemOf(rows)).toBe('none')
    expect(await problemOf(rows, { checkpoint })).toBe('cut_off at 4')
    expect(await problemOf(chainOf(0), { checkpoint })).toBe('cut_off at 1')
  })

  it('a chain made anew with the key, by a checkpoint', async () => {
    const checkpoint = headOf(chainOf(5))
    expect(await problemOf(chainOf(7))).toBe('none')
    expect(await problemOf(chainOf(7), { checkpoint })).toBe('rewritten at 5')
  })

  it('a chain made anew without the key', async () => {
    const forged = chainOf(5, keysOf('mine'))
    expect(await problemOf(forged)).toBe('key_unknown at 1')
    forged.links = forged.links.map((link) => ({ ...link, keyId: '2030' }))
    expect(await problemOf(forged)).toBe('link_forged at 1')
  })

  it('an event put in without a link', async () => {
    const rows = chainOf(3)
    rows.events.set('mine', eventOf(1, { id: 'mine' }))
    expect(await problemOf(rows)).toBe('event_added at mine')
    expect(await problemOf(rows, { from: 1002 })).toBe('none')
  })

  it('a link that says to have been erased while the data is still there, or another', async () => {
    const rows = chainOf(3)
    change(rows.links, 1, { salt: null })
    expect(await problemOf(rows)).toBe('event_changed at 2')
  })

  it('each member of each link', async () => {
    const members = ['mac', 'digest', 'personalDigest', 'eventId', 'keyId', 'salt'] as const
    for (const member of members) {
      const rows = chainOf(3)
      change(rows.links, 1, { [member]: 'A'.repeat(43) })
      expect(await problemOf(rows), member).toMatch(/ at 2$/)
    }
  })

  it('whatever is done to it, by anybody without the key', async () => {
    const n = fc.nat({ max: 11 })
    const text = fc.string({ maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(n, n, text, fc.nat({ max: 6 }), async (a, b, word, how) => {
        const rows = chainOf(12)
        const before = JSON.stringify([rows.links, [...rows.events]])
        const event = rows.events.get(`event-${a}`) as AuditEvent
        if (how === 0) rows.events.set(event.id, { ...event, reason: word })
        if (how === 1) rows.events.delete(event.id)
        if (how === 2) rows.links.splice(a, 1)
        if (how === 3) change(rows.links, a, { ...(rows.links[b] as Link), seq: a + 1 })
        if (how === 4) change(rows.links, a, { digest: word })
        if (how === 5) rows.links.splice(a, 2, ...rows.links.slice(a, a + 2).reverse())
        if (how === 6) rows.events.set(event.id, { ...event, details: { [word]: b } })
        const touched = JSON.stringify([rows.links, [...rows.events]]) !== before
        const { ok } = await verify(rows, { checkpoint: headOf(chainOf(12)) })
        // The checkpoint is of a chain with other salts, so it always differs; without one, all but a cut end shows.
        expect(ok).toBe(false)
        const cut = how === 2 && a === 11
        expect((await verify(rows)).ok).toBe(!touched || (cut && !rows.events.has('event-11')))
      }),
      { numRuns: 300 },
    )
  })
})

describe('asking for a part', () => {
  it('checks what events say there, and every link', async () => {
    const rows = chainOf(6)
    rows.events.set('event-4', { ...eventOf(4), reason: 'changed' })
    expect(await problemOf(rows, { sessionId: 'session-0' })).toBe('none')
    expect(await problemOf(rows, { sessionId: 'session-2' })).toBe('event_changed at 5')
    expect(await problemOf(rows, { from: 1005 })).toBe('none')
    expect(await problemOf(rows, { to: 1004 })).toBe('none')
    expect(await problemOf(rows, { from: 1004, to: 1005 })).toBe('event_changed at 5')
    change(rows.links, 0, { digest: 'x' })
    expect(await problemOf(rows, { from: 1005 })).toBe('link_forged at 1')
  })
})

it('no link tells its key, and each has a salt of its own', () => {
  const rows = chainOf(50)
  expect(new Set(rows.links.map(({ salt }) => salt)).size).toBe(50)
  const [first] = rows.links as [Link]
  expect(macOf(first, null, keysOf('other').secrets.get('other') as Uint8Array)).not.toBe(first.mac)
  expect(JSON.stringify(rows.links)).not.toContain('kkkk')
})
