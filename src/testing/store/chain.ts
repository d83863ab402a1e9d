import assert from 'node:assert/strict'
import { type ChainKeys, sealOf } from '../../audit/seal.ts'
import { verifyChain } from '../../audit/verify.ts'
import type { ChainedEvent, ChainSection } from '../../stores/chain.ts'
import type { RecordedEvent } from '../../stores/outbox.ts'
import type { Store } from '../../stores/store.ts'
import type { AuditEvent } from '../../types.ts'
import {
  allEvents,
  claimOf,
  endedEvent,
  endingOf,
  eventOf,
  type Rule,
  same,
  sessionOf,
  start,
  t0,
} from './fixtures.ts'
import { lacks, ways } from './outbox-units.ts'

export const keys: ChainKeys = {
  current: 'test',
  secrets: new Map([['test', new TextEncoder().encode('a secret of the tests'.padEnd(32))]]),
}

export const sealed = (event: AuditEvent): RecordedEvent => ({
  ...event,
  seal: sealOf(event, keys),
})

const refusal = (changes: Partial<AuditEvent> = {}) =>
  eventOf('impersonation.refused', sessionOf(), { sessionId: null, ...changes })

const allLinks = (chain: ChainSection) => chain.readLinks(0, 1_000_000)

/** The ids along the chain, which holds; beside it may stand events that nobody sealed. */
async function idsOf(chain: ChainSection): Promise<string[]> {
  const links = await allLinks(chain)
  const { ok, checked, firstBad } = await verifyChain(chain, keys)
  assert.ok(ok || firstBad?.problem === 'event_added', JSON.stringify(firstBad))
  assert.equal(checked, links.length)
  const last = links.at(-1)?.link
  same(await chain.readHead(), last ? { seq: last.seq, mac: last.mac } : null)
  return links.map(({ link }) => link.eventId)
}

export function chainRules(someRule: Rule): void {
  const rule = (name: string, prove: (store: Store, chain: ChainSection) => Promise<void>) =>
    someRule(name, async (store) => {
      if (store.chain) await prove(store, store.chain)
    })

  for (const { name, prepare } of ways) {
    rule(
      `${name} puts its event at the end of the chain, in the same unit`,
      async (store, chain) => {
        if (lacks(store, name)) return
        const first = refusal()
        const act = await prepare(store)
        await store.appendEvents([sealed(first)])
        let told: AuditEvent | undefined
        await act((event) => {
          told = event
          return sealed(event)
        })
        same(await idsOf(chain), [first.id, told?.id])
        const stored = (await allEvents(store)).find(({ id }) => id === told?.id)
        same(stored, told, 'read back without its seal')
      },
    )

    rule(`${name} that does not happen leaves the chain as it was`, async (store, chain) => {
      if (lacks(store, name)) return
      const taken = refusal()
      const act = await prepare(store)
      await store.appendEvents([sealed(taken)])
      await assert.rejects(act((event) => sealed({ ...event, id: taken.id })))
      same(await idsOf(chain), [taken.id])
    })
  }

  rule('events of one unit follow each other as they were handed in', async (store, chain) => {
    const more = Array.from({ length: 7 }, (_, n) => refusal({ at: t0 - n }))
    await store.appendEvents(more.slice(0, 4).map(sealed))
    await store.appendEvents(more.slice(4).map(sealed))
    same(
      await idsOf(chain),
      more.map(({ id }) => id),
    )
  })

  rule('what a start ends comes before the start', async (store, chain) => {
    const before = await start(store)
    const claim = claimOf(sessionOf({ createdAt: t0 + 1 }), { onConflict: 'replace' })
    const ends: string[] = []
    const ended = (session: typeof before) =>
      endedEvent(session).map((event) => {
        ends.push(event.id)
        return sealed(event)
      })
    const { started } = claim.events
    await store.claimSession({ ...claim, events: { started: sealed(started), ended } })
    same(await idsOf(chain), [ends.at(-1), started.id])
  })

  rule('links are read in pages, each with its event', async (store, chain) => {
    const more = Array.from({ length: 5 }, () => refusal())
    await store.appendEvents(more.map(sealed))
    const all = await allLinks(chain)
    same(
      all.map(({ event }) => event),
      more,
    )
    const read: ChainedEvent[] = []
    for (let page = await chain.readLinks(0, 2); page.length > 0; ) {
      assert.ok(page.length <= 2)
      read.push(...page)
      page = await chain.readLinks(read.at(-1)?.link.seq ?? 0, 2)
    }
    same(read, all)
    same(await chain.readLinks(5, 9), [])
  })

  rule('an event without a seal has no link, and is found', async (store, chain) => {
    const plain = [t0 + 2, t0, t0 + 1, t0].map((at) => refusal({ at }))
    await store.appendEvents([
      plain[0],
      sealed(refusal({ at: t0 + 1 })),
      ...plain.slice(1),
    ] as never)
    const order = [...plain].sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))
    same(await chain.readUnsealed(0, 9), order)
    same(await chain.readUnsealed(t0 + 1, 9), order.slice(2))
    same(await chain.readUnsealed(0, 3), order.slice(0, 3))
    assert.equal((await allLinks(chain)).length, 1)
    const { firstBad } = await verifyChain(chain, keys)
    assert.equal(firstBad?.problem, 'event_added')
  })

  rule('whatever an event says, it is read back so that its link holds', async (store, chain) => {
    const texts = [
      '',
      ' ',
      'a\0b',
      '\ud800',
      'ü\u0301🐘',
      'line\nline\r\n\u2028',
      '\\u0000',
      '\'"`',
      'null',
    ]
    const odd = texts.map((text) =>
      refusal({
        reason: text,
        userAgent: `${text}${text}`,
        requestId: text,
        details: { text, number: -0, flag: false, nothing: null, ended_note: text },
      }),
    )
    await store.appendEvents(odd.map(sealed))
    assert.equal((await idsOf(chain)).length, texts.length)
  })

  rule('of any number of writers at once each adds to one chain', async (store, chain) => {
    const many = await Promise.all(
      Array.from({ length: 24 }, async (_, n) => {
        if (n % 3 > 0) {
          const event = refusal({ at: t0 + n })
          await store.appendEvents([sealed(event)])
          return [event.id]
        }
        const session = sessionOf({ actorId: `actor-${n}`, targetUserId: `target-${n}` })
        const claim = claimOf(session)
        const { started } = claim.events
        await store.claimSession({
          ...claim,
          events: { started: sealed(started), ended: endedEvent },
        })
        let over = ''
        await store.endSession(session.id, endingOf(), (ended) =>
          endedEvent(ended).map((event) => {
            over = event.id
            return sealed(event)
          }),
        )
        return [started.id, over]
      }),
    )
    same((await idsOf(chain)).sort(), many.flat().sort())
  })
}
