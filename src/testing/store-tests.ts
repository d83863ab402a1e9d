import type { Store } from '../stores/store.ts'
import { runRandomCommands } from './commands.ts'
import { claimRules } from './store/claims.ts'
import { crowdRules } from './store/crowds.ts'
import { endingRules, extensionRules, lapseRules } from './store/endings.ts'
import type { Rule, TestRunner } from './store/fixtures.ts'
import { grantChangeRules } from './store/grant-changes.ts'
import { consentedRules } from './store/grant-claims.ts'
import { grantEndingRules } from './store/grant-endings.ts'
import { grantRules } from './store/grants.ts'
import { identityRules, textRules } from './store/identities.ts'
import { listRules } from './store/lists.ts'
import { watchRules } from './store/watching.ts'

const allGrantRules = (rule: Rule) => {
  for (const define of [grantRules, grantChangeRules, consentedRules, grantEndingRules])
    define(rule)
}

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

  const groups: readonly [string, (rule: Rule) => void][] = [
    ['starting', claimRules],
    ['ending', endingRules],
    ['lapses', lapseRules],
    ['extending', extensionRules],
    ['lists', listRules],
    ['ids', identityRules],
    ['words', textRules],
    ['crowds', crowdRules],
    ['grants, where the store has them', allGrantRules],
    ['watching, where the store does', watchRules],
  ]
  for (const [name, define] of groups) describe(name, () => define(rule))

  describe('random commands', () => {
    it('answer as the model of the contract does', () =>
      runRandomCommands(factory, { ...options, cleanup }))
  })
}
