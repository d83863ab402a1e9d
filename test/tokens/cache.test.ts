import { createHash } from 'node:crypto'
import { expect, it, vi } from 'vitest'
import { claims, clock, expectInvalid, forge, header, noon, payload, tokensOf } from './fixtures.ts'

/** How many signatures are checked while it runs. */
async function checked(work: () => Promise<unknown>): Promise<number> {
  const spy = vi.spyOn(crypto.subtle, 'verify')
  try {
    await work()
    return spy.mock.calls.length
  } finally {
    spy.mockRestore()
  }
}

it('checks a signature once, and hands out the same frozen claims', async () => {
  const tokens = tokensOf()
  const token = await tokens.sign(claims)
  expect(await checked(() => tokens.verify(token))).toBe(1)
  expect(await checked(() => tokens.verify(token))).toBe(0)
  const known = await tokens.verify(token)
  expect(Object.isFrozen(known)).toBe(true)
  expect(await tokens.verify(token)).toBe(known)
})

it('remembers what was verified only: neither refusals nor what has ended', async () => {
  const time = clock()
  const tokens = tokensOf({}, time.now)
  const token = await tokens.sign(claims)
  const forged = forge(header(), payload, 'HS256', 'another secret of 32 bytes or more')
  expect(await checked(() => expectInvalid(tokens, forged))).toBe(1)
  expect(await checked(() => expectInvalid(tokens, forged))).toBe(1)
  time.at = noon + 60_000
  expect(await checked(() => expectInvalid(tokens, token))).toBe(1)
  expect(await checked(() => expectInvalid(tokens, token))).toBe(1)
})

it('takes no other spelling of a remembered token', async () => {
  const tokens = tokensOf()
  const token = await tokens.sign(claims)
  await tokens.verify(token)
  const others = [`${token}\n`, ` ${token}`, `${token}=`, `${token}.`, token.toUpperCase(), [token]]
  for (const other of others) await expectInvalid(tokens, other)
})

it('remembers nothing for another engine', async () => {
  const token = await tokensOf().sign(claims)
  await tokensOf().verify(token)
  await expectInvalid(tokensOf({ secret: 'another secret of 32 bytes or more' }), token)
  await expectInvalid(tokensOf({ issuer: 'https://other.example.com' }), token)
  await expectInvalid(tokensOf({ audience: 'urn:example:other' }), token)
})

it('remembers a thousand, and the one used last the longest', async () => {
  const tokens = tokensOf()
  const token = (n: number) => forge(header(), { ...payload, jti: `session-${n}` })
  for (let n = 0; n < 1000; n++) await tokens.verify(token(n))
  expect(await checked(() => tokens.verify(token(0)))).toBe(0)
  expect(await checked(() => tokens.verify(token(1000)))).toBe(1)
  expect(await checked(() => tokens.verify(token(0)))).toBe(0)
  expect(await checked(() => tokens.verify(token(1)))).toBe(1)
})

it('holds no token in memory, but its digest', async () => {
  const { LRUCache } = await import('lru-cache')
  const set = vi.spyOn(LRUCache.prototype, 'set')
  const tokens = tokensOf()
  const token = await tokens.sign(claims)
  await tokens.verify(token)
  const names = set.mock.calls.map(([name]) => name)
  set.mockRestore()
  expect(names).toEqual([createHash('sha256').update(token).digest('base64')])
})
