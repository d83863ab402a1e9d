import { ImpersonationError } from './errors.ts'
import type { Settings } from './settings.ts'
import type { Action, EndedReason, UserProfile } from './types.ts'
import { warnOnce } from './warnings.ts'

/** Everything the library asks the host about users. One place, so that every door asks the same way. */
export interface People<User extends object> {
  /** @throws {TypeError} when `describe` gives no usable id: a fault of the wiring */
  profile(user: User): UserProfile
  /**
   * Whether an active user may do this; synchronous where `can` is. A throw of `can` is no, but a
   * user who may and can't be described is a fault of the wiring: it throws like `profile`, because
   * a "no" would let a request of theirs on as themselves.
   */
  may(user: User, action: Action, target?: User): boolean | Promise<boolean>
  /** Whether somebody may `start`, and so is no target; a throw of `can` is yes. */
  privileged(user: User): Promise<boolean>
  /** Somebody who is not there, by id, if they may still start; null when they may not, or are gone. */
  actor(id: string): Promise<User | null>
  /**
   * Somebody by id, whoever they are, in one of their organisations if it is named; null when they are gone.
   * Rejects when the host can't look users up.
   */
  anybody(id: string, orgId?: string | null): Promise<User | null>
  /** The target, fit to be impersonated, or why not. Rejects when the host can't look users up. */
  target(id: string, orgId: string | null): Promise<Target<User>>
}

export type Target<User> =
  | { readonly user: User; readonly profile: UserProfile; readonly unfit?: undefined }
  | { readonly unfit: Extract<EndedReason, `target_${string}`> }

export function createPeople<User extends object>(settings: Settings<User>): People<User> {
  const { can, findUser, describe } = settings

  function profile(user: User): UserProfile {
    const told = (describe ? describe(user) : user) as Partial<Record<keyof UserProfile, unknown>>
    const id = told?.id
    if (typeof id !== 'string' || id === '' || id.length > 255 || id.includes('\0')) {
      throw new TypeError(
        `a user's id must be a string of 1 to 255 characters, but is ${typeof id === 'string' ? JSON.stringify(id.slice(0, 40)) : `of type ${typeof id}`}; ` +
          'give createImpersonation a "describe" such as (user) => ({ ...user, id: String(user.id) })',
      )
    }
    return {
      id,
      email: textOrNull(told.email),
      name: textOrNull(told.name),
      orgId: textOrNull(told.orgId),
      role: textOrNull(told.role),
      // Databases without booleans say 1; anything else that is there and not true is not a yes.
      active: told.active === undefined || told.active === true || told.active === 1,
    }
  }

  function may(user: User, action: Action, target?: User): boolean | Promise<boolean> {
    let answer: unknown
    try {
      answer = target === undefined ? can(user, action) : can(user, action, target)
    } catch {
      return false
    }
    if (answer === true) return profile(user).active
    if (!isThenable(answer)) return false
    return Promise.resolve(answer).then(
      (later) => later === true && profile(user).active,
      () => false,
    )
  }

  /** The other side of a throw: who can't be shown to be unprivileged is not impersonated. */
  async function privileged(user: User): Promise<boolean> {
    try {
      return (await can(user, 'start')) === true
    } catch {
      return true
    }
  }

  async function find(id: string, orgId: string | null): Promise<User | null> {
    try {
      return (await (orgId === null ? findUser(id) : findUser(id, { orgId }))) ?? null
    } catch (cause) {
      throw new ImpersonationError('impersonation_unavailable', { cause })
    }
  }

  async function anybody(id: string, orgId: string | null = null): Promise<User | null> {
    const user = await find(id, orgId)
    return user !== null && profile(user).id === id ? user : null
  }

  async function target(id: string, orgId: string | null): Promise<Target<User>> {
    const user = await find(id, orgId)
    if (user === null) return { unfit: 'target_gone' }
    const told = profile(user)
    // A lookup that trims or folds case would otherwise open one person's account under another's name.
    if (told.id !== id) {
      warnOnce('ONBEHALF_OTHER_USER', 'findUser gave a user with another id than it was asked for')
      return { unfit: 'target_gone' }
    }
    // Whoever is told to belong elsewhere is no member, also where the lookup does not heed the organisation.
    if (orgId !== null && told.orgId !== orgId) return { unfit: 'target_gone' }
    if (!told.active) return { unfit: 'target_inactive' }
    if (await privileged(user)) return { unfit: 'target_privileged' }
    return { user, profile: told }
  }

  return {
    profile,
    may,
    privileged,
    target,
    anybody,
    async actor(id) {
      const user = await anybody(id)
      return user !== null && (await may(user, 'start')) ? user : null
    },
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null)?.then === 'function'
}

const textOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null)
