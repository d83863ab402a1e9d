import { noMeta, requestEvent } from '../audit/events.ts'
import { ImpersonationError, isImpersonationError } from '../errors.ts'
import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { RequestSection } from '../stores/requests.ts'
import type { Page } from '../stores/store.ts'
import type { AccessLevel, AccessRequest, Action, UserProfile } from '../types.ts'
import { checkAsked } from './asked.ts'
import { checkNotForbidden } from './consent.ts'
import { checkFresh } from './fresh-auth.ts'
import { createGuesses } from './guesses.ts'
import { plainCode } from './one-time-code.ts'
import type { Open, Started } from './opening.ts'
import { checkOther, isImpersonated, type StartPolicy } from './policy.ts'
import type { RequestExpiry } from './request-expiry.ts'
import { keptOf } from './request-list.ts'
import { createRequestRate } from './request-rate.ts'
import { become, isOver, newRequest, refusalOf } from './request-state.ts'
import { createCheckSecond } from './second-person.ts'
import type { Caller } from './start.ts'
import { createTurns } from './turns.ts'

/** Into an account without consent: one admin asks, another confirms, both by a one-time code. */
export interface BreakGlass<User> {
  /**
   * Asks for it. It waits five minutes for another person.
   * @throws {ImpersonationError} as a start does; second_factor_invalid: a wrong or known code, with
   * `locked: true` after five of them in 15 minutes; not_allowed: also where `consent` says `'forbidden'`
   */
  open(caller: Caller<User>, ask: BreakGlassRequest): Promise<AccessRequest>
  /**
   * Confirms what somebody else has asked for: the session opens for them, for 15 minutes at most.
   * @throws {ImpersonationError} second_admin_required: the same person, or the target; request_not_found,
   * request_not_pending, request_expired; second_factor_invalid: the fifth wrong code locks the request;
   * and as a start does on behalf of whoever asked
   */
  confirm(caller: Caller<User>, requestId: string, totp: string): Promise<Started<User>>
  /** What the caller has asked for, newest first. @throws {ImpersonationError} not_allowed */
  list(caller: Caller<User>, page: Page): Promise<AccessRequest[]>
  /** What the caller could confirm now, newest first. @throws {ImpersonationError} not_allowed */
  waiting(caller: Caller<User>, page: Page): Promise<AccessRequest[]>
}

export interface BreakGlassRequest {
  readonly targetUserId: string
  /** @default `defaultAccessLevel` */
  readonly accessLevel?: AccessLevel | undefined
  /** Always required, whatever `requireReason` says. */
  readonly reason: string
  readonly ticket?: string | undefined
  /** The one-time code of whoever asks; spaces and dashes in it do not count. */
  readonly totp: string
}

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly people: People<User>
  readonly policy: StartPolicy<User>
  readonly open: Open<User>
  readonly requestExpiry: RequestExpiry
}

/** For how long a request waits, and how long its session lasts, in ms. */
const waitsMs = 5 * 60_000
const lastsMs = 15 * 60_000
/** Whoever else changes a request meanwhile is few; more rounds than that and something is wrong. */
const rounds = 10

export function createBreakGlass<User extends object>(parts: Parts<User>): BreakGlass<User> {
  const { settings, store, people, policy, requestExpiry } = parts
  const { now, defaultAccessLevel, maxDurationMs, freshAuth } = settings
  const guesses = createGuesses<User>(settings)
  const checkSecond = createCheckSecond<User>(settings)
  const checkAskRate = createRequestRate(settings)
  const inTurn = createTurns()

  type Person = { readonly user: User; readonly profile: UserProfile }

  function section(): RequestSection {
    if (settings.breakGlass && store.requests) return store.requests
    throw new ImpersonationError('route_not_found', { message: 'Break-glass is not switched on.' })
  }

  async function need(user: User, action: Action, target?: User): Promise<void> {
    if ((await people.may(user, action, target)) !== true)
      throw new ImpersonationError('not_allowed')
  }

  /** The target, for whoever asks: looked at when they do, and again when it is confirmed. */
  async function targetFor(asker: Caller<User>, targetUserId: string): Promise<Person> {
    const target = await policy.target(asker, targetUserId)
    await need(asker.user, 'break_glass', target.user)
    await checkNotForbidden(settings, asker.user, target.user)
    return target
  }

  /** Everything but the code itself, which is asked about outside the turn: it may take its time. */
  async function prepare(caller: Caller<User>, ask: BreakGlassRequest) {
    const { profile, user, request } = caller
    const { targetUserId, reason, ticket, accessLevel = defaultAccessLevel } = ask
    const requests = section()
    await policy.checkActor(caller)
    await need(user, 'break_glass')
    if (freshAuth) checkFresh(freshAuth, now(), request, user)
    const code = plainCode(ask.totp)
    const asked = { targetUserId, reason, durationMs: lastsMs, accessLevel }
    checkAsked(asked, { requireReason: true, maxMs: lastsMs })
    checkOther(targetUserId, profile.id)
    await policy.checkRate(caller)
    await checkAskRate(requests, 'break_glass', profile.id)
    const target = await targetFor(caller, targetUserId)
    const createdAt = now()
    const expiresAt = createdAt + waitsMs
    const what = { accessLevel, reason, ticket, createdAt, expiresAt }
    return guesses.store(requests, newRequest('break_glass', profile, target.profile, what), code)
  }

  async function prove(caller: Caller<User>, request: AccessRequest, code: string) {
    if (!(await guesses.verify(caller.user, code)))
      throw new ImpersonationError('second_factor_invalid')
    const after = become(request, 'pending')
    const event = requestEvent('break_glass.opened', after, now(), caller.meta)
    const change = { from: request.revision, after }
    const answer = await section().changeRequest(change, [event], null)
    if (answer === 'changed') return after
    throw new ImpersonationError('impersonation_unavailable')
  }

  /** Whoever never showed a right code has asked for nothing. */
  async function found(id: string): Promise<AccessRequest | null> {
    const request = await section().readRequest(id)
    return request?.kind === 'break_glass' && request.status !== 'unproven' ? request : null
  }

  async function pending(id: string): Promise<AccessRequest> {
    const request = await found(id)
    if (!request) throw new ImpersonationError('request_not_found')
    if (isOver(request, now())) {
      await requestExpiry.expire(request)
      throw new ImpersonationError('request_expired')
    }
    if (request.status !== 'pending') throw refusalOf(request)
    return request
  }

  async function checkConfirmer({ user, request }: Caller<User>): Promise<void> {
    if (isImpersonated(user)) throw new ImpersonationError('nested_impersonation')
    await need(user, 'confirm_break_glass')
    if (freshAuth) checkFresh(freshAuth, now(), request, user)
  }

  /** Whoever asked and the target, as they are now; the confirmer is neither. */
  async function parties(caller: Caller<User>, request: AccessRequest) {
    const user = await people.anybody(request.actorId)
    if (user === null || !(await mayStillAsk(user))) {
      const message = 'Whoever asked for this may not do it any more.'
      throw new ImpersonationError('not_allowed', { message })
    }
    const asker: Caller<User> = { user, profile: people.profile(user), meta: noMeta }
    await checkSecond(caller, request, [user])
    const target = await targetFor(asker, request.targetUserId)
    if (target.profile.orgId !== request.targetOrgId) {
      const message = 'The user has changed organisations since.'
      throw new ImpersonationError('not_allowed', { message })
    }
    await need(caller.user, 'confirm_break_glass', target.user)
    return { asker: asker.profile, target }
  }

  const mayStillAsk = async (user: User) =>
    (await people.may(user, 'start')) === true && (await people.may(user, 'break_glass')) === true

  /** The code was right. Whatever else has changed since is looked at again, the code is not. */
  async function enter(caller: Caller<User>, id: string): Promise<Started<User>> {
    for (let round = 0; round < rounds; round++) {
      const { asker, target } = await parties(caller, await pending(id))
      const request = await pending(id)
      const started = await openFor(caller, asker, target, request)
      if (started) return started
    }
    throw new ImpersonationError('impersonation_unavailable')
  }

  async function openFor(
    caller: Caller<User>,
    actor: UserProfile,
    target: Person,
    request: AccessRequest,
  ): Promise<Started<User> | null> {
    const confirmer = caller.profile.id
    try {
      return await parts.open({
        actor,
        // Theirs is not known here; the confirmer's stands in the event of the confirmation.
        meta: noMeta,
        target,
        accessLevel: request.accessLevel,
        durationMs: Math.min(lastsMs, maxDurationMs),
        reason: request.reason ?? undefined,
        ticket: request.ticket ?? undefined,
        breakGlass: true,
        onConflict: 'reject',
        request: ({ id: sessionId, createdAt }) => {
          const after = become(request, 'used', { approvedBy: [confirmer], sessionId })
          const details = { confirmed_by: confirmer }
          const { meta } = caller
          const event = requestEvent('break_glass.confirmed', after, createdAt, meta, details)
          return { from: request.revision, after, events: [event] }
        },
        details: { access_request_id: request.id, confirmed_by: confirmer },
      })
    } catch (error) {
      // It may be this very request that somebody else has just opened the session for.
      if (isImpersonationError(error) && error.status === 409) await pending(request.id)
      throw error
    }
  }

  async function couldConfirm(caller: Caller<User>, request: AccessRequest): Promise<boolean> {
    if (isOver(request, now()) || request.actorId === caller.profile.id) return false
    const target = await people.anybody(request.targetUserId)
    return (
      target !== null && (await people.may(caller.user, 'confirm_break_glass', target)) === true
    )
  }

  return {
    open(caller, ask) {
      const { targetUserId, reason, totp } = ask
      return policy.onRecord(caller, { targetUserId, reason, details: breakGlass }, async () => {
        // One at a time for each actor: all at once, none of them would be counted by the others.
        const stored = await inTurn(caller.profile.id, () => prepare(caller, ask))
        return prove(caller, stored, plainCode(totp))
      })
    },

    async confirm(caller, id, totp) {
      const request = await found(id)
      const about = request && { access_request_id: request.id }
      const attempt = {
        targetUserId: request?.targetUserId ?? null,
        reason: request?.reason,
        details: { ...breakGlass, ...about },
      }
      return policy.onRecord(caller, attempt, async () => {
        await checkConfirmer(caller)
        const code = plainCode(totp)
        await parties(caller, await pending(id))
        await guesses.confirm(section(), caller, code, () => pending(id))
        return enter(caller, id)
      })
    },

    async list(caller, page) {
      const requests = section()
      await policy.checkActor(caller)
      await need(caller.user, 'break_glass')
      const own = { kind: 'break_glass', actorId: caller.profile.id } as const
      const read = (next: Page) => requests.listRequests(own, next)
      return keptOf(page, read, ({ status }) => status !== 'unproven')
    },

    async waiting(caller, page) {
      const requests = section()
      if (isImpersonated(caller.user)) throw new ImpersonationError('nested_impersonation')
      await need(caller.user, 'confirm_break_glass')
      const open = { kind: 'break_glass', status: 'pending' } as const
      const read = (next: Page) => requests.listRequests(open, next)
      return keptOf(page, read, (request) => couldConfirm(caller, request))
    },
  }
}

const breakGlass = Object.freeze({ break_glass: true })
