import assert from 'node:assert/strict'
import type { MakeEntry, TrailHead } from '../../stores/trail.ts'
import type { TrailEntry } from '../../types.ts'
import { endedEvent, endingOf, type Rule, same, start, t0 } from './fixtures.ts'
import { distinctIds, lossyIds } from './identities.ts'
import {
  append,
  completionOf,
  contentOf,
  entriesOf,
  entry,
  headOf,
  unbroken,
  unsealed,
  whereTrailed,
} from './trail-fixtures.ts'

/** What is put on record, by whom at once, and how it is kept. */
export function trailRules(someRule: Rule): void {
  const rule = whereTrailed(someRule)

  rule('each entry is made from the one before it, the first from nothing', async (trail) => {
    const heads: (TrailHead | null)[] = []
    const made: TrailEntry[] = []
    const noted = Array.from(
      { length: 5 },
      (_, n): MakeEntry =>
        (head) => {
          heads[n] = head && { seq: head.seq, mac: head.mac }
          const one = entry(contentOf('one', { path: `/${n}`, at: t0 + n }))(head)
          made[n] = one
          return one
        },
    )
    assert.equal(await trail.appendTrail('one', noted.slice(0, 3)), 3)
    assert.equal(await trail.appendTrail('one', noted.slice(3)), 5)
    same(heads, [null, ...made.slice(0, 4).map(({ seq, mac }) => ({ seq, mac }))])
    same(await entriesOf(trail, 'one'), made)
    await unbroken(trail, 'one')
  })

  rule('each session has a trail of its own, also one that nobody has started', async (trail) => {
    assert.equal(await append(trail, 'one', contentOf('one')), 1)
    assert.equal(await append(trail, 'two', contentOf('two'), contentOf('two')), 2)
    assert.equal(await append(trail, 'one', contentOf('one')), 2)
    for (const id of ['one', 'two']) assert.equal((await unbroken(trail, id)).length, 2)
    same(await entriesOf(trail, 'three'), [])
  })

  rule('the trail of a session goes on when it is over', async (trail, store) => {
    const { id } = await start(store)
    await append(trail, id, contentOf(id))
    await store.endSession(id, endingOf(), endedEvent)
    assert.equal(await append(trail, id, completionOf(id, 1)), 2)
    assert.equal((await unbroken(trail, id)).length, 2)
  })

  rule('an entry comes back as it was made, with its types', async (trail) => {
    const made: TrailEntry[] = []
    const all = [
      contentOf('one', { requestId: 'request', durationMs: 2 ** 40, at: t0 + 2 ** 40 }),
      contentOf('one', { route: null, status: null, durationMs: null, method: 'PURGE' }),
      contentOf('one', { method: '', route: '', path: '', requestId: '', durationMs: 0 }),
      completionOf('one', 2, { status: 599, route: '/late', requestId: 'other' }),
      completionOf('one', 1, { status: null, durationMs: null }),
    ]
    const make = all.map(
      (content, n): MakeEntry =>
        (head) => {
          const one = (n % 2 ? unsealed : entry)(content)(head)
          made[n] = one
          return one
        },
    )
    await trail.appendTrail('one', make)
    same(await entriesOf(trail, 'one'), made)
  })

  rule('an end of a trail that is not sealed has a number alone', async (trail) => {
    await trail.appendTrail('one', [unsealed(contentOf('one'))])
    let last: TrailHead | null = null
    const make: MakeEntry = (head) => {
      last = head && { seq: head.seq, mac: head.mac }
      return unsealed(contentOf('one'))(head)
    }
    assert.equal(await trail.appendTrail('one', [make]), 2)
    same(last, { seq: 1, mac: null })
  })

  rule('words of an entry are stored as they are', async (trail) => {
    const words = [
      `it's "quoted" \\ %_ \r\n\t \u202e \u001b[31m {"a":1} <b> $1 ? ; --`,
      'ü\u0301🐘',
      ' ',
      'GET ',
      'null',
      '/long'.repeat(2_000),
    ]
    const said = (text: string) =>
      contentOf('one', { method: text, route: text, path: text, requestId: text })
    await append(trail, 'one', ...words.map(said))
    const kept = (await unbroken(trail, 'one')).map(({ seq: _, keyId, mac, ...content }) => content)
    same(kept, words.map(said))
  })

  rule('an entry is kept whatever its words', async (trail) => {
    const words = ['\0', 'a\0b', '\ud800', '\udc00x']
    const replaced = (text: string | null) => text?.toWellFormed().replaceAll('\0', '\ufffd')
    for (const [n, text] of words.entries()) {
      const said = { method: text, route: text, path: text, requestId: text }
      const seq = await trail.appendTrail('one', [unsealed(contentOf('one', said))])
      assert.equal(seq, n + 1)
      const [kept] = await trail.readTrails(['one'], { sessionId: 'one', seq: n }, 1)
      for (const name of ['method', 'route', 'path', 'requestId'] as const) {
        assert.equal(replaced(kept?.[name] ?? null), replaced(text), name)
      }
    }
  })

  rule('what was handed in or out can change nothing that is stored', async (trail) => {
    const made = { ...entry(contentOf('one'))(null) }
    const copy = structuredClone(made)
    await trail.appendTrail('one', [() => made])
    const tamper = (value: object | undefined) => {
      try {
        Object.assign(value ?? {}, { path: '/other', mac: 'other', seq: 9 })
      } catch {
        // Frozen is as good as copied.
      }
    }
    tamper(made)
    for (let round = 0; round < 2; round++) {
      const [kept] = await entriesOf(trail, 'one')
      same(kept, copy)
      tamper(kept)
      const [action] = await trail.listActions('one', 0, 9)
      assert.equal(action?.path, copy.path)
      tamper(action)
    }
    const heads: (TrailHead | null)[] = []
    const make: MakeEntry = (head) => {
      heads[0] = head && { seq: head.seq, mac: head.mac }
      tamper(head ?? undefined)
      return entry(contentOf('one'))({ seq: copy.seq, mac: copy.mac })
    }
    await trail.appendTrail('one', [make])
    same(heads, [{ seq: 1, mac: copy.mac }])
    assert.equal((await unbroken(trail, 'one')).length, 2)
  })

  rule('entries of one unit are all kept, or none of them', async (trail) => {
    await append(trail, 'one', contentOf('one'))
    const fails: MakeEntry = () => {
      throw new Error('not today')
    }
    for (const nth of [0, 1, 4]) {
      const make = Array.from({ length: 6 }, (_, n) =>
        n === nth ? fails : entry(contentOf('one')),
      )
      await assert.rejects(trail.appendTrail('one', make), /not today/)
      await assert.rejects(trail.appendTrail('none', [...make].map(ofNone)), /not today/)
    }
    assert.equal((await unbroken(trail, 'one')).length, 1)
    same(await entriesOf(trail, 'none'), [])
    assert.equal(await append(trail, 'one', contentOf('one')), 2)
    assert.equal(await append(trail, 'none', contentOf('none')), 1)

    function ofNone(make: MakeEntry): MakeEntry {
      return (head) => ({ ...make(head), sessionId: 'none' })
    }
  })

  rule('thousands of entries are one unit', async (trail) => {
    const make = Array.from({ length: 3_000 }, (_, n) => entry(contentOf('one', { path: `/${n}` })))
    assert.equal(await trail.appendTrail('one', make), 3_000)
    assert.equal((await unbroken(trail, 'one')).length, 3_000)
    const fails: MakeEntry = () => {
      throw new Error('at the very end')
    }
    await assert.rejects(trail.appendTrail('one', [...make, fails]), /at the very end/)
    same((await headOf(trail, 'one'))?.seq, 3_000)
  })

  rule('of any number of writers at once each adds to one trail', async (trail) => {
    for (let round = 0; round < 3; round++) {
      const ids = ['one', 'two']
      const writers = Array.from({ length: 16 }, async (_, n) => {
        const id = ids[n % 2] as string
        const paths = ['a', 'b', 'c'].map((part) => `/${round}/${n}/${part}`)
        const seq = await append(trail, id, ...paths.map((path) => contentOf(id, { path })))
        return { id, seq, paths }
      })
      const written = await Promise.all(writers)
      for (const id of ids) {
        const entries = await unbroken(trail, id)
        assert.equal(entries.length, (round + 1) * 24)
        for (const { seq, paths } of written.filter((one) => one.id === id)) {
          const own = entries.slice(seq - 3, seq).map(({ path }) => path)
          same(own, paths, 'what was handed in together stands together, up to the number given')
        }
      }
    }
  })

  rule('look-alikes of a session have trails of their own', async (trail) => {
    for (const [n, id] of distinctIds.entries()) {
      const contents = [contentOf(id, { path: `/${n}` }), completionOf(id, 1, { status: 200 + n })]
      assert.equal(await append(trail, id, ...contents), 2, JSON.stringify(id))
    }
    for (const [n, id] of distinctIds.entries()) {
      const name = JSON.stringify(id)
      const [first, second, ...more] = await unbroken(trail, id)
      same([first?.path, second?.status], [`/${n}`, 200 + n], name)
      same(more, [], name)
      const actions = await trail.listActions(id, 0, 9)
      same(
        actions.map(({ sessionId, path, status }) => [sessionId, path, status]),
        [[id, `/${n}`, 200 + n]],
        name,
      )
      same(
        (await trail.countActions([id])).map(({ sessionId, count }) => [sessionId, count]),
        [[id, 1]],
        name,
      )
    }
  })

  rule('the id of a session is kept as it is or refused, never as another', async (trail) => {
    for (const [lossy, likely] of lossyIds) {
      const name = JSON.stringify(lossy).slice(-20)
      const kept = await append(trail, lossy, contentOf(lossy)).then(
        () => 1,
        () => 0,
      )
      same(await entriesOf(trail, likely), [], name)
      for (const found of [
        await entriesOf(trail, lossy, likely),
        await trail.listActions(lossy, 0, 9),
        await trail.countActions([lossy, likely]),
      ]) {
        same(
          found.map(({ sessionId }) => sessionId),
          [lossy].slice(0, kept),
          name,
        )
      }
    }
  })
}
