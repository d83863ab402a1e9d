import { describe, expect, it } from 'vitest'
import { presentedApiToken } from '../../src/api-tokens/presented.ts'

const prefix = 'pv_live_'
const token = `${prefix}CEbQzD4nVoLfird8gOtGIlbdCqsoFDYdk58N7YRWRCr44JnY7`
const presented = (header: string | undefined) => presentedApiToken(header, prefix)

describe('is the token', () => {
  it.each([`Bearer ${token}`, `bearer ${token}`, `BEARER ${token}`, `bEaReR   ${token}`])(
    'of %j',
    (header) => {
      expect(presented(header)).toBe(token)
    },
  )

  it('as far as it can be told, whatever is wrong with it', () => {
    for (const odd of [prefix, `${prefix}x`, `${token}\u00e9`, `${token}"`, `${token}=${token}`])
      expect(presented(`Bearer ${odd}`)).toBe(odd)
  })
})

describe('is a text that no check lets pass, where one is there and not presented as one is:', () => {
  it.each([
    token,
    ` ${token}`,
    `Bearer\t${token}`,
    `Bearer \t${token}`,
    `Bearer ${token} `,
    `Bearer ${token}\t`,
    `Bearer ${token}\n`,
    `Bearer ${token}\r\nX-Evil: 1`,
    ` Bearer ${token}`,
    `Bearer ${token},`,
    `Bearer ,${token}`,
    `Bearer ${token}, Bearer ${token}`,
    `Bearer ${token}, Bearer root`,
    `Bearer root, Bearer ${token}`,
    `Bearer root,Bearer ${token}`,
    `Bearer root ${token}`,
    `Bearer ${token} root`,
    `Bearer Bearer ${token}`,
    `Bearer "${token}"`,
    `Bearer '${token}'`,
    `Bearer <${token}>`,
    `Bearer (${token})`,
    `Bearer [${token}]`,
    `Bearer {${token}}`,
    `Bearer token=${token}`,
    `Bearer token="${token}"`,
    `Bearer: ${token}`,
    `Bearer:${token}`,
    `Bearer root;${token}`,
    `Basic ${token}`,
    `Token ${token}`,
    `JWT ${token}`,
    `DPoP ${token}`,
    `Digest username="${token}"`,
    `token token=${token}`,
    `Bearer\u00a0${token}`,
    `Bearer\u3000${token}`,
    `\u{feff}Bearer ${token} `,
    prefix,
    `Basic ${prefix}`,
  ])('%j', (header) => {
    expect(presented(header)).toBe('')
  })
})

describe('is nothing of ours', () => {
  it.each([
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Bearer root',
    'Bearer pv_test_abc',
    'Bearer pv_liv',
    `Bearer ${token.toUpperCase()}`,
    `Bearer x${token}`,
    `Bearer eyJhbGciOiJIUzI1NiJ9.${token}.AAAA`,
    `Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.AA${token}`,
    `Basic ${Buffer.from(`x:${token}`).toString('base64')}`,
    `Bearer ${encodeURIComponent(`"${token}`)}`,
  ])('in %j', (header) => {
    expect(presented(header)).toBeNull()
  })
})

it('takes a prefix as it is written, not as a pattern', () => {
  for (const one of ['a_', 'b_c_']) expect(presentedApiToken('Bearer axbxcx', one)).toBeNull()
  expect(presentedApiToken('Bearer ab_x', 'b_')).toBeNull()
})

it('looks at headers of any length in a time that grows with them', () => {
  const fillers = [' ', '\t', ',', ' ,', '"', 'x', `${prefix}`, `x${prefix}`, 'Bearer ', '=', 'é']
  const time = (length: number) => {
    let longest = 0
    for (const filler of fillers) {
      const odd = filler.repeat(Math.ceil(length / filler.length)).slice(0, length)
      for (const header of [`Bearer ${odd}${token}`, `${odd}${token}`, `Bearer ${token}${odd}`]) {
        const before = performance.now()
        presented(header)
        longest = Math.max(longest, performance.now() - before)
      }
    }
    return longest
  }
  time(1024)
  // A quadratic one takes a second or more of each; a linear one less than a millisecond.
  expect(time(64 * 1024)).toBeLessThan(250)
})
