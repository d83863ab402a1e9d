import { refusedEvent } from '../audit/events.ts'
import type { Recorder } from '../audit/recorder.ts'
import { ImpersonationError, isImpersonationError } from '../errors.ts'
import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { AuditEvent, UserProfile } from '../types.ts'
import type { Caller } from './start.ts'
import { createStartRate } from './start-rate.ts'

/** Who may open an account, and whose: one policy behind every door that leads to a session. */
export interface StartPolicy<User> {
  /** @throws {ImpersonationError} nested_impersonation, not_allowed */
  checkActor(caller: Caller<User>): Promise<void>
  /** @throws {ImpersonationError} rate_limited */
  checkRate(caller: Caller<User>): Promise<void>
  /**
   * The target, fit to be impersonated by this caller.
   * @throws {ImpersonationError} target_not_found, target_inactive, target_protected, not_allowed
   */
  target(
    caller: Caller<User>,
    targetUserId: string,
    targetOrgId?: string,
  ): Promise<{ readonly user: User; readonly profile: UserProfile }>
  /** Does the work; a refusal is put on record. */
  onRecord<T>(
    caller: Pick<Caller<User>, 'profile' | 'meta'>,
    attempt: Attempt,
    work: () => Promise<T>,
  ): Promise<T>
}

interface Attempt {
  /** Null where nobody was named. */
  readonly targetUserId: string | null
  readonly reason?: string | null | undefined
  /** What the refusal's event tells beside its code. */
  readonly details?: AuditEvent['details']
}

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly people: People<User>
  readonly recorder: Recorder
}

export function createPolicy<User extends object>(parts: Parts<User>): StartPolicy<User> {
  const { settings, store, people, recorder } = parts
  const { now, rateLimit: limit } = settings

  return {
    async checkActor({ user }) {
      if (isImpersonated(user)) throw new ImpersonationError('nested_impersonation')
      if (!(await people.may(user, 'start'))) throw new ImpersonationError('not_allowed')
    },

    checkRate: limit ? createStartRate({ limit, store, recorder, now }) : async () => {},

    async target({ user }, targetUserId, targetOrgId) {
      const found = await people.target(targetUserId, null)
      if (found.unfit !== undefined) throw new ImpersonationError(refusalOf[found.unfit])
      if ((await people.may(user, 'start', found.user)) !== true) {
        throw new ImpersonationError('not_allowed', {
          message: 'You are not allowed to impersonate this user.',
        })
      }
      if (targetOrgId === undefined) return found
      const member = await people.target(targetUserId, targetOrgId)
      if (member.unfit === 'target_gone') {
        throw new ImpersonationError('not_allowed', {
          message: 'The user is not a member of this organisation.',
        })
      }
      if (member.unfit !== undefined) throw new ImpersonationError(refusalOf[member.unfit])
      return member
    },

    async onRecord({ profile, meta }, { targetUserId, reason, details }, work) {
      try {
        return await work()
      } catch (error) {
        if (isImpersonationError(error) && error.status < 500) {
          const attempt = { targetUserId, reason: reason ?? null }
          const event = refusedEvent(now(), error.code, profile, attempt, meta)
          recorder.note(details ? { ...event, details } : event)
        }
        throw error
      }
    },
  }
}

/** Why somebody is no target, as a refusal. */
export const refusalOf = {
  target_gone: 'target_not_found',
  target_inactive: 'target_inactive',
  target_privileged: 'target_protected',
} as const

/** A login that is itself an impersonation says so by RFC 8693's `act`, or by better-auth's field. */
export function isImpersonated(user: object): boolean {
  const { act, impersonatedBy, impersonated_by } = user as Record<string, unknown>
  return Boolean(act || impersonatedBy || impersonated_by)
}

/** @throws {ImpersonationError} self_impersonation */
export function checkOther(targetUserId: string, ownId: string): void {
  if (looksAlike(targetUserId, ownId)) throw new ImpersonationError('self_impersonation')
}

/** Whether two ids are one to the eye. */
export const looksAlike = (one: string, other: string): boolean => plainId(one) === plainId(other)

/** As it looks to the eye: white space, invisible characters and width don't tell people apart. */
function plainId(id: string): string {
  return id
    .normalize('NFKC')
    .replace(/[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}]/gu, '')
}
