import { isImpersonationError } from '../errors.ts'
import { oneLine } from './words.ts'

const firstMs = 5000
const longestMs = 60 * 60_000

/** After so many attempts a delivery is dead: some five hours, at the pauses below. */
export const mostAttempts = 15

/**
 * How long to wait after an attempt that failed, in ms: twice as long each time, from 5 s to 1 h, a
 * quarter more or less so that what failed together does not come again together.
 * @param attempts 1 after the first
 * @param random gives numbers from 0 to 1
 */
export function pauseAfter(attempts: number, random: () => number): number {
  const pause = Math.min(firstMs * 2 ** (attempts - 1), longestMs)
  return Math.round(pause * (0.75 + random() / 2))
}

/** Why an attempt failed, to be kept: the message alone, short, without what looks like a secret. */
export function failureOf(error: unknown): string {
  const cause = isImpersonationError(error) && error.cause instanceof Error ? error.cause : error
  const message = cause instanceof Error ? cause.message : 'failed without an Error'
  return oneLine(withoutSecrets(message), 500) || 'failed without a message'
}

const withoutSecrets = (message: string): string =>
  message
    .replace(/\b((?:Bearer|Basic)\s+)[\w.~+/=-]+/gi, '$1…')
    .replace(/\bwhsec_[\w+/=-]+/g, 'whsec_…')
    .replace(/(\w:\/\/)[^\s/@]+@/g, '$1…@')
    .replace(/(\w:\/\/[^\s?#]+)[?#]\S+/g, '$1?…')
