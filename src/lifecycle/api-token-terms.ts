import { type ApiTokenSettings, longestOverlapMs } from '../api-tokens/option.ts'
import { type FieldError, ImpersonationError } from '../errors.ts'
import { validMs } from './asked.ts'

export interface ApiTokenRequest {
  /** Whose it is to be. */
  readonly userId: string
  /** What it is for: 1 to 100 characters of which one can be seen. */
  readonly name: string
  /** What it is to be good for: at least one of those that the options name. */
  readonly scopes: readonly string[]
  /** How long it lives, in ms. @default `apiTokens.defaultDurationMs`; for a service, the longest it may */
  readonly durationMs?: number | undefined
}

/** What may be asked of a token, and how long it lives. */
export interface TokenTerms<User> {
  /** @throws {ImpersonationError} invalid_request, with every offending place */
  check(ask: ApiTokenRequest): void
  /** Whether a user is a program. */
  isService(user: User): Promise<boolean>
  /** The longest that a token of this user may live, in ms. */
  longest(user: User): Promise<number>
  /**
   * The life of a token of this user, in ms.
   * @param asked @default as the options say
   * @throws {ImpersonationError} invalid_request: longer than such a user's may
   */
  life(user: User, asked: number | undefined): Promise<number>
  /** How long a token that is rotated goes on, in ms. @throws {ImpersonationError} invalid_request */
  overlap(asked: number | undefined): number
}

export function createTokenTerms<User extends object>(
  options: ApiTokenSettings<User>,
): TokenTerms<User> {
  const { scopes: allowed, services, maxDurationMs, defaultDurationMs, overlapMs } = options

  async function isService(user: User): Promise<boolean> {
    if (!services) return false
    try {
      return (await services.is(user)) !== false
    } catch {
      return true
    }
  }

  const most = (service: boolean) => (service && services ? services.maxDurationMs : maxDurationMs)

  return {
    isService,
    longest: async (user) => most(await isService(user)),
    check({ userId, name, scopes }) {
      const errors: FieldError[] = []
      if (typeof userId !== 'string' || userId === '' || userId.length > 255)
        errors.push({ path: 'user_id', message: 'must be a string of 1 to 255 characters' })
      if (!isName(name))
        errors.push({ path: 'name', message: 'must say what it is for, in 1 to 100 characters' })
      errors.push(...faultsOf(scopes, allowed))
      if (errors.length > 0) throw invalid(errors)
    },
    async life(user, asked) {
      const service = await isService(user)
      const longest = most(service)
      const life = asked === undefined ? (service ? longest : defaultDurationMs) : asked
      if (validMs(life, longest)) return life
      const message = `must be a time of at most ${inWords(longest)}, the longest for this user`
      throw invalid([{ path: 'expires_in_days', message }])
    },
    overlap(asked = overlapMs) {
      if (asked === 0 || validMs(asked, longestOverlapMs)) return asked
      const message = `must be a whole number from 0 to ${longestOverlapMs / 60_000}`
      throw invalid([{ path: 'overlap_minutes', message }])
    },
  }
}

function faultsOf(scopes: readonly string[], allowed: ReadonlySet<string>): FieldError[] {
  if (!Array.isArray(scopes) || scopes.length === 0)
    return [{ path: 'scopes', message: 'must be an array of at least one scope' }]
  return scopes.flatMap((scope, n) => {
    const path = `scopes.${n}`
    if (!allowed.has(scope)) return { path, message: `must be one of ${[...allowed].join(', ')}` }
    return scopes.indexOf(scope) < n ? { path, message: 'must not be there twice' } : []
  })
}

/** Something in it has to be seen; what can't be stored as it is, is no name. */
const isName = (name: unknown): name is string =>
  typeof name === 'string' &&
  [...name].length <= 100 &&
  name.isWellFormed() &&
  !name.includes('\0') &&
  /[^\p{White_Space}\p{Cc}\p{Cf}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/u.test(name)

const inWords = (ms: number): string => {
  const hours = ms / 3_600_000
  return hours >= 48 ? `${Math.floor(hours / 24)} days` : `${Math.floor(hours * 60)} minutes`
}

const invalid = (errors: readonly FieldError[]) =>
  new ImpersonationError('invalid_request', { errors })
