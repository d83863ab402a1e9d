/** What somebody with the database's password, and without the key, does in the shadow of a pruning or an erasure. */
import type { Kysely } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { sealOf } from '../../src/audit/seal.ts'
import { verifyChain } from '../../src/audit/verify.ts'
import type { EventRow, LinkRow, Tables } from '../../src/stores/kysely/schema.ts'
import type { RetentionSection } from '../../src/stores/retention.ts'
import { eventOf, sessionOf } from '../../src/testing/store/fixtures.ts'
import { chainKeys, chainOf, keysOf } from '../support/audited.ts'
import { day, noon, type World } from '../support/core-world.ts'
import { describeOn, kinds } from '../support/databases.ts'
import { auditedWorld, live, openPlace, type Place } from '../support/retained.ts'

vi.setConfig({ testTimeout: 60_000 })

const before = noon + 10 * day

/**
 * After the pruning of `live`: 1 to 8 and 12 are gone, 9 to 11 are kept, 12 is as far as it went, 13 is
 * `audit.pruned`. Then a revocation, a start and a stop of alice:
 * 14 to 16, a start of carol 17; 18 is `audit.erased` of alice, 19 the stop of carol, 20 and 21 a start and a
 * stop of alice.
 */
interface Scene {
  readonly db: Kysely<Tables>
  readonly links: readonly LinkRow[]
  /** Before the pruning, by the numbers of their links. */
  readonly pruned: ReadonlyMap<number, EventRow>
}

type Tampering = readonly [name: string, found: string, does: (scene: Scene) => Promise<unknown>]

const idOf = ({ links }: Scene, seq: number) => links[seq - 1]?.event_id ?? ''
const remove = (scene: Scene, ...seqs: number[]) =>
  scene.db
    .deleteFrom('impersonation_events')
    .where(
      'id',
      'in',
      seqs.map((seq) => idOf(scene, seq)),
    )
    .execute()
const change = (scene: Scene, seq: number, changes: Partial<EventRow>) =>
  scene.db
    .updateTable('impersonation_events')
    .set(changes)
    .where('id', '=', idOf(scene, seq))
    .execute()
const blank = async (scene: Scene, seq: number, salt = true) => {
  await change(scene, seq, { reason: null, ip_address: null, user_agent: null })
  if (salt) await setLink(scene, seq, { salt: null })
}
const setLink = ({ db }: Scene, seq: number, changes: Partial<LinkRow>) =>
  db.updateTable('impersonation_links').set(changes).where('seq', '=', seq).execute()
const put = ({ db }: Scene, row: EventRow) =>
  db.insertInto('impersonation_events').values(row).execute()

async function rowOf(scene: Scene, seq: number): Promise<EventRow> {
  const query = scene.db.selectFrom('impersonation_events').selectAll()
  return query.where('id', '=', idOf(scene, seq)).executeTakeFirstOrThrow()
}

/** A row that says what one of the core would, and that nobody sealed. */
async function forge(scene: Scene, seq: number, details: object): Promise<void> {
  await put(scene, { ...(await rowOf(scene, seq)), id: 'forged', details: JSON.stringify(details) })
}

const everything = { before: noon + 99 * day, up_to: 21, kept: 0, began: noon }

const tamperings: readonly Tampering[] = [
  ['nothing', 'none', async () => {}],
  ['a kept event removed', 'event_missing at 1', (scene) => remove(scene, 10)],
  ['an event removed behind it', 'event_missing at 17', (scene) => remove(scene, 17)],
  ['the last event removed', 'event_missing at 21', (scene) => remove(scene, 21)],
  ['audit.pruned removed', 'event_missing at 1', (scene) => remove(scene, 13)],
  [
    'audit.pruned changed, to remove a kept one',
    'event_missing at 1',
    async (scene) => {
      await change(scene, 13, { details: JSON.stringify({ ...everything, up_to: 12 }) })
      await remove(scene, 10)
    },
  ],
  [
    'audit.pruned that goes further, put in',
    'event_missing at 17',
    async (scene) => {
      await forge(scene, 13, everything)
      await remove(scene, 17)
    },
  ],
  [
    'audit.pruned put in the place of an event that is linked',
    'event_changed at 17',
    async (scene) => {
      const { id } = await rowOf(scene, 17)
      await remove(scene, 17)
      const details = JSON.stringify(everything)
      await put(scene, { ...(await rowOf(scene, 13)), id, details })
    },
  ],
  [
    'audit.pruned sealed with another key',
    'key_unknown at 22',
    async (scene) => {
      const keys = keysOf({ id: 'mine', secret: 'a secret of somebody else, and no other' })
      await forge(scene, 13, everything)
      const event = { ...eventOf('audit.pruned', sessionOf()), id: 'forged', details: everything }
      const { mac } = scene.links[20] ?? { mac: '' }
      const link = sealOf(event, keys)({ seq: 21, mac })
      const { eventId: event_id, keyId: key_id, personalDigest: personal_digest } = link
      const row = { event_id, key_id, personal_digest }
      const { seq, digest, salt } = link
      const values = { ...row, seq, digest, salt, mac: link.mac }
      await scene.db.insertInto('impersonation_links').values(values).execute()
      await remove(scene, 17)
    },
  ],
  [
    'a pruned event back, with other words',
    'event_changed at 2',
    (scene) => put(scene, { ...(scene.pruned.get(2) as EventRow), reason: 'other' }),
  ],
  [
    'a pruned event back, with another actor, and a kept one removed for it',
    'event_changed at 2',
    async (scene) => {
      await put(scene, { ...(scene.pruned.get(2) as EventRow), actor_id: 'mallory' })
      await remove(scene, 10)
    },
  ],
  ['what carol may have erased, blanked', 'event_changed at 17', (scene) => blank(scene, 17)],
  ['… without the salt of its link', 'event_changed at 17', (scene) => blank(scene, 17, false)],
  ['what alice erased later, blanked', 'event_changed at 20', (scene) => blank(scene, 20)],
  ['what boss and root are in alone, blanked', 'event_changed at 9', (scene) => blank(scene, 9)],
  ['audit.erased removed', 'event_changed at 11', (scene) => remove(scene, 18)],
  [
    'audit.erased about somebody else',
    'event_changed at 11',
    (scene) => change(scene, 18, { details: JSON.stringify({ user_id: 'carol', up_to: 17 }) }),
  ],
  [
    'audit.erased that goes further',
    'event_changed at 11',
    async (scene) => {
      await change(scene, 18, { details: JSON.stringify({ user_id: 'alice', up_to: 21 }) })
      await blank(scene, 20)
    },
  ],
  [
    'audit.erased put in for another',
    'event_changed at 17',
    async (scene) => {
      await forge(scene, 18, { user_id: 'carol', up_to: 21 })
      await blank(scene, 17)
    },
  ],
  [
    'the salt of audit.erased taken away',
    'event_changed at 11',
    (scene) => setLink(scene, 18, { salt: null }),
  ],
  [
    'other words where something was erased',
    'event_changed at 14',
    (scene) => change(scene, 14, { reason: 'other' }),
  ],
  [
    'another salt where something was erased',
    'event_changed at 14',
    (scene) => setLink(scene, 14, { salt: 'x' }),
  ],
  [
    'who it was, where something was erased',
    'event_changed at 14',
    (scene) => change(scene, 14, { actor_id: 'mallory' }),
  ],
  [
    'an event put in, of a time that was pruned',
    'event_added at forged',
    async (scene) => put(scene, { ...(scene.pruned.get(2) as EventRow), id: 'forged' }),
  ],
  [
    'details of audit.pruned unreadable',
    'event_missing at 1',
    (scene) => change(scene, 13, { details: '{' }),
  ],
  [
    'details of audit.erased unreadable',
    'event_changed at 11',
    (scene) => change(scene, 18, { details: 'null' }),
  ],
]

for (const kind of kinds) {
  describeOn(kind, 'tampering beside a pruning and an erasure', () => {
    let place: Place
    let world: World
    let scene: Scene

    beforeAll(async () => {
      place = await openPlace(kind)
    })
    afterAll(() => place.close())
    beforeEach(async () => {
      await place.empty()
      world = auditedWorld(place.store)
      scene = await setUp(world, place)
    })
    const db = () => scene.db
    const problem = async (options = {}) => {
      const { ok, firstBad } = await verifyChain(chainOf(place.store), chainKeys, options)
      expect(ok).toBe(firstBad === undefined)
      return firstBad ? `${firstBad.problem} at ${firstBad.seq ?? firstBad.eventId}` : 'none'
    }

    it.each(tamperings)('%s: %s', async (_name, found, does) => {
      await does(scene)
      expect(await problem()).toBe(found)
      if (found === 'none') return
      // No pruning makes it look right; what nobody sealed is no part of the chain.
      const { audit } = world.engine
      const attempt = audit.prune({ before }).then(
        () => 'pruned',
        (error: Error) => error.message,
      )
      expect(await attempt).toContain(found.startsWith('event_added') ? 'pruned' : 'does not hold')
      if (!found.startsWith('event_added')) expect(await problem()).toBe(found)
    })

    it('whatever is asked for, removed events are found, and allowances hold', async () => {
      for (const options of [{ to: noon + 1 }, { from: before }, { sessionId: 'none' }])
        expect(await problem(options)).toBe('none')
      await remove(scene, 10)
      for (const options of [{ to: noon + 1 }, { from: before }, { sessionId: 'none' }])
        expect(await problem(options)).toBe('event_missing at 1')
    })

    it('a pruning for less that goes further along the chain lets no kept event go', async () => {
      const { store } = place
      for (const at of [world.clock.wall, noon]) {
        const event = { ...eventOf('impersonation.refused', sessionOf()), sessionId: null, at }
        await store.appendEvents([{ ...event, seal: sealOf(event, chainKeys) }])
      }
      await world.engine.audit.prune({ before: before - day })
      const links = await db()
        .selectFrom('impersonation_links')
        .selectAll()
        .orderBy('seq')
        .execute()
      scene = { ...scene, links }
      expect(await problem()).toBe('none')
      await remove(scene, 22)
      expect(await problem()).toBe('event_missing at 1')
    })

    it('what is removed between the check and the survey of a pruning is found', async () => {
      const { store } = place
      const retention = store.retention as RetentionSection
      for (const [seq, later] of [
        [9, before],
        [18, noon + 42 * day],
      ] as const) {
        await place.empty()
        world = auditedWorld(store)
        scene = await setUp(world, place)
        world.clock.tick(3 * day)
        const surveyChain: RetentionSection['surveyChain'] = async (...args) => {
          await remove(scene, seq)
          return retention.surveyChain(...args)
        }
        const other = world.another({
          store: { ...store, retention: { ...retention, surveyChain } },
        })
        await expect(other.audit.prune({ before: later })).rejects.toThrow(/does not hold/)
        expect(await problem()).toMatch(/^event_(missing at 1$|changed at 11$)/)
      }
    })
  })
}

async function setUp(world: World, { db }: Place): Promise<Scene> {
  if (!db) throw new TypeError('there is no database')
  await live(world)
  const rows = () => db.selectFrom('impersonation_events').selectAll().execute()
  const linksNow = () => db.selectFrom('impersonation_links').selectAll().orderBy('seq').execute()
  // The refusal is put on record beside the answer.
  await vi.waitFor(async () => expect(await linksNow()).toHaveLength(11))
  const all = await rows()
  const pruned = new Map(
    (await linksNow()).flatMap(({ seq, event_id }) => {
      const row = all.find(({ id }) => id === event_id)
      return row ? [[Number(seq), row] as const] : []
    }),
  )
  const { engine, clock } = world
  await engine.audit.prune({ before })
  await engine.endFor('root')
  const turn = async (target: string) => {
    clock.tick(1000)
    await world.start('root', target)
    await engine.sessions.stop(world.caller('root'))
  }
  await world.start('root', 'alice')
  await engine.sessions.stop(world.caller('root'))
  await world.start('root', 'carol')
  await engine.audit.erase('alice')
  await engine.sessions.stop(world.caller('root'))
  await turn('alice')
  return { db, links: await linksNow(), pruned }
}

describe('the scene', () => {
  it('is what it is said to be', async () => {
    const place = await openPlace('sqlite')
    const world = auditedWorld(place.store)
    await setUp(world, place)
    const links = await chainOf(place.store).readLinks(0, 99)
    const said = links.flatMap(({ link: { seq }, event }) =>
      event ? [`${seq} ${event.action.split('.')[1]} ${event.targetUserId ?? ''}`.trim()] : [],
    )
    expect(said).toEqual([
      ...['9 started bob', '10 stopped bob', '11 started alice', '13 pruned', '14 revoked alice'],
      ...['15 started alice', '16 stopped alice', '17 started carol', '18 erased'],
      ...['19 stopped carol', '20 started alice', '21 stopped alice'],
    ])
    await place.close()
  })
})
