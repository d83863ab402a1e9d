import { vi } from 'vitest'
import { sessionEvent } from '../../src/audit/events.ts'
import type {
  Channel,
  Delivery,
  DeliveryFilter,
  ImpersonationOptions,
  Notification,
  Notifier,
  OutboxSection,
  Session,
  Store,
} from '../../src/index.ts'
import { createAnnounce } from '../../src/notify/announce.ts'
import { createCourier } from '../../src/notify/courier.ts'
import { createPeople } from '../../src/people.ts'
import { readOptions } from '../../src/settings.ts'
import { guardStore } from '../../src/stores/guarded.ts'
import { hour, noon, type User, type World, worldOf } from '../support/core-world.ts'

type Options = Partial<ImpersonationOptions<User>>

/** Timers go by hand: nothing is delivered but by `deliver()`, and no time limit runs out by itself. */
export function stopTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
}

export interface Told extends World {
  /** What was sent, in that order. */
  readonly sent: Notification[]
  /** How each user can be reached; by mail unless said otherwise. */
  readonly ways: Map<string, readonly Channel[]>
  /** Thrown by the next sendings, one after the other. */
  readonly faults: (Error | undefined)[]
  /** One round, and what was sent in it. */
  deliver(): Promise<Notification[]>
  deliveries(filter?: DeliveryFilter): Promise<Delivery[]>
}

/** A world in which people are told of things. */
export function toldWorld(
  { notifier, ...options }: Omit<Options, 'notifier'> & { notifier?: Partial<Notifier<User>> } = {},
  store?: Store,
): Told {
  const sent: Notification[] = []
  const ways: Told['ways'] = new Map()
  const faults: Told['faults'] = []
  const world = worldOf(
    {
      ...options,
      notifier: {
        channels: ({ id }) => ways.get(id) ?? [{ channel: 'mail', to: `${id}@example.com` }],
        async send(notification) {
          const fault = faults.shift()
          if (fault) throw fault
          sent.push(notification)
        },
        ...notifier,
      },
    },
    store,
  )
  return Object.assign(world, {
    sent,
    ways,
    faults,
    async deliver() {
      const before = sent.length
      await world.engine.outbox.deliver()
      return sent.slice(before)
    },
    deliveries: (filter: DeliveryFilter = {}) => outboxOf(world.store).listDeliveries(filter, all),
  })
}

const all = { limit: 1000 }

export function outboxOf({ outbox }: Store): OutboxSection {
  if (!outbox) throw new Error('This store has no outbox.')
  return outbox
}

/** One line for each: to whom, over what, what. */
export const lines = (notifications: readonly Notification[]): string[] =>
  notifications.map(({ userId, channel, kind }) => `${userId} ${channel} ${kind}`).sort()

/** A courier of messages in a world, with its dice and its patience laid bare. */
export function courierOf(
  world: World,
  notifier: Partial<Notifier<User>>,
  more: Partial<Parameters<typeof createCourier<User>>[0]> & { options?: Options } = {},
): { readonly round: () => Promise<number> } {
  const { options, ...parts } = more
  const settings = readOptions<User>({
    findUser: (id) => world.users.get(id) ?? null,
    can: () => false,
    now: () => world.clock.wall,
    notifier: { channels: () => [], send: () => {}, ...notifier },
    ...options,
    store: world.store,
  })
  const courier = createCourier<User>({
    settings,
    store: guardStore(world.store, 1000),
    outbox: outboxOf(world.store),
    people: createPeople<User>(settings),
    closed: () => false,
    random: () => 0.5,
    ...parts,
  })
  return { round: () => courier.round('notice') }
}

/** A session that two people opened without the target's consent, as the store keeps one. */
export async function breakGlass(world: World, changes: Partial<Session> = {}): Promise<Session> {
  const session: Session = {
    id: crypto.randomUUID(),
    actorId: 'root',
    actorOrgId: null,
    targetUserId: 'alice',
    targetOrgId: null,
    targetRole: null,
    accessLevel: 'view',
    reason: 'the house is on fire',
    ticket: null,
    grantId: null,
    breakGlass: true,
    transport: 'session',
    clientId: null,
    ipAddress: '192.0.2.1',
    userAgent: 'a browser',
    createdAt: noon,
    expiresAt: noon + hour,
    endedAt: null,
    endedReason: null,
    endedNote: null,
    endedBy: null,
    status: 'active',
    ...changes,
  }
  const details = { access_level: session.accessLevel, expires_at: session.expiresAt }
  const event = sessionEvent('impersonation.started', session, noon, undefined, details)
  const announce = createAnnounce({ notifier: {}, grantRequestMs: hour })
  await world.store.claimSession({
    session,
    now: noon,
    onConflict: 'reject',
    exclusiveTarget: true,
    events: { started: { ...event, deliveries: announce(event) }, ended: () => [] },
  })
  return session
}

/** Puts deliveries into a store, as if an event had brought them. */
export async function putDeliveries(store: Store, deliveries: readonly Delivery[]): Promise<void> {
  const session = { id: 'none', actorId: 'root', targetUserId: 'alice' } as Session
  const event = sessionEvent('impersonation.write_blocked', session, noon)
  await store.appendEvents([
    { ...event, actorOrgId: null, targetOrgId: null, grantId: null, reason: null, deliveries },
  ])
}

export function deliveryOf(changes: Partial<Delivery> = {}): Delivery {
  return {
    id: crypto.randomUUID(),
    topic: 'notice',
    userId: 'alice',
    channel: null,
    payload: {
      kind: 'session_started',
      forced: false,
      at: noon,
      actor_id: 'root',
      target_user_id: 'alice',
      target_org_id: null,
      session_id: 'the-session',
      grant_id: null,
      access_level: 'view',
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
    ...changes,
  }
}
