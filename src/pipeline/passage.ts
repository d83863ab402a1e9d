import { ImpersonationError, isImpersonationError } from '../errors.ts'
import type { Endings } from '../lifecycle/ending.ts'
import { endingOf, lapseError } from '../lifecycle/lapse.ts'
import type { People } from '../people.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Session } from '../types.ts'
import { cookieHeaders, forgeable, lapsedHeaders } from './headers.ts'
import {
  cookieName,
  type Pin,
  pinHeader,
  type RequestView,
  readPin,
  twoLogins,
} from './identify.ts'
import { type Live, type Passage, refusedBy } from './live.ts'
import { isSafe } from './methods.ts'
import type { Resolve, Resolved } from './resolve.ts'
import { createUnderSession, type UnderSessionParts } from './under-session.ts'

type Sooner<T> = T | Promise<T>

export interface PassageParts<User extends object> extends UnderSessionParts<User> {
  readonly people: People<User>
  readonly resolve: Resolve<User>
  readonly store: GuardedStore
  readonly endings: Endings
  clearCookie(name: string): string
}

const dayMs = 24 * 60 * 60_000

/**
 * identify → resolve → enforce: the way of every request that is not for our own routes. Answers
 * synchronously for everybody but an actor whose standing has to be read.
 */
export function createPassage<Req, User extends object>(
  parts: PassageParts<User>,
  view: RequestView<Req>,
) {
  const { settings, people, resolve, store, endings, clearCookie } = parts
  const { now } = settings
  const underSession = createUnderSession(parts, view, stillLive)
  const straightOn: Passage<User> = Object.freeze({
    refusal: null,
    answer: null,
    context: null,
    apiToken: null,
    user: undefined,
    headers: null,
    trace: null,
  })

  function pass(request: Req, actor: User | null | undefined): Sooner<Passage<User>> {
    for (const name of forgeable)
      if (view.header(request, name) !== undefined) view.removeHeader(request, name)
    if (actor === null || actor === undefined) return asNobody(request)
    const may = people.may(actor, 'start')
    if (may === true) return asActor(request, actor)
    if (may === false) return asOrdinary(request, actor)
    return may.then((later) => (later ? asActor(request, actor) : asOrdinary(request, actor)))
  }

  function pinOf(request: Req): Pin | null {
    const cookies = view.header(request, 'cookie')
    const header = view.header(request, pinHeader)
    if (header === undefined && cookies === undefined) return null
    return readPin(header, cookies, cookieName(isSecure(request)))
  }

  function isSecure(request: Req): boolean {
    return settings.secureCookie === 'auto' ? view.isSecure(request) : settings.secureCookie
  }

  const cleared = (request: Req) => cookieHeaders(clearCookie(cookieName(isSecure(request))))

  /** A request that says under which session it runs must not run under none, even with nobody there. */
  function asNobody(request: Req): Passage<User> {
    const pin = view.header(request, pinHeader)
    return pin === undefined || pin.trim() === 'none'
      ? straightOn
      : refusedBy(new ImpersonationError('unauthenticated'))
  }

  function asActor(request: Req, actor: User): Sooner<Passage<User>> {
    if (view.hasTwoLogins(request)) return refusedBy(twoLogins())
    let pin: Pin | null
    try {
      pin = pinOf(request)
    } catch (error) {
      return unreadable(request, error)
    }
    const { id } = people.profile(actor)
    const resolved = resolve.get(id, actor)
    if (resolved instanceof Promise) {
      return resolved.then((later) => decide(request, actor, id, pin, later)).catch(refused)
    }
    const passage = decide(request, actor, id, pin, resolved)
    return passage instanceof Promise ? passage.catch(refused) : passage
  }

  function refused(error: unknown): Passage<User> {
    if (isImpersonationError(error)) return refusedBy(error)
    throw error
  }

  /** A cookie that can't be read is nobody's: it must not lock a browser out for a day. */
  function unreadable(request: Req, error: unknown): Passage<User> {
    const byCookie = view.header(request, pinHeader) === undefined
    return byCookie && isImpersonationError(error)
      ? refusedBy(error, cleared(request))
      : refused(error)
  }

  function decide(
    request: Req,
    actor: User,
    actorId: string,
    pin: Pin | null,
    resolved: Resolved<User>,
  ): Sooner<Passage<User>> {
    const agrees = pin === null || pin.id === (resolved.live?.session.id ?? 'none')
    // A write that says "none" would run with the actor's own powers: that is looked up, not remembered.
    const mustLook = pin?.id === 'none' && !isSafe(request, view)
    if (pin !== null && (!agrees || mustLook)) {
      return resolve
        .fresh(actorId, actor)
        .then((again) => decidePinned(request, actor, actorId, pin, again))
    }
    return resolved.live
      ? underSession(request, actor, resolved.live)
      : withoutSession(request, pin, resolved)
  }

  /** The cache did not agree with the pin; this is what the store says. */
  async function decidePinned(
    request: Req,
    actor: User,
    actorId: string,
    pin: Pin,
    resolved: Resolved<User>,
  ): Promise<Passage<User>> {
    const { live } = resolved
    if (pin.id === (live?.session.id ?? 'none')) {
      return live ? underSession(request, actor, live) : withoutSession(request, pin, resolved)
    }
    const changed = new ImpersonationError('impersonation_state_changed')
    if (pin.id === 'none') return refusedBy(changed)
    const named = await store.readSession(pin.id)
    const own = named?.actorId === actorId
    if (own && !live && named.status !== 'active')
      return refusedBy(lapseError(named), cleared(request))
    // A cookie that means nobody here would refuse every request of another login in this browser.
    return refusedBy(changed, pin.by === 'cookie' && !own ? cleared(request) : null)
  }

  /** The live session, or the refusal of a request that came in under it. */
  async function stillLive(
    session: Session,
    actor: User,
  ): Promise<Live<User> | ImpersonationError> {
    const { live, lapse } = await resolve.get(session.actorId, actor)
    if (live?.session.id === session.id) return live
    return lapse?.id === session.id
      ? lapseError(lapse)
      : new ImpersonationError('impersonation_state_changed')
  }

  function withoutSession(request: Req, pin: Pin | null, { lapse }: Resolved<User>): Passage<User> {
    if (pin !== null || lapse === null || settings.onLapse === 'pass') return straightOn
    const age = now() - (lapse.endedAt ?? 0)
    if (age >= dayMs) return straightOn
    if (!isSafe(request, view)) return refusedBy(lapseError(lapse))
    return { ...straightOn, headers: lapsedHeaders(endingOf(lapse)) }
  }

  /** A user who may not start, or no longer: nothing of ours concerns them unless they were an actor. */
  function asOrdinary(request: Req, actor: User): Sooner<Passage<User>> {
    const hinted =
      view.header(request, pinHeader) !== undefined ||
      view.header(request, 'cookie')?.includes(cookieName(isSecure(request)))
    if (!hinted && resolve.isEmpty()) return straightOn
    return demoted(request, actor)
  }

  function demoted(request: Req, actor: User): Sooner<Passage<User>> {
    const id = idOf(actor)
    const live = id === undefined ? null : resolve.peekLive(id)
    if (live) return endDemoted(request, live).catch(refused)
    let pin: Pin | null
    try {
      pin = pinOf(request)
    } catch (error) {
      const passage = unreadable(request, error)
      return passage.headers ? { ...straightOn, headers: passage.headers } : passage
    }
    return pin === null || pin.id === 'none' ? straightOn : lookUp(request, id, pin)
  }

  /** Whoever can't be described was never an actor. */
  function idOf(user: User): string | undefined {
    try {
      return people.profile(user).id
    } catch {
      return undefined
    }
  }

  async function lookUp(
    request: Req,
    actorId: string | undefined,
    pin: Pin,
  ): Promise<Passage<User>> {
    let named: Session | null
    try {
      named = await store.readSession(pin.id)
    } catch (error) {
      // Ordinary users notice nothing of a store that is down; a program that pins has asked to be refused.
      return pin.by === 'cookie' ? straightOn : refused(error)
    }
    if (named && named.actorId === actorId) {
      return named.status === 'active'
        ? endDemoted(request, named).catch(refused)
        : refusedBy(lapseError(named), cleared(request))
    }
    return pin.by === 'cookie'
      ? { ...straightOn, headers: cleared(request) }
      : refusedBy(new ImpersonationError('impersonation_state_changed'))
  }

  async function endDemoted(request: Req, session: Session): Promise<Passage<User>> {
    const result = await endings.revoke(session, { reason: 'actor_not_allowed' })
    return refusedBy(lapseError(result?.session ?? session), cleared(request))
  }

  return pass
}
