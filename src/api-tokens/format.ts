import { hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** Letters that a double click selects as one word, together with `_`. */
const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** 62 ** 43 is a little more than 2 ** 256, and 62 ** 6 than 2 ** 32. */
const secretLength = 43
const checksumLength = 6
/** How much of the secret is kept to tell tokens apart: 24 of its 256 bits. */
const shownLength = 4

/** A new token: the prefix, 256 bits from the system's generator, and a checksum. */
export function makeApiToken(prefix: string): string {
  const secret = inLetters(BigInt(`0x${randomBytes(32).toString('hex')}`), secretLength)
  return `${prefix}${secret}${checksumOf(prefix + secret)}`
}

/** Whether a text has the form of a token: what was cut off, mistyped or made up costs no look into the store. */
export function isApiToken(text: string, prefix: string): boolean {
  const end = text.length - checksumLength
  return (
    text.length === prefix.length + secretLength + checksumLength &&
    text.startsWith(prefix) &&
    /^[0-9A-Za-z]+$/.test(text.slice(prefix.length)) &&
    text.slice(end) === checksumOf(text.slice(0, end))
  )
}

/** What a token is stored and found by. Needs no salt and no slow hash: nobody can try 256 bits. */
export function hashOf(token: string): string {
  return hash('sha256', token, 'hex')
}

/** How a token begins, for lists. */
export function shownOf(token: string, prefix: string): string {
  return token.slice(0, prefix.length + shownLength)
}

/** The CRC-32 of what stands before it: finds mistakes and lets scanners know a token, and protects nothing. */
function checksumOf(text: string): string {
  return inLetters(BigInt(crc32(text)), checksumLength)
}

function inLetters(number: bigint, length: number): string {
  let text = ''
  for (let rest = number; text.length < length; rest /= 62n)
    text = letters[Number(rest % 62n)] + text
  return text
}
