import { describe, expect, it } from 'vitest'
import { type AuditEvent, type EventAction, eventActions } from '../../src/index.ts'
import { createAnnounce } from '../../src/notify/announce.ts'
import { hour, noon } from '../support/core-world.ts'

const announce = createAnnounce({ notifier: {}, grantRequestMs: 12 * hour })

const event = (action: EventAction, details: AuditEvent['details'] = {}): AuditEvent => ({
  id: `event of ${action}`,
  at: noon,
  action,
  outcome: 'success',
  code: null,
  actorId: 'root',
  targetUserId: 'alice',
  actorOrgId: 'staff',
  targetOrgId: 'acme',
  sessionId: 'a-session',
  grantId: 'a-grant',
  reason: 'ticket 7',
  ipAddress: '192.0.2.1',
  userAgent: 'a browser',
  clientId: 'a client',
  requestId: 'a request',
  details,
})

/** Whom each event is told, and as what; a record, so that a new one has to be thought of. */
const told: Readonly<Record<EventAction, readonly [userId: string, kind: string] | null>> = {
  'impersonation.refused': null,
  'impersonation.started': ['alice', 'session_started'],
  'impersonation.extended': null,
  'impersonation.stopped': ['alice', 'session_ended'],
  'impersonation.expired': ['alice', 'session_ended'],
  'impersonation.revoked': ['alice', 'session_ended'],
  'impersonation.replaced': ['alice', 'session_ended'],
  'impersonation.write_blocked': null,
  'impersonation.burst': null,
  'grant.requested': ['alice', 'grant_requested'],
  'grant.granted': ['root', 'grant_granted'],
  'grant.denied': ['root', 'grant_denied'],
  'grant.used': null,
  'grant.revoked': ['root', 'grant_revoked'],
  'grant.expired': null,
  'break_glass.opened': null,
  'break_glass.confirmed': null,
  'break_glass.locked': null,
  'break_glass.expired': null,
  'approval.requested': null,
  'approval.approved': null,
  'approval.denied': null,
  'approval.withdrawn': null,
  'approval.used': null,
  'approval.expired': null,
  'token.issued': ['alice', 'token_issued'],
  'token.rotated': ['alice', 'token_rotated'],
  'token.revoked': ['alice', 'token_revoked'],
  'audit.pruned': null,
  'audit.erased': null,
}

const brief = (one: AuditEvent) =>
  announce(one).map(({ userId, payload }) => [userId, payload.kind, payload.forced])

describe('who is told of what', () => {
  it.each(eventActions)('%s', (action) => {
    const [first, ...more] = brief(event(action))
    expect(more).toEqual([])
    expect(first ?? null).toEqual(told[action] && [...told[action], false])
  })

  it.each([
    ['the target', 'alice', 'root'],
    ['the operator', 'root', 'alice'],
  ])('of a consent that %s took back, the other side', (_who, by, other) => {
    expect(brief(event('grant.revoked', { decided_by: by }))).toEqual([
      [other, 'grant_revoked', false],
    ])
  })

  it.each(eventActions.filter((action) => told[action]?.[1].startsWith('session_')))(
    '%s of a break-glass session, in any case',
    (action) => {
      const kind = action === 'impersonation.started' ? 'break_glass' : 'session_ended'
      expect(brief(event(action, { break_glass: true }))).toEqual([['alice', kind, true]])
    },
  )

  it.each(eventActions)('%s of a test session: nobody', (action) => {
    expect(brief(event(action, { test_session: true }))).toEqual([])
  })

  it('of an API token that somebody has issued for themselves, they; of the rest that they do, nobody', () => {
    const own = (action: EventAction) => brief({ ...event(action), actorId: 'alice' })
    expect(own('token.issued')).toEqual([['alice', 'token_issued', false]])
    expect(own('token.rotated')).toEqual([])
    expect(own('token.revoked')).toEqual([])
  })

  it('nobody, where an event names nobody', () => {
    expect(announce({ ...event('impersonation.started'), targetUserId: null })).toEqual([])
    expect(announce({ ...event('grant.granted'), actorId: null })).toEqual([])
  })

  it('nobody, without a notifier', () => {
    const silent = createAnnounce({ notifier: undefined, grantRequestMs: hour })
    for (const action of eventActions) expect(silent(event(action))).toEqual([])
  })
})

describe('what is told', () => {
  it('is flat, due at once, and knows no address and no browser', () => {
    const [delivery] = announce(
      event('impersonation.started', { access_level: 'full', expires_at: noon + hour }),
    )
    expect(delivery).toEqual({
      id: 'event of impersonation.started',
      topic: 'notice',
      userId: 'alice',
      channel: null,
      payload: {
        kind: 'session_started',
        forced: false,
        at: noon,
        actor_id: 'root',
        target_user_id: 'alice',
        target_org_id: 'acme',
        session_id: 'a-session',
        grant_id: 'a-grant',
        access_level: 'full',
        reason: 'ticket 7',
        break_glass: false,
        expires_at: noon + hour,
        ended_reason: null,
      },
      status: 'pending',
      attempts: 0,
      createdAt: noon,
      dueAt: noon,
      settledAt: null,
      error: null,
      revision: 1,
    })
    expect(JSON.stringify(announce(event('impersonation.started')))).not.toMatch(
      /192\.0|browser|a client|a request/,
    )
  })

  it('of an API token, how it begins and what it is good for', () => {
    const details = { token_id: 'id', token_prefix: 'pv_test_Ab1x', scopes: 'read upload' }
    const [delivery] = announce(event('token.issued', { ...details, expires_at: noon + hour }))
    expect(delivery?.payload).toMatchObject({
      kind: 'token_issued',
      token_prefix: 'pv_test_Ab1x',
      scopes: 'read upload',
      expires_at: noon + hour,
    })
    expect(delivery?.payload).not.toHaveProperty('token_id')
    expect(announce(event('impersonation.started'))[0]?.payload).not.toHaveProperty('token_prefix')
  })

  it('is the same for the same event', () => {
    const one = event('impersonation.revoked', { ended_reason: 'target_inactive' })
    expect(announce(one)).toEqual(announce({ ...one }))
    expect(announce(one)[0]?.payload.ended_reason).toBe('target_inactive')
  })

  it.each<[EventAction, number | null]>([
    ['grant.requested', noon + 12 * hour],
    ['grant.granted', noon + hour],
    ['grant.denied', null],
    ['grant.revoked', null],
    ['impersonation.started', noon + hour],
    ['impersonation.stopped', null],
    ['token.issued', noon + hour],
    ['token.rotated', noon + hour],
    ['token.revoked', null],
  ])('names the end of what it offers: %s', (action, expiresAt) => {
    const [delivery] = announce(event(action, { expires_at: noon + hour }))
    expect(delivery?.payload.expires_at).toBe(expiresAt)
  })
})
