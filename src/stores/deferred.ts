import type { GuardedStore } from './guarded.ts'

/**
 * The verbs that store events go through what `load` gives, which is asked for with the first of them: most
 * processes read many times before they change anything, or never do.
 */
export function deferred(store: GuardedStore, load: () => Promise<GuardedStore>): GuardedStore {
  type Verb = (...args: never[]) => Promise<unknown>
  const through =
    (pick: (loaded: GuardedStore) => unknown) =>
    async (...args: never[]) =>
      (pick(await load()) as Verb)(...args)

  const { grants, requests, tokens } = store
  return {
    ...store,
    claimSession: through((loaded) => loaded.claimSession),
    endSession: through((loaded) => loaded.endSession),
    extendSession: through((loaded) => loaded.extendSession),
    appendEvents: through((loaded) => loaded.appendEvents),
    grants: grants && {
      ...grants,
      createGrant: through((loaded) => loaded.grants?.createGrant),
      changeGrant: through((loaded) => loaded.grants?.changeGrant),
    },
    requests: requests && {
      ...requests,
      createRequest: through((loaded) => loaded.requests?.createRequest),
      changeRequest: through((loaded) => loaded.requests?.changeRequest),
    },
    tokens: tokens && {
      ...tokens,
      createToken: through((loaded) => loaded.tokens?.createToken),
      changeToken: through((loaded) => loaded.tokens?.changeToken),
    },
  } as GuardedStore
}
