import type { AuditEvent, Delivery } from '../types.ts'
import type { NotificationKind } from './notification.ts'

/** Who has to be told of an event, as deliveries that are stored with it. Pure. */
export type Announce = (event: AuditEvent) => readonly Delivery[]

interface Parts {
  readonly notifier?: object | undefined
  /** How long a question for consent waits, in ms. */
  readonly grantRequestMs: number
}

export function createAnnounce({ notifier, grantRequestMs }: Parts): Announce {
  if (!notifier) return () => nobody

  return function announce(event) {
    const notice = noticeOf(event)
    const userId = notice && event[notice.to]
    // A test session is in nobody's account.
    if (!notice || !userId || event.details.test_session === true) return nobody
    const { at, details } = event
    const forced = event.action.startsWith('impersonation.') && details.break_glass === true
    return [
      {
        id: event.id,
        topic: 'notice',
        userId,
        channel: null,
        // No address and no browser: what a reader of messages may not know is not in them.
        payload: {
          kind: notice.kind,
          forced,
          at,
          actor_id: event.actorId,
          target_user_id: event.targetUserId,
          target_org_id: event.targetOrgId,
          session_id: event.sessionId,
          grant_id: event.grantId,
          access_level: details.access_level ?? null,
          reason: event.reason,
          break_glass: details.break_glass === true,
          expires_at: expiryOf(notice.kind, event),
          ended_reason: details.ended_reason ?? null,
          ...(typeof details.token_prefix === 'string' && {
            token_prefix: details.token_prefix,
            scopes: details.scopes ?? null,
          }),
        },
        status: 'pending',
        attempts: 0,
        createdAt: at,
        // An event is never ahead of the clock, and may be as old as an expiry noticed late: due at once.
        dueAt: at,
        settledAt: null,
        error: null,
        revision: 1,
      },
    ]
  }

  /** When what the message offers comes to its end; null where it is over already. */
  function expiryOf(kind: NotificationKind, { at, details }: AuditEvent) {
    if (kind === 'grant_requested') return at + grantRequestMs
    return mayGoOn.includes(kind) ? (details.expires_at ?? null) : null
  }
}

interface Notice {
  readonly kind: NotificationKind
  readonly to: 'actorId' | 'targetUserId'
}

function noticeOf({ action, actorId, targetUserId, details }: AuditEvent): Notice | undefined {
  switch (action) {
    case 'grant.requested':
      return { kind: 'grant_requested', to: 'targetUserId' }
    case 'grant.granted':
      return { kind: 'grant_granted', to: 'actorId' }
    case 'grant.denied':
      return { kind: 'grant_denied', to: 'actorId' }
    case 'grant.revoked': {
      const withdrawn = details.decided_by === actorId
      return { kind: 'grant_revoked', to: withdrawn ? 'targetUserId' : 'actorId' }
    }
    case 'impersonation.started': {
      const kind = details.break_glass === true ? 'break_glass' : 'session_started'
      return { kind, to: 'targetUserId' }
    }
    case 'impersonation.stopped':
    case 'impersonation.expired':
    case 'impersonation.revoked':
    case 'impersonation.replaced':
      return { kind: 'session_ended', to: 'targetUserId' }
    // Also to whoever has issued one for themselves: it may not have been them.
    case 'token.issued':
      return { kind: 'token_issued', to: 'targetUserId' }
    case 'token.rotated':
    case 'token.revoked': {
      if (actorId === targetUserId) return undefined
      const kind = action === 'token.rotated' ? 'token_rotated' : 'token_revoked'
      return { kind, to: 'targetUserId' }
    }
    default:
      return undefined
  }
}

const mayGoOn: readonly NotificationKind[] = [
  ...(['grant_granted', 'session_started', 'break_glass'] as const),
  ...(['token_issued', 'token_rotated'] as const),
]
const nobody: readonly Delivery[] = Object.freeze([])
