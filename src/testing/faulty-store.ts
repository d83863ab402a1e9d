import { type ChainSection, type ChainVerb, chainVerbs } from '../stores/chain.ts'
import { type OutboxSection, type OutboxVerb, outboxVerbs } from '../stores/outbox.ts'
import { type RequestSection, type RequestVerb, requestVerbs } from '../stores/requests.ts'
import { type RetentionSection, type RetentionVerb, retentionVerbs } from '../stores/retention.ts'
import {
  type GrantSection,
  type GrantVerb,
  grantVerbs,
  type Store,
  type StoreVerb,
  storeVerbs,
} from '../stores/store.ts'
import { type TokenSection, type TokenVerb, tokenVerbs } from '../stores/tokens.ts'
import { type TrailSection, type TrailVerb, trailVerbs } from '../stores/trail.ts'

/** How a call goes wrong. */
export type Fault =
  /** Rejects, and nothing was done. */
  | 'before'
  /** It was done, and then rejects: a lost connection after the commit. */
  | 'after'
  /** Does not settle until `release()`, and is done only then. */
  | 'hang'
  /** It is done, and the answer is `undefined`. */
  | 'garbage'
  /** It is done, and the answer is this. */
  | { readonly garbage: unknown }

/** A fault for every call of a verb, or by the number of the call, of which the first is 1. */
export type FaultPlan = {
  [Verb in AnyVerb]?: Fault | { readonly [nth: number]: Fault }
}

type AnyVerb =
  | StoreVerb
  | GrantVerb
  | RequestVerb
  | OutboxVerb
  | ChainVerb
  | TrailVerb
  | RetentionVerb
  | TokenVerb
const anyVerb: readonly AnyVerb[] = [
  ...[...storeVerbs, ...grantVerbs],
  ...[...requestVerbs, ...outboxVerbs, ...chainVerbs, ...trailVerbs, ...retentionVerbs],
  ...tokenVerbs,
]

export interface FaultyStore extends Store {
  /** How often each verb was called, faults included. */
  readonly calls: Readonly<Record<AnyVerb, number>>
  /** How many calls hang at the moment. */
  readonly hanging: number
  /**
   * Puts another plan in place of the present one and counts the calls from 0; `{}` heals the
   * store.
   */
  plan(next: FaultPlan): void
  /** Lets the hanging calls go on: they reach the store now. */
  release(): void
}

/**
 * Puts faults around a store, to prove that what stands on it fails closed.
 *
 * @example
 * const store = faultyStore(memoryStore(), { claimSession: { 2: 'after' } })
 * // the second claim is committed, and reported as failed
 */
export function faultyStore(store: Store, plan: FaultPlan = {}): FaultyStore {
  let current = plan
  let hung: (() => void)[] = []
  const calls = Object.fromEntries(anyVerb.map((verb) => [verb, 0])) as Record<AnyVerb, number>

  function faultOf(verb: AnyVerb): Fault | undefined {
    calls[verb] += 1
    const planned = current[verb]
    if (planned === undefined || typeof planned === 'string' || 'garbage' in planned)
      return planned as Fault | undefined
    return (planned as { readonly [nth: number]: Fault })[calls[verb]]
  }

  function faulty<Args extends unknown[], Answer>(
    verb: AnyVerb,
    real: (...args: Args) => Promise<Answer>,
  ): (...args: Args) => Promise<Answer> {
    return async (...args) => {
      const fault = faultOf(verb)
      if (fault === 'before') throw new Error(`${verb} failed before anything was done.`)
      if (fault === 'hang') await new Promise<void>((resolve) => hung.push(resolve))
      const answer = await real(...args)
      if (fault === 'after') throw new Error(`${verb} was done and then reported an error.`)
      if (fault === 'garbage') return undefined as Answer
      return typeof fault === 'object' ? (fault.garbage as Answer) : answer
    }
  }

  const faultyGrants = (grants: GrantSection): GrantSection => ({
    createGrant: faulty('createGrant', (...args) => grants.createGrant(...args)),
    readGrant: faulty('readGrant', (...args) => grants.readGrant(...args)),
    listGrants: faulty('listGrants', (...args) => grants.listGrants(...args)),
    changeGrant: faulty('changeGrant', (...args) => grants.changeGrant(...args)),
  })

  const faultyRequests = (requests: RequestSection): RequestSection => ({
    createRequest: faulty('createRequest', (...args) => requests.createRequest(...args)),
    readRequest: faulty('readRequest', (...args) => requests.readRequest(...args)),
    listRequests: faulty('listRequests', (...args) => requests.listRequests(...args)),
    changeRequest: faulty('changeRequest', (...args) => requests.changeRequest(...args)),
  })

  const faultyOutbox = (outbox: OutboxSection): OutboxSection => ({
    leaseDeliveries: faulty('leaseDeliveries', (...args) => outbox.leaseDeliveries(...args)),
    changeDelivery: faulty('changeDelivery', (...args) => outbox.changeDelivery(...args)),
    readDelivery: faulty('readDelivery', (...args) => outbox.readDelivery(...args)),
    listDeliveries: faulty('listDeliveries', (...args) => outbox.listDeliveries(...args)),
  })

  const faultyChain = (chain: ChainSection): ChainSection => ({
    readHead: faulty('readHead', (...args) => chain.readHead(...args)),
    readLinks: faulty('readLinks', (...args) => chain.readLinks(...args)),
    readUnsealed: faulty('readUnsealed', (...args) => chain.readUnsealed(...args)),
  })

  const faultyTrail = (trail: TrailSection): TrailSection => ({
    appendTrail: faulty('appendTrail', (...args) => trail.appendTrail(...args)),
    readTrails: faulty('readTrails', (...args) => trail.readTrails(...args)),
    listActions: faulty('listActions', (...args) => trail.listActions(...args)),
    countActions: faulty('countActions', (...args) => trail.countActions(...args)),
  })

  const faultyRetention = (retention: RetentionSection): RetentionSection => ({
    surveyChain: faulty('surveyChain', (...args) => retention.surveyChain(...args)),
    prune: faulty('prune', (...args) => retention.prune(...args)),
    erasePerson: faulty('erasePerson', (...args) => retention.erasePerson(...args)),
  })

  const faultyTokens = (tokens: TokenSection): TokenSection => ({
    createToken: faulty('createToken', (...args) => tokens.createToken(...args)),
    readToken: faulty('readToken', (...args) => tokens.readToken(...args)),
    findToken: faulty('findToken', (...args) => tokens.findToken(...args)),
    listTokens: faulty('listTokens', (...args) => tokens.listTokens(...args)),
    changeToken: faulty('changeToken', (...args) => tokens.changeToken(...args)),
    touchTokens: faulty('touchTokens', (...args) => tokens.touchTokens(...args)),
  })

  return {
    name: store.name,
    // Optional verbs stay as they are, and missing where they are missing; so does a section.
    ...(store.check && { check: store.check.bind(store) }),
    ...(store.watch && { watch: store.watch.bind(store) }),
    ...(store.close && { close: store.close.bind(store) }),
    claimSession: faulty('claimSession', (...args) => store.claimSession(...args)),
    readStanding: faulty('readStanding', (...args) => store.readStanding(...args)),
    readSession: faulty('readSession', (...args) => store.readSession(...args)),
    listSessions: faulty('listSessions', (...args) => store.listSessions(...args)),
    endSession: faulty('endSession', (...args) => store.endSession(...args)),
    extendSession: faulty('extendSession', (...args) => store.extendSession(...args)),
    acknowledgeLapses: faulty('acknowledgeLapses', (...args) => store.acknowledgeLapses(...args)),
    appendEvents: faulty('appendEvents', (...args) => store.appendEvents(...args)),
    listEvents: faulty('listEvents', (...args) => store.listEvents(...args)),
    ...(store.grants && { grants: faultyGrants(store.grants) }),
    ...(store.requests && { requests: faultyRequests(store.requests) }),
    ...(store.outbox && { outbox: faultyOutbox(store.outbox) }),
    ...(store.chain && { chain: faultyChain(store.chain) }),
    ...(store.trail && { trail: faultyTrail(store.trail) }),
    ...(store.retention && { retention: faultyRetention(store.retention) }),
    ...(store.tokens && { tokens: faultyTokens(store.tokens) }),
    calls,
    get hanging() {
      return hung.length
    },
    plan(next) {
      current = next
      for (const verb of anyVerb) calls[verb] = 0
    },
    release() {
      const waiting = hung
      hung = []
      for (const goOn of waiting) goOn()
    },
  }
}
