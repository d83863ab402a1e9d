import { isHeard, tell } from '../telemetry/channels.ts'
import type { GuardedStore } from './guarded.ts'

/** Tells how long each verb took, where somebody listens. */
export function timed(store: GuardedStore): GuardedStore {
  const { grants, requests, outbox, chain, trail, tokens, retention } = store
  return {
    ...each(store),
    grants: grants && each(grants),
    requests: requests && each(requests),
    outbox: outbox && each(outbox),
    chain: chain && each(chain),
    trail: trail && each(trail),
    tokens: tokens && each(tokens),
    retention: retention && each(retention),
  }

  function each<T extends object>(verbs: T): T {
    const entries = Object.entries(verbs).map(([name, verb]) => [
      name,
      typeof verb === 'function' ? timedVerb(name, verb as AnyVerb) : verb,
    ])
    return Object.fromEntries(entries)
  }

  function timedVerb(verb: string, ask: AnyVerb): AnyVerb {
    // Not a promise more where nobody listens: on Node 22 each costs every context that there is.
    return (...args) => (isHeard('onbehalf:store') ? measured(args) : ask(...args))

    async function measured(args: unknown[]): Promise<unknown> {
      const began = performance.now()
      let failed = true
      try {
        const answer = await ask(...args)
        failed = false
        return answer
      } finally {
        const ms = performance.now() - began
        tell('onbehalf:store', { store: store.name, verb, ms, failed })
      }
    }
  }
}

type AnyVerb = (...args: unknown[]) => Promise<unknown>
