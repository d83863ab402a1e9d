import type { RecordedEvent } from '../stores/outbox.ts'
import type { RequestChange, UsedCode } from '../stores/requests.ts'
import type { AccessRequest } from '../types.ts'

/** The requests in their plainest form. */
export interface RequestModel {
  readonly requests: readonly AccessRequest[]
  request(id: string): AccessRequest | null
  createRequest(
    request: AccessRequest,
    events: readonly RecordedEvent[],
    code: UsedCode | null,
  ): 'created' | 'code_used'
  changeRequest(
    change: RequestChange,
    events: readonly RecordedEvent[],
    code: UsedCode | null,
  ): 'changed' | 'changed_since' | 'code_used'
}

/** @param record stores events with their deliveries */
export function createRequestModel(record: (events: readonly RecordedEvent[]) => void) {
  let requests: AccessRequest[] = []
  const marks = new Set<string>()
  const find = (id: string) => requests.find((request) => request.id === id)

  const holds = ({ from, after }: RequestChange) => find(after.id)?.revision === from

  function changeTo(after: AccessRequest): void {
    requests = requests.map((other) => (other.id === after.id ? after : other))
  }

  const model: RequestModel = {
    get requests() {
      return requests
    },
    request: (id) => find(id) ?? null,

    createRequest(request, events, code) {
      if (code && marks.has(code.mark)) return 'code_used'
      if (code) marks.add(code.mark)
      requests.push(request)
      record(events)
      return 'created'
    },

    changeRequest(change, events, code) {
      if (!holds(change)) return 'changed_since'
      if (code && marks.has(code.mark)) return 'code_used'
      if (code) marks.add(code.mark)
      changeTo(change.after)
      record(events)
      return 'changed'
    },
  }
  return { model, holds, changeTo }
}
