import { generateKeyPair } from 'jose'
import { expect, it } from 'vitest'
import { actorOf, type bearer, claims, random, sign, signHs256 } from './fixtures.ts'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Hands the token on as it is, past the parsing of the header. */
const getToken = (request: ReturnType<typeof bearer>) =>
  request.headers.authorization.slice('Bearer '.length)

it('refuses every other spelling of a good token', async () => {
  const identify = actorOf()
  const token = signHs256(claims)
  const [header = '', payload = '', signature = ''] = token.split('.')
  expect(await identify(token)).not.toBeNull()
  const others = [
    ...['\n', '\r\n', ' ', '\t', '=', '==', '.', '%0a', '\0', '\u{feff}', '\u{a0}'].flatMap(
      (extra) => [
        token + extra,
        extra + token,
        `${header}.${payload}${extra}.${signature}`,
        `${header}${extra}.${payload}.${signature}`,
      ],
    ),
    `${header}.${payload}.${signature}=`,
    `${header}.${payload}.`,
    `${header}..${signature}`,
    `.${payload}.${signature}`,
    `${token}.${signature}`,
    `${header}.${payload}`,
    Buffer.from(signature, 'base64url').toString('base64'),
    '',
    '..',
  ]
  const raw = actorOf({ getToken })
  for (const other of others) expect([other, await raw(other)]).toEqual([other, null])
})

it('refuses stray bits behind the last byte, which decoders overlook', async () => {
  const identify = actorOf()
  for (let length = 0; length < 3; length++) {
    const token = signHs256({ ...claims, pad: 'x'.repeat(length) })
    expect(await identify(token)).not.toBeNull()
    const bytes = Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url')
    let twins = 0
    for (const last of alphabet) {
      const other = token.slice(0, -1) + last
      const same = Buffer.from(other.slice(other.lastIndexOf('.') + 1), 'base64url').equals(bytes)
      if (other === token || !same) continue
      twins++
      expect(await identify(other)).toBeNull()
    }
    expect(twins).toBe(3)
  }
})

/** More with `JWT_MUTATIONS=100000`. */
const count = Number(process.env.JWT_MUTATIONS ?? 20_000)

it(`refuses ${count} mutations of good tokens and throws on none`, {
  timeout: 600_000,
}, async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const ofKey = actorOf({ key: publicKey, getToken })
  const subjects = [
    { identify: actorOf({ getToken }), token: signHs256(claims, { alg: 'HS256', typ: 'JWT' }) },
    { identify: ofKey, token: await sign(privateKey, { alg: 'ES256' }) },
  ]
  const next = random(20_261_105)
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
    (token) => reencode(token, 0),
    (token) => reencode(token, 1),
  ]

  /** Changes a byte of the JSON below the encoding, so that header and claims are well spelled. */
  function reencode(token: string, index: number): string {
    const parts = token.split('.')
    const bytes = Buffer.from(parts[index] ?? '', 'base64url')
    bytes[below(bytes.length)] = below(256)
    parts[index] = bytes.toString('base64url')
    return parts.join('.')
  }

  for (const { identify, token } of subjects) expect(await identify(token)).not.toBeNull()
  let tried = 0
  while (tried < count) {
    const subject = subjects[tried % 2] as (typeof subjects)[number]
    let mutated = subject.token
    for (let i = 0; i <= below(3); i++) {
      mutated = mutations[below(mutations.length)]?.(mutated, below(mutated.length)) ?? mutated
    }
    if (mutated === subject.token) continue
    tried++
    const user = await subject.identify(mutated)
    if (user !== null) expect.fail(`accepted: ${JSON.stringify(mutated)}`)
  }
})

it('refuses a signature of RSA-PSS without its leading zero, which OpenSSL takes', async () => {
  const { privateKey, publicKey } = await generateKeyPair('PS256')
  const identify = actorOf({ key: publicKey, algorithms: ['PS256'] })
  // One signature in 256 begins with a zero.
  for (;;) {
    const token = await sign(privateKey, { alg: 'PS256' })
    const at = token.lastIndexOf('.') + 1
    const bytes = Buffer.from(token.slice(at), 'base64url')
    if (bytes[0] !== 0) continue
    expect(await identify(token.slice(0, at) + bytes.subarray(1).toString('base64url'))).toBeNull()
    expect(await identify(token)).not.toBeNull()
    return
  }
})
