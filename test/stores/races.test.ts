import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { ClaimResult, EndResult } from '../../src/stores/store.ts'
import {
  actionsOf,
  assertConsistent,
  endingOf,
  minute,
  sessionOf,
  t0,
} from '../../src/testing/store/fixtures.ts'
import type { Session } from '../../src/types.ts'
import { type Address, type Connection, connect } from '../support/connect.ts'
import { type Crew, hire } from '../support/crew.ts'
import { describeOn, dropDatabase, kinds, makeDatabase } from '../support/databases.ts'

const processes = 8
const rounds = Number(process.env.ROUNDS ?? 40)
vi.setConfig({ testTimeout: 30_000 + rounds * 1_000, hookTimeout: 60_000 })

for (const kind of kinds) {
  describeOn(kind, `${processes} processes at once, ${rounds} rounds`, () => {
    let address: Address
    let crew: Crew
    let own: Connection

    beforeAll(async () => {
      address = await makeDatabase(kind)
      crew = await hire(processes)
      await crew.all(() => ({ do: 'migrate', address }))
      await crew.all(() => ({ do: 'connect', address }))
      own = connect(address)
    })
    afterAll(async () => {
      await crew.dismiss()
      await own.close()
      await dropDatabase(address)
    })

    const everyRound = async (play: (round: number) => Promise<void>) => {
      for (let round = 0; round < rounds; round++) await play(round)
      await assertConsistent(own.store)
    }
    const claimAll = (
      onConflict: 'replace' | 'reject',
      sessions: (worker: number) => Partial<Session>,
    ) =>
      crew.all<ClaimResult>((worker) => {
        const session = sessionOf({ id: crypto.randomUUID(), ...sessions(worker) })
        return { do: 'claim', session, now: session.createdAt, onConflict }
      })
    const countOf = (results: readonly ClaimResult[], outcome: ClaimResult['outcome']) =>
      results.filter((result) => result.outcome === outcome).length

    it('one actor, rejecting: one winner', () =>
      everyRound(async (round) => {
        const actorId = `a${round}`
        const results = await claimAll('reject', (n) => ({
          actorId,
          targetUserId: `a${round} to ${n}`,
        }))
        expect(countOf(results, 'started')).toBe(1)
        expect(countOf(results, 'actor_busy')).toBe(processes - 1)
        const { active } = await own.store.readStanding(actorId)
        for (const result of results) {
          if (result.outcome !== 'started') expect(result).toMatchObject({ by: active })
        }
      }))

    it('one target: one winner', () =>
      everyRound(async (round) => {
        const targetUserId = `b${round}`
        const results = await claimAll('replace', (n) => ({
          actorId: `b${round} from ${n}`,
          targetUserId,
        }))
        expect(countOf(results, 'started')).toBe(1)
        expect(countOf(results, 'target_busy')).toBe(processes - 1)
        expect(await own.store.listSessions({ targetUserId }, { limit: 9 })).toHaveLength(1)
      }))

    it('one actor, replacing: all win, one stays', () =>
      everyRound(async (round) => {
        const actorId = `c${round}`
        const results = await claimAll('replace', (n) => ({
          actorId,
          targetUserId: `c${round} to ${n % 2}`,
        }))
        expect(countOf(results, 'started')).toBe(processes)
        const sessions = await own.store.listSessions({ actorId }, { limit: 99 })
        expect(sessions.filter(({ status }) => status === 'active')).toHaveLength(1)
        expect(sessions.filter(({ status }) => status === 'replaced')).toHaveLength(processes - 1)
      }))

    it('an expired session on the target: closed once, one winner', () =>
      everyRound(async (round) => {
        const targetUserId = `d${round}`
        await claimAll('reject', () => ({ actorId: `d${round} old`, targetUserId }))
        const results = await claimAll('reject', (n) => ({
          actorId: `d${round} from ${n}`,
          targetUserId,
          createdAt: t0 + 30 * minute,
          expiresAt: t0 + 60 * minute,
        }))
        expect(countOf(results, 'started')).toBe(1)
        expect(results.flatMap(({ ended }) => ended)).toHaveLength(1)
      }))

    it('ending and extending one session: one ending, one story', () =>
      everyRound(async (round) => {
        const session = sessionOf({
          id: crypto.randomUUID(),
          actorId: `e${round}`,
          targetUserId: `e${round} to`,
        })
        await claimAll('replace', () => ({ ...session, id: crypto.randomUUID() }))
        const active = (await own.store.readStanding(session.actorId)).active as Session
        const results = await crew.all<EndResult | Session | null>((n) =>
          n % 4 === 3
            ? {
                do: 'extend',
                id: active.id,
                change: { from: active.expiresAt, to: active.expiresAt + n, now: t0 },
              }
            : { do: 'end', id: active.id, ending: endingOf({ by: `boss-${n}` }) },
        )
        const ends = results.filter((_, n) => n % 4 !== 3) as EndResult[]
        const extensions = results.filter((result, n) => n % 4 === 3 && result !== null)
        expect(ends.filter(({ changed }) => changed)).toHaveLength(1)
        expect(extensions.length).toBeLessThan(2)
        const expected = ['impersonation.revoked', 'impersonation.started']
        if (extensions.length === 1) expected.unshift('impersonation.extended')
        expect(await actionsOf(own.store, active)).toEqual(expected)
      }))
  })
}
