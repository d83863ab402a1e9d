import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { ClaimResult, EndResult, GrantResult, GrantSection } from '../../src/stores/store.ts'
import { assertConsistent, endingOf, sessionOf, stopOf } from '../../src/testing/store/fixtures.ts'
import { changeOf, grantEvent, grantOf, peopleOf } from '../../src/testing/store/grant-fixtures.ts'
import type { Grant, GrantStatus } from '../../src/types.ts'
import { type Address, type Connection, connect } from '../support/connect.ts'
import { type Crew, hire } from '../support/crew.ts'
import { describeOn, dropDatabase, kinds, makeDatabase } from '../support/databases.ts'

const processes = 4
const rounds = Number(process.env.ROUNDS ?? 40)
vi.setConfig({ testTimeout: 30_000 + rounds * 1_000, hookTimeout: 60_000 })

for (const kind of kinds) {
  describeOn(kind, `${processes} processes on one grant, ${rounds} rounds`, () => {
    let address: Address
    let crew: Crew
    let own: Connection
    let grants: GrantSection

    beforeAll(async () => {
      address = await makeDatabase(kind)
      crew = await hire(processes)
      await crew.all(() => ({ do: 'migrate', address }))
      await crew.all(() => ({ do: 'connect', address }))
      own = connect(address)
      grants = own.store.grants as GrantSection
    })
    afterAll(async () => {
      await crew.dismiss()
      await own.close()
      await dropDatabase(address)
    })

    const everyRound = async (status: GrantStatus, play: (grant: Grant) => Promise<void>) => {
      for (let round = 0; round < rounds; round++) {
        const id = crypto.randomUUID()
        const people = { actorId: `actor of ${id}`, targetUserId: `target of ${id}` }
        const grant = grantOf({ id, ...people, status })
        await grants.createGrant(grant, [grantEvent(grant, { id: crypto.randomUUID() })])
        await play(grant)
      }
      await assertConsistent(own.store)
    }
    const claimUnder = (grant: Grant) => {
      const session = sessionOf({
        ...peopleOf(grant),
        id: crypto.randomUUID(),
        grantId: grant.id,
      })
      const now = session.createdAt
      return { do: 'claim', session, now, onConflict: 'replace', grant: changeOf(grant) } as const
    }
    const sessionsOf = ({ actorId }: Grant) => own.store.listSessions({ actorId }, { limit: 9 })
    const actionsOn = async ({ actorId }: Grant) =>
      (await own.store.listEvents({ actorId }, { limit: 9 })).map(({ action }) => action).sort()
    const revocation = endingOf({ reason: 'grant_revoked' })

    it('a yes, a no and the end of its time: one of them is what became of it', () =>
      everyRound('pending', async (grant) => {
        const statuses = ['granted', 'denied', 'expired', 'denied'] as const
        const results = await crew.all<GrantResult>((n) => ({
          do: 'changeGrant',
          change: changeOf(grant, { status: statuses[n] ?? 'expired' }),
          ending: null,
        }))
        const [winner, ...more] = statuses.filter((_, n) => results[n]?.changed)
        expect(more).toEqual([])
        const stored = await grants.readGrant(grant.id)
        expect(stored).toEqual(changeOf(grant, { status: winner ?? 'used' }).after)
        expect(await actionsOn(grant)).toEqual([`grant.${winner}`, 'grant.requested'].sort())
      }))

    it('several starts: one session', () =>
      everyRound('granted', async (grant) => {
        const results = await crew.all<ClaimResult>(() => claimUnder(grant))
        const outcomes = results.map(({ outcome }) => outcome).sort()
        const others = Array.from({ length: processes - 1 }, () => 'grant_changed')
        expect(outcomes).toEqual([...others, 'started'])
        expect(await sessionsOf(grant)).toEqual([expect.objectContaining({ status: 'active' })])
        expect(await grants.readGrant(grant.id)).toEqual(changeOf(grant).after)
      }))

    it('starts and revocations: no session outlives its grant', () =>
      everyRound('granted', async (grant) => {
        const results = await crew.all<ClaimResult | GrantResult>((n) =>
          n % 2 === 0 ? claimUnder(grant) : { do: 'revoke', grantId: grant.id, ending: revocation },
        )
        expect(results.filter((result) => 'changed' in result && result.changed)).toHaveLength(1)
        const started = results.filter(
          (result) => 'outcome' in result && result.outcome === 'started',
        )
        const { status, revision } = (await grants.readGrant(grant.id)) as Grant
        expect({ status, revision }).toEqual({ status: 'revoked', revision: 2 + started.length })
        expect(await sessionsOf(grant)).toEqual(
          started.map(() => expect.objectContaining({ endedReason: 'grant_revoked' })),
        )
      }))

    it('endings and revocations: used or revoked, and the session as the grant', () =>
      everyRound('granted', async (grant) => {
        const order = claimUnder(grant)
        const [claimed] = await crew.all<ClaimResult | null>((n) =>
          n === 0 ? order : { do: 'end', id: 'nobody', ending: revocation },
        )
        expect(claimed?.outcome).toBe('started')
        const results = await crew.all<EndResult | GrantResult>((n) =>
          n % 2 === 0
            ? { do: 'end', id: order.session.id, ending: stopOf(grant.actorId) }
            : { do: 'revoke', grantId: grant.id, ending: revocation },
        )
        const [winner, ...more] = results.filter(({ changed }) => changed)
        expect(more).toEqual([])
        const revoked = winner !== undefined && 'ended' in winner
        const { status, revision } = (await grants.readGrant(grant.id)) as Grant
        expect({ status, revision }).toEqual({ status: revoked ? 'revoked' : 'used', revision: 3 })
        const [session] = await sessionsOf(grant)
        expect(session?.endedReason).toBe(revoked ? 'grant_revoked' : 'stopped')
        expect(await actionsOn(grant)).toEqual(
          [
            // `grant.granted` is the event it was made with.
            ...(revoked ? ['grant.revoked', 'impersonation.revoked'] : ['impersonation.stopped']),
            ...['grant.granted', 'impersonation.started'],
          ].sort(),
        )
      }))
  })
}
