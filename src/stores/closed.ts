import { type GrantStatus, grantStatuses, type RequestStatus, requestStatuses } from '../types.ts'

/** Statuses on which no other one follows. */

export const closedGrants: readonly GrantStatus[] = grantStatuses.filter(
  (status) => status !== 'pending' && status !== 'granted',
)

export const closedRequests: readonly RequestStatus[] = requestStatuses.filter(
  (status) => status !== 'unproven' && status !== 'pending' && status !== 'approved',
)
