import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { hashOf, isApiToken, makeApiToken, shownOf } from '../../src/api-tokens/format.ts'
import { withChecksum } from '../support/mutations.ts'

const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const prefix = 'pv_live_'
/** One that was made once, so that what is tried with it is the same each time. */
const token = 'pv_live_CEbQzD4nVoLfird8gOtGIlbdCqsoFDYdk58N7YRWRCr44JnY7'

const numberOf = (text: string) =>
  [...text].reduce((number, letter) => number * 62n + BigInt(letters.indexOf(letter)), 0n)

describe('a token', () => {
  it.each(['pv_live_', 'ab_', 'a1_b2_c3_', `${'x'.repeat(31)}_`])('is what %s begins', (given) => {
    const made = makeApiToken(given)
    const secret = made.slice(given.length)
    expect(made.startsWith(given)).toBe(true)
    expect(secret).toMatch(/^[0-9A-Za-z]{49}$/)
    expect(isApiToken(made, given)).toBe(true)
    expect(numberOf(secret.slice(-6))).toBe(BigInt(crc32(made.slice(0, -6))))
    expect(numberOf(secret.slice(0, 43)) < 2n ** 256n).toBe(true)
  })

  it('has 256 bits from the generator, each as often set as not', () => {
    const many = 2000
    const set = Array.from({ length: 256 }, () => 0)
    const made = new Set<string>()
    for (let n = 0; n < many; n++) {
      const one = makeApiToken(prefix)
      made.add(one)
      const secret = numberOf(one.slice(prefix.length, -6))
      for (let bit = 0; bit < 256; bit++)
        set[bit] = (set[bit] as number) + Number((secret >> BigInt(bit)) & 1n)
    }
    expect(made.size).toBe(many)
    // Seven standard deviations: by chance once in a thousand million runs.
    const off = set.map((count) => Math.abs(count - many / 2) / Math.sqrt(many / 4))
    expect(Math.max(...off)).toBeLessThan(7)
  })

  it('is stored as its SHA-256, and shown by four letters', () => {
    expect(hashOf(token)).toBe(createHash('sha256').update(token).digest('hex'))
    expect(shownOf(token, prefix)).toBe(token.slice(0, prefix.length + 4))
  })
})

describe('the checksum finds', () => {
  it('the token that it belongs to', () => {
    expect(isApiToken(token, prefix)).toBe(true)
  })

  it('every change of a single letter', () => {
    for (let at = 0; at < token.length; at++) {
      for (const letter of `${letters}_-`) {
        if (letter === token[at]) continue
        const changed = token.slice(0, at) + letter + token.slice(at + 1)
        expect([changed, isApiToken(changed, prefix)]).toEqual([changed, false])
      }
    }
  })

  it('every two letters in each other’s place', () => {
    for (let one = 0; one < token.length; one++) {
      for (let two = one + 1; two < token.length; two++) {
        if (token[one] === token[two]) continue
        const swapped = [...token]
        ;[swapped[one], swapped[two]] = [swapped[two] as string, swapped[one] as string]
        expect([one, two, isApiToken(swapped.join(''), prefix)]).toEqual([one, two, false])
      }
    }
  })

  it('every letter left out, doubled or put in, and every part cut off', () => {
    for (let at = 0; at <= token.length; at++) {
      const others = [
        token.slice(0, at) + token.slice(at + 1),
        token.slice(0, at) + token.slice(at - 1),
        ...[...letters].map((letter) => token.slice(0, at) + letter + token.slice(at)),
        token.slice(0, at),
        token.slice(at),
      ].filter((other) => other !== token)
      for (const other of others) expect([other, isApiToken(other, prefix)]).toEqual([other, false])
    }
  })
})

it.each([
  ['another prefix', 'pv_test_'],
  ['a shorter one', 'pv_'],
  ['a longer one', 'pv_live_C'],
  ['none', ''],
  ['one in capitals', 'PV_LIVE_'],
])('is none under %s', (_, other) => {
  expect(isApiToken(token, other)).toBe(false)
})

it.each([
  ['a line break behind', `${token}\n`],
  ['a line break in the last place', `${token.slice(0, -1)}\n`],
  ['a blank before', ` ${token}`],
  ['a zero character', `${token.slice(0, 20)}\0${token.slice(21)}`],
  ['letters of another script', `${token.slice(0, 20)}ａ${token.slice(21)}`],
  ['Arabic digits', `${token.slice(0, 20)}٣${token.slice(21)}`],
  ['its capitals lowered', token.toLowerCase()],
  ['escapes', `${token.slice(0, 20)}%41${token.slice(23)}`],
  ['nothing but its prefix', prefix],
  ['nothing', ''],
])('is none with %s', (_, other) => {
  expect(isApiToken(other, prefix)).toBe(false)
})

it('is none with letters of no alphabet, though its checksum were right', () => {
  expect(isApiToken(withChecksum(token), prefix)).toBe(true)
  for (let at = prefix.length; at < token.length - 6; at++) {
    for (const odd of ['_', '-', '+', ' ', '\n', '\0', '\u00e9', '\u0663', '\uff41']) {
      const other = withChecksum(token.slice(0, at) + odd + token.slice(at + 1))
      expect([at, odd, isApiToken(other, prefix)]).toEqual([at, odd, false])
    }
  }
})

it('is none behind another prefix, though its checksum were right there', () => {
  const other = makeApiToken('pv_test_')
  expect(isApiToken(other, prefix)).toBe(false)
  // The checksum covers the prefix as well: a token of a test system is not made one of the live system.
  expect(isApiToken(other.replace('pv_test_', prefix), prefix)).toBe(false)
})
