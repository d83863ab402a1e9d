import { afterEach, describe, expect, it, vi } from 'vitest'
import { hashOf } from '../../src/api-tokens/format.ts'
import { memoryStore, type Store } from '../../src/index.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { apiTokens, bus, gate, madeUp, tokenedWorld } from '../support/api-tokens.ts'
import { hour, second } from '../support/core-world.ts'

const invalid = '401 token_invalid'

afterEach(() => void vi.restoreAllMocks())

/** A store whose `findToken` waits before or after it has read, when told to. */
function slowed(inner: Store = memoryStore()) {
  const { tokens } = inner
  if (!tokens) throw new Error('there is no such section')
  const hold = { before: gate(), after: gate(), how: 'open' as 'open' | 'before' | 'after' }
  const store: Store = {
    ...inner,
    tokens: {
      ...tokens,
      async findToken(hash) {
        const { how } = hold
        if (how === 'before') await hold.before.pass()
        const found = await tokens.findToken(hash)
        if (how === 'after') await hold.after.pass()
        return found
      },
    },
  }
  return { store, hold }
}

describe('a token that is taken back', () => {
  it('is good for nothing with the next request of the same process', async () => {
    const { issue, revoke, line } = tokenedWorld()
    const { token, secret } = await issue()
    expect(await line(secret)).toBe('alice')
    await revoke(token.id)
    expect(await line(secret)).toBe(invalid)
  })

  it.each(['before', 'after'] as const)(
    'runs no request that was being looked up, held up %s the row was read',
    async (how) => {
      const { store, hold } = slowed()
      const { issue, revoke, line } = tokenedWorld({}, store)
      const { token, secret } = await issue()
      hold.how = how
      const asked = line(secret)
      await hold[how].waiting
      hold.how = 'open'
      await revoke(token.id)
      hold[how].open()
      expect(await asked).toBe(invalid)
      expect(await line(secret)).toBe(invalid)
    },
  )

  it('by its owner is taken back as well', async () => {
    const { engine, caller, issue, line } = tokenedWorld()
    const { token, secret } = await issue()
    expect(await line(secret)).toBe('alice')
    await engine.tokens.revokeMine(caller('alice'), token.id)
    expect(await line(secret)).toBe(invalid)
  })

  it('is good for nothing on another process after the lag, by either clock', async () => {
    const { another, clock, issue, revoke, line } = tokenedWorld()
    const other = another()
    for (const [wall, steady] of [
      [2 * second, 0],
      [0, 2 * second],
      [-hour, 0],
    ] as const) {
      const { token, secret } = await issue()
      expect(await line(secret, other)).toBe('alice')
      await revoke(token.id)
      clock.tick(2 * second - 1)
      expect(await line(secret, other)).toBe('alice')
      clock.wall += wall
      clock.steady += steady
      expect(await line(secret, other)).toBe(invalid)
      clock.tick(hour)
      expect(await line(secret, other)).toBe(invalid)
    }
  })

  it('is good for nothing on another process as soon as the host wants it read again', async () => {
    const { another, clock, issue, revoke, line } = tokenedWorld({ cache: { ttlMs: 500 } })
    const other = another()
    const { token, secret } = await issue()
    expect(await line(secret, other)).toBe('alice')
    await revoke(token.id)
    clock.tick(499)
    expect(await line(secret, other)).toBe('alice')
    clock.tick(1)
    expect(await line(secret, other)).toBe(invalid)
  })

  it('is good for nothing on another process at once, where the store tells of it', async () => {
    const { store, tell } = bus()
    const { another, engine, issue, revoke, line } = tokenedWorld({}, store)
    const other = another()
    const { token, secret } = await issue()
    expect(await line(secret, other)).toBe('alice')
    await revoke(token.id)
    tell('alice')
    expect(await line(secret, other)).toBe(invalid)
    for (const each of [engine, other]) await each.close()
  })

  it('stays so, whatever becomes of the watch', async () => {
    const { store, healthy } = bus()
    const { another, clock, engine, issue, revoke, line } = tokenedWorld({}, store)
    const other = another()
    const { token, secret } = await issue()
    expect(await line(secret, other)).toBe('alice')
    healthy(false)
    // Nobody is told of it.
    await revoke(token.id)
    expect(await line(secret, other)).toBe('alice')
    healthy(true)
    expect(await line(secret, other)).toBe(invalid)
    for (const up of [false, true, true, false, true]) {
      healthy(up)
      expect(await line(secret, other)).toBe(invalid)
      clock.tick(second)
      expect(await line(secret, other)).toBe(invalid)
    }
    for (const each of [engine, other]) await each.close()
  })

  it('is not served by what was read before the store fell silent during the lookup', async () => {
    const { store, healthy } = bus()
    let look = async () => {}
    const world = tokenedWorld(
      {
        async findUser(id) {
          await look()
          return world.users.get(id)
        },
      },
      store,
    )
    const { another, clock, engine, issue, revoke, line } = world
    const other = another()
    const { token, secret } = await issue()
    expect(await line(secret, other)).toBe('alice')
    clock.tick(10 * second)
    look = async () => {
      look = async () => {}
      healthy(false)
      await revoke(token.id)
    }
    expect(await line(secret, other)).toBe(invalid)
    for (const each of [engine, other]) await each.close()
  })
})

describe('the store', () => {
  it('is asked once for 10,000 first requests at once', async () => {
    const store = faultyStore(memoryStore())
    const { issue, line, another } = tokenedWorld({}, store)
    const other = another()
    const { secret } = await issue()
    store.plan({})
    const lines = await Promise.all(Array.from({ length: 10_000 }, () => line(secret, other)))
    expect(new Set(lines)).toEqual(new Set(['alice']))
    expect(store.calls.findToken).toBe(1)
  })

  it('is asked every 30 seconds with a healthy watch, and after the lag without', async () => {
    const store = faultyStore(memoryStore())
    const { store: told, healthy } = bus(store)
    const { clock, engine, issue, line } = tokenedWorld({}, told)
    const { secret } = await issue()
    const readsOf = async (seconds: number) => {
      store.plan({})
      for (let at = 0; at < seconds; at++) {
        expect(await line(secret)).toBe('alice')
        clock.tick(second)
      }
      return store.calls.findToken
    }
    expect(await readsOf(60)).toBe(2)
    healthy(false)
    expect(await readsOf(60)).toBe(30)
    await engine.close()
  })

  it('is not asked for what has not the form of a token', async () => {
    const store = faultyStore(memoryStore())
    const { issue, line } = tokenedWorld({}, store)
    const { secret } = await issue()
    expect(await line(secret)).toBe('alice')
    store.plan({})
    for (const other of [
      `${secret.slice(0, -1)}${secret.endsWith('0') ? '1' : '0'}`,
      secret.slice(0, -1),
      `${secret}0`,
      'pv_test_',
      `pv_test_${'0'.repeat(49)}`,
    ])
      expect(await line(other)).toBe(invalid)
    expect(Object.values(store.calls).reduce((sum, each) => sum + each, 0)).toBe(0)
  })

  it('is asked for every made-up token, and those push out nobody', async () => {
    const store = faultyStore(memoryStore())
    const { issue, line } = tokenedWorld({ cache: { max: 10 } }, store)
    const { secret } = await issue()
    expect(await line(secret)).toBe('alice')
    store.plan({})
    const unknown = Array.from({ length: 1000 }, madeUp)
    for (const one of unknown) expect(await line(one)).toBe(invalid)
    expect(store.calls.findToken).toBe(1000)
    store.plan({ findToken: 'before' })
    expect(await line(secret)).toBe('alice')
    expect(store.calls.findToken).toBe(0)
  })

  it('is asked by the hash, and never told a token', async () => {
    const inner = memoryStore()
    const told: unknown[] = []
    const store = Object.fromEntries(
      Object.entries(inner).map(([name, verb]) => [name, heard(verb)]),
    ) as never as Store
    function heard(verb: unknown): unknown {
      if (typeof verb === 'object' && verb !== null)
        return Object.fromEntries(Object.entries(verb).map(([name, one]) => [name, heard(one)]))
      if (typeof verb !== 'function') return verb
      return (...args: unknown[]) => {
        told.push(args)
        return (verb as (...given: unknown[]) => unknown)(...args)
      }
    }
    const { engine, caller, issue, revoke, line } = tokenedWorld({}, store)
    const { token, secret } = await issue()
    await line(secret)
    const next = await engine.tokens.rotate(caller('root'), token.id)
    await line(next.secret)
    await revoke(token.id)
    await line(secret)
    await engine.close()
    const all = JSON.stringify(told)
    for (const one of [secret, next.secret]) {
      expect(all).toContain(hashOf(one))
      expect(all).not.toContain(one)
      expect(all).not.toContain(one.slice('pv_test_'.length + 4))
    }
  })
})

it('a scope that the options no longer name is good for nothing', async () => {
  const { another, issue, context } = tokenedWorld()
  const { secret } = await issue()
  expect((await context(secret))?.scopes).toEqual(['read', 'upload'])
  const fewer = another({ apiTokens: { ...apiTokens, scopes: ['read'] } })
  expect((await context(secret, fewer))?.scopes).toEqual(['read'])
  const others = another({ apiTokens: { ...apiTokens, scopes: ['other'] } })
  expect((await context(secret, others))?.scopes).toEqual([])
})

it('a token of another prefix is none any more', async () => {
  const { another, issue, line } = tokenedWorld()
  const { secret } = await issue()
  const other = another({ apiTokens: { ...apiTokens, prefix: 'pv_other_' } })
  expect(await line(secret, other)).toBe('nobody')
})
