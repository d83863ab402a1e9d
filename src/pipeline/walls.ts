import { blockedEvent } from '../audit/events.ts'
import type { Recorder } from '../audit/recorder.ts'
import { type ErrorCode, ImpersonationError } from '../errors.ts'
import {
  type AccessLevel,
  type AuditEvent,
  accessLevels,
  type Guardrail,
  guardrailKinds,
  type Impersonation,
} from '../types.ts'

/** What stands next to the thing that must not happen, where no spelling of a path leads around it. */
export interface Walls {
  /**
   * Stops here while impersonating, at every access level. Put it next to what must never happen.
   * @throws {ImpersonationError} impersonation_write_blocked: while impersonating
   * @throws {Error} outside a request, as `current()` does
   */
  guard(kind: Guardrail): void
  /**
   * Stops here while impersonating below this access level. Put it next to a write that no method and
   * no SQL tells of, such as a call of another service from a GET.
   * @param details what was about to happen, for the audit event; small, flat, free of secrets
   * @throws {ImpersonationError} grant_view_only, full_access_required: below the level
   * @throws {Error} outside a request, as `current()` does
   */
  requireLevel(level: AccessLevel, details?: AuditEvent['details']): void
}

/** Notes that a context was not allowed something, and gives the refusal. */
export type Block = (
  context: Impersonation<unknown>,
  code: ErrorCode,
  details: AuditEvent['details'],
) => ImpersonationError

export function createBlock(recorder: Recorder, now: () => number): Block {
  return ({ session }, code, details) => {
    recorder.note(blockedEvent(session, now(), code, details))
    return new ImpersonationError(code, { details })
  }
}

export function createWalls(current: () => Impersonation<unknown> | null, block: Block): Walls {
  return {
    guard(kind) {
      checkKind('guard', kind)
      const context = current()
      if (context) throw block(context, 'impersonation_write_blocked', { guardrail: kind })
    },
    requireLevel(level, details = {}) {
      if (!accessLevels.includes(level)) {
        const got = JSON.stringify(level)
        throw new TypeError(`requireLevel wants one of ${accessLevels.join(', ')}; got ${got}`)
      }
      const context = current()
      if (!context || reaches(context.session.accessLevel, level)) return
      throw block(context, level === 'full' ? 'full_access_required' : 'grant_view_only', details)
    },
  }
}

/** Whether a level allows what another one allows. */
export function reaches(level: AccessLevel, wanted: AccessLevel): boolean {
  return accessLevels.indexOf(level) >= accessLevels.indexOf(wanted)
}

/** @throws {TypeError} naming the kinds there are */
export function checkKind(where: string, kind: unknown): asserts kind is Guardrail {
  if (guardrailKinds.includes(kind as Guardrail)) return
  throw new TypeError(
    `${where} wants one of ${guardrailKinds.join(', ')}; got ${JSON.stringify(kind)}`,
  )
}
