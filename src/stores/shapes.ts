import {
  type AccessRequest,
  type ApiToken,
  accessLevels,
  type Delivery,
  deliveryStatuses,
  deliveryTopics,
  type Grant,
  grantStatuses,
  requestKinds,
  requestStatuses,
  type Session,
  sessionStatuses,
  type TrailAction,
  transports,
} from '../types.ts'

import type { ChainHead } from './chain.ts'
import type { ActionCount } from './trail.ts'

/** Whether what a store hands out is what the contract says it is. */

export function isSession(value: unknown): value is Session {
  const session = value as Session | null | undefined
  return (
    typeof session === 'object' &&
    session !== null &&
    filled(session.id) &&
    filled(session.actorId) &&
    filled(session.targetUserId) &&
    session.actorId !== session.targetUserId &&
    accessLevels.includes(session.accessLevel) &&
    sessionStatuses.includes(session.status) &&
    transports.includes(session.transport) &&
    Number.isFinite(session.createdAt) &&
    Number.isFinite(session.expiresAt) &&
    (session.status === 'active') === (session.endedAt === null)
  )
}

export function isGrant(value: unknown): value is Grant {
  const grant = value as Grant | null | undefined
  return (
    typeof grant === 'object' &&
    grant !== null &&
    filled(grant.id) &&
    filled(grant.actorId) &&
    filled(grant.targetUserId) &&
    accessLevels.includes(grant.accessLevel) &&
    grantStatuses.includes(grant.status) &&
    Number.isFinite(grant.expiresAt) &&
    Number.isSafeInteger(grant.revision)
  )
}

export function isRequest(value: unknown): value is AccessRequest {
  const request = value as AccessRequest | null | undefined
  return (
    typeof request === 'object' &&
    request !== null &&
    filled(request.id) &&
    filled(request.actorId) &&
    filled(request.targetUserId) &&
    requestKinds.includes(request.kind) &&
    requestStatuses.includes(request.status) &&
    accessLevels.includes(request.accessLevel) &&
    Array.isArray(request.approvedBy) &&
    request.approvedBy.every(filled) &&
    Number.isSafeInteger(request.attempts) &&
    Number.isFinite(request.expiresAt) &&
    Number.isSafeInteger(request.revision)
  )
}

export function isDelivery(value: unknown): value is Delivery {
  const delivery = value as Delivery | null | undefined
  return (
    typeof delivery === 'object' &&
    delivery !== null &&
    filled(delivery.id) &&
    filled(delivery.userId) &&
    deliveryTopics.includes(delivery.topic) &&
    deliveryStatuses.includes(delivery.status) &&
    typeof delivery.payload === 'object' &&
    Number.isSafeInteger(delivery.attempts) &&
    Number.isFinite(delivery.dueAt) &&
    Number.isSafeInteger(delivery.revision)
  )
}

export function isHead(value: unknown): value is ChainHead {
  const head = value as ChainHead | null | undefined
  return (
    typeof head === 'object' && head !== null && Number.isSafeInteger(head.seq) && filled(head.mac)
  )
}

export function isApiToken(value: unknown): value is ApiToken {
  const token = value as ApiToken | null | undefined
  return (
    typeof token === 'object' &&
    token !== null &&
    filled(token.id) &&
    filled(token.userId) &&
    orNull(filled, token.userOrgId) &&
    typeof token.name === 'string' &&
    typeof token.prefix === 'string' &&
    Array.isArray(token.scopes) &&
    token.scopes.every(filled) &&
    filled(token.issuedBy) &&
    Number.isFinite(token.createdAt) &&
    Number.isFinite(token.expiresAt) &&
    orNull(Number.isFinite, token.lastUsedAt) &&
    orNull(Number.isFinite, token.revokedAt) &&
    orNull(filled, token.replacedBy) &&
    Number.isSafeInteger(token.revision)
  )
}

export function isAction(value: unknown): value is TrailAction {
  const action = value as TrailAction | null | undefined
  return (
    typeof action === 'object' &&
    action !== null &&
    filled(action.sessionId) &&
    Number.isSafeInteger(action.seq) &&
    Number.isFinite(action.at) &&
    typeof action.method === 'string' &&
    typeof action.path === 'string' &&
    orNull(Number.isFinite, action.status) &&
    orNull(Number.isFinite, action.durationMs)
  )
}

export function isActionCount(value: unknown): value is ActionCount {
  const counted = value as ActionCount | null | undefined
  return (
    typeof counted === 'object' &&
    counted !== null &&
    filled(counted.sessionId) &&
    typeof counted.method === 'string' &&
    Number.isSafeInteger(counted.count) &&
    counted.count > 0
  )
}

const orNull = (holds: (value: unknown) => boolean, value: unknown) =>
  value === null || holds(value)
const filled = (value: unknown) => typeof value === 'string' && value !== ''
