import { describe, expect, it } from 'vitest'
import { createImpersonation, type ImpersonationOptions, memoryStore } from '../../src/index.ts'
import { adapterOf, requestOf } from '../support/core-world.ts'

interface User {
  readonly id: string
}

async function world(options: Partial<ImpersonationOptions<User>> = {}) {
  const engine = createImpersonation<User>({
    store: memoryStore(),
    findUser: (id) => ({ id }),
    can: ({ id }) => id === 'root',
    apiTokens: { prefix: 'pv_live_', scopes: ['read', 'upload'] },
    ...options,
  })
  const caller = engine.caller({ id: 'root' })
  const ask = { userId: 'alice', name: 'a script', scopes: ['read'] }
  const { secret } = await engine.tokens.issue(caller, ask)
  const adapter = adapterOf(engine as never)
  const withToken = requestOf({ headers: { authorization: `Bearer ${secret}` } })
  const { apiToken } = (await adapter.enter(withToken, null)) as never as {
    apiToken: NonNullable<ReturnType<typeof engine.apiToken>>
  }
  await engine.sessions.start(caller, { targetUserId: 'bob', reason: 'r', accessLevel: 'full' })
  const { context } = await adapter.enter(requestOf(), { id: 'root' } as never)
  const impersonation = context as never as NonNullable<ReturnType<typeof engine.current>>
  const both = () => [engine.apiToken()?.owner.id ?? null, engine.current()?.target.id ?? null]
  return { engine, adapter, apiToken, impersonation, both }
}

describe('inside a request with an API token', () => {
  it('apiToken tells of it, and nobody is impersonated', async () => {
    const { engine, apiToken } = await world()
    engine.run(apiToken, () => {
      expect(engine.apiToken()).toBe(apiToken)
      expect(engine.tryApiToken()).toBe(apiToken)
      expect([engine.current(), engine.tryCurrent()]).toEqual([null, null])
      expect(engine.isImpersonating()).toBe(false)
      expect(engine.auditFields()).toEqual({})
      expect(engine.snapshot()).toEqual({ version: 1, sessionId: null })
      engine.guard('payment')
      engine.requireLevel('full')
    })
  })

  it('it is frozen and tells no secret', async () => {
    const { apiToken } = await world()
    expect([apiToken, apiToken.scopes].map(Object.isFrozen)).toEqual([true, true])
    expect(Object.keys(apiToken).sort()).toEqual(
      ['expiresAt', 'id', 'issuedBy', 'name', 'owner', 'scopes'].sort(),
    )
  })
})

describe.each(['always', 'impersonating'] as const)('with context `%s`', (context) => {
  it('a context inside another is the inner one alone, and then the outer one again', async () => {
    const { engine, apiToken, impersonation, both } = await world({ context })
    const contexts = [
      [apiToken, ['alice', null]],
      [impersonation, [null, 'bob']],
      [null, [null, null]],
    ] as const
    for (const [outer, asOuter] of contexts)
      for (const [inner, asInner] of contexts)
        engine.run(outer, () => {
          expect(both()).toEqual(asOuter)
          expect(engine.run(inner, both)).toEqual(asInner)
          expect(both()).toEqual(asOuter)
        })
  })

  it('what is bound keeps the token, whoever calls it', async () => {
    const { engine, apiToken, impersonation, both } = await world({ context })
    const bound = engine.run(apiToken, () => engine.bind(both))
    expect(bound()).toEqual(['alice', null])
    expect(engine.run(impersonation, bound)).toEqual(['alice', null])
    expect(await engine.run(null, async () => bound())).toEqual(['alice', null])
    const nobody = engine.run(null, () => engine.bind(both))
    expect(engine.run(apiToken, nobody)).toEqual([null, null])
  })

  it('an adapter runs a request of nobody’s within one with a token, and keeps them apart', async () => {
    const { engine, adapter, apiToken, both } = await world({ context })
    engine.run(apiToken, () => {
      expect(adapter.run(null, both)).toEqual([null, null])
      expect(both()).toEqual(['alice', null])
    })
  })

  it('is lost with the request', async () => {
    const { engine, apiToken } = await world({ context })
    await engine.run(apiToken, async () => {
      await new Promise(setImmediate)
      expect(engine.apiToken()).toBe(apiToken)
    })
    if (context === 'impersonating') expect(engine.apiToken()).toBe(null)
    else {
      expect(() => engine.apiToken()).toThrow(/not known here/)
      expect(engine.tryApiToken()).toBe(undefined)
    }
  })
})
