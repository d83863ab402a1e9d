import { ImpersonationError } from '../errors.ts'
import type { Session } from '../types.ts'
import type { ChainSection } from './chain.ts'
import { guardRetention } from './guarded-retention.ts'
import { guardTokens } from './guarded-tokens.ts'
import type { OutboxSection } from './outbox.ts'
import type { RequestSection } from './requests.ts'
import {
  isAction,
  isActionCount,
  isDelivery,
  isGrant,
  isHead,
  isRequest,
  isSession,
} from './shapes.ts'
import type { GrantSection, Store } from './store.ts'
import type { TrailSection } from './trail.ts'

type Section = 'grants' | 'requests' | 'outbox' | 'chain' | 'trail' | 'retention' | 'tokens'

/** The verbs as the core calls them: each answers in time and in shape, or rejects with a 503. */
export type GuardedStore = Omit<Store, 'watch' | 'check' | 'close' | Section> & {
  readonly [name in Section]: Store[name] | undefined
}

/**
 * Puts a time limit and a check of the answer around every verb. A store that throws, hangs or
 * answers garbage has told nothing, and nothing must never be read as "not impersonating".
 * @param run puts every call into a context of its own
 */
export function guardStore(
  store: Store,
  timeoutMs: number,
  run: <T>(ask: () => T) => T = (ask) => ask(),
): GuardedStore {
  const within: typeof inTime = (limitMs, ask, holds) => inTime(limitMs, () => run(ask), holds)
  const read = timeoutMs
  const change = timeoutMs * 5
  return {
    name: store.name,
    claimSession: (claim) =>
      within(
        change,
        () => store.claimSession(claim),
        ({ ended, ...answer }) =>
          ended.every(isSession) &&
          (answer.outcome === 'started' ||
            answer.outcome === 'grant_changed' ||
            answer.outcome === 'request_changed' ||
            (refusals.includes(answer.outcome) && isSession((answer as { by?: Session }).by))),
      ),
    readStanding: (actorId) =>
      within(
        read,
        () => store.readStanding(actorId),
        ({ active, lapse }) =>
          (active === null ||
            (isSession(active) &&
              active.status === 'active' &&
              active.transport === 'session' &&
              active.actorId === actorId)) &&
          (lapse === null ||
            (isSession(lapse) && lapse.status !== 'active' && lapse.actorId === actorId)),
      ),
    readSession: (id) =>
      within(
        read,
        () => store.readSession(id),
        (answer) => answer === null || (isSession(answer) && answer.id === id),
      ),
    listSessions: (filter, page) =>
      within(
        read,
        () => store.listSessions(filter, page),
        (answer) => answer.every(isSession),
      ),
    endSession: (id, ending, event) =>
      within(
        change,
        () => store.endSession(id, ending, event),
        (answer) =>
          answer === null ||
          (isSession(answer.session) &&
            answer.session.id === id &&
            answer.session.status !== 'active'),
      ),
    extendSession: (id, change_, event) =>
      within(
        change,
        () => store.extendSession(id, change_, event),
        (answer) => answer === null || (isSession(answer) && answer.id === id),
      ),
    acknowledgeLapses: (actorId) =>
      within(change, () => store.acknowledgeLapses(actorId), anything),
    appendEvents: (events) => within(change, () => store.appendEvents(events), anything),
    listEvents: (filter, page) => within(read, () => store.listEvents(filter, page), Array.isArray),
    grants: store.grants && guardGrants(store.grants),
    requests: store.requests && guardRequests(store.requests),
    outbox: store.outbox && guardOutbox(store.outbox),
    chain: store.chain && guardChain(store.chain),
    trail: store.trail && guardTrail(store.trail),
    tokens: store.tokens && guardTokens(store.tokens, within, read, change),
    retention: store.retention && guardRetention(store.retention, within, timeoutMs * 300),
  }

  function guardGrants(grants: GrantSection): GrantSection {
    return {
      createGrant: (grant, events) =>
        within(change, () => grants.createGrant(grant, events), anything),
      readGrant: (id) =>
        within(
          read,
          () => grants.readGrant(id),
          (answer) => answer === null || (isGrant(answer) && answer.id === id),
        ),
      listGrants: (filter, page) =>
        within(
          read,
          () => grants.listGrants(filter, page),
          (answer) => answer.every(isGrant),
        ),
      changeGrant: (grant, events, ending) =>
        within(
          change,
          () => grants.changeGrant(grant, events, ending),
          (answer) =>
            answer.changed === false ||
            (answer.changed === true && (answer.ended === null || isSession(answer.ended))),
        ),
    }
  }

  function guardRequests(requests: RequestSection): RequestSection {
    return {
      createRequest: (request, events, code) =>
        within(
          change,
          () => requests.createRequest(request, events, code),
          (answer) => ['created', 'code_used'].includes(answer),
        ),
      readRequest: (id) =>
        within(
          read,
          () => requests.readRequest(id),
          (answer) => answer === null || (isRequest(answer) && answer.id === id),
        ),
      listRequests: (filter, page) =>
        within(
          read,
          () => requests.listRequests(filter, page),
          (answer) => answer.every(isRequest),
        ),
      changeRequest: (request, events, code) =>
        within(
          change,
          () => requests.changeRequest(request, events, code),
          (answer) => ['changed', 'changed_since', 'code_used'].includes(answer),
        ),
    }
  }

  function guardOutbox(outbox: OutboxSection): OutboxSection {
    return {
      leaseDeliveries: (lease) =>
        within(
          change,
          () => outbox.leaseDeliveries(lease),
          (answer) => answer.every((one) => isDelivery(one) && lease.topics.includes(one.topic)),
        ),
      changeDelivery: (delivery, more) =>
        within(
          change,
          () => outbox.changeDelivery(delivery, more),
          (answer) => typeof answer === 'boolean',
        ),
      readDelivery: (id) =>
        within(
          read,
          () => outbox.readDelivery(id),
          (answer) => answer === null || (isDelivery(answer) && answer.id === id),
        ),
      listDeliveries: (filter, page) =>
        within(
          read,
          () => outbox.listDeliveries(filter, page),
          (answer) => answer.every(isDelivery),
        ),
    }
  }

  function guardChain(chain: ChainSection): ChainSection {
    return {
      readHead: () =>
        within(
          read,
          () => chain.readHead(),
          (answer) => answer === null || isHead(answer),
        ),
      readLinks: (after, limit) =>
        within(
          change,
          () => chain.readLinks(after, limit),
          // No more than that: what else is wrong with a link is for `verify` to find and to name.
          (answer) => answer.every(({ link }) => typeof link.eventId === 'string'),
        ),
      readUnsealed: (from, limit) =>
        within(change, () => chain.readUnsealed(from, limit), Array.isArray),
    }
  }

  function guardTrail(trail: TrailSection): TrailSection {
    return {
      appendTrail: (id, make) =>
        within(
          change,
          () => trail.appendTrail(id, make),
          // The entries that were made end there, and the first of all is 1.
          (answer) => Number.isSafeInteger(answer) && answer >= Math.max(make.length, 1),
        ),
      readTrails: (ids, after, limit) =>
        within(
          change,
          () => trail.readTrails(ids, after, limit),
          // As with links: what else is wrong with an entry is for `verify` to find and to name.
          (answer) => answer.every(({ sessionId }) => ids.includes(sessionId)),
        ),
      listActions: (id, after, limit) =>
        within(
          read,
          () => trail.listActions(id, after, limit),
          (answer) => answer.every((action) => isAction(action) && action.sessionId === id),
        ),
      countActions: (ids) =>
        within(
          change,
          () => trail.countActions(ids),
          (answer) => answer.every((one) => isActionCount(one) && ids.includes(one.sessionId)),
        ),
    }
  }
}

async function inTime<T>(
  limitMs: number,
  ask: () => Promise<T>,
  holds: (answer: T) => boolean,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unavailable(`no answer within ${limitMs} ms`)), limitMs)
  })
  try {
    const answer = await Promise.race([ask(), late])
    if (!safely(holds, answer)) throw unavailable('an answer the store contract does not know')
    return answer
  } catch (cause) {
    throw cause instanceof ImpersonationError ? cause : unavailable('the store failed', cause)
  } finally {
    clearTimeout(timer)
  }
}

function unavailable(what: string, cause: unknown = new Error(what)): ImpersonationError {
  return new ImpersonationError('impersonation_unavailable', { cause })
}

function safely<T>(holds: (answer: T) => boolean, answer: T): boolean {
  try {
    return holds(answer)
  } catch {
    return false
  }
}

const anything = () => true
const refusals: readonly string[] = ['actor_busy', 'target_busy', 'grant_busy']
