import type { AccessRequest } from '../../types.ts'
import type { RecordedEvent } from '../outbox.ts'
import type { RequestChange, RequestFilter, RequestSection, UsedCode } from '../requests.ts'
import { paged, same } from './lists.ts'

/** @param prepareEvents throws what can't be stored, and gives what stores the rest */
export function createRequests(prepareEvents: (events: readonly RecordedEvent[]) => () => void) {
  const requests = new Map<string, AccessRequest>()
  /** The marks of those that were used, and when. */
  const codes = new Map<string, number>()

  const stillFrom = ({ from, after }: RequestChange) => requests.get(after.id)?.revision === from

  function put(request: AccessRequest): void {
    const approvedBy = Object.freeze([...request.approvedBy])
    requests.set(request.id, Object.freeze({ ...request, approvedBy }))
  }

  const isUsed = (code: UsedCode | null) => code !== null && codes.has(code.mark)
  const use = (code: UsedCode | null) => {
    if (code) codes.set(code.mark, code.at)
  }

  const section: RequestSection = {
    async createRequest(request, events, code) {
      if (requests.has(request.id)) throw new Error('A request with this id is stored already.')
      if (isUsed(code)) return 'code_used'
      const storeEvents = prepareEvents(events)
      put(request)
      use(code)
      storeEvents()
      return 'created'
    },

    async readRequest(requestId) {
      return requests.get(requestId) ?? null
    },

    async listRequests(filter, page) {
      const matching = [...requests.values()].filter((request) => matches(request, filter))
      return paged(matching, (request) => request.createdAt, page)
    },

    async changeRequest(change, events, code) {
      if (!stillFrom(change)) return 'changed_since'
      if (isUsed(code)) return 'code_used'
      const storeEvents = prepareEvents(events)
      put(change.after)
      use(code)
      storeEvents()
      return 'changed'
    },
  }

  return { section, put, stillFrom, requests, codes }
}

function matches(request: AccessRequest, filter: RequestFilter): boolean {
  return (
    same(filter.kind, request.kind) &&
    same(filter.status, request.status) &&
    same(filter.actorId, request.actorId) &&
    same(filter.targetUserId, request.targetUserId) &&
    request.createdAt >= (filter.from ?? Number.NEGATIVE_INFINITY) &&
    request.expiresAt <= (filter.expiredBy ?? Number.POSITIVE_INFINITY)
  )
}
