import type { Store } from '../stores/store.ts'
import { runRandomCommands } from './commands.ts'
import { chainRules } from './store/chain.ts'
import { claimRules } from './store/claims.ts'
import { crowdRules } from './store/crowds.ts'
import { endingRules, extensionRules, lapseRules } from './store/endings.ts'
import { erasureRules } from './store/erasure.ts'
import type { Rule, TestRunner } from './store/fixtures.ts'
import { grantChangeRules } from './store/grant-changes.ts'
import { consentedRules } from './store/grant-claims.ts'
import { grantEndingRules } from './store/grant-endings.ts'
import { grantRules } from './store/grants.ts'
import { identityRules, textRules } from './store/identities.ts'
import { listRules } from './store/lists.ts'
import { outboxLeaseRules } from './store/outbox-leases.ts'
import { outboxListRules } from './store/outbox-lists.ts'
import { outboxSettlementRules } from './store/outbox-settlements.ts'
import { outboxUnitRules } from './store/outbox-units.ts'
import { requestChangeRules } from './store/request-changes.ts'
import { requestedRules } from './store/request-claims.ts'
import { requestRules } from './store/requests.ts'
import { pruningRules } from './store/retention.ts'
import { surveyRules } from './store/survey.ts'
import { tokenChangeRules } from './store/token-changes.ts'
import { tokenListRules } from './store/token-lists.ts'
import { tokenRetentionRules } from './store/token-retention.ts'
import { tokenUseRules } from './store/token-uses.ts'
import { tokenRules } from './store/tokens.ts'
import { trailRules } from './store/trail.ts'
import { trailEndingRules } from './store/trail-endings.ts'
import { trailListRules } from './store/trail-lists.ts'
import { watchRules } from './store/watching.ts'

type Rules = (rule: Rule) => void

const all =
  (...rules: readonly Rules[]): Rules =>
  (rule) => {
    for (const define of rules) define(rule)
  }

const allGrantRules = all(grantRules, grantChangeRules, consentedRules, grantEndingRules)
const allRequestRules = all(requestRules, requestChangeRules, requestedRules)
const allOutboxRules = all(
  ...[outboxUnitRules, outboxLeaseRules],
  ...[outboxSettlementRules, outboxListRules],
)
const allRetentionRules = all(pruningRules, surveyRules, erasureRules, tokenRetentionRules)
const allTrailRules = all(trailRules, trailEndingRules, trailListRules)
const allTokenRules = all(tokenRules, tokenListRules, tokenChangeRules, tokenUseRules)

export interface StoreTestsOptions {
  /** Called with each store after its test, also a failed one. @default its own `close()` */
  readonly cleanup?: (store: Store) => unknown
  /** How many random commands are compared with a model. @default 300 */
  readonly commands?: number
  /**
   * Repeats the random commands of a failure, which names its seed. @default a new one each time
   */
  readonly seed?: number
}

/**
 * Proves that a store keeps the contract: every rule is a test of its own, in the words of the
 * rule. `factory` gives a fresh and empty store each time. Runs under vitest, node:test, jest,
 * mocha or bun.
 *
 * @example
 * import { describe, it } from 'node:test'
 * import { storeTests } from 'onbehalf/testing'
 * storeTests({ describe, it }, () => myStore())
 */
export function storeTests(
  { describe, it }: TestRunner,
  factory: () => Store | Promise<Store>,
  options: StoreTestsOptions = {},
): void {
  const { cleanup = (store: Store) => store.close?.() } = options

  const rule: Rule = (name, prove) => {
    it(name, async () => {
      const store = await factory()
      try {
        await prove(store)
      } finally {
        await cleanup(store)
      }
    })
  }

  const groups: readonly [string, Rules][] = [
    ['starting', claimRules],
    ['ending', endingRules],
    ['lapses', lapseRules],
    ['extending', extensionRules],
    ['lists', listRules],
    ['ids', identityRules],
    ['words', textRules],
    ['crowds', crowdRules],
    ['grants, where the store has them', allGrantRules],
    ['requests, where the store has them', allRequestRules],
    ['the outbox, where the store has it', allOutboxRules],
    ['the chain, where the store has it', chainRules],
    ['the trail, where the store has it', allTrailRules],
    ['API tokens, where the store has them', allTokenRules],
    ['retention, where the store has it', allRetentionRules],
    ['watching, where the store does', watchRules],
  ]
  for (const [name, define] of groups) describe(name, () => define(rule))

  describe('random commands', () => {
    it('answer as the model of the contract does', () =>
      runRandomCommands(factory, { ...options, cleanup }))
  })
}
