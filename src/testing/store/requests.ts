import assert from 'node:assert/strict'
import type { RequestFilter, RequestSection } from '../../stores/requests.ts'
import type { Place } from '../../stores/store.ts'
import { type AccessRequest, accessLevels, requestKinds, requestStatuses } from '../../types.ts'
import { allEvents, type Rule, same, t0 } from './fixtures.ts'
import { lookAlikes } from './grants.ts'
import { distinctIds, lossyIds } from './identities.ts'
import { everyPage, newestFirst } from './lists.ts'
import {
  allRequests,
  ask,
  requestEvent,
  requestOf,
  stepOf,
  whereRequested,
} from './request-fixtures.ts'

export function requestRules(someRule: Rule): void {
  const rule = whereRequested(someRule)

  rule('a request reads back as it was given, with its events', async (store, requests) => {
    const words = `it's "quoted" \\ %_ \r\n\t \u202e {"a":1} <b> $1 ? ; -- ${'🧯'.repeat(500)}`
    const full = requestOf({
      kind: 'break_glass',
      actorOrgId: 'staff',
      targetOrgId: 'acme',
      accessLevel: 'full',
      reason: words,
      ticket: words,
      status: 'denied',
      approvedBy: ['sup', 'root ', '💥'],
      deniedBy: 'boss',
      attempts: 3,
      expiresAt: t0 + 7,
      sessionId: 'session-x',
      revision: 5,
    })
    const bare = requestOf({ createdAt: t0 - 1, reason: null })
    const events = [full, full, bare].map((request) => requestEvent(request))
    assert.equal(await requests.createRequest(full, events.slice(0, 2), null), 'created')
    assert.equal(await requests.createRequest(bare, events.slice(2), null), 'created')
    for (const request of [full, bare]) same(await requests.readRequest(request.id), request)
    same(await allRequests(requests), [full, bare])
    same(
      newestFirst(await allEvents(store), (event) => event.at),
      newestFirst(events, (event) => event.at),
    )
  })

  rule('every kind, level and status of a request is kept', async (_, requests) => {
    for (const kind of requestKinds) {
      for (const status of requestStatuses) {
        for (const accessLevel of accessLevels) {
          const request = await ask(requests, { kind, status, accessLevel })
          same(await requests.readRequest(request.id), request)
        }
      }
    }
  })

  rule('twenty who said yes are kept in their order, byte by byte', async (_, requests) => {
    const long = Array.from({ length: 17 }, (_, n) => `${'💥'.repeat(250)}${20 - n}`)
    const approvedBy = ['sup', 'Sup', 'sup ', ...long]
    const { id } = await ask(requests, { approvedBy })
    same((await requests.readRequest(id))?.approvedBy, approvedBy)
  })

  rule('a request id is taken once and for all', async (store, requests) => {
    const first = await ask(requests)
    const events = await allEvents(store)
    const again = requestOf({ id: first.id, actorId: 'sup' })
    await assert.rejects(requests.createRequest(again, [requestEvent(again)], null))
    same(await allRequests(requests), [first])
    same(await allEvents(store), events)
  })

  rule('a request whose events cannot be stored is not there', async (store, requests) => {
    const first = await ask(requests)
    const [taken] = await allEvents(store)
    const next = requestOf()
    const event = requestEvent(next)
    for (const unstorable of [
      [event, { ...event, id: taken?.id ?? '' }],
      [event, event],
    ]) {
      await assert.rejects(requests.createRequest(next, unstorable, null))
    }
    same(await requests.readRequest(next.id), null)
    same(await allRequests(requests), [first])
    same(await allEvents(store), [taken])
  })

  rule('what was handed in or out can change no request that is stored', async (_, requests) => {
    const approvedBy = ['sup']
    const request = { ...requestOf({ approvedBy }) }
    const stored = structuredClone(request)
    await requests.createRequest(request, [], null)
    tamper(request)
    approvedBy.push('mallory')
    for (let round = 0; round < 2; round++) {
      const read = [await requests.readRequest(stored.id), (await allRequests(requests))[0]]
      same(read, [stored, stored])
      for (const one of read) {
        tamper(one)
        tamper(one?.approvedBy)
      }
    }
    const { from, after } = stepOf(stored, { ticket: 'T-1' })
    const handed = { ...after }
    await requests.changeRequest({ from, after: handed }, [], null)
    tamper(handed)
    same(await requests.readRequest(stored.id), after)
  })

  rule(
    'requests are listed newest first, ties by id, and paged without loss',
    async (_, requests) => {
      const expected = newestFirst(await manyRequests(requests), (request) => request.createdAt)
      same(await allRequests(requests), expected)
      for (const limit of [1, 2, 3, 100]) {
        const read = (before?: Place) => requests.listRequests({}, { limit, before })
        const pages = await everyPage(read, limit, (request) => request.createdAt)
        same(pages, expected, `pages of ${limit}`)
      }
      const before = { at: t0 + 1, id: 'list-4x' }
      same(
        await requests.listRequests({}, { limit: 100, before }),
        expected.filter(
          ({ createdAt, id }) =>
            createdAt < before.at || (createdAt === before.at && id < before.id),
        ),
        'after a place whose row is not there',
      )
    },
  )

  rule('every filter of requests holds, alone and together', async (_, requests) => {
    const stored = newestFirst(await manyRequests(requests), (request) => request.createdAt)
    const cases: [RequestFilter, (request: AccessRequest) => boolean][] = [
      [{ kind: 'break_glass' }, (r) => r.kind === 'break_glass'],
      [{ status: 'approved' }, (r) => r.status === 'approved'],
      [{ status: 'locked' }, () => false],
      [{ actorId: 'actor-1' }, (r) => r.actorId === 'actor-1'],
      [{ targetUserId: 'target-2' }, (r) => r.targetUserId === 'target-2'],
      [{ actorId: 'target-2' }, () => false],
      [{ from: t0 + 1 }, (r) => r.createdAt >= t0 + 1],
      [{ from: t0 + 3 }, () => false],
      [{ expiredBy: t0 + 2 }, (r) => r.expiresAt <= t0 + 2],
      [{ expiredBy: t0 - 1 }, () => false],
      [
        { status: 'pending', expiredBy: t0 + 5 },
        (r) => r.status === 'pending' && r.expiresAt <= t0 + 5,
      ],
      [
        { kind: 'approval', status: 'pending', actorId: 'actor-0', from: t0, expiredBy: t0 + 9 },
        (r) => r.kind === 'approval' && r.status === 'pending' && r.actorId === 'actor-0',
      ],
    ]
    for (const [filter, matches] of cases) {
      const name = JSON.stringify(filter)
      const expected = stored.filter(matches)
      same(await requests.listRequests(filter, { limit: 100 }), expected, name)
      const read = (before?: Place) => requests.listRequests(filter, { limit: 1, before })
      const pages = await everyPage(read, 1, (request) => request.createdAt)
      same(pages, expected, `${name}, paged`)
    }
  })

  rule('look-alikes of a person have requests of their own', async (_, requests) => {
    for (const [n, id] of distinctIds.entries()) {
      await ask(requests, { actorId: id, targetUserId: `target of ${n}` })
      await ask(requests, { actorId: `actor of ${n}`, targetUserId: id })
    }
    for (const id of distinctIds) {
      const asking = await requests.listRequests({ actorId: id }, { limit: 100 })
      const asked = await requests.listRequests({ targetUserId: id }, { limit: 100 })
      const found = [asking.map(({ actorId }) => actorId), asked.map((one) => one.targetUserId)]
      same(found, [[id], [id]], JSON.stringify(id))
    }
  })

  rule('a look-alike of a request id finds and changes nothing', async (store, requests) => {
    const request = await ask(requests, { id: 'Grant-é' })
    for (const id of lookAlikes) {
      same(await requests.readRequest(id), null, id)
      const change = stepOf({ ...request, id }, { status: 'approved' })
      const answer = await requests.changeRequest(change, [requestEvent(change.after)], null)
      assert.equal(answer, 'changed_since', id)
    }
    same(await allRequests(requests), [request])
    assert.equal((await allEvents(store)).length, 1)
  })

  rule('an id of a request is kept as it is or refused, never as another', async (_, requests) => {
    for (const [lossy, likely] of lossyIds) {
      const name = JSON.stringify(lossy).slice(-20)
      const request = requestOf({ actorId: lossy, approvedBy: [lossy] })
      const kept = await requests.createRequest(request, [], null).then(
        () => [request],
        () => [],
      )
      same(await requests.listRequests({ actorId: likely }, { limit: 9 }), [], name)
      same(await requests.listRequests({ actorId: lossy }, { limit: 9 }), kept, name)
      same(await requests.readRequest(request.id), kept[0] ?? null, name)
    }
    for (const [n, [lossy, likely]] of lossyIds.slice(1).entries()) {
      const named = (id: string) => (id.length < 255 ? `${n}${id}` : id)
      const request = await ask(requests, { id: named(likely) })
      const other = named(lossy)
      same(await requests.readRequest(other), null)
      const change = stepOf({ ...request, id: other }, { status: 'approved' })
      assert.equal(await requests.changeRequest(change, [], null), 'changed_since')
      same(await requests.readRequest(request.id), request)
    }
  })
}

function tamper(value: object | null | undefined): void {
  try {
    Object.assign(value ?? {}, { ticket: 'T-2', status: 'approved', 0: 'mallory' })
  } catch {
    // Frozen is as good as copied.
  }
}

/** Two of everything, and instants that collide; ids in an order of their own. */
async function manyRequests(requests: RequestSection): Promise<AccessRequest[]> {
  const stored: AccessRequest[] = []
  for (const [n, id] of ['5', '2', '9', '1', '4', '7', '3', '8', '6'].entries()) {
    stored.push(
      await ask(requests, {
        id: `list-${id}`,
        kind: n % 3 === 0 ? 'break_glass' : 'approval',
        actorId: `actor-${n % 2}`,
        targetUserId: `target-${n % 4}`,
        status: (['approved', 'pending', 'pending', 'used'] as const)[n % 4] ?? 'used',
        createdAt: t0 + (n % 3),
        expiresAt: t0 + n,
      }),
    )
  }
  return stored
}
