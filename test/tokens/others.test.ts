import { createHmac, generateKeyPairSync } from 'node:crypto'
import { compactVerify, importJWK, jwtVerify } from 'jose'
import { describe, expect, it } from 'vitest'
import { jwtActor } from '../../src/jwt/index.ts'
import {
  audience,
  claims,
  expectInvalid,
  forge,
  header,
  issuer,
  keyOf,
  noon,
  pairAlgorithms,
  payload,
  secret,
  tokensOf,
} from './fixtures.ts'

describe('tokens of the host, under the same key', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const tokens = tokensOf({ keys: [{ kid: 'one', alg: 'ES256', privateKey }] })
  const actors = {
    key: jwtActor({ key: publicKey, issuer, audience, now: () => noon }),
    secret: jwtActor({ secret, issuer, audience, now: () => noon }),
  }
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

  it('are refused here, and ours there, for their typ alone', async () => {
    const ours = { key: await tokens.sign(claims), secret: await tokensOf().sign(claims) }
    for (const typ of ['JWT', 'at+jwt', undefined]) {
      const theirs = {
        key: forge({ alg: 'ES256', typ, kid: 'one' }, payload, 'ES256', privateKey),
        secret: forge({ alg: 'HS256', typ, kid: 'default' }, payload),
      }
      expect(await actors.key(bearer(theirs.key))).toMatchObject({ id: 'alice' })
      expect(await actors.secret(bearer(theirs.secret))).toMatchObject({ id: 'alice' })
      await expectInvalid(tokens, theirs.key)
      await expectInvalid(tokensOf(), theirs.secret)
    }
    expect(await actors.key(bearer(ours.key))).toBeNull()
    expect(await actors.secret(bearer(ours.secret))).toBeNull()
  })

  it('are told apart by plain jose too, where typ is asked for', async () => {
    const token = await tokens.sign(claims)
    const options = { issuer, audience, currentDate: new Date(noon) }
    await expect(jwtVerify(token, publicKey, { ...options, typ: 'JWT' })).rejects.toMatchObject({
      code: 'ERR_JWT_CLAIM_VALIDATION_FAILED',
      claim: 'typ',
    })
    const { payload: read } = await jwtVerify(token, publicKey, { ...options, typ: 'imp+jwt' })
    expect(read).toEqual(payload)
  })
})

it('signs so that others verify by the published keys', async () => {
  for (const alg of pairAlgorithms) {
    const tokens = tokensOf({ keys: [keyOf(alg)] })
    const { keys } = await tokens.jwks()
    const key = await importJWK(keys[0] ?? {})
    const { protectedHeader } = await jwtVerify(await tokens.sign(claims), key, {
      issuer,
      audience,
      typ: 'imp+jwt',
      algorithms: [alg],
      currentDate: new Date(noon),
    })
    expect(protectedHeader).toEqual(header(alg, 'one'))
  }
  const [head, body, mac] = (await tokensOf().sign(claims)).split('.')
  expect(mac).toBe(createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url'))
})

it('refuses the tokens of RFC 7515, appendices A.1 and A.3, under their own keys', async () => {
  const body =
    'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
  const hs = `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${body}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`
  const es = `eyJhbGciOiJFUzI1NiJ9.${body}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`
  const k = Buffer.from(
    'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
    'base64url',
  )
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  }
  await compactVerify(hs, k)
  await compactVerify(es, await importJWK(jwk, 'ES256'))
  const tokens = tokensOf({
    keys: [
      { kid: 'default', alg: 'HS256', secret: k },
      { kid: 'one', alg: 'ES256', publicKey: jwk },
    ],
  })
  await tokens.ready()
  await expectInvalid(tokens, hs)
  await expectInvalid(tokens, es)
})
