import assert from 'node:assert/strict'
import type { EndEventsFor, Store } from '../../stores/store.ts'
import type { TrailHead, TrailSection } from '../../stores/trail.ts'
import type { Session } from '../../types.ts'
import {
  claimOf,
  endedEvent,
  endingOf,
  minute,
  type Rule,
  same,
  sessionOf,
  start,
  stopOf,
  t0,
} from './fixtures.ts'
import { changeOf, consent } from './grant-fixtures.ts'
import { append, contentOf, headOf, unsealed, whereTrailed } from './trail-fixtures.ts'

/** Ends one session or more, and hands `event` to the store for their ends. */
interface Way {
  readonly name: string
  /** Gives null where the store has no such way. */
  readonly prepare: (store: Store) => Promise<{
    readonly sessions: readonly Session[]
    readonly end: (event: EndEventsFor) => Promise<unknown>
  } | null>
}

const ways: readonly Way[] = [
  {
    name: 'a revocation',
    prepare: async (store) => {
      const session = await start(store)
      const end = (event: EndEventsFor) => store.endSession(session.id, endingOf(), event)
      return { sessions: [session], end }
    },
  },
  {
    name: 'a stop',
    prepare: async (store) => {
      const session = await start(store)
      const end = (event: EndEventsFor) => store.endSession(session.id, stopOf(), event)
      return { sessions: [session], end }
    },
  },
  {
    name: 'a start that replaces the session of its actor',
    prepare: async (store) => {
      const session = await start(store)
      const next = sessionOf({ targetUserId: 'bob', createdAt: t0 + 1 })
      const end = (ended: EndEventsFor) => claim(store, next, ended)
      return { sessions: [session], end }
    },
  },
  {
    name: 'a start that finds sessions over',
    prepare: async (store) => {
      const one = await start(store, { expiresAt: t0 + minute })
      const two = await start(store, {
        ...{ actorId: 'sup', targetUserId: 'bob', expiresAt: t0 + 2 * minute },
      })
      const next = sessionOf({ targetUserId: 'bob', createdAt: t0 + 3 * minute })
      return { sessions: [one, two], end: (ended) => claim(store, next, ended) }
    },
  },
  {
    name: 'a refused start that finds a session over',
    prepare: async (store) => {
      const session = await start(store, { expiresAt: t0 + minute })
      await start(store, { actorId: 'sup', targetUserId: 'bob' })
      const next = sessionOf({ targetUserId: 'bob', createdAt: t0 + 2 * minute })
      return { sessions: [session], end: (ended) => claim(store, next, ended, 'target_busy') }
    },
  },
  {
    name: 'a change of its grant',
    prepare: async (store) => {
      const { grants } = store
      if (!grants) return null
      const grant = await consent(grants)
      const session = await start(store, { grantId: grant.id })
      const change = changeOf(grant, { status: 'revoked' })
      const end = (event: EndEventsFor) =>
        grants.changeGrant(change, [], { how: endingOf(), event })
      return { sessions: [session], end }
    },
  },
]

async function claim(
  store: Store,
  next: Session,
  ended: EndEventsFor,
  outcome: 'started' | 'target_busy' = 'started',
): Promise<void> {
  const { events, ...rest } = claimOf(next, { onConflict: 'replace' })
  const result = await store.claimSession({ ...rest, events: { ...events, ended } })
  assert.equal(result.outcome, outcome)
}

/** What an ending is told of the trails, by session. */
async function toldBy(
  end: (event: EndEventsFor) => Promise<unknown>,
): Promise<Map<string, TrailHead | null>> {
  const told = new Map<string, TrailHead | null>()
  await end((session, trail) => {
    told.set(session.id, trail && { seq: trail.seq, mac: trail.mac })
    return endedEvent(session)
  })
  return told
}

/** What whoever ends a session is told of its trail. */
export function trailEndingRules(someRule: Rule): void {
  const rule = whereTrailed(someRule)

  for (const { name, prepare } of ways) {
    rule(`${name} is told where the trail of each session ends`, async (trail, store) => {
      const way = await prepare(store)
      if (!way) return
      const { sessions, end } = way
      for (const [n, { id }] of sessions.entries()) await entries(trail, id, n + 2)
      await entries(trail, 'another', 9)
      const told = await toldBy(end)
      const ends = await Promise.all(sessions.map(({ id }) => headOf(trail, id)))
      same(
        ends.map((head) => head?.seq),
        sessions.map((_, n) => n + 2),
      )
      same([...told].sort(), sessions.map(({ id }, n) => [id, ends[n]]).sort())
    })

    rule(`${name} is told of no trail where there is none`, async (trail, store) => {
      const way = await prepare(store)
      if (!way) return
      for (const { id } of way.sessions) await entries(trail, `${id} `, 1)
      const told = await toldBy(way.end)
      same([...told].sort(), way.sessions.map(({ id }) => [id, null]).sort())
    })
  }

  rule('an ending is told of a trail that is not sealed by its number', async (trail, store) => {
    const { id } = await start(store)
    await trail.appendTrail(id, [unsealed(contentOf(id)), unsealed(contentOf(id))])
    const told = await toldBy((event) => store.endSession(id, endingOf(), event))
    same(told.get(id), { seq: 2, mac: null })
  })

  rule('each ending is told of the trail as it is then', async (trail, store) => {
    for (let n = 1; n <= 3; n++) {
      const { id } = await start(store)
      for (let count = 1; count <= 12; count++) {
        await entries(trail, id, 1)
        if (count === 4 * n) {
          const told = await toldBy((event) => store.endSession(id, endingOf(), event))
          same(told.get(id)?.seq, count)
        }
      }
    }
  })
}

async function entries(trail: TrailSection, id: string, count: number): Promise<void> {
  const contents = Array.from({ length: count }, (_, n) => contentOf(id, { path: `/${id}/${n}` }))
  await append(trail, id, ...contents)
}
