/** What somebody with the database's password, and without the key, does to the trails of sessions. */
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { placed } from '../../src/audit/trail-seal.ts'
import type { Store } from '../../src/index.ts'
import { auditKey, keysOf } from '../support/audited.ts'
import { type Address, connect } from '../support/connect.ts'
import { worldOf } from '../support/core-world.ts'
import { administer, describeOn, dropDatabase, kinds, makeDatabase } from '../support/databases.ts'
import { migrateAt } from '../support/migrate.ts'

vi.setConfig({ testTimeout: 60_000 })

async function run(address: Address, statement: string): Promise<void> {
  if (address.kind !== 'sqlite') {
    await administer(address.kind, statement, address.database)
    return
  }
  const db = new DatabaseSync(address.file)
  db.exec(statement)
  db.close()
}

/** A session that is over, with a read, a write and a read: four entries; and one that goes on, with a read. */
async function live(store: Store) {
  const { engine, send, start } = worldOf({ audit: { key: auditKey, trail: 'all' } }, store)
  const { id: over } = await start('root', 'alice', { accessLevel: 'full' })
  await send('root', { path: '/notes/1' })
  await send('root', { path: '/notes/2', method: 'POST' })
  await send('root', { path: '/notes/3' })
  await engine.sessions.stop(engine.caller({ id: 'root', may: ['start'] }))
  const { id: open } = await start('boss', 'bob')
  await send('boss', { path: '/notes/4' })
  // Whatever begins or ends a session stores what waits.
  await start('sup', 'carol')
  return { over, open, engine }
}

type Scene = Awaited<ReturnType<typeof live>>

const actions = 'impersonation_actions'
const set = (what: string, seq: number) => (scene: Scene) =>
  `update ${actions} set ${what} where session_id = '${scene.over}' and seq = ${seq}`

const tamperings: Record<string, [does: (scene: Scene) => string, found: string]> = {
  'the path of an entry changed': [set("path = '/harmless'", 2), 'action_forged at over 2'],
  'the instant of an entry changed': [set('at = at + 1', 1), 'action_forged at over 1'],
  'the method of an entry changed': [set("method = 'GET'", 2), 'action_forged at over 2'],
  'the outcome of a write changed': [set('status = 403', 3), 'action_forged at over 3'],
  'a write made the completion of another': [set('completes = 1', 3), 'action_forged at over 3'],
  'the seal of an entry taken off': [
    set('mac = null, key_id = null', 2),
    'action_forged at over 2',
  ],
  'the key of an entry renamed': [set("key_id = 'other'", 2), 'key_unknown at over 2'],
  'an entry removed': [
    ({ over }) => `delete from ${actions} where session_id = '${over}' and seq = 2`,
    'action_missing at over 3',
  ],
  'the end cut off': [
    ({ over }) => `delete from ${actions} where session_id = '${over}' and seq = 4`,
    'action_missing at over 4',
  ],
  'the whole trail removed': [
    ({ over }) => `delete from ${actions} where session_id = '${over}'`,
    'action_missing at over 1',
  ],
  'an entry given to another session': [
    ({ over, open }) =>
      `update ${actions} set session_id = '${open}', seq = 9 where session_id = '${over}' and seq = 4`,
    'action_missing at over 4',
  ],
  'an entry of a session that goes on changed': [
    ({ open }) => `update ${actions} set path = '/harmless' where session_id = '${open}'`,
    'action_forged at open 1',
  ],
  'an entry added to a session that goes on': [
    ({ open }) =>
      `insert into ${actions} (session_id, seq, at, method, path) values ('${open}', 2, 1, 'GET', '/')`,
    'action_forged at open 2',
  ],
}

for (const kind of kinds) {
  describeOn(kind, 'tampering with trails by SQL', () => {
    let address: Address
    let opened: ReturnType<typeof connect>
    beforeAll(async () => {
      address = await makeDatabase(kind)
      await migrateAt(address)
      opened = connect(address)
    })
    beforeEach(async () => {
      for (const name of ['actions', 'links', 'events', 'sessions'])
        await run(address, `delete from impersonation_${name}`)
    })
    afterAll(async () => {
      await opened.close()
      await dropDatabase(address)
    })

    it.each(Object.entries(tamperings))('%s', async (name, [does, found]) => {
      const scene = await live(opened.store)
      const { engine } = scene
      expect(await engine.audit.verify()).toEqual({ ok: true, checked: 4 })
      await run(address, does(scene))
      const { ok, firstBad } = await engine.audit.verify()
      const whose = Object.entries(scene).find(([, id]) => id === firstBad?.sessionId)?.[0]
      expect(ok).toBe(false)
      expect(`${firstBad?.problem} at ${whose} ${firstBad?.actionSeq}`).toBe(found)
      // Whoever asks for the other session only is not told of this one.
      const sessionId = whose === 'over' ? scene.open : scene.over
      const narrowed = await engine.audit.verify({ sessionId })
      expect(narrowed.ok).toBe(name !== 'an entry given to another session')
    })

    it('a trail made anew with another key', async () => {
      const { over, engine } = await live(opened.store)
      const entries = (await opened.store.trail?.readTrails([over], null, 100)) ?? []
      const mine = keysOf({ id: auditKey.id, secret: 'of somebody else, thirty-two long' })
      let head: ReturnType<typeof placed> | null = null
      for (const { keyId, mac, seq, ...content } of entries) {
        head = placed({ ...content, path: content.path && '/harmless' }, head, mine)
        await run(
          address,
          `update ${actions} set mac = '${head.mac}', path = ${content.path ? "'/harmless'" : 'null'}
            where session_id = '${over}' and seq = ${seq}`,
        )
      }
      expect(await engine.audit.verify()).toMatchObject({
        firstBad: { problem: 'action_forged', sessionId: over, actionSeq: 1 },
      })
    })

    it('the end of a trail, and what the event of the end says of it', async () => {
      const { over, engine } = await live(opened.store)
      await run(address, `delete from ${actions} where session_id = '${over}' and seq = 4`)
      const [entry] =
        (await opened.store.trail?.readTrails([over], { sessionId: over, seq: 2 }, 1)) ?? []
      const [ended] = await opened.store.listEvents(
        { sessionId: over, action: 'impersonation.stopped' },
        { limit: 1 },
      )
      const details = JSON.stringify({ ...ended?.details, trail_seq: 3, trail_mac: entry?.mac })
      await run(
        address,
        `update impersonation_events set details = '${details}' where id = '${ended?.id}'`,
      )
      expect(await engine.audit.verify()).toMatchObject({
        firstBad: { problem: 'event_changed', eventId: ended?.id },
      })
    })

    it('what was done after the end of its session is chained behind what was sealed', async () => {
      const { over, engine } = await live(opened.store)
      const append = (path: string) =>
        opened.store.trail?.appendTrail(over, [
          (head) =>
            placed(
              {
                ...{ sessionId: over, at: 1, completes: null, method: 'GET', route: null, path },
                ...{ status: 200, durationMs: 1, requestId: null },
              },
              head,
              keysOf(auditKey),
            ),
        ])
      await append('/late')
      expect(await engine.audit.verify()).toMatchObject({ ok: true })
      await run(
        address,
        `update ${actions} set path = '/x' where session_id = '${over}' and seq = 5`,
      )
      expect(await engine.audit.verify()).toMatchObject({
        firstBad: { problem: 'action_forged', actionSeq: 5 },
      })
    })
  })
}
