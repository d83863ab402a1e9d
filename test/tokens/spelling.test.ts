import { expect, it } from 'vitest'
import { random } from '../jwt/fixtures.ts'
import {
  claims,
  expectInvalid,
  forge,
  header,
  keyOf,
  payload,
  secret,
  tokensOf,
} from './fixtures.ts'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

it('refuses every other spelling of a good token', async () => {
  const tokens = tokensOf()
  const token = await tokens.sign(claims)
  const [head = '', body = '', signature = ''] = token.split('.')
  const extras = ['\n', '\r\n', ' ', '\t', '=', '==', '.', '%0a', '\0', '\u{feff}', '\u{a0}', ',']
  const others = [
    ...extras.flatMap((extra) => [
      token + extra,
      extra + token,
      `${head}.${body}${extra}.${signature}`,
      `${head}${extra}.${body}.${signature}`,
      `${head}.${extra}${body}.${signature}`,
      `${token.slice(0, 7)}${extra}${token.slice(7)}`,
    ]),
    `${head}.${body}.`,
    `${head}..${signature}`,
    `.${body}.${signature}`,
    `${token}.${signature}`,
    `${token}.AAAA`,
    `${head}.${body}`,
    `Bearer ${token}`,
    token.toLowerCase(),
    ...[head, body, signature].map((part) => token.replace(part, base64(part))),
    '',
    '.',
    '..',
    '...',
  ]
  for (const isRemembered of [false, true]) {
    if (isRemembered) await tokens.verify(token)
    for (const other of others) if (other !== token) await expectInvalid(tokens, other)
  }
})

/** With padding, or at least another letter. */
function base64(part: string): string {
  return `${Buffer.from(part, 'base64url').toString('base64')}=`
}

it('refuses stray bits behind the last byte of any part, which decoders overlook', async () => {
  const tokens = tokensOf()
  let twins = 0
  for (let length = 1; length < 4; length++) {
    const token = forge(header(), { ...payload, jti: 'x'.repeat(length) })
    await tokens.verify(token)
    for (const [at, part] of token.split('.').entries()) {
      for (const last of alphabet) {
        const other = part.slice(0, -1) + last
        const isSame = Buffer.from(other, 'base64url').equals(Buffer.from(part, 'base64url'))
        if (other === part || !isSame) continue
        twins++
        const parts = token.split('.')
        parts[at] = other
        await expectInvalid(tokens, parts.join('.'))
      }
    }
  }
  expect(twins).toBeGreaterThan(10)
})

/** More with `TOKEN_MUTATIONS=1000000`. */
const count = Number(process.env.TOKEN_MUTATIONS ?? 20_000)

it(`refuses ${count} mutations of good tokens, each as invalid`, {
  timeout: 3_600_000,
}, async () => {
  const keys = [
    { kid: 'HS256', alg: 'HS256', secret },
    keyOf('ES256', 'ES256'),
    keyOf('EdDSA', 'EdDSA'),
    keyOf('RS256', 'RS256'),
    keyOf('PS256', 'PS256'),
  ]
  const tokens = tokensOf({ keys })
  const good = await Promise.all(keys.map((key) => tokensOf({ keys: [key] }).sign(claims)))
  for (const token of good) expect(await tokens.verify(token)).toMatchObject({ actorId: 'root' })

  const next = random(20_261_121)
  const below = (limit: number) => Math.floor(next() * limit)
  const letter = () => alphabet[below(64)] ?? ''
  const byte = () => String.fromCharCode(below(256))
  const mutations: ((token: string, at: number) => string)[] = [
    (token, at) => token.slice(0, at) + letter() + token.slice(at + 1),
    (token, at) => token.slice(0, at) + letter() + token.slice(at),
    (token, at) => token.slice(0, at) + token.slice(at + 1 + below(8)),
    (token, at) => token.slice(0, at) + byte() + token.slice(at + below(2)),
    (token, at) => token.slice(0, at),
    (token, at) => token.slice(at) + token.slice(0, at),
    (token) => swapPart(token),
    (token) => flip(token, 0),
    (token) => flip(token, 1),
    (token) => flip(token, 2),
  ]

  /** A part of another good token in its place. */
  function swapPart(token: string): string {
    const at = below(3)
    const parts = token.split('.')
    parts[at] = good[below(good.length)]?.split('.')[at] ?? ''
    return parts.join('.')
  }

  /** One bit or byte of what a part holds, so that it is well spelled still. */
  function flip(token: string, index: number): string {
    const parts = token.split('.')
    const bytes = Buffer.from(parts[index] ?? '', 'base64url')
    const at = below(bytes.length)
    bytes[at] = below(2) ? below(256) : (bytes[at] ?? 0) ^ (1 << below(8))
    parts[index] = bytes.toString('base64url')
    return parts.join('.')
  }

  let tried = 0
  let slowest = 0
  while (tried < count) {
    let mutated = good[tried % good.length] ?? ''
    for (let i = 0; i <= below(3); i++) {
      mutated = mutations[below(mutations.length)]?.(mutated, below(mutated.length)) ?? mutated
    }
    if (good.includes(mutated)) continue
    tried++
    const before = performance.now()
    const outcome = await tokens.verify(mutated).then(
      () => 'accepted',
      (error: { code?: unknown }) => error.code,
    )
    slowest = Math.max(slowest, performance.now() - before)
    if (outcome !== 'token_invalid') expect.fail(`${outcome}: ${JSON.stringify(mutated)}`)
  }
  if (count > 20_000) console.log(`${tried} refused, the slowest in ${slowest.toFixed(1)} ms`)
})
