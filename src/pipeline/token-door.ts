import type { Settings } from '../settings.ts'
import type { Tokens } from '../tokens/tokens.ts'
import type { ByToken, ByTokenParts } from './by-token.ts'

/** Impersonation tokens, loaded with the first of them: most processes never see one. */
export interface TokenDoor<User extends object> extends Omit<ByToken<User>, 'passFor'> {
  readonly tokens: () => Promise<Tokens>
  readonly byToken: () => Promise<ByToken<User>>
}

/** Null where tokens are not switched on. */
export function createTokenDoor<User extends object>(
  settings: Settings<User>,
  parts: Omit<ByTokenParts<User>, 'settings' | 'tokens'>,
): TokenDoor<User> | null {
  const { impersonationTokens, now } = settings
  if (!impersonationTokens) return null
  let tokens: Tokens | undefined
  let way: ByToken<User> | undefined

  async function loadTokens(): Promise<Tokens> {
    const { createTokens } = await import('../tokens/tokens.ts')
    tokens ??= createTokens(impersonationTokens as NonNullable<typeof impersonationTokens>, now)
    return tokens
  }

  return {
    tokens: loadTokens,
    async byToken() {
      const [{ createByToken }, loaded] = await Promise.all([import('./by-token.ts'), loadTokens()])
      way ??= createByToken<User>({ ...parts, settings, tokens: loaded })
      return way
    },
    // Whoever has not been loaded remembers nothing that could be out of date.
    invalidate: (actorId) => way?.invalidate(actorId),
    forget: (userId) => way?.forget(userId),
    watchIs: (healthy) => way?.watchIs(healthy),
  }
}
