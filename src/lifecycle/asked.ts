import { type FieldError, ImpersonationError } from '../errors.ts'
import { type AccessLevel, accessLevels } from '../types.ts'

/** What a start or a request for consent asks for, after the defaults. */
interface Asked {
  readonly targetUserId: string
  readonly reason: string | undefined
  readonly durationMs: number
  readonly accessLevel: AccessLevel
}

/** @throws {ImpersonationError} invalid_request, with every offending place */
export function checkAsked(
  { targetUserId, reason, durationMs, accessLevel }: Asked,
  { requireReason, maxMs }: { readonly requireReason: boolean; readonly maxMs: number },
): void {
  const errors: FieldError[] = []
  if (typeof targetUserId !== 'string' || targetUserId === '' || targetUserId.length > 255) {
    errors.push({ path: 'target_user_id', message: 'must be a string of 1 to 255 characters' })
  }
  if (!isReason(reason, requireReason)) errors.push(noReason)
  if (!validMs(durationMs, maxMs)) errors.push(tooLong(maxMs))
  if (!accessLevels.includes(accessLevel)) {
    errors.push({ path: 'access_level', message: `must be one of ${accessLevels.join(', ')}` })
  }
  if (errors.length > 0) throw new ImpersonationError('invalid_request', { errors })
}

/** @throws {ImpersonationError} invalid_request */
export function checkReason(reason: string | undefined, required: boolean): void {
  if (isReason(reason, required)) return
  throw new ImpersonationError('invalid_request', { errors: [noReason] })
}

const isReason = (reason: string | undefined, required: boolean): boolean =>
  reason === undefined ? !required : validReason(reason)

const noReason: FieldError = {
  path: 'reason',
  message: 'must say why, in 1 to 500 characters that can be seen',
}

export const validMs = (durationMs: number, maxMs: number): boolean =>
  Number.isSafeInteger(durationMs) && durationMs > 0 && durationMs <= maxMs

export const tooLong = (maxMs: number): FieldError => ({
  path: 'duration_minutes',
  message: `must be a whole number of minutes, at most ${Math.floor(maxMs / 60_000)}`,
})

/** Code points that show nothing do not count, neither towards a reason nor against its length. */
function validReason(reason: string): boolean {
  const counted = reason.replace(/[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu, '')
  const length = [...counted].length
  return (
    length <= 500 && !reason.includes('\0') && /[^\p{White_Space}\p{Cc}\p{Z}\u2800]/u.test(counted)
  )
}
