import { exportJWK, generateKeyPair } from 'jose'
import { expect, it, vi } from 'vitest'
import { actorOf, sign } from './fixtures.ts'

const gone = () => {
  throw new Error('not installed')
}
vi.mock('jose/jwks/remote', () => gone())
vi.mock('jose/jwks/local', () => gone())

it('does not take a part of jose that is missing for a bad token', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const token = await sign(privateKey, { alg: 'ES256' })
  const byValue = { keys: [await exportJWK(publicKey)] }
  for (const jwks of ['http://127.0.0.1:1/jwks', byValue]) {
    const refused = { code: 'impersonation_unavailable' }
    await expect(actorOf({ jwks })(token)).rejects.toMatchObject(refused)
  }
})
