import { requestEvent } from '../audit/events.ts'
import { ImpersonationError } from '../errors.ts'
import type { Settings } from '../settings.ts'
import type { RequestSection, UsedCode } from '../stores/requests.ts'
import type { AccessRequest } from '../types.ts'
import { warnOnce } from '../warnings.ts'
import { markOf } from './one-time-code.ts'
import { become, changed, mayBecome } from './request-state.ts'
import type { Caller } from './start.ts'

/**
 * One-time codes, each of which is tried once, and few of them. Every try is written down before anybody
 * is asked whether it is right, so that neither a crowd nor another process gets one for nothing.
 */
export interface Guesses<User> {
  /**
   * Stores a new request with the code that came with it.
   * @throws {ImpersonationError} second_factor_invalid: tried before, or too many were wrong of late
   */
  store(requests: RequestSection, request: AccessRequest, code: string): Promise<AccessRequest>
  /** Whether it is this user's code now. */
  verify(user: User, code: string): Promise<boolean>
  /**
   * Tries a code on a request; the fifth wrong one locks it.
   * @param read the request as it is, while it can be confirmed
   * @throws {ImpersonationError} second_factor_invalid
   */
  confirm(
    requests: RequestSection,
    caller: Caller<User>,
    code: string,
    read: () => Promise<AccessRequest>,
  ): Promise<void>
}

/** How many codes may be tried on a request, and how many wrong ones an actor may open with in a window. */
const most = 5
const windowMs = 15 * 60_000
/** Five of them can be lost to others, and one to a code that is known. More, and something is wrong. */
const rounds = 20

export function createGuesses<User extends object>({
  breakGlass,
  now,
}: Pick<Settings<User>, 'breakGlass' | 'now'>): Guesses<User> {
  async function verify(user: User, code: string): Promise<boolean> {
    try {
      return (await breakGlass?.verifySecondFactor(user, code)) === true
    } catch (error) {
      // Not what it says: it may quote the code.
      const name = error instanceof Error ? error.name : typeof error
      warnOnce('ONBEHALF_SECOND_FACTOR', `"verifySecondFactor" failed, by a ${name}: code refused`)
      return false
    }
  }

  async function lock(
    requests: RequestSection,
    { profile, meta }: Caller<User>,
    read: () => Promise<AccessRequest | null>,
  ): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      const request = await read()
      if (!request || !mayBecome(request, 'locked')) return
      const after = become(request, 'locked')
      const details = { attempts: after.attempts, locked_by: profile.id }
      const event = requestEvent('break_glass.locked', after, now(), meta, details)
      const change = { from: request.revision, after }
      if ((await requests.changeRequest(change, [event], null)) === 'changed') return
    }
  }

  return {
    verify,

    async store(requests, asked, code) {
      const request = Object.freeze({ ...asked, attempts: 1 })
      const { actorId, createdAt } = request
      const used = { mark: await markOf(actorId, code), at: createdAt }
      if ((await requests.createRequest(request, [], used)) === 'code_used') throw wrong()
      const unproven = { kind: 'break_glass', status: 'unproven', actorId } as const
      const recent = { ...unproven, from: createdAt - windowMs }
      // This one is among them: of any number at once, the sixth and all after it see five others.
      const wrongOfLate = await requests.listRequests(recent, { limit: most + 1 })
      if (wrongOfLate.length > most) throw wrong(true)
      return request
    },

    async confirm(requests, caller, code, read) {
      let used: UsedCode | undefined
      let untried = true
      for (let round = 0; round < rounds; round++) {
        const request = await read()
        if (request.attempts >= most) throw wrong(true)
        used ??= { mark: await markOf(caller.profile.id, code), at: now() }
        const after = changed(request, { attempts: request.attempts + 1 })
        const change = { from: request.revision, after }
        const answer = await requests.changeRequest(change, [], untried ? used : null)
        // A code that was tried before is a try as well, but nobody is asked about it.
        if (answer === 'code_used') untried = false
        if (answer !== 'changed') continue
        if (untried && (await verify(caller.user, code))) return
        if (after.attempts < most) throw wrong()
        await lock(requests, caller, () => requests.readRequest(request.id))
        throw wrong(true)
      }
      throw new ImpersonationError('impersonation_unavailable')
    },
  }
}

function wrong(locked = false): ImpersonationError {
  if (!locked) return new ImpersonationError('second_factor_invalid')
  return new ImpersonationError('second_factor_invalid', { details: { locked } })
}
