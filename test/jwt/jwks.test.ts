import { channel } from 'node:diagnostics_channel'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { actorOf, claims, clock, noon, sign, signHs256 } from './fixtures.ts'

type Answer = { status: number; body: string; location?: string }

/** An issuer: a key server that counts its requests, and the keys it signs with. */
let server: Server
let url: string
let asked: string[]
let published: JWK[]
let answer: () => Answer | Promise<Answer>

beforeEach(async () => {
  asked = []
  published = []
  answer = () => ({ status: 200, body: JSON.stringify({ keys: published }) })
  server = createServer(async (request, response) => {
    asked.push(request.url ?? '')
    const { status, body, location } = await answer()
    response.writeHead(status, location ? { location } : {}).end(body)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((done) => server.close(done))
})

async function newKey(kid: string, alg = 'ES256') {
  const { publicKey, privateKey } = await generateKeyPair(alg)
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }
  const token = (sub = 'ada', header: object = {}) =>
    sign(privateKey, { alg, kid, ...header }, { ...claims, exp: noon / 1000 + 86_400, sub })
  return { jwk, token }
}

const unavailable = { code: 'impersonation_unavailable', status: 503 }

describe('a key set by URL', () => {
  it('is fetched at the first token, not before, and once for all who wait', async () => {
    const one = await newKey('one')
    published = [one.jwk]
    const identify = actorOf({ jwks: url })
    expect(asked).toHaveLength(0)
    expect(await identify('garbage')).toBeNull()
    expect(asked).toHaveLength(0)
    const tokens = await Promise.all(Array.from({ length: 50 }, (_, i) => one.token(`user-${i}`)))
    const users = await Promise.all(tokens.map((token) => identify(token)))
    expect(users.map((user) => user?.id)).toEqual(tokens.map((_, i) => `user-${i}`))
    expect(asked).toEqual(['/jwks'])
    for (const token of tokens) expect(identify(token)).not.toBeInstanceOf(Promise)
  })

  it('holds keys of several kinds', async () => {
    const keys = await Promise.all(
      ['RS256', 'PS256', 'ES256', 'EdDSA'].map((alg) => newKey(alg, alg)),
    )
    published = keys.map(({ jwk }) => jwk)
    const identify = actorOf({ jwks: new URL(url) })
    for (const { token } of keys) expect(await identify(await token())).toMatchObject({ id: 'ada' })
    const rs384 = await newKey('RS384', 'RS384')
    published = [rs384.jwk]
    expect(await actorOf({ jwks: url })(await rs384.token())).toBeNull()
    const wide = actorOf({ jwks: url, algorithms: ['RS384'] })
    expect(await wide(await rs384.token())).not.toBeNull()
  })

  it('knows a new key at once, after the cooldown of 30 s', async () => {
    const time = clock()
    const [one, two] = [await newKey('one'), await newKey('two')]
    published = [one.jwk]
    const identify = actorOf({ jwks: url, now: time.now })
    expect(await identify(await one.token())).not.toBeNull()
    published = [one.jwk, two.jwk]
    const token = await two.token()
    time.at = noon + 29_999
    expect(await identify(token)).toBeNull()
    expect(asked).toHaveLength(1)
    time.at = noon + 30_000
    const users = await Promise.all(Array.from({ length: 20 }, () => identify(token)))
    expect(users.every((user) => user?.id === 'ada')).toBe(true)
    expect(await identify(await one.token())).not.toBeNull()
    expect(asked).toHaveLength(2)
  })

  it('is not fetched for each foreign kid', async () => {
    const time = clock()
    const one = await newKey('one')
    published = [one.jwk]
    const identify = actorOf({ jwks: url, now: time.now })
    await identify(await one.token())
    for (let i = 0; i < 20; i++) {
      time.at += 2000
      expect(await identify(await one.token('ada', { kid: `foreign-${i}` }))).toBeNull()
    }
    expect(asked).toHaveLength(2)
  })

  it('forgets a withdrawn key within jwksMaxAgeMs, for tokens seen before too', async () => {
    for (const [jwksMaxAgeMs, options] of [
      [300_000, {}],
      [5_000, { jwksMaxAgeMs: 5_000 }],
    ] as const) {
      const time = clock()
      const [one, two] = [await newKey('one'), await newKey('two')]
      published = [one.jwk]
      const identify = actorOf({ jwks: url, now: time.now, ...options })
      time.at = noon
      await identify(await one.token())
      published = [two.jwk]
      time.at = noon + jwksMaxAgeMs - 1
      const seenLate = await one.token('late')
      expect(await identify(seenLate)).not.toBeNull()
      expect(identify(seenLate)).not.toBeInstanceOf(Promise)
      time.at = noon + jwksMaxAgeMs
      expect(await identify(seenLate)).toBeNull()
      expect(await identify(await one.token())).toBeNull()
      expect(await identify(await two.token())).not.toBeNull()
    }
  })

  it('counts the age of the keys from when they were asked for, whoever joined later', async () => {
    const time = clock()
    const one = await newKey('one')
    published = [one.jwk]
    const { promise, resolve } = Promise.withResolvers<Answer>()
    const arrived = Promise.withResolvers<void>()
    const works = answer
    answer = () => {
      arrived.resolve()
      return promise
    }
    const identify = actorOf({ jwks: url, now: time.now })
    const first = identify(await one.token('first'))
    await arrived.promise
    time.at = noon + 4_000
    const token = await one.token('second')
    const second = identify(token)
    // Lets the second get as far as waiting for the first one's request.
    await new Promise(setImmediate)
    resolve(await works())
    answer = works
    expect([await first, await second]).toMatchObject([{ id: 'first' }, { id: 'second' }])
    time.at = noon + 299_999
    expect(identify(token)).not.toBeInstanceOf(Promise)
    time.at = noon + 300_000
    expect(identify(token)).toBeInstanceOf(Promise)
    await identify(token)
    expect(asked).toHaveLength(2)
  })

  it('forgets it at once when the keys were fetched for another reason', async () => {
    const time = clock()
    const [one, two] = [await newKey('one'), await newKey('two')]
    published = [one.jwk]
    const identify = actorOf({ jwks: url, now: time.now })
    const token = await one.token()
    await identify(token)
    published = [two.jwk]
    time.at = noon + 30_000
    expect(identify(token)).not.toBeInstanceOf(Promise)
    expect(await identify(await two.token())).not.toBeNull()
    expect(await identify(token)).toBeNull()
  })

  it('is fetched again where the clock went back', async () => {
    const time = clock()
    const one = await newKey('one')
    published = [one.jwk]
    const identify = actorOf({ jwks: url, now: time.now })
    await identify(await one.token())
    published = []
    time.at = noon - 1
    expect(await identify(await one.token('other'))).toBeNull()
  })

  it('takes no secret from the set', async () => {
    const k = Buffer.from('a secret that everybody can read now').toString('base64url')
    published = [{ kty: 'oct', k, kid: 'one', alg: 'HS256' }]
    const forged = signHs256(
      claims,
      { alg: 'HS256', kid: 'one' },
      'a secret that everybody can read now',
    )
    expect(await actorOf({ jwks: url })(forged)).toBeNull()
    expect(asked).toHaveLength(0)
  })
})

describe('keys that can not be had', () => {
  const faults: Record<string, () => Answer | Promise<Answer>> = {
    'a 500': () => ({ status: 500, body: '' }),
    'a 404': () => ({ status: 404, body: '{"keys":[]}' }),
    'a redirect': () => ({ status: 302, body: '', location: '/elsewhere' }),
    'no JSON': () => ({ status: 200, body: '<html>' }),
    'no key set': () => ({ status: 200, body: '{"keys":"none"}' }),
    'a cut connection': () => {
      server.closeAllConnections()
      return { status: 200, body: '' }
    },
  }
  for (const [name, fault] of Object.entries(faults)) {
    it(`refuse the request after ${name}, and let it pass once they are back`, async () => {
      const time = clock()
      const one = await newKey('one')
      published = [one.jwk]
      const works = answer
      answer = fault
      const identify = actorOf({ jwks: url, now: time.now })
      const token = await one.token()
      await expect(identify(token)).rejects.toMatchObject(unavailable)
      await expect(identify(token)).rejects.toHaveProperty('cause')
      expect(asked).toEqual(['/jwks'])
      answer = works
      time.at += 999
      await expect(identify(token)).rejects.toMatchObject(unavailable)
      time.at += 1
      expect(await identify(token)).toMatchObject({ id: 'ada' })
    })
  }

  it('refuse nobody whose token is no login in any case', async () => {
    answer = () => ({ status: 500, body: '' })
    const identify = actorOf({ jwks: url })
    const one = await newKey('one')
    expect(await identify('')).toBeNull()
    expect(await identify(await one.token('ada', { typ: 'imp+jwt' }))).toBeNull()
    expect(await identify(signHs256(claims))).toBeNull()
    expect(asked).toHaveLength(0)
  })

  it('go on working up to their age, also while strangers show foreign kids', async () => {
    const time = clock()
    const one = await newKey('one')
    published = [one.jwk]
    const identify = actorOf({ jwks: url, now: time.now })
    const token = await one.token()
    await identify(token)
    answer = () => ({ status: 500, body: '' })
    time.at = noon + 60_000
    const foreign = await one.token('ada', { kid: 'foreign' })
    await expect(identify(foreign)).rejects.toMatchObject(unavailable)
    expect(identify(token)).toMatchObject({ id: 'ada' })
    expect(await identify(await one.token('bob'))).toMatchObject({ id: 'bob' })
    time.at = noon + 300_000
    await expect(identify(token)).rejects.toMatchObject(unavailable)
    expect(asked).toHaveLength(3)
  })
})

it('opens no connection for what a token says of its own keys', async () => {
  const opened: unknown[] = []
  const count = (message: unknown) => opened.push(message)
  channel('net.client.socket').subscribe(count)
  try {
    const own = await newKey('own')
    published = [own.jwk]
    await fetch(url)
    expect(opened.length).toBeGreaterThan(0)
    opened.length = 0
    asked.length = 0

    const stranger = await newKey('stranger')
    const elsewhere = {
      jku: `${url}/evil`,
      x5u: `${url}/evil.pem`,
      jwk: stranger.jwk,
      x5c: [Buffer.from('a certificate').toString('base64')],
    }
    const identifiers = [
      actorOf(),
      actorOf({ key: own.jwk }),
      actorOf({ jwks: { keys: [own.jwk] } }),
    ]
    for (const identify of identifiers) {
      for (const header of [elsewhere, { ...elsewhere, kid: 'own' }]) {
        expect(await identify(await stranger.token('ada', header))).toBeNull()
      }
      expect(
        await identify(signHs256(claims, { alg: 'HS256', ...elsewhere }, 'another')),
      ).toBeNull()
    }
    expect(opened).toHaveLength(0)

    const remote = actorOf({ jwks: url })
    expect(await remote(await stranger.token('ada', { ...elsewhere, kid: 'own' }))).toBeNull()
    expect(await remote(await own.token('ada', elsewhere))).toMatchObject({ id: 'ada' })
    expect(asked).toEqual(['/jwks'])
  } finally {
    channel('net.client.socket').unsubscribe(count)
  }
})

describe('a key set by value', () => {
  it('picks by kid, and refuses a foreign one', async () => {
    const [one, two, three] = [await newKey('one'), await newKey('two'), await newKey('three')]
    const identify = actorOf({ jwks: { keys: [one.jwk, two.jwk] } })
    expect(await identify(await one.token())).not.toBeNull()
    expect(await identify(await two.token())).not.toBeNull()
    expect(await identify(await one.token('ada', { kid: 'two' }))).toBeNull()
    expect(await identify(await three.token())).toBeNull()
    for (const kid of [undefined, null, 1, ['one']]) {
      expect(await identify(await one.token('ada', { kid }))).toBeNull()
    }
  })

  it('is copied', async () => {
    const [one, two] = [await newKey('one'), await newKey('two')]
    const jwks = { keys: [one.jwk] }
    const identify = actorOf({ jwks })
    jwks.keys[0] = two.jwk
    expect(await identify(await two.token())).toBeNull()
    expect(await identify(await one.token())).not.toBeNull()
  })

  it('leaves keys aside that are of no use here', async () => {
    const [one, two] = [await newKey('one'), await newKey('two')]
    const keys = [one.jwk, { ...two.jwk, use: 'enc' }, { kty: 'OKP', crv: 'X25519', x: 'AA' }]
    const identify = actorOf({ jwks: { keys } })
    expect(await identify(await one.token())).not.toBeNull()
    expect(await identify(await two.token())).toBeNull()
  })
})
