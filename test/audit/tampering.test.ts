/** What somebody with the database's password, and without the key, does to real rows. */
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { macOf, sealOf } from '../../src/audit/seal.ts'
import { type VerifyOptions, verifyChain } from '../../src/audit/verify.ts'
import { createImpersonation } from '../../src/index.ts'
import type { ChainHead, Link } from '../../src/stores/chain.ts'
import type { Store } from '../../src/stores/store.ts'
import { eventOf, sessionOf } from '../../src/testing/store/fixtures.ts'
import type { AuditEvent } from '../../src/types.ts'
import { auditKey, chainKeys, chainOf, everyone, keysOf, type Person } from '../support/audited.ts'
import { type Address, connect } from '../support/connect.ts'
import {
  administer,
  describeOn,
  dropDatabase,
  type Kind,
  kinds,
  makeDatabase,
} from '../support/databases.ts'
import { migrateAt } from '../support/migrate.ts'

vi.setConfig({ testTimeout: 60_000 })

async function run(address: Address, ...statements: string[]): Promise<void> {
  if (address.kind !== 'sqlite') {
    for (const one of statements) await administer(address.kind, one, address.database)
    return
  }
  const db = new DatabaseSync(address.file)
  for (const one of statements) db.exec(one)
  db.close()
}

const quoted = (value: string | number | null) =>
  typeof value === 'string' ? `'${value}'` : String(value)

/** A start, an extension, a stop, a refusal, a start and a revocation by the engine: six events. */
async function live(store: Store): Promise<void> {
  const engine = createImpersonation<Person>({
    store,
    findUser: (id) => everyone.get(id) ?? null,
    can: ({ id }) => id.startsWith('admin'),
    audit: { key: auditKey },
  })
  const caller = (id: string) => engine.caller(everyone.get(id) as Person)
  const [admin, boss, customer] = [caller('admin-0'), caller('admin-1'), caller('c-0')]
  const start = { targetUserId: 'c-1', reason: 'ticket 7' }
  await engine.sessions.start(admin, { ...start, durationMs: 60_000 })
  await engine.sessions.extend(admin, 60_000)
  await engine.sessions.stop(admin)
  await engine.sessions.start(customer, start).catch(() => {})
  // It is put on record beside the answer.
  await vi.waitFor(async () => expect((await chainOf(store).readHead())?.seq).toBe(4))
  const { session } = await engine.sessions.start(admin, start)
  await engine.sessions.revoke(boss, session.id, 'enough')
}

interface Scene {
  readonly links: readonly Link[]
  readonly events: readonly AuditEvent[]
}

interface Tampering {
  readonly name: string
  readonly does: (scene: Scene) => string[]
  /** What is found, with the checkpoint that was taken at the end. */
  readonly found: string
  /** … and without it, where that is something else. */
  readonly without?: string
  /** Where only these let anybody write such a thing. */
  readonly on?: readonly Kind[]
}

const setEvent =
  (seq: number, set: string): Tampering['does'] =>
  ({ links }) => [`update impersonation_events set ${set} where id = '${links[seq - 1]?.eventId}'`]

const setLink =
  (seq: number, set: string): Tampering['does'] =>
  () => [`update impersonation_links set ${set} where seq = ${seq}`]

/** A row of text and numbers, as a copy of another with some columns changed. */
const copyEvent =
  (seq: number, id: string, changes: Record<string, string>): Tampering['does'] =>
  ({ links }) => {
    const columns = ['at', 'action', 'outcome', 'code', 'actor_id', 'target_user_id', 'session_id']
    const all = [...columns, 'reason', 'details']
    return [
      `insert into impersonation_events (id, ${all.join(', ')})
        select '${id}', ${all.map((name) => changes[name] ?? name).join(', ')}
        from impersonation_events where id = '${links[seq - 1]?.eventId}'`,
    ]
  }

function rewrite(
  { links, events }: Scene,
  forge: (event: AuditEvent, head: ChainHead | null) => Link,
) {
  let head: ChainHead | null = null
  const rows = links.map(({ eventId }) => {
    const event = events.find(({ id }) => id === eventId) as AuditEvent
    const link: Link = forge(event, head)
    head = link
    const { seq, keyId, digest, personalDigest, salt, mac } = link
    const values = [seq, eventId, keyId, digest, personalDigest, salt, mac]
    return `(${values.map(quoted).join(', ')})`
  })
  return [
    'delete from impersonation_links',
    `insert into impersonation_links (seq, event_id, key_id, digest, personal_digest, salt, mac)
      values ${rows.join(', ')}`,
  ]
}

const tamperings: readonly Tampering[] = [
  {
    name: 'an event changed',
    does: setEvent(2, "actor_id = 'somebody'"),
    found: 'event_changed at 2',
  },
  {
    name: 'what may be erased changed',
    does: setEvent(1, "reason = 'ticket 8'"),
    found: 'event_changed at 1',
  },
  {
    name: 'two events that say what the other said',
    does: ({ links }) => {
      const [one, two] = [links[0]?.eventId, links[1]?.eventId]
      const move = (from?: string, to = '') =>
        `update impersonation_events set id = '${to}' where id = '${from}'`
      return [move(one, 'spare'), move(two, one), move('spare', two)]
    },
    found: 'event_changed at 1',
  },
  {
    name: 'an event removed',
    does: ({ links }) => [`delete from impersonation_events where id = '${links[2]?.eventId}'`],
    found: 'event_missing at 3',
  },
  {
    name: 'an event removed, and its link',
    does: ({ links }) => [
      `delete from impersonation_events where id = '${links[2]?.eventId}'`,
      'delete from impersonation_links where seq = 3',
    ],
    found: 'link_missing at 4',
  },
  {
    name: 'an event removed, its link, and the gap',
    does: ({ links }) => [
      `delete from impersonation_events where id = '${links[2]?.eventId}'`,
      'delete from impersonation_links where seq = 3',
      ...[4, 5, 6].map(
        (seq) => `update impersonation_links set seq = ${seq - 1} where seq = ${seq}`,
      ),
    ],
    found: 'link_forged at 3',
  },
  {
    name: 'two links swapped',
    does: () => [
      'update impersonation_links set seq = 99 where seq = 2',
      'update impersonation_links set seq = 2 where seq = 3',
      'update impersonation_links set seq = 3 where seq = 99',
    ],
    found: 'link_forged at 2',
  },
  {
    name: 'the end cut off',
    does: ({ links }) => [
      ...links
        .slice(4)
        .map(({ eventId }) => `delete from impersonation_events where id = '${eventId}'`),
      'delete from impersonation_links where seq > 4',
    ],
    found: 'cut_off at 5',
    without: 'none',
  },
  {
    name: 'everything cut off',
    does: () => ['delete from impersonation_events', 'delete from impersonation_links'],
    found: 'cut_off at 1',
    without: 'none',
  },
  {
    name: 'all rewritten with another key',
    does: (scene) => rewrite(scene, (event, head) => sealOf(event, mine)(head)),
    found: 'key_unknown at 1',
  },
  {
    name: 'all rewritten with another key by the name of ours',
    does: (scene) => {
      const key = mine.secrets.get('mine') as Uint8Array
      return rewrite(scene, (event, head) => {
        const link = { ...sealOf(event, mine)(head), keyId: auditKey.id }
        return { ...link, mac: macOf(link, head, key) }
      })
    },
    found: 'link_forged at 1',
  },
  {
    name: 'all rewritten with our own key, stolen',
    does: (scene) => rewrite(scene, (event, head) => sealOf(event, chainKeys)(head)),
    found: 'rewritten at 6',
    without: 'none',
  },
  {
    name: 'an event put in',
    does: copyEvent(5, 'mine', {}),
    found: 'event_added at mine',
  },
  {
    name: 'an unreadable event put in',
    does: copyEvent(5, 'mine', { details: "'{'" }),
    found: 'event_added at mine',
  },
  {
    name: 'an event put in at an instant past counting',
    does: copyEvent(5, 'mine', { at: '9007199254740993' }),
    found: 'event_added at mine',
  },
  ...["'{'", "''", "'null'", "'7'", "'[]'", `'"ended_note"'`, '\'{"n":1e999}\''].map(
    (details): Tampering => ({
      name: `details of ${details}`,
      does: setEvent(3, `details = ${details}`),
      found: 'event_changed at 3',
    }),
  ),
  ...['0', '-1', '9007199254740993', '9223372036854775807', '-9223372036854775808'].map(
    (at): Tampering => ({
      name: `an instant of ${at}`,
      does: setEvent(3, `at = ${at}`),
      found: 'event_changed at 3',
    }),
  ),
  ...["'noon'", "''", "x'00'", '0.5', '1e300', "'1e999'"].map(
    (at): Tampering => ({
      name: `an instant of ${at}`,
      does: setEvent(3, `at = ${at}`),
      found: 'event_changed at 3',
      on: ['sqlite'],
    }),
  ),
  ...["reason = x'00'", "code = x'41'", "details = x'7b7d'", "action = x'00'"].map(
    (set): Tampering => ({
      name: `bytes: ${set}`,
      does: setEvent(3, set),
      found: 'event_changed at 3',
      on: ['sqlite'],
    }),
  ),
  { name: 'a link moved to the end', does: setLink(3, 'seq = 7'), found: 'link_missing at 4' },
  {
    name: 'a link moved past counting',
    does: setLink(3, 'seq = 9223372036854775807'),
    found: 'link_missing at 4',
  },
  {
    name: 'the last link moved past counting',
    does: setLink(6, 'seq = 9223372036854775807'),
    found: 'link_missing',
  },
  {
    name: 'a link moved before the first',
    does: setLink(3, 'seq = -1'),
    found: 'link_missing at 4',
  },
  ...['mac', 'digest', 'personal_digest', 'key_id'].map(
    (column): Tampering => ({
      name: `a link without its ${column}`,
      does: setLink(3, `${column} = ''`),
      found: column === 'key_id' ? 'key_unknown at 3' : 'link_forged at 3',
      ...(column === 'personal_digest' && { found: 'event_changed at 3' }),
    }),
  ),
  { name: 'a link without its salt', does: setLink(1, 'salt = null'), found: 'event_changed at 1' },
]

const mine = keysOf({ id: 'mine', secret: 'a secret of somebody else, and no other' })

for (const kind of kinds) {
  describeOn(kind, 'tampering by SQL', () => {
    const fitting = tamperings.filter(({ on }) => !on || on.includes(kind))
    let address: Address
    let store: Store
    let close = async () => {}

    beforeAll(async () => {
      address = await makeDatabase(kind)
      await migrateAt(address)
      ;({ store, close } = connect(address))
    })
    beforeEach(async () => {
      const tables = ['links', 'events', 'sessions']
      await run(address, ...tables.map((name) => `delete from impersonation_${name}`))
      await live(store)
    })
    afterAll(async () => {
      await close()
      await dropDatabase(address)
    })

    it.each(fitting)('$name', async ({ does, found, without = found }) => {
      const chain = chainOf(store)
      const problem = async (options: VerifyOptions = {}) => {
        const { ok, firstBad } = await verifyChain(chain, chainKeys, options)
        expect(ok).toBe(firstBad === undefined)
        return firstBad ? `${firstBad.problem} at ${firstBad.seq ?? firstBad.eventId}` : 'none'
      }
      const head = (await chain.readHead()) as ChainHead
      expect(head.seq).toBe(6)
      const checkpoint = { ...head, at: 0 }
      expect(await problem({ checkpoint })).toBe('none')
      const links = (await chain.readLinks(0, 99)).map(({ link }) => link)
      const events = await store.listEvents({}, { limit: 99 })
      await run(address, ...does({ links, events }))
      expect(await problem({ checkpoint })).toContain(found)
      expect(await problem()).toContain(without)
    })

    it.each([
      ...["'[]'", "'7'", `'""'`, "'null'"].map((details) => ({ was: {}, details })),
      { was: { n: null }, details: `'{"n":1e999}'` },
    ])('details of $details in the place of $was', async ({ was, details }) => {
      const event = eventOf('impersonation.refused', sessionOf(), { sessionId: null, details: was })
      await store.appendEvents([{ ...event, seal: sealOf(event, chainKeys) }])
      const verify = () => verifyChain(chainOf(store), chainKeys, { to: 1 })
      expect(await verify()).toEqual({ ok: true, checked: 7 })
      await run(
        address,
        `update impersonation_events set details = ${details} where id = '${event.id}'`,
      )
      // Whatever was asked for.
      expect((await verify()).firstBad).toMatchObject({ seq: 7, problem: 'event_changed' })
    })
  })
}
