import { crc32 } from 'node:zlib'
import { makeApiToken } from '../../src/api-tokens/format.ts'
import { encode, forge } from '../tokens/fixtures.ts'
import { random } from './core-world.ts'

const base62 = [...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz']
const base64 = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']

/** With the checksum that belongs to what stands before it, so that nothing but the store can tell. */
export function withChecksum(text: string): string {
  const start = text.slice(0, -6)
  let sum = ''
  for (let rest = crc32(start), n = 0; n < 6; n++, rest = Math.floor(rest / 62))
    sum = base62[rest % 62] + sum
  return start + sum
}

interface Given {
  readonly prefix: string
  readonly good: readonly string[]
  /** Good ones that no longer are. */
  readonly over: readonly string[]
}

/** Authorization headers that are to let nobody in, one after the other; half of them are about API tokens. */
export function mutations(seed: number, { prefix, good, over }: Given): () => string {
  const { below, pick } = random(seed)
  const known = new Set(good)
  const isApi = (token: string) => token.startsWith(prefix)
  const all = [...good, ...over]
  const [api, jwts] = [all.filter(isApi), all.filter((token) => !isApi(token))]

  const put = (text: string, at: number, letters: string, instead = 0) =>
    text.slice(0, at) + letters + text.slice(at + instead)
  /** A character that a header may hold, of one byte. */
  const byte = () => {
    const code = 33 + below(222)
    return String.fromCharCode(code === 127 ? 128 : code)
  }
  const letterOf = (token: string) => pick(isApi(token) ? base62 : base64)

  const anywhere: ((token: string) => string)[] = [
    (token) => put(token, below(token.length), letterOf(token), 1),
    (token) => put(token, below(token.length), letterOf(token)),
    (token) => put(token, below(token.length), '', 1 + below(8)),
    (token) => put(token, below(token.length), byte(), below(2)),
    (token) => token.slice(0, below(token.length)),
    (token) => {
      const at = below(token.length)
      return token.slice(at) + token.slice(0, at)
    },
    (token) => token + pick(base62).repeat(1 + below(100)),
  ]
  /** The body of a token with other letters in it, at some place behind the prefix. */
  const changed = (token: string, from = 0) => {
    const first = prefix.length + from
    return put(token, first + below(token.length - 6 - first), pick(base62), 1)
  }
  const ofApi: ((token: string) => string)[] = [
    (token) => withChecksum(changed(token)),
    // Shown by the same letters as one that is there.
    (token) => withChecksum(changed(token, 4)),
    (token) => withChecksum(changed(changed(changed(token)))),
    (token) => withChecksum(token.slice(0, 12 + below(37)) + pick(api).slice(12 + 37)),
    (token) => withChecksum(token.slice(0, 20) + pick(api).slice(20)),
    () => makeApiToken(prefix),
    () => makeApiToken(pick(['pv_live_', 'pv_', `${prefix}x_`])),
    () => pick(over.filter(isApi)),
    (token) => `${prefix}${token.slice(prefix.length).toLowerCase()}`,
    () => withChecksum(`${prefix}${'0'.repeat(37 + below(14))}`),
  ]
  const part = (token: string, at: number, change: (text: string) => string) => {
    const parts = token.split('.')
    parts[at] = change(parts[at] ?? '')
    return parts.join('.')
  }
  const bits = (text: string) => {
    const bytes = Buffer.from(text, 'base64url')
    const at = below(bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8))
    return bytes.toString('base64url')
  }
  const read = (token: string, at: number) =>
    JSON.parse(Buffer.from(token.split('.')[at] ?? '', 'base64url').toString())
  /** Signed as the host itself would: only its row tells that it is none. */
  const signed = (token: string, changes: object, header: object = {}) =>
    forge({ ...read(token, 0), ...header }, { ...read(token, 1), ...changes })
  const ofJwt: ((token: string) => string)[] = [
    (token) => part(token, below(3), bits),
    (token) => part(token, below(3), () => pick(jwts).split('.')[below(3)] ?? ''),
    (token) => signed(token, { jti: crypto.randomUUID() }),
    (token) => signed(token, { jti: read(pick(jwts), 1).jti, sub: 'root' }),
    (token) => signed(token, { sub: pick(['root', 'user-99', '']) }),
    (token) => signed(token, { act: { sub: `user-${below(100)}` } }),
    (token) => signed(token, { exp: read(token, 1).exp + 1 + below(1e6) }),
    (token) => signed(token, { access_level: pick(['interactive', 'full', 'all']) }),
    (token) => signed(token, { [pick(['org_id', 'grant_id', 'client_id'])]: 'x' }),
    (token) => signed(token, {}, { alg: pick(['none', 'HS512', 'RS256']) }),
    (token) => signed(token, {}, { kid: pick(['one', '../../dev/null', '']) }),
    (token) =>
      signed(token, {}, { jku: 'http://keys.example.net', x5u: 'http://keys.example.net' }),
    (token) => forge(read(token, 0), read(token, 1), 'HS256', 'x'.repeat(32)),
    (token) => `${encode({ ...read(token, 0), alg: 'none' })}.${token.split('.')[1]}.`,
    () => pick(over.filter((token) => !isApi(token))),
  ]

  const plain = (token: string) => `Bearer ${token}`
  const odd: ((token: string) => string)[] = [
    (token) => `Bearer "${token}"`,
    (token) => `Bearer ${token},`,
    (token) => `Bearer ${token}, Bearer ${pick(all)}`,
    (token) => `Bearer ${token}.${pick(all)}`,
    (token) => `Bearer ${token} ${pick(all)}`,
    (token) => `Bearer\t${token}`,
    (token) => `Bearer=${token}`,
    (token) => `${pick(['Basic', 'Token', 'JWT', 'DPoP', 'Bear', ''])} ${token}`.trim(),
  ]

  let turn = 0
  return function next(): string {
    for (;;) {
      const isForApi = turn % 2 === 0
      let token = pick(isForApi ? api : jwts)
      const how = below(10)
      if (how < 6) token = pick(isForApi ? ofApi : ofJwt)(token)
      else if (how < 9) for (let n = 0; n <= below(3); n++) token = pick(anywhere)(token)
      const authorization = how === 9 ? pick(odd)(token) : plain(token)
      // Whatever the mutation did, this is a good one still.
      if (known.has(/^bearer +(\S+)$/i.exec(authorization.trim())?.[1] ?? '')) continue
      turn++
      return authorization
    }
  }
}
