import { expect, it, vi } from 'vitest'
import { claims, expectInvalid, forge, header, payload, tokensOf } from './fixtures.ts'

const gone = vi.hoisted(() => ({ isGone: true }))
const part = async (original: () => Promise<unknown>) => {
  if (gone.isGone) throw new Error('not installed')
  return original()
}
vi.mock('jose/jws/compact/verify', (original) => part(original))

it('does not take a part of jose that is missing for a bad token or a bad key', async () => {
  const tokens = tokensOf()
  const unavailable = { code: 'impersonation_unavailable', status: 503 }
  const token = forge(header(), payload)
  await expect(tokens.verify(token)).rejects.toMatchObject(unavailable)
  await expect(tokens.sign(claims)).rejects.toMatchObject(unavailable)
  await expect(tokens.ready()).rejects.toMatchObject(unavailable)
  await expectInvalid(tokens, 'no token')
  gone.isGone = false
  vi.resetModules()
  expect(await tokens.verify(token)).toMatchObject({ actorId: 'root' })
})
