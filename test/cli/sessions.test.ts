import { afterEach, beforeEach, expect, it } from 'vitest'
import { endingOf, minute } from '../../src/testing/store/fixtures.ts'
import { type Desk, jsonLines, openDesk } from './desk.ts'

let desk: Desk
const now = Date.UTC(2030, 0, 1)
beforeEach(async () => {
  desk = await openDesk()
})
afterEach(() => desk.close())

const start = (n: number, changes = {}) =>
  desk.start({
    id: `s${n}`,
    actorId: `a${n}`,
    targetUserId: `t${n}`,
    createdAt: now + n,
    expiresAt: now + 30 * minute,
    ...changes,
  })
const ids = async (...argv: string[]) =>
  jsonLines((await desk.cli(['sessions', '--json', ...argv], { now: () => now })).out).map(
    ({ id }) => id,
  )

it('shows what the filters say, newest first, the active ones by default', async () => {
  for (const n of [1, 2, 3, 4]) await start(n, { targetOrgId: n % 2 ? 'odd' : 'even' })
  await desk.store.endSession('s2', endingOf(), null)
  expect(await ids()).toEqual(['s4', 's3', 's1'])
  expect(await ids('--status', 'all')).toEqual(['s4', 's3', 's2', 's1'])
  expect(await ids('--status', 'revoked')).toEqual(['s2'])
  expect(await ids('--status', 'expired')).toEqual([])
  expect(await ids('--org', 'odd')).toEqual(['s3', 's1'])
  expect(await ids('--actor', 'a3')).toEqual(['s3'])
  expect(await ids('--actor=a3', '--target=t1')).toEqual([])
  expect(await ids('--from', String(now + 3), '--to', '2030-01-01T00:00:00.004Z')).toEqual(['s3'])
  expect(await ids('--limit', '2')).toEqual(['s4', 's3'])
})

it('says that there are more, and that there are none', async () => {
  for (const n of [1, 2]) await start(n)
  expect((await desk.cli(['sessions', '--limit', '1'])).err).toBe(
    'There are more than 1 session: raise --limit.\n',
  )
  expect((await desk.cli(['sessions', '--limit', '2'])).err).toBe('')
  expect(await desk.cli(['sessions', '--actor', 'x'])).toEqual({
    code: 0,
    out: '',
    err: 'No session matches.\n',
  })
})

it('shows more than a page', async () => {
  for (let n = 0; n < 205; n++) await start(n)
  expect(await ids('--limit', '1000')).toHaveLength(205)
  expect(await ids('--limit', '203')).toHaveLength(203)
})

it('tells how each stands', async () => {
  await start(1, { breakGlass: true, accessLevel: 'full', reason: 'urgent' })
  await start(2)
  await desk.store.endSession('s2', endingOf({ reason: 'target_gone', at: now + minute }), null)
  const shown = async (at: number) =>
    (await desk.cli(['sessions', '--status', 'all'], { now: () => at })).out
      .split('\n')
      .map((line) => line.split(/ {2,}/))
  expect(await shown(now)).toEqual([
    ['SESSION', 'STATUS', 'ACTOR', 'TARGET', 'LEVEL', 'BEGUN', 'ENDS OR ENDED', 'REASON'],
    [
      's2',
      'revoked, target_gone',
      'a2',
      't2',
      'view',
      '2030-01-01T00:00:00.002Z',
      '2030-01-01T00:01:00.000Z',
      'a test',
    ],
    [
      's1',
      'active',
      'a1',
      't1',
      'full, break-glass',
      '2030-01-01T00:00:00.001Z',
      '2030-01-01T00:30:00.000Z',
      'urgent',
    ],
    [''],
  ])
  expect((await shown(now + 30 * minute))[2]?.[1]).toBe('active, time is up')
})

it('lets nothing in the data reach the terminal, and JSON keeps it as it is', async () => {
  const evil = '\u001b]0;owned\u0007\u001b[31m\r\nroot\u202e\u009b2J'
  await start(1, { reason: evil, actorId: evil, targetUserId: `=cmd|' /C calc'!A0${evil}` })
  const { out } = await desk.cli(['sessions'])
  expect(out.split('\n')).toHaveLength(3)
  expect(out.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  const json = (await desk.cli(['sessions', '--json'])).out
  expect(json.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  expect(jsonLines(json)[0]).toMatchObject({ reason: evil, actor_id: evil })
})
