import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { describeOn, kinds } from '../support/databases.ts'
import { keysOf, sealEvents, secretOf, startBefore } from './chains.ts'
import { cli, type Desk, openDesk, paper, spawned } from './desk.ts'

const [secret, other] = [secretOf(), secretOf()]
const env = { ONBEHALF_AUDIT_KEY: secret }
const keys = keysOf(secret)

for (const kind of kinds) {
  describeOn(kind, 'verify', () => {
    let desk: Desk
    beforeEach(async () => {
      desk = await openDesk(kind)
    })
    afterEach(() => desk.close())

    const execute = (statement: string) => sql.raw(statement).execute(desk.db)
    const verify = (argv: readonly string[] = [], given: Record<string, string> = env) =>
      desk.cli(['verify', ...argv], { env: given })

    it('says how many links hold', async () => {
      await sealEvents(desk, keys, 3)
      expect(await verify()).toEqual({ code: 0, out: '3 links hold.\n', err: '' })
      expect(await verify(['--quiet'])).toEqual({ code: 0, out: '', err: '' })
      const process = await spawned(['verify'], { ...env, DATABASE_URL: desk.url })
      expect(process).toEqual({ code: 0, out: '3 links hold.\n', err: '' })
    })

    it('finds an event that was changed', async () => {
      const [, second] = await sealEvents(desk, keys, 3)
      await execute(`update impersonation_events set actor_id = 'bob' where id = '${second?.id}'`)
      const { code, out, err } = await verify()
      expect({ code, err }).toEqual({ code: 1, err: '' })
      expect(out).toMatch(
        /^event_changed: link 2 \(event \S+\) .* after 1 link checked\. The event does/,
      )
      expect(out).toContain(second?.id)
      const json = await verify(['--json'])
      expect(json.code).toBe(1)
      expect(JSON.parse(json.out)).toEqual({
        ok: false,
        checked: 1,
        first_bad: {
          ...{ seq: 2, event_id: second?.id, problem: 'event_changed' },
          meaning: expect.stringMatching(/sealed\.$/),
        },
        checkpoint: null,
      })
    })

    it('compares the events that are asked for, and says how many', async () => {
      const [first] = await sealEvents(desk, keys, 2, 'one')
      await sealEvents(desk, keys, 3, 'two')
      await execute(`update impersonation_events set actor_id = 'bob' where id = '${first?.id}'`)
      expect((await verify(['--session', 'one'])).code).toBe(1)
      expect((await verify(['--session', 'two'])).out).toBe('5 links hold, and 3 events of them.\n')
      expect((await verify(['--session', 'none'])).out).toBe(
        '5 links hold, and 0 events of them.\n',
      )
      expect((await verify(['--from', String(first?.at)])).code).toBe(1)
      const later = await verify(['--from', String(Date.now()), '--json'])
      expect(JSON.parse(later.out)).toMatchObject({ ok: true, checked: 5, compared: 0 })
      expect((await verify(['--to', String(first?.at)])).code).toBe(0)
    })

    it('finds an event and a link that were removed', async () => {
      const [, second] = await sealEvents(desk, keys, 3)
      await execute(`delete from impersonation_events where id = '${second?.id}'`)
      const gone = await verify()
      expect(gone.code).toBe(1)
      expect(gone.out).toMatch(/^event_missing: link 2 /)
      await execute('delete from impersonation_links where seq = 2')
      expect((await verify()).out).toMatch(/^link_missing: link 3 /)
    })

    it('finds an end that was cut off, against a checkpoint', async () => {
      const [, , third] = await sealEvents(desk, keys, 3)
      const taken = await verify(['--print-checkpoint'])
      expect(taken).toMatchObject({ code: 0, err: '3 links hold.\n' })
      expect(taken.out).toMatch(/^3:[\w-]{43}\n$/)
      const mark = taken.out.trim()
      expect(await verify(['--print-checkpoint', '--quiet'])).toEqual({ ...taken, err: '' })
      expect(JSON.parse((await verify(['--json'])).out).checkpoint).toBe(mark)

      await execute('delete from impersonation_links where seq = 3')
      await execute(`delete from impersonation_events where id = '${third?.id}'`)
      expect((await verify()).code).toBe(0)
      const cut = await verify(['--checkpoint', mark])
      expect(cut.code).toBe(1)
      expect(cut.out).toMatch(/^cut_off: link 3 /)
      const marked = await verify(['--checkpoint', mark, '--print-checkpoint'])
      expect(marked).toMatchObject({ code: 1, out: '', err: cut.out })

      await sealEvents(desk, keys, 2)
      expect((await verify(['--checkpoint', mark])).out).toMatch(/^rewritten: link 3 /)
    })

    it('finds an event that nobody sealed, and passes over it from later on', async () => {
      await sealEvents(desk, keys, 1)
      const session = await desk.start()
      const added = await verify()
      expect(added.code).toBe(1)
      expect(added.out).toMatch(/^event_added: event \S+ does not hold, after 1 link checked/)
      expect((await verify(['--from', String(session.createdAt + 1)])).code).toBe(0)
    })

    it('takes another key for what it is, and tells no part of any', async () => {
      await sealEvents(desk, keys, 2)
      const wrong = await verify([], { ONBEHALF_AUDIT_KEY: other })
      expect(wrong.code).toBe(1)
      expect(wrong.out).toMatch(/^link_forged: link 1 .*another than the servers’/)
      const named = await verify([], { ...env, ONBEHALF_AUDIT_KEY_ID: '2031' })
      expect(named.code).toBe(1)
      expect(named.out).toMatch(/^key_unknown: link 1 .* Its name is default\.\n$/)
      expect(wrong.out + wrong.err + named.out + named.err).not.toContain(other)
      expect(wrong.out + wrong.err + named.out + named.err).not.toContain(secret)
    })

    it('takes older keys too', async () => {
      await sealEvents(desk, keysOf(other, '2029'), 1)
      await sealEvents(desk, keysOf(secret, '2030'), 1)
      const id = { ONBEHALF_AUDIT_KEY_ID: '2030' }
      const old = { ONBEHALF_AUDIT_OLD_KEYS: JSON.stringify({ 2029: other }) }
      expect((await verify([], { ...env, ...id, ...old })).out).toBe('2 links hold.\n')
      expect((await verify([], { ...env, ...id })).out).toMatch(/Its name is 2029\.\n$/)
    })

    it('marks the last link of its own walk, and none that came later', async () => {
      await sealEvents(desk, keys, 1)
      let written = 0
      const err = {
        ...paper(true),
        async write() {
          if (written++ === 0) await sealEvents(desk, keysOf(other), 1)
        },
      }
      const { out } = await desk.cli(['verify', '--print-checkpoint'], { env, err })
      expect(out).toMatch(/^1:/)
    })

    it('seals what revoke stores, and warns where it can’t', async () => {
      await sealEvents(desk, keys, 2)
      const [one, two] = [await startBefore(desk), await startBefore(desk, 'a', 'b')]
      const sealed = await desk.cli(['revoke', one.id, '--json'], { env })
      expect(sealed).toMatchObject({ code: 0, err: '' })
      expect(JSON.parse(sealed.out)).toMatchObject({ outcome: 'revoked', sealed: true })
      expect((await verify()).out).toBe('3 links hold.\n')
      const bare = await desk.cli(['revoke', two.id])
      expect(bare).toMatchObject({ code: 0, out: `${two.id}: revoked (a as b)\n` })
      expect(bare.err).toMatch(/^ONBEHALF_AUDIT_KEY is not set\. .* as event_added\.\n1 session/)
      expect((await verify()).out).toMatch(/^event_added: /)
    })
  })
}

describe('verify', () => {
  let desk: Desk
  beforeEach(async () => {
    desk = await openDesk()
  })
  afterEach(() => desk.close())

  it('says that there is nothing to verify, and takes no mark of it', async () => {
    await desk.start()
    const empty = await desk.cli(['verify'], { env })
    expect(empty).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^No audit event is sealed/),
    })
    const mark = await desk.cli(['verify', '--print-checkpoint'], { env })
    expect(mark).toMatchObject({ code: 1, out: '' })
    expect(mark.err).toMatch(/There is no link that a checkpoint could be\.\n$/)
    const cut = await desk.cli(['verify', '--checkpoint', `1:${'a'.repeat(43)}`], { env })
    expect(cut.out).toMatch(/^cut_off: link 1 does not hold/)
  })

  it('shows its progress on a terminal, unless it shall be quiet', async () => {
    await sealEvents(desk, keys, 2)
    const [shown, quiet] = [paper(true), paper(true)]
    await desk.cli(['verify'], { env, err: shown })
    await desk.cli(['verify', '--quiet'], { env, err: quiet })
    expect(shown.text).toBe('\r2 links\r\u001b[K')
    expect(quiet.text).toBe('')
  })

  it('is a fault where the tables are not', async () => {
    await desk.db.schema.dropTable('impersonation_links').execute()
    const { code, out, err } = await desk.cli(['verify'], { env })
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toMatch(/Run onbehalf migrate\.\n$/)
  })

  it('lets nothing in the data reach the terminal', async () => {
    await sealEvents(desk, keys, 1)
    await desk.db.updateTable('impersonation_links').set({ key_id: '\u001b[2J' }).execute()
    const { out } = await desk.cli(['verify'], { env })
    expect(out).toContain('Its name is \\u{1b}[2J.')
  })

  it('takes no key from the command line', async () => {
    const { code, err } = await desk.cli(['verify', '--key', secret])
    expect(code).toBe(2)
    expect(err).toMatch(/There is no option --key\./)
    expect(err).not.toContain(secret)
    expect((await cli(['verify', '--help'])).out).not.toMatch(/--[a-z-]*key\b/)
  })

  const long = 's3cret'.repeat(8)
  it.each<[name: string, env: Record<string, string>, message: RegExp]>([
    ['no key', {}, /Give the key of the chain in ONBEHALF_AUDIT_KEY\./],
    ['an empty key', { ONBEHALF_AUDIT_KEY: '' }, /Give the key of the chain/],
    ['old keys alone', { ONBEHALF_AUDIT_OLD_KEYS: `{"a":"${long}"}` }, /Give the key of the chain/],
    [
      'a short key',
      { ONBEHALF_AUDIT_KEY: 's3cret' },
      /: ONBEHALF_AUDIT_KEY must be a secret of at least 32 characters/,
    ],
    [
      'a name that is none',
      { ...env, ONBEHALF_AUDIT_KEY_ID: 's3cret key' },
      /: ONBEHALF_AUDIT_KEY_ID must be a short name/,
    ],
    [
      'old keys that are no JSON',
      { ...env, ONBEHALF_AUDIT_OLD_KEYS: long },
      /: ONBEHALF_AUDIT_OLD_KEYS must be JSON: \{/,
    ],
    [
      'old keys in a list',
      { ...env, ONBEHALF_AUDIT_OLD_KEYS: `["${long}"]` },
      /: ONBEHALF_AUDIT_OLD_KEYS must be JSON/,
    ],
    [
      'old keys that are no texts',
      { ...env, ONBEHALF_AUDIT_OLD_KEYS: `{"a":{"s3cret":1}}` },
      /: ONBEHALF_AUDIT_OLD_KEYS must be JSON/,
    ],
    [
      'an old key that is short',
      { ...env, ONBEHALF_AUDIT_OLD_KEYS: `{"a":"s3cret"}` },
      /: Each value in ONBEHALF_AUDIT_OLD_KEYS must be a secret/,
    ],
    [
      'an old key whose name is none',
      { ...env, ONBEHALF_AUDIT_OLD_KEYS: `{"s3cret a":"${long}"}` },
      /: Each id in ONBEHALF_AUDIT_OLD_KEYS must be a short name/,
    ],
    [
      'an old key with the name of the current one',
      { ...env, ONBEHALF_AUDIT_OLD_KEYS: `{"default":"${long}"}` },
      /: ONBEHALF_AUDIT_OLD_KEYS must be keys with ids of their own/,
    ],
  ])('is wrong usage with %s, and tells no secret', async (_name, given, message) => {
    const { code, out, err } = await desk.cli(['verify'], { env: given })
    expect(err).toMatch(message)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).not.toMatch(/s3cret/)
    expect(err).not.toContain(secret)
  })

  it.each(['1', `0:${'a'.repeat(43)}`, '1:short', `1:${'a'.repeat(44)}`, `1:${'+'.repeat(43)}`])(
    'is wrong usage with the checkpoint %s',
    async (mark) => {
      const { code, err } = await desk.cli(['verify', '--checkpoint', mark], { env })
      expect(code).toBe(2)
      expect(err).toContain('--checkpoint must be what --print-checkpoint printed: <seq>:<mac>.')
    },
  )
})
