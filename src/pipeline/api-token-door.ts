import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { ByApiToken, ByApiTokenParts } from './by-api-token.ts'

/** API tokens, loaded with the first of them. */
export interface ApiTokenDoor<User extends object>
  extends Pick<ByApiToken<User>, 'forget' | 'watchIs' | 'flush'> {
  /** What each token begins with. */
  readonly prefix: string
  readonly byApiToken: () => Promise<ByApiToken<User>>
  readonly authenticate: ByApiToken<User>['authenticate']
}

type Parts<User extends object> = Omit<ByApiTokenParts<User>, 'settings' | 'tokens'> & {
  readonly store: GuardedStore
}

/** Null where API tokens are not switched on. */
export function createApiTokenDoor<User extends object>(
  settings: Settings<User>,
  { store, ...parts }: Parts<User>,
): ApiTokenDoor<User> | null {
  const { apiTokens } = settings
  const tokens = store.tokens
  if (!apiTokens || !tokens) return null
  const section = tokens
  let way: ByApiToken<User> | undefined

  async function byApiToken(): Promise<ByApiToken<User>> {
    const { createByApiToken } = await import('./by-api-token.ts')
    way ??= createByApiToken<User>({ ...parts, settings, tokens: section })
    return way
  }

  return {
    prefix: apiTokens.prefix,
    byApiToken,
    authenticate: async (token) => (await byApiToken()).authenticate(token),
    // Whoever has not been loaded remembers nothing that could be out of date.
    forget: (userId) => way?.forget(userId),
    watchIs: (healthy) => way?.watchIs(healthy),
    flush: async () => way?.flush(),
  }
}
