import { execFileSync } from 'node:child_process'
import { createPrivateKey, createSecretKey, generateKeyPairSync } from 'node:crypto'
import { exportJWK, exportPKCS8, exportSPKI, generateKeyPair, generateSecret } from 'jose'
import { expect, it } from 'vitest'
import { allowPlainHttp } from '../../src/jwt/index.ts'
import { actorOf, bearer, claims, secret, signHs256 } from './fixtures.ts'

const refuses = (name: string, options: object) =>
  expect(() => actorOf(options), JSON.stringify(options)).toThrow(
    expect.objectContaining({ name: 'TypeError', message: expect.stringContaining(`"${name}"`) }),
  )

it('names the option that is wrong', () => {
  for (const name of ['issuer', 'audience']) {
    for (const wrong of [undefined, null, '', [], [''], 1, {}, ['x', 1], () => 'x']) {
      refuses(name, { [name]: wrong })
    }
  }
  for (const wrong of [null, '', [], [''], 1, ['imp+jwt'], 'IMP+jwt', 'application/imp+jwt']) {
    refuses('typ', { typ: wrong })
  }
  for (const wrong of [null, '', [''], 1, [1], {}])
    refuses('requiredClaims', { requiredClaims: wrong })
  for (const name of ['clockToleranceMs', 'cacheMax']) {
    for (const wrong of [null, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '1', {}]) {
      refuses(name, { [name]: wrong })
    }
  }
  for (const name of ['claims', 'getToken', 'now']) {
    for (const wrong of [null, 'x', 1, {}]) refuses(name, { [name]: wrong })
  }
  for (const wrong of [
    [],
    ['none'],
    ['RS256'],
    ['HS256', 'RS256'],
    'HS256',
    [undefined],
    {},
    null,
  ]) {
    refuses('algorithms', { algorithms: wrong })
  }
  refuses('clockTolerance', { clockTolerance: 5 })
  refuses('toString', { toString: () => 'x' })
})

it('wants exactly one source of keys', async () => {
  const key = await exportJWK((await generateKeyPair('ES256')).publicKey)
  const both = { secret, key }
  refuses('secret', { secret: undefined })
  refuses('key', both)
  refuses('jwks', { ...both, jwks: { keys: [key] } })
})

it('wants a secret that is long enough and none that everybody knows', async () => {
  const pem = await exportSPKI((await generateKeyPair('ES256', { extractable: true })).publicKey)
  for (const wrong of ['', 'x'.repeat(31), new Uint8Array(31), 1, {}, [], pem, `\n${pem}`]) {
    refuses('secret', { secret: wrong })
  }
  refuses('secret', { secret: Buffer.from(pem) })
  refuses('secret', { secret: 'x'.repeat(63), algorithms: ['HS256', 'HS512'] })
  expect(() => actorOf({ secret: 'x'.repeat(32) })).not.toThrow()
  expect(() => actorOf({ secret: 'é'.repeat(16) })).not.toThrow()
})

it('wants a public key for signatures, of a safe size', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = await exportJWK(publicKey)
  const privatePem = await exportPKCS8(privateKey)
  const encryption = await generateKeyPair('RSA-OAEP-256')
  for (const wrong of [
    '',
    'x',
    1,
    {},
    null,
    privateKey,
    privatePem,
    createPrivateKey(privatePem),
    createSecretKey(Buffer.from(secret)),
    await generateSecret('HS256'),
    await exportJWK(privateKey),
    { kty: 'oct', k: 'AAAA' },
    { ...jwk, use: 'enc' },
    { ...jwk, alg: 'RS256' },
    { ...jwk, x: 'AAAA' },
    { kty: 'EC' },
    '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----',
    encryption.publicKey,
    generateKeyPairSync('x25519').publicKey,
    generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey,
    generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey,
  ]) {
    refuses('key', { key: wrong })
  }
  refuses('algorithms', { key: publicKey, algorithms: ['RS256'] })
  refuses('algorithms', { key: publicKey, algorithms: ['ES256', 'HS256'] })
})

it('wants a key set of public keys, or an https URL', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const [jwk, priv] = [await exportJWK(publicKey), await exportJWK(privateKey)]
  for (const wrong of [
    { keys: [] },
    { keys: {} },
    {},
    1,
    [],
    { keys: [priv] },
    { keys: [jwk, { kty: 'oct', k: 'AAAA' }] },
    { keys: [null] },
    '',
    'jwks.json',
    'file:///jwks.json',
    'data:application/json,{"keys":[]}',
    'http://login.example.com/jwks',
    'http://127.0.0.1.example.com/jwks',
    'https://ada:secret@login.example.com/jwks',
  ]) {
    refuses('jwks', { jwks: wrong })
  }
  for (const jwks of [
    'https://login.example.com/jwks',
    new URL('https://login.example.com/jwks'),
    'http://localhost:1/jwks',
    'http://127.0.0.1:1/jwks',
    'http://[::1]:1/jwks',
    { keys: [jwk] },
  ]) {
    expect(() => actorOf({ jwks })).not.toThrow()
  }
  const plain = { jwks: 'http://keys.internal/jwks' }
  expect(() => actorOf({ ...plain, [allowPlainHttp]: true })).not.toThrow()
  refuses('jwks', { ...plain, [allowPlainHttp]: 1 })
  refuses('algorithms', { jwks: { keys: [jwk] }, algorithms: ['HS256'] })
  for (const wrong of [0, -1, 0.5, '1', Number.POSITIVE_INFINITY]) {
    refuses('jwksMaxAgeMs', { jwks: 'https://login.example.com/jwks', jwksMaxAgeMs: wrong })
  }
  refuses('jwksMaxAgeMs', { jwksMaxAgeMs: 1000 })
})

it('puts no secret into its errors', async () => {
  const short = 'hunter2'
  for (const options of [{ secret: short }, { key: short }, { jwks: short }]) {
    try {
      actorOf(options)
      expect.fail('accepted')
    } catch (error) {
      expect(String(error)).not.toContain(short)
    }
  }
})

it('takes the options as they were: later changes do nothing', async () => {
  const issuers = ['https://login.example.com']
  const options = { issuer: issuers, requiredClaims: ['sub'] }
  const identify = actorOf(options)
  issuers[0] = 'https://evil.example.com'
  options.requiredClaims.push('jti')
  const token = signHs256(claims)
  expect(await identify(token)).toMatchObject({ id: 'ada' })
  expect(await identify(signHs256({ ...claims, iss: issuers[0] }))).toBeNull()
})

it('loads jose at the first token, and then only the parts it needs', () => {
  const script = `
    import { registerHooks } from 'node:module'
    const loaded = []
    registerHooks({ load: (url, context, next) => {
      if (url.includes('/jose/')) loaded.push(url.slice(url.indexOf('/webapi/') + 8))
      return next(url, context)
    } })
    const { jwtActor } = await import('./src/jwt/index.ts')
    const getActor = jwtActor(${JSON.stringify({ secret, issuer: 'x', audience: 'x' })})
    await getActor({ headers: {} })
    const before = loaded.length
    await getActor(${JSON.stringify(bearer(signHs256(claims)))})
    console.log(JSON.stringify({ before, loaded }))
  `
  const args = ['--experimental-strip-types', '--no-warnings', '--input-type=module', '-e', script]
  const cwd = new URL('../..', import.meta.url)
  const output = execFileSync(process.execPath, args, { cwd, encoding: 'utf8' })
  const { before, loaded } = JSON.parse(output)
  expect(before).toBe(0)
  expect(loaded).toContain('jwt/verify.js')
  expect(loaded.filter((url: string) => /index|jwe\/|jwks|encrypt/.test(url))).toEqual([])
})
