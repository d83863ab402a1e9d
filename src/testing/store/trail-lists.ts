import assert from 'node:assert/strict'
import type { TrailPlace } from '../../stores/trail.ts'
import type { TrailEntry } from '../../types.ts'
import { type Rule, same, t0 } from './fixtures.ts'
import {
  append,
  type Content,
  completionOf,
  contentOf,
  entriesOf,
  sameInAnyOrder,
  whereTrailed,
} from './trail-fixtures.ts'

/** In the order of their bytes, which is not that of any dictionary, and not JavaScript's. */
const ordered = ['A', 'Z', 'a', 'a\t', 'a ', 'a  ', 'a!', 'aa', 'a|', 'b', 'é', '\uffff', '💥']

const post = (sessionId: string, path: string, changes: Partial<Content> = {}) =>
  contentOf(sessionId, {
    ...{ method: 'POST', path, route: null, status: null, durationMs: null },
    ...changes,
  })

/** How trails are read: as they are stored, as actions, and counted. */
export function trailListRules(someRule: Rule): void {
  const rule = whereTrailed(someRule)

  rule('trails are read by the bytes of their sessions, then by number', async (trail) => {
    for (const id of ordered.toReversed()) {
      await append(trail, id, contentOf(id), contentOf(id), contentOf(id))
    }
    const expected = ordered.flatMap((id) => [1, 2, 3].map((seq) => [id, seq]))
    const shuffled = [...ordered.slice(5), ...ordered.slice(0, 5)]
    const places = (entries: readonly TrailEntry[]) =>
      entries.map(({ sessionId, seq }) => [sessionId, seq])
    same(places(await entriesOf(trail, ...shuffled)), expected)
    for (const limit of [1, 2, 7]) {
      const read: TrailEntry[] = []
      for (let after: TrailPlace | null = null; read.length <= expected.length; ) {
        const page: readonly TrailEntry[] = await trail.readTrails(shuffled, after, limit)
        assert.ok(page.length <= limit)
        read.push(...page)
        const last = page.at(-1)
        if (!last) break
        after = { sessionId: last.sessionId, seq: last.seq }
      }
      same(places(read), expected, `in pages of ${limit}`)
    }
  })

  rule('trails of these sessions are read, each once, and of no other', async (trail) => {
    for (const id of ['a', 'b', 'c', 'd']) await append(trail, id, contentOf(id), contentOf(id))
    const read = async (ids: readonly string[], after: TrailPlace | null = null) =>
      (await trail.readTrails(ids, after, 99)).map(({ sessionId, seq }) => `${sessionId}${seq}`)
    same(await read(['c', 'a', 'c', 'none']), ['a1', 'a2', 'c1', 'c2'])
    same(await read([]), [])
    same(await read(['a', 'c'], { sessionId: 'a', seq: 1 }), ['a2', 'c1', 'c2'])
    same(await read(['a', 'c'], { sessionId: 'a', seq: 0 }), ['a1', 'a2', 'c1', 'c2'])
    same(await read(['a', 'c'], { sessionId: 'b', seq: 1 }), ['c1', 'c2'])
    same(await read(['a', 'c'], { sessionId: 'c', seq: 2 }), [])
    same(
      await trail.readTrails(['a', 'b'], null, 3),
      (await entriesOf(trail, 'a', 'b')).slice(0, 3),
    )
  })

  rule('the trails of thousands of sessions are read and counted', async (trail) => {
    const ids = Array.from({ length: 3_000 }, (_, n) => `session-${n}`)
    for (const id of [ids[7], ids[1_500], ids[2_999]] as string[]) {
      await append(trail, id, contentOf(id), contentOf(id))
    }
    same(
      (await entriesOf(trail, ...ids)).map(({ sessionId }) => sessionId),
      [ids[1_500], ids[1_500], ids[2_999], ids[2_999], ids[7], ids[7]],
    )
    assert.equal((await trail.readTrails(ids, null, 5)).length, 5)
    same(
      (await trail.countActions(ids)).map(({ count }) => count),
      [2, 2, 2],
    )
  })

  rule('an action is an entry and what became of it', async (trail) => {
    await append(
      trail,
      'one',
      post('one', '/a', { requestId: 'request-a', at: t0 + 1 }),
      contentOf('one', { path: '/b', at: t0 + 2, requestId: 'request-b' }),
      post('one', '/c', { at: t0 + 3 }),
      completionOf('one', 1, { at: t0 + 9, route: '/:late', status: 204, durationMs: 8 }),
    )
    const nothing = { route: null, status: null, durationMs: null, requestId: null }
    const [a, b, c] = [
      {
        ...{ sessionId: 'one', seq: 1, at: t0 + 1, method: 'POST', route: '/:late', path: '/a' },
        ...{ status: 204, durationMs: 8, requestId: 'request-a' },
      },
      {
        ...{ sessionId: 'one', seq: 2, at: t0 + 2, method: 'GET', route: '/orders/:id' },
        ...{ path: '/b', status: 200, durationMs: 12, requestId: 'request-b' },
      },
      { sessionId: 'one', seq: 3, at: t0 + 3, method: 'POST', path: '/c', ...nothing },
    ]
    same(await trail.listActions('one', 0, 9), [a, b, c])
    same(await trail.listActions('one', 1, 1), [b])
    same(await trail.listActions('one', 0, 2), [a, b])
    same(await trail.listActions('one', 3, 9), [])
    same(await trail.listActions('none', 0, 9), [])
  })

  rule('the route is that of the completing entry where it has one', async (trail) => {
    await append(
      trail,
      'one',
      post('one', '/1', { route: '/own' }),
      post('one', '/2', { route: '/own' }),
      post('one', '/3'),
      post('one', '/4', { route: '/own' }),
      completionOf('one', 1),
      completionOf('one', 2, { route: '/late' }),
      completionOf('one', 3, { route: '/late' }),
    )
    same(
      (await trail.listActions('one', 0, 9)).map(({ route }) => route),
      ['/own', '/late', '/late', '/own'],
    )
  })

  rule('what completes an entry says how it went, also that nobody knows', async (trail) => {
    await append(
      trail,
      'one',
      contentOf('one', { status: 500, durationMs: 1 }),
      completionOf('one', 1, { status: null, durationMs: 77 }),
    )
    const [action] = await trail.listActions('one', 0, 9)
    same([action?.status, action?.durationMs], [null, 77])
  })

  rule('of several that complete an entry the first counts', async (trail) => {
    const contents = [
      post('one', '/a'),
      post('one', '/b'),
      ...[201, 500, 404].map((status) => completionOf('one', 2, { status, route: `/${status}` })),
      completionOf('one', 2, { status: 200, route: '/201' }),
      completionOf('one', 1, { status: 202, route: null }),
      completionOf('one', 1, { status: 503, route: '/503' }),
    ]
    await append(trail, 'one', ...contents)
    same(
      (await trail.listActions('one', 0, 9)).map(({ seq, status, route }) => [seq, status, route]),
      [
        [1, 202, null],
        [2, 201, '/201'],
      ],
    )
    sameInAnyOrder(await trail.countActions(['one']), [
      { sessionId: 'one', method: 'POST', route: null, count: 1 },
      { sessionId: 'one', method: 'POST', route: '/201', count: 1 },
    ])
  })

  rule('an entry is completed in its own trail only', async (trail) => {
    await append(trail, 'one', post('one', '/a'))
    await append(trail, 'two', contentOf('two'), completionOf('two', 1, { route: '/two' }))
    await append(trail, 'three', completionOf('three', 1), completionOf('three', 7))
    const [action] = await trail.listActions('one', 0, 9)
    same([action?.status, action?.route], [null, null])
    same(await trail.listActions('three', 0, 9), [])
    sameInAnyOrder(await trail.countActions(['one', 'three']), [
      { sessionId: 'one', method: 'POST', route: null, count: 1 },
    ])
  })

  rule('actions are counted by session, method and route', async (trail) => {
    const [get, put] = [contentOf('one'), post('one', '/a', { method: 'PUT', route: '/own' })]
    await append(
      trail,
      'one',
      ...[get, get, { ...get, path: '/orders/8', status: 404 }, { ...get, method: 'get' }],
      ...[put, put, completionOf('one', 6, { route: '/late' })],
      ...[contentOf('one', { route: null }), contentOf('one', { route: '/Orders/:id' })],
      ...[contentOf('one', { route: '/orders/:id ' }), contentOf('one', { route: null })],
      contentOf('one', { method: 'GET ' }),
    )
    await append(trail, 'two', contentOf('two'))
    await append(trail, 'three', contentOf('three'))
    const counted = (
      method: string,
      route: string | null,
      count: number,
      sessionId: string = 'one',
    ) => ({ sessionId, method, route, count })
    const counts = await trail.countActions(['two', 'none', 'one', 'one'])
    sameInAnyOrder(
      counts.map((one) => counted(one.method, one.route, one.count, one.sessionId)),
      [
        counted('GET', '/orders/:id', 3),
        counted('get', '/orders/:id', 1),
        counted('GET ', '/orders/:id', 1),
        counted('PUT', '/own', 1),
        counted('PUT', '/late', 1),
        counted('GET', null, 2),
        counted('GET', '/Orders/:id', 1),
        counted('GET', '/orders/:id ', 1),
        counted('GET', '/orders/:id', 1, 'two'),
      ],
    )
    same(await trail.countActions([]), [])
    same(await trail.countActions(['none']), [])
  })
}
