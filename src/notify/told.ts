import { type Displayed, nobodyDisplayed } from '../lifecycle/displayed.ts'
import type { People } from '../people.ts'
import type { AccessLevel, Delivery, EndedReason } from '../types.ts'
import { type NotificationKind, notificationKinds, type Told } from './notification.ts'

interface Parts<User extends object> {
  readonly people: People<User>
  readonly displayed: Displayed<User>
}

/** @throws {Error} for a kind that only a newer version knows: it will be tried again, perhaps by that */
export function kindOf({ payload }: Delivery): NotificationKind {
  const kind = notificationKinds.find((known) => known === payload.kind)
  if (!kind) throw new Error('this version does not know this kind of message')
  return kind
}

/** What a notice tells, with the names of now. `reader` is the user it is for. */
export async function toldOf<User extends object>(
  { people, displayed }: Parts<User>,
  delivery: Delivery,
  reader: User,
): Promise<Told> {
  const { payload, userId } = delivery
  const actorId = text(payload.actor_id) ?? ''
  const targetId = text(payload.target_user_id) ?? ''
  // Whoever does something to themselves is told as the one it was done to.
  const forActor = userId === actorId && userId !== targetId
  const [actor, target] = await Promise.all([
    forActor ? reader : people.anybody(actorId),
    forActor ? people.anybody(targetId) : reader,
  ])
  return Object.freeze({
    kind: kindOf(delivery),
    reader: forActor ? 'actor' : 'target',
    at: number(payload.at) ?? delivery.createdAt,
    actor: target === null ? nobodyDisplayed : await displayed(actor, target),
    target: { id: targetId, name: target && people.profile(target).name },
    sessionId: text(payload.session_id),
    grantId: text(payload.grant_id),
    accessLevel: text(payload.access_level) as AccessLevel | null,
    reason: text(payload.reason),
    breakGlass: payload.break_glass === true,
    expiresAt: number(payload.expires_at),
    endedReason: text(payload.ended_reason) as EndedReason | null,
    tokenPrefix: text(payload.token_prefix),
    scopes: text(payload.scopes)?.split(' ') ?? null,
  })
}

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)
const number = (value: unknown): number | null => (typeof value === 'number' ? value : null)
