import { scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { ImpersonationError } from '../errors.ts'

const derive = promisify<string, string, number, object, Buffer>(scrypt)

/** The work of one mark: 16 MiB and some 30 ms. */
const cost = { N: 2 ** 14, r: 8, p: 1 }

/**
 * A code without what people put between its digits.
 * @throws {ImpersonationError} invalid_request
 */
export function plainCode(given: unknown): string {
  const code =
    typeof given === 'string' && given.length <= 64
      ? given.replace(/[\p{White_Space}\p{Pd}\p{Default_Ignorable_Code_Point}]/gu, '')
      : ''
  if (code !== '' && !code.includes('\0')) return code
  const errors = [{ path: 'totp', message: 'must be a one-time code of 1 to 64 characters' }]
  throw new ImpersonationError('invalid_request', { errors })
}

/**
 * By what a store knows that a code was tried. A code has six digits, and may be good elsewhere for
 * another minute: a plain hash of it is undone in a millisecond. This one takes hours to run through, and
 * is worth nothing by then. The salt is the person, so that it is the same at every door and on every
 * process, and the same digits of two people have nothing in common. Case does not count, for
 * verifiers to whom it does not.
 */
export async function markOf(userId: string, code: string): Promise<string> {
  const text = code.normalize('NFKC').toLowerCase()
  const mark = await derive(text, `onbehalf one-time code of ${userId}`, 32, cost)
  return mark.toString('base64url')
}
