import { readFile, rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { sql } from 'kysely'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Check } from '../../src/cli/checks.ts'
import { doctorCommand } from '../../src/cli/doctor.ts'
import { migrationSql } from '../../src/stores/kysely/index.ts'
import { schemaVersion } from '../../src/stores/kysely/migrations.ts'
import { eventOf, minute, sessionOf } from '../../src/testing/store/fixtures.ts'
import type { Delivery } from '../../src/types.ts'
import { describeOn, kinds } from '../support/databases.ts'
import { keysOf, sealEvents, secretOf, startBefore } from './chains.ts'
import { type Desk, openDesk } from './desk.ts'

for (const kind of kinds) {
  describeOn(kind, 'doctor', () => {
    let desk: Desk
    beforeEach(async () => {
      desk = await openDesk(kind)
    })
    afterEach(() => desk.close())

    async function examine(now = Date.now, env: Record<string, string> = {}) {
      const { code, out } = await desk.cli(['doctor', '--json'], { now, env })
      const { ok, checks } = JSON.parse(out) as { ok: boolean; checks: Check[] }
      expect(code).toBe(ok ? 0 : 1)
      return Object.fromEntries(
        checks.map(({ name, status, found, todo }) => [name, `${status} ${found} ${todo ?? ''}`]),
      )
    }
    const execute = (statement: string) => sql.raw(statement).execute(desk.db)

    it('finds nothing wrong where nothing is', async () => {
      await desk.start()
      const found = await examine()
      expect(Object.keys(found)).toEqual([
        ...['reachable', 'clock', 'schema', 'sessions', 'keys', 'outbox', 'chain'],
        ...(kind === 'postgres' ? ['listen'] : []),
      ])
      expect(Object.values(found).filter((line) => !line.startsWith('ok '))).toEqual([])
      expect(found.sessions).toContain('1 session active.')
      expect(found.schema).toContain(`version ${schemaVersion}.`)
    })

    it('finds tables that are missing, old, new and lost', async () => {
      const top = `where version = ${schemaVersion}`
      await execute(`delete from impersonation_schema ${top}`)
      expect((await examine()).schema).toMatch(
        new RegExp(
          `^fail .*version ${schemaVersion - 1}, and this .* needs ${schemaVersion}\\. Run`,
        ),
      )
      await execute('insert into impersonation_schema (version) values (99)')
      expect((await examine()).schema).toMatch(/^warn .*version 99, and this release knows/)
      await execute('drop table impersonation_deliveries')
      const lost = await examine()
      expect(lost.schema).toMatch(/^fail .*but impersonation_deliveries can’t be read\. Apply/)
      expect(Object.keys(lost)).not.toContain('outbox')
      await execute('drop table impersonation_schema')
      expect((await examine()).schema).toMatch(
        /^fail the tables are missing\. Run onbehalf migrate/,
      )
    })

    it.each([
      [0, 'ok'],
      [-700, 'ok'],
      [1_500, 'warn'],
      [-2_000, 'warn'],
      [30_500, 'fail'],
      [-31_000, 'fail'],
    ])('measures a clock that is %d ms ahead', async (aheadMs, status) => {
      const { clock = '' } = await examine(() => Date.now() + aheadMs)
      expect(clock.split(' ')[0]).toBe(status)
      const [, ms, way] = /is (\d+) ms (ahead of|behind)/.exec(clock) ?? [0, 0, 'ahead of']
      const measured = way === 'behind' ? -Number(ms) : Number(ms)
      expect(Math.abs(measured - aheadMs)).toBeLessThan(250)
    })

    it('finds sessions whose time was up long ago', async () => {
      const now = Date.now()
      await desk.start({ createdAt: now - 5 * minute, expiresAt: now - 3 * minute })
      const recent = { createdAt: now - 5 * minute, expiresAt: now - minute }
      await desk.start({ ...recent, actorId: 'a', targetUserId: 'b' })
      await desk.start({ ...recent, actorId: 'c', targetUserId: 'd' })
      expect((await examine()).sessions).toMatch(
        /^warn 3 sessions active, and the time of 1 was up/,
      )
    })

    it('finds deliveries that nobody takes and those given up', async () => {
      const now = Date.now()
      const due = (dueAt: number) => deliveryOf({ dueAt })
      await desk.store.appendEvents([
        { ...event(), deliveries: [due(now - 3 * minute), due(now - minute), due(now + minute)] },
      ])
      expect((await examine()).outbox).toMatch(
        /^warn 3 deliveries pending, 1 overdue by .*\. Overdue: does/,
      )
      await desk.store.appendEvents([{ ...event(), deliveries: [deliveryOf({ status: 'dead' })] }])
      expect((await examine()).outbox).toMatch(
        /, 1 given up\. Overdue: .* Given up: the column error/,
      )
    })

    it('tells of the chain, and whether the key that is given is its own', async () => {
      const [secret, other] = [secretOf(), secretOf()]
      const chain = async (env: Record<string, string>) => {
        const line = (await examine(Date.now, env)).chain ?? ''
        expect(line).not.toMatch(/s3cret/)
        for (const hidden of [secret, other]) expect(line).not.toContain(hidden)
        return line
      }
      const key = { ONBEHALF_AUDIT_KEY: secret }
      expect(await chain({})).toMatch(/^ok no audit event is sealed\./)
      expect(await chain(key)).toMatch(/^ok a key is given, and there are no events yet\./)
      await startBefore(desk)
      expect(await chain(key)).toMatch(/^warn a key is given, and of the audit events none is/)

      await sealEvents(desk, keysOf(secret), 1)
      expect(await chain(key)).toMatch(/^ok 1 link, and the last one holds\./)
      await sealEvents(desk, keysOf(secret), 3)
      expect(await chain(key)).toMatch(/^ok 4 links, and the last one holds\./)
      expect(await chain({})).toMatch(/^warn 4 links, and no key is given here\. Set ONBEHALF/)
      const wrong = await chain({ ONBEHALF_AUDIT_KEY: other })
      expect(wrong).toMatch(/^fail 4 links\. The last link does not hold with the key .*Compare/)
      const named = await chain({ ...key, ONBEHALF_AUDIT_KEY_ID: '2031' })
      expect(named).toMatch(/^fail 4 links\. The last link was made with the key default, which/)
      const short = await chain({ ONBEHALF_AUDIT_KEY: 's3cret' })
      expect(short).toMatch(/^fail 4 links, and the key .* can’t be used\. ONBEHALF_AUDIT_KEY must/)
      await execute('delete from impersonation_links where seq = 3')
      expect(await chain(key)).toMatch(/^fail 4 links\. A link at the end of the chain is missing/)
      await execute('drop table impersonation_links')
      expect(Object.keys(await examine())).not.toContain('chain')
    })

    it.each<[fault: string, statement: string, found: RegExp]>([
      [
        'an active one without its key',
        'active_actor_key = null',
        /\(one\) active without the keys/,
      ],
      ['the key of another', "active_actor_key = 'other|'", /\(one\) active without the keys/],
      [
        'a target key of another',
        "active_target_key = 'other|'",
        /\(one\) active without the keys/,
      ],
      ['a grant without its key', "grant_id = 'g'", /\(one\) active without the keys/],
      [
        'a grant’s key without a grant',
        "active_grant_key = 'g|'",
        /\(one\) active without the keys/,
      ],
      ['a token with an actor’s key', "transport = 'token'", /\(one\) active without the keys/],
      ['one that ended with its keys', "status = 'revoked'", /update impersonation_sessions/],
      ...['actor', 'target', 'grant'].map((kept): [string, string, RegExp] => [
        `one that ended with its ${kept}’s key`,
        ['actor', 'target', 'grant']
          .map((key) => `active_${key}_key = ${key === kept ? "'x|'" : 'null'}`)
          .concat("status = 'revoked'")
          .join(', '),
        /\(one\) ended, and still in the way/,
      ]),
    ])('finds %s', async (_fault, statement, found) => {
      await desk.start({ id: 'one', actorId: 'a', targetUserId: 'b' })
      await desk.start({ id: 'two', actorId: 'c', targetUserId: 'd' })
      await execute(`update impersonation_sessions set ${statement} where id = 'one'`)
      const { keys } = await examine()
      expect(keys).toMatch(/^fail 1 session /)
      expect(keys).toMatch(found)
    })

    it('gives advice that mends the keys', async () => {
      await desk.start({ id: 'one', actorId: 'a', targetUserId: 'b' })
      await desk.start({ id: 'two', actorId: 'c', targetUserId: 'd' })
      await execute(`update impersonation_sessions set active_actor_key = null where id = 'one'`)
      await execute(`update impersonation_sessions set status = 'revoked' where id = 'two'`)
      const [, mend = ''] =
        /: (update .*null where status <> 'active')\./.exec((await examine()).keys ?? '') ?? []
      await execute(mend)
      await desk.cli(['revoke', 'one'])
      expect((await examine()).keys).toMatch(/^ok /)
    })

    it('takes a session for which several may have one target for what it is', async () => {
      const now = Date.now()
      const session = sessionOf({ createdAt: now, expiresAt: now + minute, grantId: 'g' })
      await desk.store.claimSession({
        session,
        now,
        onConflict: 'reject',
        exclusiveTarget: false,
        events: { started: eventOf('impersonation.started', session), ended: () => [] },
      })
      expect((await examine()).keys).toMatch(/^ok /)
    })

    it('writes a line for each, with what to do', async () => {
      await desk.start({ id: 'one\u001b[2J' })
      await execute('update impersonation_sessions set active_actor_key = null')
      const { code, out, err } = await desk.cli(['doctor'])
      expect({ code, err }).toEqual({ code: 1, err: '' })
      for (const line of out.trim().split('\n'))
        expect(line).toMatch(/^(ok {4}|fail {2})[a-z]+: [^\p{Cc}]+\.$/u)
      expect(out).toMatch(
        /^fail {2}keys: .*\\u\{1b\}\[2J.* End those that are active by onbehalf revoke/m,
      )
    })
  })
}

describeOn('postgres', 'doctor behind a pooler in transaction mode', () => {
  it('says that a notification was not heard', async () => {
    const desk = await openDesk('postgres')
    try {
      // It takes the command, and drops what comes of it later.
      class Pooled extends pg.Client {
        override on(name: string, listener: (...args: never[]) => void): this {
          return name === 'notification' ? this : super.on(name as 'end', listener as () => void)
        }
      }
      const { code, out } = await desk.call(doctorCommand, null, {
        listen: () => new Pooled(desk.url),
      })
      expect(code).toBe(0)
      expect(out).toMatch(/^warn {2}listen: a notification was not heard.*Give the option listen/m)
      const broken = await desk.call(doctorCommand, null, {
        listen: () => new pg.Client('postgres://postgres@127.0.0.1:1/x'),
      })
      expect(broken.code).toBe(1)
      expect(broken.out).toMatch(/^fail {2}listen: .*ECONNREFUSED/m)
    } finally {
      await desk.close()
    }
  })
})

describe('doctor on a file', () => {
  it('leaves its mode as it is', async () => {
    const desk = await openDesk()
    try {
      const { address } = desk
      const file = 'file' in address ? `${address.file}.host` : ''
      const own = new DatabaseSync(file)
      own.exec(migrationSql('sqlite'))
      own.close()
      const before = await readFile(file)
      const { code } = await desk.cli(['doctor'])
      expect(code).toBe(0)
      expect(
        (
          await import('./desk.ts').then(({ cli }) =>
            cli(['doctor', '--database', `sqlite:${file}`]),
          )
        ).code,
      ).toBe(0)
      expect((await readFile(file)).equals(before)).toBe(true)
      await rm(file)
    } finally {
      await desk.close()
    }
  })
})

let serial = 0
const event = () => eventOf('impersonation.started', sessionOf())
const deliveryOf = (changes: Partial<Delivery>): Delivery => ({
  id: `delivery-${++serial}`,
  topic: 'notice',
  userId: 'alice',
  channel: null,
  payload: {},
  status: 'pending',
  attempts: 0,
  createdAt: 0,
  dueAt: Date.now(),
  settledAt: null,
  error: null,
  revision: 1,
  ...changes,
})
