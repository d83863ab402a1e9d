import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventOf, minute, sessionOf } from '../../src/testing/store/fixtures.ts'
import { begun, day, lone, over } from '../../src/testing/store/retention-fixtures.ts'
import { describeOn, kinds } from '../support/databases.ts'
import { secretOf } from './chains.ts'
import { type Desk, openDesk, spawned } from './desk.ts'

/** The key that the fixtures seal with. */
const env = {
  ONBEHALF_AUDIT_KEY: 'a secret of the tests'.padEnd(32),
  ONBEHALF_AUDIT_KEY_ID: 'test',
}
const ago = (days: number) => Date.now() - days * day
const monthAgo = () => new Date(ago(30)).toISOString()
const said = { reason: 'said', ipAddress: '192.0.2.7', userAgent: 'a browser' }

let desk: Desk
const counts = async () => {
  const [sessions, events] = [
    await desk.store.listSessions({}, { limit: 1e6 }),
    await desk.store.listEvents({}, { limit: 1e6 }),
  ]
  return [sessions.length, events.length]
}
const verified = async () => (await desk.cli(['verify'], { env })).out

for (const kind of kinds) {
  describeOn(kind, 'prune and erase', () => {
    beforeEach(async () => {
      desk = await openDesk(kind)
    })
    afterEach(() => desk.close())

    it('prune deletes what was over, and verify holds', async () => {
      for (const days of [50, 40]) await over(desk.store, ago(days))
      await over(desk.store, ago(20))
      const ran = await desk.cli(['prune', '--before', monthAgo(), '--yes'], { env })
      expect(ran).toEqual({ code: 0, out: '2 sessions and 4 events deleted.\n', err: '' })
      expect(await counts()).toEqual([1, 3])
      expect(await verified()).toBe('7 links hold, and 3 events of them.\n')
      const [event] = await desk.store.listEvents({ action: 'audit.pruned' }, { limit: 1 })
      expect(event?.details).toMatchObject({ up_to: 4, kept: 0, via: 'cli' })
      const json = await desk.cli(['prune', '--before', monthAgo(), '--yes', '--json'], { env })
      expect(json).toEqual({ code: 0, out: '{"sessions":0,"events":0}\n', err: '' })
      expect(await verified()).toBe('8 links hold, and 4 events of them.\n')
    })

    it('erase leaves ids, and verify holds', async () => {
      await over(desk.store, ago(3), { targetUserId: 'alice', ...said }, { note: 'said' })
      await over(desk.store, ago(2), { targetUserId: 'bob', ...said })
      const ran = await desk.cli(['erase', '--user', 'alice', '--yes', '--json'], { env })
      expect(ran).toEqual({ code: 0, out: '{"user_id":"alice","rows":3}\n', err: '' })
      expect(await verified()).toBe('5 links hold.\n')
      const filter = { targetUserId: 'alice' }
      const sessions = await desk.store.listSessions(filter, { limit: 9 })
      const events = await desk.store.listEvents(filter, { limit: 9 })
      expect([sessions.length, events.length]).toEqual([1, 2])
      expect(JSON.stringify([sessions, events])).not.toMatch(/said|192\.0\.2\.7|a browser/)
      const others = await desk.store.listEvents({ targetUserId: 'bob' }, { limit: 9 })
      expect(others.map(({ reason }) => reason)).toEqual(['said', 'said'])
      const again = await desk.cli(['erase', '--user', 'alice', '--yes'], { env })
      expect(again.out).toBe('0 rows erased.\n')
    })
  })
}

describe('before anything is deleted', () => {
  beforeEach(async () => {
    desk = await openDesk()
  })
  afterEach(() => desk.close())
  const lines = (): [name: string, argv: string[]][] => [
    ['prune', ['prune', '--before', monthAgo()]],
    ['erase', ['erase', '--user', 'alice']],
  ]

  it.each([0, 1])('somebody says that they mean it (%i)', async (n) => {
    await over(desk.store, ago(40), { targetUserId: 'alice', ...said })
    const [, argv] = lines()[n] as [string, string[]]
    const asked: string[] = []
    const answer = (yes: boolean) => ({
      env,
      confirm: async (question: string) => {
        asked.push(question)
        return yes
      },
    })
    const nobody = await desk.cli(argv, { env })
    expect(nobody.code).toBe(2)
    expect(nobody.err).toContain('add --yes')
    expect((await spawned(argv, { DATABASE_URL: desk.url, ...env })).code).toBe(2)
    const no = await desk.cli(argv, answer(false))
    expect(no).toEqual({ code: 1, out: '', err: 'Nothing was changed.\n' })
    expect(await counts()).toEqual([1, 2])
    expect((await desk.cli(argv, answer(true))).code).toBe(0)
    expect(asked).toHaveLength(2)
    expect(asked[0]).toMatch(/before \d{4}-.*Z\? That can’t be undone\.|about alice, .*undone\./)
  })

  it.each([0, 1])('the key is there and fits, where events are sealed (%i)', async (n) => {
    const [, argv] = lines()[n] as [string, string[]]
    await over(desk.store, ago(40), { targetUserId: 'alice', ...said })
    // It has run out, and would be ended on the way.
    await begun(desk.store, { createdAt: ago(41), expiresAt: ago(40) })
    for (const wrong of [
      {},
      { ...env, ONBEHALF_AUDIT_KEY: secretOf() },
      { ...env, ONBEHALF_AUDIT_KEY_ID: 'x' },
    ]) {
      const ran = await desk.cli([...argv, '--yes'], { env: wrong })
      expect({ code: ran.code, out: ran.out }).toEqual({ code: 1, out: '' })
      expect(ran.err).toContain('Without a seal nothing is deleted.')
    }
    expect(await counts()).toEqual([2, 3])
    expect(await desk.store.listSessions({ status: 'active' }, { limit: 9 })).toHaveLength(1)
    expect(await verified()).toBe('3 links hold.\n')
  })

  it('prune finds a chain that holds', async () => {
    await over(desk.store, ago(40))
    const { id } = await lone(desk.store, { at: ago(1) })
    await desk.db.deleteFrom('impersonation_events').where('id', '=', id).execute()
    const ran = await desk.cli(['prune', '--before', monthAgo(), '--yes'], { env })
    expect({ code: ran.code, out: ran.out }).toEqual({ code: 1, out: '' })
    expect(ran.err).toMatch(/does not hold \(event_missing at link 3\), and nothing was pruned/)
    expect(await counts()).toEqual([1, 2])
  })

  it('prune ends sessions that have run out', async () => {
    const session = await begun(desk.store, { createdAt: ago(41), expiresAt: ago(40) })
    const live = await begun(desk.store, { createdAt: ago(41), expiresAt: Date.now() + minute })
    await desk.cli(['prune', '--before', monthAgo(), '--yes'], { env })
    expect(await desk.store.readSession(session.id)).toBeNull()
    expect((await desk.store.readSession(live.id))?.status).toBe('active')
    expect(await verified()).toBe('4 links hold, and 2 events of them.\n')
  })
})

describe('without a chain', () => {
  beforeEach(async () => {
    desk = await openDesk()
  })
  afterEach(() => desk.close())

  it('no key is needed', async () => {
    await desk.start({ createdAt: ago(41), expiresAt: ago(40), targetUserId: 'alice', ...said })
    const event = eventOf('impersonation.refused', sessionOf({ targetUserId: 'alice', ...said }))
    await desk.store.appendEvents([{ ...event, at: ago(1), sessionId: null }])
    expect((await desk.cli(['prune', '--before', monthAgo(), '--yes'])).out).toBe(
      '1 session and 2 events deleted.\n',
    )
    expect((await desk.cli(['erase', '--user', 'alice', '--yes'])).out).toBe('1 row erased.\n')
    expect(await counts()).toEqual([0, 3])
    expect(await desk.store.chain.readHead()).toBeNull()
  })

  it('erase says what is still live', async () => {
    await desk.start({ targetUserId: 'alice', ...said })
    const ran = await desk.cli(['erase', '--user', 'alice', '--yes'])
    expect(ran.err).toContain('1 session of theirs is active and not erased')
  })

  it.each<[argv: string[], message: RegExp]>([
    [['prune', '--yes'], /Say what is old: --before <instant>/],
    [['prune', '--before', '2030-02-30', '--yes'], /--before must be an instant/],
    [['prune', '--before', String(ago(0.9)), '--yes'], /at least 24 hours ago/],
    [['prune', 'all', '--before', '0'], /begins with --/],
    [['erase', '--yes'], /Say who: --user <id>/],
    [['erase', 'alice', '--yes'], /begins with --/],
    [['erase', '--user', '', '--yes'], /--user wants a value/],
  ])('%j is wrong usage', async (argv, message) => {
    const { code, err } = await desk.cli(argv)
    expect(code).toBe(2)
    expect(err).toMatch(message)
  })
})
