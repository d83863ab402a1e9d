import { apiTokenRules } from './adapter/api-tokens.ts'
import type { AdapterTestsOptions, Mount } from './adapter/app.ts'
import { bodyRules } from './adapter/bodies.ts'
import { contextRules } from './adapter/context.ts'
import { failureRules } from './adapter/failures.ts'
import { headerRules } from './adapter/headers.ts'
import { identityRules } from './adapter/identity.ts'
import { lapseRules } from './adapter/lapses.ts'
import { levelRules } from './adapter/levels.ts'
import { markRules } from './adapter/marks.ts'
import { originRules } from './adapter/origins.ts'
import { recordRules } from './adapter/record.ts'
import { routeRules } from './adapter/routes.ts'
import { scopeRules } from './adapter/scopes.ts'
import { inWorlds, type Rule, type RuleGroup } from './adapter/world.ts'
import type { TestRunner } from './store/fixtures.ts'

/**
 * Proves that an adapter keeps the rules: every rule is a test of its own, over real HTTP. `mount`
 * builds a small app that is told without any framework, with the adapter in it, and serves it.
 * Runs under vitest, node:test, jest, mocha or bun.
 *
 * @example
 * import { describe, it } from 'node:test'
 * import { adapterTests } from 'onbehalf/testing'
 * adapterTests({ describe, it }, mountInMyFramework)
 */
export function adapterTests(
  { describe, it }: TestRunner,
  mount: Mount,
  options: AdapterTestsOptions = {},
): void {
  const complete: Required<AdapterTestsOptions> = {
    rawWays: [],
    sockets: true,
    parametrisedMounts: true,
    holdsSlot: true,
    tellsOrder: true,
    marksRoutes: true,
    marksScopes: true,
    readsBodyFirst: false,
    requests: Number(process.env.ONBEHALF_REQUESTS ?? 2000),
    spellings: [],
    ...options,
  }
  const rule: Rule = (name, prove) => {
    it(name, () => inWorlds(mount, prove))
  }

  const groups: readonly [string, RuleGroup][] = [
    ['identity', identityRules],
    ['routes', routeRules],
    ['bodies', bodyRules],
    ['origins', originRules],
    ['lapses and pins', lapseRules],
    ['the headers', headerRules],
    ['the context', contextRules],
    ['access levels and guardrails', levelRules],
    ['marked routes and classify', markRules],
    ['the record and tokens', recordRules],
    ['API tokens', apiTokenRules],
    ['scopes', scopeRules],
    ['failures', failureRules],
  ]
  for (const [name, define] of groups) describe(name, () => define(rule, complete))
}
