import assert from 'node:assert/strict'
import { allEvents, type Rule, same, t0 } from './fixtures.ts'
import {
  allRequests,
  ask,
  codeOf,
  requestEvent,
  requestOf,
  stepOf,
  whereRequested,
} from './request-fixtures.ts'

export function requestChangeRules(someRule: Rule): void {
  const rule = whereRequested(someRule)

  rule(
    'a change puts a request in the place of the one before, with its events',
    async (store, requests) => {
      const request = await ask(requests, { status: 'unproven', kind: 'break_glass' })
      const change = stepOf(request, {
        status: 'approved',
        approvedBy: ['sup', 'boss'],
        attempts: 2,
        expiresAt: t0 + 6,
      })
      const events = [requestEvent(change.after), requestEvent(change.after)]
      assert.equal(await requests.changeRequest(change, events, codeOf()), 'changed')
      same(await requests.readRequest(request.id), change.after)
      assert.equal((await allEvents(store)).length, 3)
    },
  )

  rule('a change of a request from another revision is none', async (store, requests) => {
    const request = await ask(requests, { revision: 5 })
    const events = await allEvents(store)
    for (const revision of [1, 4, 6]) {
      const change = stepOf({ ...request, revision }, { status: 'approved' })
      const more = [requestEvent(change.after)]
      assert.equal(await requests.changeRequest(change, more, null), 'changed_since')
    }
    const unknown = stepOf(requestOf())
    assert.equal(await requests.changeRequest(unknown, [], null), 'changed_since')
    same(await allRequests(requests), [request])
    same(await allEvents(store), events)
  })

  rule('of many changes of a request from one revision one is made', async (store, requests) => {
    const request = await ask(requests)
    const changes = Array.from({ length: 30 }, (_, n) => stepOf(request, { ticket: `T-${n}` }))
    const answers = await Promise.all(
      changes.map((change) => requests.changeRequest(change, [requestEvent(change.after)], null)),
    )
    const made = changes.filter((_, n) => answers[n] === 'changed').map(({ after }) => after)
    same(made, [await requests.readRequest(request.id)])
    assert.equal(answers.filter((answer) => answer === 'changed_since').length, 29)
    assert.equal((await allEvents(store)).length, 2)
  })

  rule('a change of a request whose events cannot be stored is none', async (store, requests) => {
    const request = await ask(requests)
    const stored = await allEvents(store)
    const change = stepOf(request, { status: 'approved' })
    const event = requestEvent(change.after)
    const code = codeOf()
    for (const events of [
      [event, { ...event, id: stored[0]?.id ?? '' }],
      [event, event],
    ]) {
      await assert.rejects(requests.changeRequest(change, events, code))
    }
    same(await requests.readRequest(request.id), request)
    same(await allEvents(store), stored)
    assert.equal(await requests.changeRequest(change, [], code), 'changed', 'the code is not used')
  })

  rule('a code that came with a request is used from then on', async (store, requests) => {
    const code = codeOf()
    const first = requestOf({ status: 'unproven' })
    assert.equal(await requests.createRequest(first, [requestEvent(first)], code), 'created')
    const events = await allEvents(store)
    const again = { ...code, at: t0 + 9 }
    const next = requestOf()
    assert.equal(await requests.createRequest(next, [requestEvent(next)], again), 'code_used')
    const change = stepOf(first, { status: 'pending' })
    const more = [requestEvent(change.after)]
    assert.equal(await requests.changeRequest(change, more, again), 'code_used')
    same(await allRequests(requests), [first], 'and nothing happened')
    same(await allEvents(store), events)
  })

  rule('a code that came with a change is used from then on', async (store, requests) => {
    const code = codeOf()
    const first = await ask(requests, { status: 'unproven' })
    const change = stepOf(first, { status: 'pending' })
    assert.equal(await requests.changeRequest(change, [], code), 'changed')
    const events = await allEvents(store)
    const next = requestOf()
    assert.equal(await requests.createRequest(next, [requestEvent(next)], code), 'code_used')
    const again = stepOf(change.after, { status: 'approved' })
    assert.equal(await requests.changeRequest(again, [requestEvent(next)], code), 'code_used')
    same(await allRequests(requests), [change.after], 'and nothing happened')
    same(await allEvents(store), events)
  })

  rule('a code is not used by what did not happen', async (_, requests) => {
    const code = codeOf()
    const taken = await ask(requests)
    await assert.rejects(requests.createRequest(taken, [], code))
    const stale = stepOf({ ...taken, revision: 9 })
    assert.equal(await requests.changeRequest(stale, [], code), 'changed_since')
    assert.equal(await requests.createRequest(requestOf(), [], code), 'created')
  })

  rule('a change that comes too late is that, also with a used code', async (_, requests) => {
    const code = codeOf()
    const request = requestOf()
    await requests.createRequest(request, [], code)
    const stale = stepOf({ ...request, revision: 9 })
    assert.equal(await requests.changeRequest(stale, [], code), 'changed_since')
  })

  rule('marks of 64 characters are told apart, byte by byte', async (_, requests) => {
    const mark = 'Mark'.repeat(16)
    for (const one of [mark, mark.toLowerCase(), `${mark.slice(1)}x`, `${mark.slice(0, 63)}_`]) {
      assert.equal(await requests.createRequest(requestOf(), [], codeOf(one)), 'created', one)
      assert.equal(await requests.createRequest(requestOf(), [], codeOf(one)), 'code_used', one)
    }
  })

  rule('of many that bring the same code at once one gets through', async (store, requests) => {
    const code = codeOf()
    const asked = Array.from({ length: 15 }, () => requestOf())
    const stored = await Promise.all(Array.from({ length: 15 }, () => ask(requests)))
    const events = (await allEvents(store)).length
    const answers = await Promise.all([
      ...asked.map((one) => requests.createRequest(one, [requestEvent(one)], code)),
      ...stored.map((one) => requests.changeRequest(stepOf(one), [requestEvent(one)], code)),
    ])
    assert.equal(answers.filter((answer) => answer !== 'code_used').length, 1)
    assert.equal((await allEvents(store)).length, events + 1)
    const revisions = (await allRequests(requests)).map(({ revision }) => revision)
    const made = revisions.length - 15 + revisions.filter((revision) => revision === 2).length
    assert.equal(made, 1)
  })
}
