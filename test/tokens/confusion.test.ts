import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { channel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { compactVerify, importJWK } from 'jose'
import { describe, expect, it } from 'vitest'
import {
  anotherKey,
  claims,
  encode,
  expectInvalid,
  forge,
  header,
  issuer,
  keyOf,
  noon,
  pairAlgorithms,
  payload,
  privateKeys,
  secret,
  tokensOf,
} from './fixtures.ts'

const accepted = { ...claims, issuedAt: noon }
const everyKind = () =>
  tokensOf({
    keys: [{ kid: 'HS256', alg: 'HS256', secret }, ...pairAlgorithms.map((alg) => keyOf(alg, alg))],
  })

describe('the header', () => {
  const good = header()
  it.each<[string, unknown]>([
    ['no typ', { alg: 'HS256', kid: 'default' }],
    ['typ JWT', { ...good, typ: 'JWT' }],
    ['typ at+jwt', { ...good, typ: 'at+jwt' }],
    ['typ in capitals', { ...good, typ: 'IMP+JWT' }],
    ['the whole media type', { ...good, typ: 'application/imp+jwt' }],
    ['typ in a list', { ...good, typ: ['imp+jwt'] }],
    ['no alg', { typ: 'imp+jwt', kid: 'default' }],
    ['alg HS512', { ...good, alg: 'HS512' }],
    ['alg in small letters', { ...good, alg: 'hs256' }],
    ['alg in a list', { ...good, alg: ['HS256'] }],
    ['alg null', { ...good, alg: null }],
    ['no kid', { alg: 'HS256', typ: 'imp+jwt' }],
    ['a foreign kid', { ...good, kid: 'other' }],
    ['a kid in capitals', { ...good, kid: 'DEFAULT' }],
    ['an empty kid', { ...good, kid: '' }],
    ['a kid that is a path', { ...good, kid: '../../dev/null' }],
    ['a kid in a list', { ...good, kid: ['default'] }],
    ['kid null', { ...good, kid: null }],
    ['crit', { ...good, crit: ['exp'] }],
    ['crit for b64', { ...good, crit: ['b64'], b64: true }],
    ['b64', { ...good, b64: true }],
    ['no b64', { ...good, b64: false }],
    ['zip', { ...good, zip: 'DEF' }],
    ['cty', { ...good, cty: 'JWT' }],
    ['a nonce', { ...good, nonce: 'x' }],
    ['iss in the header', { ...good, iss: issuer }],
    ['another order', { typ: 'imp+jwt', alg: 'HS256', kid: 'default' }],
    ['blanks', JSON.stringify(good, null, 1)],
    ['a blank behind', `${JSON.stringify(good)} `],
    ['an escape', JSON.stringify(good).replace('imp', '\\u0069mp')],
    ['typ twice', JSON.stringify(good).replace('{', '{"typ":"JWT",')],
    ['alg twice', JSON.stringify(good).replace('}', ',"alg":"HS256"}')],
    ['__proto__', JSON.stringify(good).replace('}', ',"__proto__":{}}')],
    ['null', 'null'],
    ['a list', [good]],
    ['text', '"imp+jwt"'],
    ['no JSON', '{'],
  ])('refuses %s', async (_what, head) => {
    const tokens = tokensOf()
    expect(await tokens.verify(forge(good, payload))).toEqual(accepted)
    await expectInvalid(tokens, forge(head, payload))
  })

  it('refuses what is no text', async () => {
    for (const none of [undefined, null, 1, {}, [], Buffer.from(forge(good, payload)), () => '']) {
      await expectInvalid(tokensOf(), none)
    }
  })
})

describe('keys in the token', () => {
  it('are not looked at, and no connection is opened for them', async () => {
    const opened: unknown[] = []
    const count = (message: unknown) => opened.push(message)
    const server = createServer((_req, res) => res.end('{}')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    channel('net.client.socket').subscribe(count)
    try {
      const { port } = server.address() as AddressInfo
      const url = `http://127.0.0.1:${port}`
      await fetch(url)
      expect(opened.length).toBeGreaterThan(0)
      opened.length = 0
      const tokens = everyKind()
      for (const alg of pairAlgorithms) {
        const stranger = anotherKey(alg)
        const jwk = createPublicKey(stranger).export({ format: 'jwk' })
        const extras = [
          { jwk },
          { jku: `${url}/jwks` },
          { x5u: `${url}/x.pem` },
          { x5c: ['MIIB'] },
          { x5t: 'AA' },
          { 'x5t#S256': 'AA' },
        ]
        for (const extra of extras) {
          for (const key of [stranger, privateKeys[alg]]) {
            const head = { ...header(alg, alg), ...extra }
            await expectInvalid(tokens, forge(head, payload, alg, key))
          }
          await expectInvalid(tokens, forge({ ...header(), ...extra }, payload))
        }
      }
      expect(opened).toHaveLength(0)
    } finally {
      channel('net.client.socket').unsubscribe(count)
      server.closeAllConnections()
      server.close()
    }
  })
})

describe('algorithms', () => {
  it('are verified by nobody but their own key', async () => {
    const tokens = everyKind()
    for (const alg of pairAlgorithms) {
      const good = forge(header(alg, alg), payload, alg, privateKeys[alg])
      expect(await tokens.verify(good)).toEqual(accepted)
      for (const other of [...pairAlgorithms, 'HS256']) {
        if (other === alg) continue
        await expectInvalid(tokens, forge(header(alg, other), payload, alg, privateKeys[alg]))
        await expectInvalid(tokens, forge(header(other, alg), payload, alg, privateKeys[alg]))
        await expectInvalid(tokens, forge(header(other, other), payload, alg, privateKeys[alg]))
      }
    }
  })

  it('take no public key for the secret of an HMAC', async () => {
    const tokens = everyKind()
    for (const alg of pairAlgorithms) {
      const key = createPublicKey(privateKeys[alg])
      const pem = key.export({ type: 'spki', format: 'pem' }) as string
      const jwk = key.export({ format: 'jwk' })
      const der = key.export({ type: 'spki', format: 'der' })
      const texts = [pem, pem.trim(), pem.replace(/-----.*?-----|\s/g, ''), JSON.stringify(jwk)]
      const { keys } = await tokens.jwks()
      const published = keys.filter(({ kid }) => kid === alg).map((one) => JSON.stringify(one))
      for (const guess of [...texts, ...published, der, jwk.x ?? '', jwk.n ?? '', '']) {
        for (const head of [header('HS256', alg), header(alg, alg), header('HS256', 'HS256')]) {
          await expectInvalid(tokens, forge(head, payload, 'HS256', guess as string))
        }
      }
    }
  })

  it('are never none', async () => {
    const tokens = everyKind()
    for (const kid of ['HS256', ...pairAlgorithms]) {
      for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
        const input = `${encode(header(alg, kid))}.${encode(payload)}`
        for (const rest of ['.', '.AAAA', '', '..']) await expectInvalid(tokens, input + rest)
        await expectInvalid(tokens, forge(header(alg, kid), payload))
      }
      const input = `${encode(header(kid, kid))}.${encode(payload)}`
      const empty = [0, 1, 32, 64, 256].map((size) => Buffer.alloc(size).toString('base64url'))
      for (const none of empty) await expectInvalid(tokens, `${input}.${none}`)
    }
  })

  it('take an ECDSA signature, but not its twin, which is as good for others', async () => {
    const tokens = tokensOf({ keys: [keyOf('ES256', 'ES256')] })
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
    for (let n = 0; n < 40; n++) {
      const token = await tokens.sign({ ...claims, sessionId: `${n}` })
      expect(await tokens.verify(token)).toMatchObject({ sessionId: `${n}` })
      const at = token.lastIndexOf('.') + 1
      const bytes = Buffer.from(token.slice(at), 'base64url')
      const s = BigInt(`0x${bytes.toString('hex', 32)}`)
      bytes.write((order - s).toString(16).padStart(64, '0'), 32, 'hex')
      const twin = token.slice(0, at) + bytes.toString('base64url')
      const key = await importJWK((await tokens.jwks()).keys[0] ?? {})
      await expect(compactVerify(twin, key)).resolves.toBeTruthy()
      await expectInvalid(tokens, twin)
      // Once more where the token has been verified, and is remembered.
      await expectInvalid(tokens, twin)
    }
  })

  it('take no signature of RSA-PSS without its leading zero, which OpenSSL does', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const tokens = tokensOf({ keys: [{ kid: 'one', alg: 'PS256', privateKey }] })
    // One signature in 256 begins with a zero.
    for (;;) {
      const token = await tokens.sign(claims)
      const at = token.lastIndexOf('.') + 1
      const bytes = Buffer.from(token.slice(at), 'base64url')
      if (bytes[0] !== 0) continue
      const shorter = token.slice(0, at) + bytes.subarray(1).toString('base64url')
      await expectInvalid(tokens, shorter)
      expect(await tokens.verify(token)).toEqual(accepted)
      return
    }
  })

  it('take no signature that is longer or shorter, or of another coding', async () => {
    const tokens = everyKind()
    for (const alg of pairAlgorithms) {
      const token = forge(header(alg, alg), payload, alg, privateKeys[alg])
      const at = token.lastIndexOf('.') + 1
      const bytes = Buffer.from(token.slice(at), 'base64url')
      const zero = Buffer.alloc(1)
      const others = [
        Buffer.concat([zero, bytes]),
        Buffer.concat([bytes, zero]),
        bytes.subarray(1),
        bytes.subarray(0, -1),
        Buffer.concat([bytes, bytes]),
      ]
      for (const other of others) {
        await expectInvalid(tokens, token.slice(0, at) + other.toString('base64url'))
      }
    }
  })
})

describe('rotation', () => {
  it('verifies an old token while its key is kept, and not once it is taken out', async () => {
    const before = tokensOf({ keys: [keyOf('ES256', 'old')] })
    const old = await before.sign(claims)
    const publicKey = createPublicKey(privateKeys.ES256)
    const between = tokensOf({
      keys: [keyOf('EdDSA', 'new'), { kid: 'old', alg: 'ES256', publicKey }],
    })
    expect(await between.verify(old)).toEqual(accepted)
    const fresh = await between.sign(claims)
    expect(JSON.parse(Buffer.from(fresh.split('.')[0] ?? '', 'base64url').toString())).toEqual({
      alg: 'EdDSA',
      typ: 'imp+jwt',
      kid: 'new',
    })
    await expectInvalid(before, fresh)
    const after = tokensOf({ keys: [keyOf('EdDSA', 'new')] })
    expect(await after.verify(fresh)).toEqual(accepted)
    await expectInvalid(after, old)
    const renamed = tokensOf({ keys: [keyOf('EdDSA', 'new'), keyOf('ES256', 'older')] })
    await expectInvalid(renamed, old)
  })

  it('does not take one kid for another, though both keys are there', async () => {
    const another = anotherKey('ES256')
    const tokens = tokensOf({
      keys: [keyOf('ES256', 'one'), { kid: 'two', alg: 'ES256', privateKey: another }],
    })
    await tokens.verify(forge(header('ES256', 'two'), payload, 'ES256', another))
    await expectInvalid(tokens, forge(header('ES256', 'one'), payload, 'ES256', another))
  })

  it('goes from a secret to another', async () => {
    const old = await tokensOf().sign(claims)
    const keys = [
      { kid: 'new', alg: 'HS256', secret: 'another secret of 32 bytes or more' },
      { kid: 'default', alg: 'HS256', secret },
    ]
    expect(await tokensOf({ keys }).verify(old)).toEqual(accepted)
    await expectInvalid(tokensOf({ keys: keys.slice(0, 1) }), old)
  })
})
