import type { GrantChange, GrantSection, Store } from '../../stores/store.ts'
import type { AuditEvent, EventAction, Grant, Session } from '../../types.ts'
import { eventOf, minute, nextId, type Rule, sessionOf, start, t0 } from './fixtures.ts'

/** The question of `root` to `alice` that `t0` finds open: not decided yet. */
export function grantOf(changes: Partial<Grant> = {}): Grant {
  return {
    id: nextId('grant'),
    actorId: 'root',
    actorOrgId: null,
    targetUserId: 'alice',
    targetOrgId: null,
    accessLevel: 'view',
    requestedAccessLevel: 'view',
    reason: 'a test',
    ticket: null,
    durationMs: 60 * minute,
    status: 'pending',
    createdAt: t0,
    decidedAt: null,
    expiresAt: t0 + 24 * 60 * minute,
    revision: 1,
    ...changes,
  }
}

/** What follows on a grant, from the revision that it has. */
export function changeOf(grant: Grant, changes: Partial<Grant> = {}): GrantChange {
  return { from: grant.revision, after: { ...grant, ...changes, revision: grant.revision + 1 } }
}

/** Stores a grant with its event: granted, unless it is to be something else. */
export async function consent(grants: GrantSection, changes: Partial<Grant> = {}): Promise<Grant> {
  const grant = grantOf({ status: 'granted', decidedAt: t0, ...changes })
  await grants.createGrant(grant, [grantEvent(grant)])
  return grant
}

/** The event of a grant, named by the status that it has now. */
export const grantEvent = (grant: Grant, changes: Partial<AuditEvent> = {}): AuditEvent => ({
  ...eventOf(grantActions[grant.status], sessionOf({ ...peopleOf(grant), grantId: grant.id })),
  sessionId: null,
  ...changes,
})

type People = Pick<Grant, 'actorId' | 'actorOrgId' | 'targetUserId' | 'targetOrgId'>

/** Those that a session has in common with its grant, or with the request it starts on. */
export function peopleOf({ actorId, actorOrgId, targetUserId, targetOrgId }: People) {
  return { actorId, actorOrgId, targetUserId, targetOrgId }
}

const grantActions = {
  pending: 'grant.requested',
  granted: 'grant.granted',
  denied: 'grant.denied',
  used: 'grant.used',
  revoked: 'grant.revoked',
  expired: 'grant.expired',
} as const satisfies Record<Grant['status'], EventAction>

/** A rule of the section `grants`: a store without it keeps these by having nothing to keep. */
export type GrantRule = (
  name: string,
  prove: (store: Store, grants: GrantSection) => Promise<void>,
) => void

export function whereGranted(rule: Rule): GrantRule {
  return (name, prove) =>
    rule(name, async (store) => {
      if (store.grants) await prove(store, store.grants)
    })
}

export async function allGrants({ listGrants }: GrantSection): Promise<Grant[]> {
  return listGrants({}, { limit: 1_000_000 })
}

/** A grant and the live session under it. */
export async function live(
  store: Store,
  grants: GrantSection,
  changes: Partial<Grant> = {},
  session: Partial<Session> = {},
): Promise<[Grant, Session]> {
  const grant = await consent(grants, changes)
  return [grant, await start(store, { ...session, grantId: grant.id })]
}

/** A grant as the end of its session leaves it. */
export const used = (grant: Grant): Grant => changeOf(grant, { status: 'used' }).after
