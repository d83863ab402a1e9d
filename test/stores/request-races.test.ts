import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { RequestSection } from '../../src/stores/requests.ts'
import type { ClaimResult } from '../../src/stores/store.ts'
import { assertConsistent, sessionOf } from '../../src/testing/store/fixtures.ts'
import { peopleOf } from '../../src/testing/store/grant-fixtures.ts'
import {
  codeOf,
  requestEvent,
  requestOf,
  stepOf,
} from '../../src/testing/store/request-fixtures.ts'
import type { AccessRequest } from '../../src/types.ts'
import { type Address, type Connection, connect } from '../support/connect.ts'
import { type Crew, hire } from '../support/crew.ts'
import { describeOn, dropDatabase, kinds, makeDatabase } from '../support/databases.ts'

const processes = 4
const rounds = Number(process.env.ROUNDS ?? 40)
vi.setConfig({ testTimeout: 30_000 + rounds * 1_000, hookTimeout: 60_000 })

for (const kind of kinds) {
  describeOn(kind, `${processes} processes on one request, ${rounds} rounds`, () => {
    let address: Address
    let crew: Crew
    let own: Connection
    let requests: RequestSection

    beforeAll(async () => {
      address = await makeDatabase(kind)
      crew = await hire(processes)
      await crew.all(() => ({ do: 'migrate', address }))
      await crew.all(() => ({ do: 'connect', address }))
      own = connect(address)
      requests = own.store.requests as RequestSection
    })
    afterAll(async () => {
      await crew.dismiss()
      await own.close()
      await dropDatabase(address)
    })

    const fresh = (changes: Partial<AccessRequest> = {}) => {
      const id = crypto.randomUUID()
      const people = { actorId: `actor of ${id}`, targetUserId: `target of ${id}` }
      return requestOf({ id, ...people, ...changes })
    }
    const everyRound = async (
      changes: Partial<AccessRequest>,
      play: (request: AccessRequest) => Promise<void>,
    ) => {
      for (let round = 0; round < rounds; round++) {
        const request = fresh(changes)
        const event = requestEvent(request, { id: crypto.randomUUID() })
        await requests.createRequest(request, [event], null)
        await play(request)
      }
      await assertConsistent(own.store)
    }
    const claimOn = (request: AccessRequest) => {
      const session = sessionOf({ ...peopleOf(request), id: crypto.randomUUID() })
      const change = stepOf(request, { status: 'used', sessionId: session.id })
      const now = session.createdAt
      return { do: 'claim', session, now, onConflict: 'replace', request: change } as const
    }
    const sessionsOf = ({ actorId }: AccessRequest) =>
      own.store.listSessions({ actorId }, { limit: 9 })
    const actionsOn = async ({ actorId }: AccessRequest) =>
      (await own.store.listEvents({ actorId }, { limit: 9 })).map(({ action }) => action).sort()

    it('several starts: one session', () =>
      everyRound({ status: 'approved' }, async (request) => {
        const orders = Array.from({ length: processes }, () => claimOn(request))
        const results = await crew.all<ClaimResult>((n) => orders[n] ?? claimOn(request))
        const outcomes = results.map(({ outcome }) => outcome).sort()
        const others = Array.from({ length: processes - 1 }, () => 'request_changed')
        expect(outcomes).toEqual([...others, 'started'])
        const winner = orders[results.findIndex(({ outcome }) => outcome === 'started')]
        expect(await sessionsOf(request)).toEqual([winner?.session])
        expect(await requests.readRequest(request.id)).toEqual(winner?.request.after)
        expect(await actionsOn(request)).toEqual([
          ...['approval.approved', 'approval.used', 'impersonation.started'],
        ])
      }))

    it('a yes, a no and the end of its time: one of them is what became of it', () =>
      everyRound({ status: 'pending' }, async (request) => {
        const statuses = ['approved', 'denied', 'expired', 'denied'] as const
        const answers = await crew.all<string>((n) => ({
          do: 'changeRequest',
          change: stepOf(request, { status: statuses[n] ?? 'expired' }),
          code: n === 0 ? codeOf(crypto.randomUUID()) : null,
        }))
        const [winner = 'used', ...more] = statuses.filter((_, n) => answers[n] === 'changed')
        expect(more).toEqual([])
        expect(answers.filter((answer) => answer === 'changed_since')).toHaveLength(processes - 1)
        const stored = await requests.readRequest(request.id)
        expect(stored).toEqual(stepOf(request, { status: winner }).after)
        expect(await actionsOn(request)).toEqual(
          [`approval.${winner}`, 'approval.requested'].sort(),
        )
      }))

    it('starts and denials: a session, or a no', () =>
      everyRound({ status: 'approved' }, async (request) => {
        const denial = stepOf(request, { status: 'denied', deniedBy: 'boss' })
        const results = await crew.all<ClaimResult | string>((n) =>
          n % 2 === 0 ? claimOn(request) : { do: 'changeRequest', change: denial, code: null },
        )
        const started = results.filter((one) => (one as ClaimResult).outcome === 'started').length
        const denied = results.filter((one) => one === 'changed').length
        expect(started + denied).toBe(1)
        const stored = await requests.readRequest(request.id)
        expect(stored).toMatchObject({ status: started ? 'used' : 'denied', revision: 2 })
        expect(await sessionsOf(request)).toHaveLength(started)
      }))

    it('one code, tried by all: one gets through', () =>
      everyRound({ status: 'unproven' }, async (request) => {
        const code = codeOf(crypto.randomUUID())
        const asked = Array.from({ length: processes }, () =>
          fresh({ ...peopleOf(request), status: 'unproven' }),
        )
        const answers = await crew.all<string>((n) =>
          n === 0
            ? { do: 'changeRequest', change: stepOf(request, { status: 'denied' }), code }
            : { do: 'ask', request: asked[n] ?? fresh(), code },
        )
        const through = answers.map((answer) => answer !== 'code_used')
        expect(through.filter(Boolean)).toHaveLength(1)
        const { revision } = (await requests.readRequest(request.id)) as AccessRequest
        expect(revision).toBe(through[0] ? 2 : 1)
        for (const [n, one] of asked.entries()) {
          const kept = n > 0 && through[n] ? one : null
          expect(await requests.readRequest(one.id)).toEqual(kept)
        }
        expect(await actionsOn(request)).toHaveLength(2)
      }))
  })
}
