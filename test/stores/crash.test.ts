import { once } from 'node:events'
import { expect, it, vi } from 'vitest'
import type { Store } from '../../src/stores/store.ts'
import {
  allEvents,
  allSessions,
  assertConsistent,
  claimOf,
  endedEvent,
  minute,
  sessionOf,
  t0,
} from '../../src/testing/store/fixtures.ts'
import { allGrants } from '../../src/testing/store/grant-fixtures.ts'
import { allDeliveries } from '../../src/testing/store/outbox-fixtures.ts'
import { allRequests, requestOf } from '../../src/testing/store/request-fixtures.ts'
import { allTokens, hashOf } from '../../src/testing/store/token-fixtures.ts'
import type { GrantStatus } from '../../src/types.ts'
import { type Address, connect } from '../support/connect.ts'
import { startWorker } from '../support/crew.ts'
import {
  connectionsTo,
  describeOn,
  dropDatabase,
  kinds,
  makeDatabase,
} from '../support/databases.ts'
import { migrateAt } from '../support/migrate.ts'

const kills = Number(process.env.KILLS ?? 25)
const atOnce = 4
vi.setConfig({ testTimeout: 60_000 + kills * 3_000 })

/** Kills a process somewhere in its work: the steps it reports are behind what it does. */
async function killOne(address: Address): Promise<void> {
  const worker = startWorker('churn-worker.ts', JSON.stringify(address))
  const exit = once(worker, 'exit')
  let steps = 1 + Math.floor(Math.random() * 16)
  worker.on('message', () => {
    if (--steps === 0) worker.kill('SIGKILL')
  })
  const [code, signal] = await exit
  expect({ code, signal }, 'killed, not failed').toEqual({ code: null, signal: 'SIGKILL' })
}

/**
 * The workers ask, say yes, start and revoke, each in one unit: revision 1 is the question, 2 the yes,
 * 3 the start, 4 whatever ended it. So every revision says which rows and events there have to be.
 */
async function assertGrantsAgree(store: Store): Promise<void> {
  const { grants } = store
  if (!grants) throw new Error('This store has no grants.')
  const [stored, sessions, events] = [
    await allGrants(grants),
    Map.groupBy(await allSessions(store), ({ grantId }) => grantId),
    Map.groupBy(await allEvents(store), ({ grantId }) => grantId),
  ]
  const found = { pending: 0, granted: 0, used: 0, revoked: 0 } as Record<GrantStatus, number>
  for (const { id, status, revision } of stored) {
    found[status] += 1
    const [session, ...more] = sessions.get(id) ?? []
    expect(more, 'one session under a grant').toEqual([])
    const made = { status, session: session?.status ?? null, revision }
    const own = (events.get(id) ?? []).filter(({ action }) => action.startsWith('grant.'))
    const expected = ['grant.requested', 'grant.granted', 'grant.revoked']
    expect(own.map(({ action }) => action).sort()).toEqual(
      expected.slice(0, status === 'pending' ? 1 : status === 'revoked' ? 3 : 2).sort(),
    )
    if (session?.status === 'active') {
      expect(made).toEqual({ status: 'granted', session: 'active', revision: 3 })
    } else if (session) {
      const revoked = session.endedReason === 'grant_revoked'
      const left = { status: revoked ? 'revoked' : 'used', revision: 4 }
      expect(made).toEqual({ ...left, session: session.status })
    } else {
      const left = { status, revision: status === 'pending' ? 1 : 2 }
      expect(made).toEqual({ ...left, session: null })
      expect(['pending', 'granted']).toContain(status)
    }
  }
  expect(found.used).toBeGreaterThan(0)
  expect(found.revoked).toBeGreaterThan(0)
}

/** Each revision of a request is an event more; the codes of the first two came with them, or not at all. */
async function assertRequestsAgree(store: Store): Promise<void> {
  const { requests } = store
  if (!requests) throw new Error('This store has no requests.')
  const events = Map.groupBy(await allEvents(store), ({ details }) => details.request)
  const sessions = new Map((await allSessions(store)).map((session) => [session.id, session]))
  const stored = await allRequests(requests)
  for (const { id, status, revision, sessionId, approvedBy } of stored) {
    const actions = ['requested', 'approved', 'used'].slice(0, revision)
    const found = (events.get(id) ?? []).map(({ action }) => action)
    expect(found.sort()).toEqual(actions.map((action) => `approval.${action}`).sort())
    expect(status).toBe(['pending', 'approved', 'used'][revision - 1])
    expect(approvedBy).toEqual(revision > 1 ? ['boss'] : [])
    expect(sessionId !== null && sessions.has(sessionId)).toBe(revision === 3)
    for (const n of [1, 2]) {
      const other = requestOf({ id: `${n} after ${id}` })
      const answer = await requests.createRequest(other, [], { mark: `${n} ${id}`, at: t0 })
      expect(answer, 'a code is used with the change it came with').toBe(
        n <= revision ? 'code_used' : 'created',
      )
    }
  }
  expect(stored.length - events.size, 'no events of a request that was never stored').toBe(-1)
  expect(new Set(stored.map(({ revision }) => revision)).size).toBeGreaterThan(1)
}

/**
 * A token that was rotated names the one that is in its place, and that one names it; each change is an event
 * more.
 */
async function assertTokensAgree({ tokens, ...store }: Store): Promise<void> {
  if (!tokens) throw new Error('This store has no API tokens.')
  const events = Map.groupBy(
    (await store.listEvents({ action: 'token.*' }, { limit: 1e6 })).toReversed(),
    ({ details }) => details.token,
  )
  const stored = new Map((await allTokens(tokens)).map((token) => [token.id, token]))
  for (const token of stored.values()) {
    const { id, name, replacedBy, revokedAt, revision } = token
    expect(await tokens.findToken(hashOf(id))).toEqual(token)
    const became = replacedBy === null ? 'token.revoked' : 'token.rotated'
    const found = (events.get(id) ?? []).map(({ action }) => action).sort()
    expect(found).toEqual(['token.issued', became].slice(0, revision))
    expect(revision === 2).toBe(replacedBy !== null || revokedAt !== null)
    if (replacedBy !== null) expect(stored.get(replacedBy)?.name).toBe(id)
    if (name !== 'a test') expect(stored.get(name)?.replacedBy).toBe(id)
  }
  expect(events.size, 'no events of a token that was never stored').toBe(stored.size)
  expect(new Set([...stored.values()].map(({ revision }) => revision)).size).toBe(2)
}

/** An event has its delivery and the other way; one that is sent has what follows on it. */
async function assertDeliveriesAgree(store: Store): Promise<void> {
  const { outbox } = store
  if (!outbox) throw new Error('This store has no outbox.')
  const stored = await allDeliveries(outbox)
  const notices = stored.filter(({ id }) => !id.startsWith('after '))
  const events = await allEvents(store)
  expect(notices.map(({ id }) => id).sort()).toEqual(
    events.map(({ id }) => `notice of ${id}`).sort(),
  )
  const sent = notices.filter(({ status }) => status === 'sent')
  expect(
    stored
      .filter(({ id }) => id.startsWith('after '))
      .map(({ id }) => id)
      .sort(),
  ).toEqual(sent.map(({ id }) => `after ${id}`).sort())
  for (const { status, attempts, revision } of notices) {
    expect(revision - attempts).toBe(status === 'sent' ? 2 : 1)
  }
  expect(sent.length).toBeGreaterThan(0)
}

for (const kind of kinds) {
  describeOn(kind, `kill -9, ${kills} times`, () => {
    it('no session without its events or the other way, no two active, and grants, requests, deliveries and API tokens agree', async () => {
      const address = await makeDatabase(kind)
      await migrateAt(address)
      const { store, close } = connect(address)
      try {
        let left = kills
        const killer = async () => {
          while (left-- > 0) await killOne(address)
        }
        await Promise.all(Array.from({ length: atOnce }, killer))
        // The server may still be at work for the dead.
        while ((await connectionsTo(address)) > 0);

        await assertConsistent(store)
        await assertGrantsAgree(store)
        await assertDeliveriesAgree(store)
        await assertRequestsAgree(store)
        await assertTokensAgree(store)
        expect((await allSessions(store)).length).toBeGreaterThan(kills)
        expect((await allEvents(store)).length).toBeGreaterThan(kills)
        for (const actorId of ['actor-0', 'actor-1', 'actor-2']) {
          const session = sessionOf({
            id: `after ${actorId}`,
            actorId,
            targetUserId: `free ${actorId}`,
            createdAt: t0 + 90 * minute,
          })
          const events = { started: claimOf(session).events.started, ended: endedEvent }
          const { outcome } = await store.claimSession(
            claimOf(session, { onConflict: 'replace', events }),
          )
          expect(outcome, 'nothing that a dead process held is left').toBe('started')
        }
        await assertConsistent(store)
      } finally {
        await close()
        await dropDatabase(address)
      }
    })
  })
}
