import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { bearerOf } from '../../src/jwt/bearer.ts'
import { carriesImpersonationToken, isImpersonationToken } from '../../src/tokens/recognise.ts'
import { claims, encode, keyOf, pairAlgorithms, tokensOf } from './fixtures.ts'

const withHeader = (header: unknown) => `${encode(header)}.${encode({})}.AAAA`

it('recognises whatever was signed here', async () => {
  expect(isImpersonationToken(await tokensOf().sign(claims))).toBe(true)
  for (const alg of pairAlgorithms) {
    const token = await tokensOf({ keys: [keyOf(alg)] }).sign(claims)
    expect(isImpersonationToken(token)).toBe(true)
  }
})

it.each([
  { alg: 'HS256' },
  { alg: 'HS256', typ: 'JWT' },
  { typ: 'at+jwt', alg: 'RS256', kid: 'imp+jwt' },
  { typ: 'application/at+jwt', alg: 'RS256' },
  { typ: 'imp', alg: 'ES256' },
  { typ: 'jwt+imp+jwtx', alg: 'ES256' },
  { typ: 'simp+jwt' },
  { typ: 'imp+jwtx' },
  { typ: 'JWT', x: '"typ":"imp+jwt"' },
  { typ: null, kid: '\\' },
])('leaves the tokens of hosts alone: %j', (header) => {
  expect(isImpersonationToken(withHeader(header))).toBe(false)
})

it('decodes nothing of an ordinary token', () => {
  const ordinary = [
    ...['JWT', 'at+jwt', 'dpop+jwt'].map((typ) => withHeader({ alg: 'RS256', typ, kid: 'a-1_b' })),
    'an-opaque_token',
    '',
  ]
  const decoded = vi.spyOn(Buffer, 'from')
  try {
    for (const token of ordinary) expect(isImpersonationToken(token)).toBe(false)
    expect(decoded).not.toHaveBeenCalled()
  } finally {
    decoded.mockRestore()
  }
})

it.each([
  { typ: 'imp+jwt' },
  { typ: 'IMP+JWT' },
  { typ: 'Imp+Jwt', alg: 'none' },
  { typ: 'application/imp+jwt' },
  { typ: 'APPLICATION/imp+JWT' },
  { x: 1, typ: ' imp+jwt ' },
  { typ: ['imp+jwt'] },
  '{"typ":"imp+jwt","typ":"JWT"}',
  '{"typ":"JWT","typ":"imp+jwt"}',
  '{"typ" : \n "imp+jwt"}',
  '{"t\\u0079p":"imp\\u002Bjwt"}',
  '{"typ":"\\u0049\\u006d\\u0070+jwt"}',
  '{"typ":"application\\/imp+jwt"}',
  '\u{feff}{"typ":"imp+jwt"}',
  '{"kid":"\\"","typ":"imp+jwt"}',
  '{"kid":"\\u0022","typ":"imp+jwt"}',
  '{"typ":"imp+jwt"',
])('recognises %j', (header) => {
  expect(isImpersonationToken(withHeader(header))).toBe(true)
  expect(isImpersonationToken(encode(header))).toBe(true)
})

describe('spellings', () => {
  const header = { kid: '>>>>>?????', alg: 'HS256', typ: 'imp+jwt' }
  const spelled = encode(header)
  const rest = `.${encode({})}.AAAA`

  it('are recognised in any alphabet, and with any padding', () => {
    const base64 = Buffer.from(JSON.stringify(header)).toString('base64')
    for (const one of [base64, `${base64}=`, `${base64}==`, `${spelled}====`, `=${spelled}`]) {
      expect(isImpersonationToken(one + rest)).toBe(true)
    }
    expect(base64).toMatch(/[+].*[/]/)
    expect(spelled).toMatch(/-.*_/)
  })

  it('are recognised with stray characters and stray bits at any place', () => {
    const strays = ['\n', '\r\n', ' ', '\t', '!', '%', '\0', '\u{e9}', '\u{2028}', ':', '=', '\v']
    for (const stray of strays) {
      for (let at = 0; at <= spelled.length; at++) {
        const token = spelled.slice(0, at) + stray + spelled.slice(at) + rest
        expect([stray, at, isImpersonationToken(token)]).toEqual([stray, at, true])
      }
    }
    for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_') {
      expect(isImpersonationToken(spelled + letter + rest)).toBe(true)
    }
  })

  it('are recognised where a decoder looks at the low byte of a character only', () => {
    const wide = [...spelled].map((one) => String.fromCharCode(one.charCodeAt(0) + 0x100)).join('')
    expect(isImpersonationToken(wide + rest)).toBe(true)
  })

  it('are recognised where padded pieces are put together', () => {
    const json = JSON.stringify(header)
    for (let at = 1; at < json.length; at++) {
      const [one, two] = [json.slice(0, at), json.slice(at)].map((piece) =>
        Buffer.from(piece).toString('base64'),
      )
      expect(isImpersonationToken(`${one}${two}${rest}`)).toBe(true)
    }
  })
})

/** What a host's verifier would read: Node's decoder and `atob`, then JSON. */
function readByHosts(token: string): unknown[] {
  const header = token.split('.')[0] ?? ''
  const decoders = [
    () => Buffer.from(header, 'base64').toString(),
    () => Buffer.from(header, 'base64url').toString('latin1'),
    () => atob(header.replaceAll('-', '+').replaceAll('_', '/')),
  ]
  return decoders.flatMap((decode) => {
    try {
      return [(JSON.parse(decode()) as { typ?: unknown } | null)?.typ]
    } catch {
      return []
    }
  })
}

it('says yes to every token that some host would read as one', () => {
  const escaped = (text: string, choices: readonly number[]) =>
    [...text]
      .map((letter, n) => {
        const code = letter.charCodeAt(0).toString(16).padStart(4, '0')
        const choice = choices[n % choices.length]
        if (choice === 0) return `\\u${code}`
        return choice === 1 ? letter.toUpperCase() : letter === '/' ? '\\/' : letter
      })
      .join('')
  const choices = fc.array(fc.nat(4), { minLength: 1, maxLength: 19 })
  const members = fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue({ maxDepth: 1 }), {
    maxKeys: 4,
  })
  const stray = fc.constantFrom('', '=', '\n', ' ', '!', '\u{e9}')
  const blank = fc.constantFrom('', ' ', '\n', '\t')
  let seen = 0
  const property = fc.property(
    choices,
    members,
    fc.constantFrom('', 'application/'),
    stray,
    fc.nat(),
    blank,
    (how, others, prefix, extra, place, space) => {
      const before = JSON.stringify(others).slice(1, -1)
      const typ = `"typ"${space}:${space}"${escaped(`${prefix}imp+jwt`, how)}"`
      const spelled = encode(`{${before}${before && ','}${typ}}`)
      const at = place % (spelled.length + 1)
      const token = `${spelled.slice(0, at)}${extra}${spelled.slice(at)}.e30.AAAA`
      const isOurs = readByHosts(token).some(
        (read) => typeof read === 'string' && /^(application\/)?imp\+jwt$/.test(read.toLowerCase()),
      )
      if (!isOurs) return
      seen++
      expect(isImpersonationToken(token)).toBe(true)
    },
  )
  fc.assert(property, { numRuns: 3_000, seed: 20_261_121 })
  expect(seen).toBeGreaterThan(1_000)
})

it('never throws, and says yes to nothing that does not hold the type', () => {
  const texts = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.base64String())
  fc.assert(
    fc.property(texts, (text) => {
      expect(isImpersonationToken(text)).toBe(false)
      expect(carriesImpersonationToken(text)).toBe(false)
    }),
    { numRuns: 3_000, seed: 20_261_121 },
  )
})

it('takes time in proportion to the header', () => {
  const time = (text: string) => {
    const before = performance.now()
    isImpersonationToken(text)
    return performance.now() - before
  }
  const long = 200_000
  const hostile = [
    'A'.repeat(long),
    '='.repeat(long),
    'A='.repeat(long / 2),
    encode('"typ"'.repeat(long / 8)),
    encode(`${'"typ" '.repeat(long / 8)}\\`),
    encode(`"typ"${' '.repeat(long)}\\`),
    encode(`"typ""${' '.repeat(long)}\\`),
    encode('"typ""application/imp+jw\\'.repeat(long / 32)),
    encode('\\u'.repeat(long / 4)),
  ]
  for (const text of hostile) expect(time(text)).toBeLessThan(500)
})

describe('the header Authorization', () => {
  const ours = withHeader({ typ: 'imp+jwt' })
  const theirs = withHeader({ typ: 'JWT' })

  it.each([
    [`Bearer ${ours}`, ours],
    [`bearer   ${ours}`, ours],
    [`BEARER ${ours}`, ours],
    [`Bearer ${theirs}`, theirs],
    ['Bearer ', ''],
    ['Bearer', null],
    [`JWT ${ours}`, null],
    [ours, null],
    ['', null],
    [undefined, null],
    [null, null],
  ])('%j', (authorization, token) => {
    expect(bearerOf(authorization)).toBe(token)
  })

  it('is refused where it is two', () => {
    expect(() => bearerOf(`Bearer ${theirs}, Bearer ${ours}`)).toThrow('more than one')
  })

  it('carries one behind whatever a host may read over', () => {
    const carrying = [
      `Bearer ${ours}`,
      `Bearer\t${ours}`,
      `JWT ${ours}`,
      `Token ${ours}`,
      `Token token="${ours}", realm="x"`,
      `Token token=${ours}`,
      ` ${ours}`,
      ours,
      `Bearer ${theirs},Bearer ${ours}`,
      `Bearer ${ours.slice(0, 5)}\n${ours.slice(5)}`,
    ]
    for (const one of carrying) expect([one, carriesImpersonationToken(one)]).toEqual([one, true])
    const others = [`Bearer ${theirs}`, theirs, '', 'Basic cm9vdDpodW50ZXIy', 'Digest a="b", c=d']
    for (const one of others) expect([one, carriesImpersonationToken(one)]).toEqual([one, false])
  })
})
