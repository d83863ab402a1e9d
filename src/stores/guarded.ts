import { ImpersonationError } from '../errors.ts'
import { accessLevels, type Grant, grantStatuses, type Session, sessionStatuses } from '../types.ts'
import type { GrantSection, Store } from './store.ts'

/** The verbs as the core calls them: each answers in time and in shape, or rejects with a 503. */
export type GuardedStore = Omit<Store, 'watch' | 'check' | 'close' | 'grants'> & {
  readonly grants: GrantSection | undefined
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
            (refusals.includes(answer.outcome) && isSession(answer.by))),
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

function isSession(value: unknown): value is Session {
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
    Number.isFinite(session.createdAt) &&
    Number.isFinite(session.expiresAt) &&
    (session.status === 'active') === (session.endedAt === null)
  )
}

function isGrant(value: unknown): value is Grant {
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

const filled = (value: unknown) => typeof value === 'string' && value !== ''
