import type { RecordedEvent } from '../../src/stores/outbox.ts'
import type { RequestSection } from '../../src/stores/requests.ts'
import type { Store } from '../../src/stores/store.ts'
import type { Sabotage } from './grant-sabotages.ts'

type RequestSabotage = (requests: RequestSection, store: Store) => Partial<RequestSection>

const withoutDeliveries = (events: readonly RecordedEvent[]): RecordedEvent[] =>
  events.map(({ deliveries: _, ...event }) => event)

/** Faults of the section `requests`. */
export const requestSabotages: Record<string, RequestSabotage> = {
  'takes a request id a second time': (requests) => ({
    createRequest: async (request, events, code) =>
      (await requests.readRequest(request.id))
        ? 'created'
        : requests.createRequest(request, events, code),
  }),
  'stores the events of a request afterwards': (requests, store) => ({
    createRequest: async (request, events, code) => {
      const answer = await requests.createRequest(request, [], code)
      if (answer === 'created') await store.appendEvents(events)
      return answer
    },
  }),
  'delivers nothing for a request': (requests) => ({
    createRequest: (request, events, code) =>
      requests.createRequest(request, withoutDeliveries(events), code),
  }),
  'delivers nothing for a change of a request': (requests) => ({
    changeRequest: (change, events, code) =>
      requests.changeRequest(change, withoutDeliveries(events), code),
  }),
  'forgets the events of a request': (requests) => ({
    createRequest: (request, _, code) => requests.createRequest(request, [], code),
  }),
  'forgets who said yes': (requests) => ({
    createRequest: (request, events, code) =>
      requests.createRequest({ ...request, approvedBy: [] }, events, code),
  }),
  'sorts those who said yes': (requests) => ({
    createRequest: (request, events, code) => {
      const approvedBy = request.approvedBy.toSorted()
      return requests.createRequest({ ...request, approvedBy }, events, code)
    },
  }),
  'forgets the session that a request opened': (requests) => ({
    createRequest: (request, events, code) =>
      requests.createRequest({ ...request, sessionId: null }, events, code),
  }),
  'drops spaces at the end of a request id': (requests) => ({
    readRequest: (id) => requests.readRequest(id.trimEnd()),
  }),
  'changes a request by a look-alike of its id': (requests) => ({
    changeRequest: ({ from, after }, events, code) => {
      const id = after.id.normalize('NFC').trim()
      return requests.changeRequest({ from, after: { ...after, id } }, events, code)
    },
  }),
  'ends request ids at NUL': (requests) => ({
    readRequest: (id) => requests.readRequest(id.split('\0')[0] ?? ''),
  }),
  'hands out the requests that it keeps': (requests) => {
    const kept = new Map<string, object>()
    return {
      readRequest: async (id) => {
        const request = await requests.readRequest(id)
        if (request && !kept.has(id)) kept.set(id, { ...request })
        return (kept.get(id) as typeof request) ?? null
      },
    }
  },
  'lists the oldest requests first': (requests) => ({
    listRequests: async (filter, page) => (await requests.listRequests(filter, page)).reverse(),
  }),
  'pages requests by the instant alone': (requests) => ({
    listRequests: (filter, { limit, before }) =>
      requests.listRequests(filter, { limit, before: before && { at: before.at, id: '' } }),
  }),
  'takes the kind of requests for no filter': (requests) => ({
    listRequests: ({ kind: _, ...filter }, page) => requests.listRequests(filter, page),
  }),
  'takes the instant of requests for no filter': (requests) => ({
    listRequests: ({ from: _, ...filter }, page) => requests.listRequests(filter, page),
  }),
  'lists requests a millisecond before their time is up': (requests) => ({
    listRequests: ({ expiredBy, ...filter }, page) =>
      requests.listRequests(
        expiredBy === undefined ? filter : { ...filter, expiredBy: expiredBy + 1 },
        page,
      ),
  }),
  'changes a request from any revision': (requests) => ({
    changeRequest: async (change, events, code) => {
      const from = (await requests.readRequest(change.after.id))?.revision ?? change.from
      return requests.changeRequest({ ...change, from }, events, code)
    },
  }),
  'stores the events of a changed request afterwards': (requests, store) => ({
    changeRequest: async (change, events, code) => {
      const answer = await requests.changeRequest(change, [], code)
      if (answer === 'changed') await store.appendEvents(events)
      return answer
    },
  }),
  'stores the events of a change of a request that was none': (requests, store) => ({
    changeRequest: async (change, events, code) => {
      const answer = await requests.changeRequest(change, events, code)
      if (answer !== 'changed') await store.appendEvents(events)
      return answer
    },
  }),
  'keeps no code that came with a request': (requests) => ({
    createRequest: (request, events) => requests.createRequest(request, events, null),
  }),
  'keeps no code that came with a change': (requests) => ({
    changeRequest: (change, events) => requests.changeRequest(change, events, null),
  }),
  'keeps the code before the change, in a unit of its own': (requests) => ({
    changeRequest: async (change, events, code) => {
      if (!code) return requests.changeRequest(change, events, null)
      const stored = await requests.readRequest(change.after.id)
      if (stored?.revision !== change.from) return 'changed_since'
      const spare = { ...change.after, id: `code ${code.mark}` }
      if ((await requests.createRequest(spare, [], code)) === 'code_used') return 'code_used'
      return requests.changeRequest(change, events, null)
    },
  }),
  'looks for the code first and keeps it afterwards': (requests) => {
    const marks = new Set<string>()
    return {
      createRequest: async (request, events, code) => {
        if (code && marks.has(code.mark)) return 'code_used'
        const answer = await requests.createRequest(request, events, null)
        if (code) marks.add(code.mark)
        return answer
      },
    }
  },
  'uses a code for a change that was none': (requests) => {
    const marks = new Set<string>()
    return {
      createRequest: async (request, events, code) =>
        code && marks.has(code.mark) ? 'code_used' : requests.createRequest(request, events, code),
      changeRequest: async (change, events, code) => {
        const answer = await requests.changeRequest(change, events, code)
        if (code && answer === 'changed_since') marks.add(code.mark)
        return answer
      },
    }
  },
  'rejects a code that was used': (requests) => ({
    createRequest: async (request, events, code) => {
      const answer = await requests.createRequest(request, events, code)
      if (answer === 'code_used') throw new Error('duplicate key')
      return answer
    },
  }),
  'changes the request though its code was used': (requests) => ({
    changeRequest: async (change, events, code) => {
      const answer = await requests.changeRequest(change, events, code)
      if (answer === 'code_used') await requests.changeRequest(change, [], null)
      return answer
    },
  }),
  'takes no notice of case in marks': (requests) => ({
    createRequest: (request, events, code) =>
      requests.createRequest(request, events, code && { ...code, mark: code.mark.toLowerCase() }),
  }),
}

/** Faults of what a start does to its request. */
export const requestedSabotages: Record<string, Sabotage> = {
  'starts on a request whatever became of it': (store) => ({
    claimSession: ({ request: _, ...claim }) => store.claimSession(claim),
  }),
  'changes the request before the start, in a unit of its own': (store) => ({
    claimSession: async ({ request, ...claim }) => {
      if (!request) return store.claimSession(claim)
      const answer = await store.requests?.changeRequest(request, request.events, null)
      return answer === 'changed'
        ? store.claimSession(claim)
        : { outcome: 'request_changed' as const, ended: [] }
    },
  }),
  'changes the request after the start, in a unit of its own': (store) => ({
    claimSession: async ({ request, ...claim }) => {
      const stored = request && (await store.requests?.readRequest(request.after.id))
      if (request && stored?.revision !== request.from) {
        return { outcome: 'request_changed' as const, ended: [] }
      }
      const result = await store.claimSession(claim)
      if (request && result.outcome === 'started') {
        await store.requests?.changeRequest(request, request.events, null)
      }
      return result
    },
  }),
  'forgets the events of the request at the start': (store) => ({
    claimSession: ({ request, ...claim }) =>
      store.claimSession({ ...claim, request: request && { ...request, events: [] } }),
  }),
  'acknowledges at the start even where the request changed': (store) => ({
    claimSession: async (claim) => {
      const result = await store.claimSession(claim)
      if (result.outcome === 'request_changed') await store.acknowledgeLapses(claim.session.actorId)
      return result
    },
  }),
  'lets the old session go before it finds the request changed': (store) => ({
    claimSession: async (claim) => {
      const result = await store.claimSession(claim)
      const { active } = await store.readStanding(claim.session.actorId)
      if (result.outcome !== 'request_changed' || !active) return result
      const how = { status: 'replaced', reason: 'replaced', at: claim.now, by: null } as const
      const ending = { ...how, note: null, acknowledged: true }
      await store.endSession(active.id, ending, claim.events.ended)
      return result
    },
  }),
  'names the request where the grant changed as well': (store) => ({
    claimSession: async (claim) => {
      const result = await store.claimSession(claim)
      const { request } = claim
      if (result.outcome !== 'grant_changed' || !request) return result
      const stored = await store.requests?.readRequest(request.after.id)
      return stored?.revision === request.from
        ? result
        : { ...result, outcome: 'request_changed' as const }
    },
  }),
  'changes the grant of a start whose request changed': (store) => ({
    claimSession: async (claim) => {
      const result = await store.claimSession(claim)
      if (result.outcome === 'request_changed' && claim.grant) {
        await store.grants?.changeGrant(claim.grant, [], null)
      }
      return result
    },
  }),
  'looks at the request before it looks who is in the way': (store) => ({
    claimSession: async (claim) => {
      const { request } = claim
      const stored = request && (await store.requests?.readRequest(request.after.id))
      return request && stored?.revision !== request.from
        ? { outcome: 'request_changed' as const, ended: [] }
        : store.claimSession(claim)
    },
  }),
}
