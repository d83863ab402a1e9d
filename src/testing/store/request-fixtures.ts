import type { RequestChange, RequestSection, UsedCode } from '../../stores/requests.ts'
import type { Store } from '../../stores/store.ts'
import type { AccessRequest, AuditEvent, EventAction } from '../../types.ts'
import { eventOf, minute, nextId, type Rule, sessionOf, t0 } from './fixtures.ts'
import { peopleOf } from './grant-fixtures.ts'

/** What `root` asks of colleagues for `alice`: an approval that `t0` finds open. */
export function requestOf(changes: Partial<AccessRequest> = {}): AccessRequest {
  return {
    id: nextId('request'),
    kind: 'approval',
    actorId: 'root',
    actorOrgId: null,
    targetUserId: 'alice',
    targetOrgId: null,
    accessLevel: 'view',
    reason: 'a test',
    ticket: null,
    status: 'pending',
    approvedBy: [],
    deniedBy: null,
    attempts: 0,
    createdAt: t0,
    expiresAt: t0 + 60 * minute,
    sessionId: null,
    revision: 1,
    ...changes,
  }
}

/** What follows on a request, from the revision that it has. */
export function stepOf(request: AccessRequest, changes: Partial<AccessRequest> = {}) {
  const after = { ...request, ...changes, revision: request.revision + 1 }
  return { from: request.revision, after } satisfies RequestChange
}

/** Stores a request with its event. */
export async function ask(
  requests: RequestSection,
  changes: Partial<AccessRequest> = {},
): Promise<AccessRequest> {
  const request = requestOf(changes)
  await requests.createRequest(request, [requestEvent(request)], null)
  return request
}

/** The event of a request, named by what it is and the status that it has now. */
export const requestEvent = (
  request: AccessRequest,
  changes: Partial<AuditEvent> = {},
): AuditEvent => ({
  ...eventOf(requestActions[request.status], sessionOf(peopleOf(request))),
  sessionId: null,
  ...changes,
})

const requestActions = {
  unproven: 'break_glass.opened',
  pending: 'approval.requested',
  approved: 'approval.approved',
  used: 'approval.used',
  denied: 'approval.denied',
  withdrawn: 'approval.withdrawn',
  locked: 'break_glass.locked',
  expired: 'approval.expired',
} as const satisfies Record<AccessRequest['status'], EventAction>

export const codeOf = (mark = nextId('mark')): UsedCode => ({ mark, at: t0 })

/** A rule of the section `requests`: a store without it keeps these by having nothing to keep. */
export type RequestRule = (
  name: string,
  prove: (store: Store, requests: RequestSection) => Promise<void>,
) => void

export function whereRequested(rule: Rule): RequestRule {
  return (name, prove) =>
    rule(name, async (store) => {
      if (store.requests) await prove(store, store.requests)
    })
}

export async function allRequests({ listRequests }: RequestSection): Promise<AccessRequest[]> {
  return listRequests({}, { limit: 1_000_000 })
}
