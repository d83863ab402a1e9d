import { afterEach, describe, expect, it, vi } from 'vitest'
import { faultyWorld } from '../support/api-tokens.ts'
import { codeOf, minute } from '../support/core-world.ts'

const invalid = '401 token_invalid'
const page = { limit: 1000 }

afterEach(() => void vi.restoreAllMocks())

describe('issuing', () => {
  it.each(['before', 'hang'] as const)('fails (%s), and no token is handed out', async (fault) => {
    const { faulty, inner, issue, line, engine, caller } = faultyWorld()
    faulty.plan({ createToken: { 1: fault } })
    expect(await codeOf(issue())).toBe('impersonation_unavailable')
    faulty.release()
    // One that was stored all the same is listed as any other, and is known to nobody.
    const left = await engine.tokens.list(caller('root'), {}, page)
    expect(left).toHaveLength(fault === 'before' ? 0 : 1)
    const { token, secret } = await issue()
    expect(left.map(({ id }) => id)).not.toContain(token.id)
    expect(await line(secret)).toBe('alice')
    // Each that is there has its one event.
    const events = await inner.listEvents({ action: 'token.issued' }, page)
    expect(events.map(({ details }) => details.token_id).sort()).toEqual(
      [...left.map(({ id }) => id), token.id].sort(),
    )
  })

  it.each(['after', 'garbage'] as const)(
    'whose answer was lost (%s) is done, and nobody else has the token',
    async (fault) => {
      const { faulty, inner, issue, line, engine, caller } = faultyWorld()
      faulty.plan({ createToken: { 1: fault } })
      const { token, secret } = await issue()
      expect(await line(secret)).toBe('alice')
      const listed = await engine.tokens.list(caller('root'), {}, page)
      expect(listed.map(({ id }) => id)).toEqual([token.id])
      expect(await inner.listEvents({ action: 'token.issued' }, page)).toHaveLength(1)
    },
  )

  it('whose answer was lost fails where it can not be told whether it is there', async () => {
    const { faulty, issue } = faultyWorld()
    faulty.plan({ createToken: { 1: 'after' }, readToken: 'before' })
    expect(await codeOf(issue())).toBe('impersonation_unavailable')
  })

  it('is refused where the record can not be written', async () => {
    const { inner, store, ...made } = faultyWorld()
    const { tokens } = inner
    if (!tokens) throw new Error('there is no such section')
    const deaf = {
      ...inner,
      tokens: {
        ...tokens,
        createToken: (async (...[token, hash, events, replaces]) => {
          if (events.length > 0) throw new Error('the table of events is full')
          return tokens.createToken(token, hash, events, replaces)
        }) as typeof tokens.createToken,
      },
    }
    const engine = made.another({ store: deaf })
    expect(await codeOf(made.issue('alice', {}, engine))).toBe('impersonation_unavailable')
    expect(await tokens.listTokens({}, page)).toEqual([])
  })
})

describe('rotating', () => {
  it('fails, and the old token ends no sooner', async () => {
    const { faulty, issue, line, engine, caller, clock } = faultyWorld()
    const { token, secret } = await issue()
    expect(await line(secret)).toBe('alice')
    faulty.plan({ createToken: { 1: 'before' } })
    expect(await codeOf(engine.tokens.rotate(caller('root'), token.id, minute))).toBe(
      'impersonation_unavailable',
    )
    clock.tick(minute)
    expect(await line(secret)).toBe('alice')
  })

  it.each(['after', 'garbage'] as const)(
    'whose answer was lost (%s) is done: a program is not left without a token',
    async (fault) => {
      const { faulty, inner, issue, line, engine, caller, clock } = faultyWorld()
      const { token, secret } = await issue()
      expect(await line(secret)).toBe('alice')
      faulty.plan({ createToken: { 1: fault } })
      const next = await engine.tokens.rotate(caller('root'), token.id, minute)
      expect([await line(secret), await line(next.secret)]).toEqual(['alice', 'alice'])
      clock.tick(minute)
      expect([await line(secret), await line(next.secret)]).toEqual([invalid, 'alice'])
      expect(await inner.listEvents({ action: 'token.rotated' }, page)).toHaveLength(1)
    },
  )
})

describe('taking a token back', () => {
  it.each(['before', 'hang', 'garbage'] as const)(
    'works though it goes wrong (%s) with its event, which is stored later, once',
    async (fault) => {
      const { faulty, inner, issue, revoke, line, engine } = faultyWorld({ storeTimeoutMs: 10 })
      const { token, secret } = await issue()
      expect(await line(secret)).toBe('alice')
      faulty.plan({ changeToken: { 1: fault }, appendEvents: 'before', listEvents: 'before' })
      const revoked = await revoke(token.id)
      expect(revoked.revokedAt).not.toBeNull()
      expect(await line(secret)).toBe(invalid)
      faulty.plan({})
      faulty.release()
      for (const _ of ['once', 'twice', 'three times']) await engine.reap()
      const events = await inner.listEvents({ action: 'token.revoked' }, page)
      expect(events.map(({ details }) => details.token_id)).toEqual([token.id])
    },
  )

  it('works where the record can not be written, and the event is stored when it can', async () => {
    const { inner, ...made } = faultyWorld()
    const { tokens } = inner
    if (!tokens) throw new Error('there is no such section')
    let isFull = true
    const full = async () => {
      if (isFull) throw new Error('the table of events is full')
    }
    const deaf = {
      ...inner,
      appendEvents: (async (events) => {
        await full()
        return inner.appendEvents(events)
      }) as typeof inner.appendEvents,
      tokens: {
        ...tokens,
        changeToken: (async (change, events) => {
          if (events.length > 0) await full()
          return tokens.changeToken(change, events)
        }) as typeof tokens.changeToken,
      },
    }
    const { token, secret } = await made.issue()
    const engine = made.another({ store: deaf })
    expect(await made.line(secret, engine)).toBe('alice')
    expect((await made.revoke(token.id, engine)).revokedBy).toBe('root')
    expect(await made.line(secret, engine)).toBe(invalid)
    await engine.reap().catch(() => {})
    expect(await inner.listEvents({ action: 'token.revoked' }, page)).toEqual([])
    isFull = false
    for (const _ of ['once', 'twice']) await engine.reap()
    const events = await inner.listEvents({ action: 'token.revoked' }, page)
    expect(events.map(({ details }) => details.token_id)).toEqual([token.id])
  })

  it('leaves its event to be stored before the store is closed', async () => {
    const { faulty, inner, issue, revoke, engine } = faultyWorld()
    const { token } = await issue()
    faulty.plan({ changeToken: { 1: 'before' }, appendEvents: { 1: 'before' } })
    await revoke(token.id)
    expect(await inner.listEvents({ action: 'token.revoked' }, page)).toEqual([])
    await engine.close()
    expect(await inner.listEvents({ action: 'token.revoked' }, page)).toHaveLength(1)
  })

  it('whose answer was lost is done once, with one event', async () => {
    const { faulty, inner, issue, revoke, line, engine } = faultyWorld()
    const { token, secret } = await issue()
    faulty.plan({ changeToken: { 1: 'after' } })
    expect((await revoke(token.id)).revokedAt).not.toBeNull()
    expect((await revoke(token.id)).revokedAt).not.toBeNull()
    await engine.reap()
    expect(await inner.listEvents({ action: 'token.revoked' }, page)).toHaveLength(1)
    expect(await line(secret)).toBe(invalid)
  })

  it('owes each event once, also of many, of the same instant, and half of them stored', async () => {
    const { faulty, inner, issue, revoke, engine } = faultyWorld()
    const issued = []
    for (let n = 0; n < 30; n++) issued.push((await issue()).token.id)
    // Odd calls fail: each comes with its event, and the even ones without.
    const failing = Object.fromEntries(issued.map((_, n) => [2 * n + 1, 'before' as const]))
    // What is owed is stored, and every second time nobody is told that it was.
    const lost = Object.fromEntries(issued.map((_, n) => [2 * n + 1, 'after' as const]))
    faulty.plan({ changeToken: failing, appendEvents: lost })
    for (const id of issued) await revoke(id)
    for (let n = 0; n < 60; n++) await engine.reap().catch(() => {})
    // Nothing is owed any more.
    faulty.plan({})
    await engine.reap()
    expect(faulty.calls.appendEvents).toBe(0)
    const events = await inner.listEvents({ action: 'token.revoked' }, page)
    expect(events.map(({ details }) => details.token_id).sort()).toEqual([...issued].sort())
  })

  it('is never said to be done where it is not', async () => {
    const { faulty, issue, revoke, line } = faultyWorld()
    const { token, secret } = await issue()
    faulty.plan({ changeToken: 'before' })
    expect(await codeOf(revoke(token.id))).toBe('impersonation_unavailable')
    faulty.plan({})
    expect(await line(secret)).toBe('alice')
    await revoke(token.id)
    expect(await line(secret)).toBe(invalid)
  })
})

describe('keeping when a token was used', () => {
  it.each(['before', 'after', 'hang', 'garbage'] as const)(
    'fails (%s), and delays neither a request nor a list nor the end',
    async (fault) => {
      const { faulty, issue, line, engine, caller } = faultyWorld({ storeTimeoutMs: 20 })
      const { secret } = await issue()
      faulty.plan({ touchTokens: fault })
      expect(await line(secret)).toBe('alice')
      expect(await engine.tokens.list(caller('root'), {}, page)).toHaveLength(1)
      expect(await engine.tokens.mine(caller('alice'), page)).toHaveLength(1)
      expect(await line(secret)).toBe('alice')
      await engine.close()
      expect(faulty.calls.touchTokens).toBeGreaterThan(0)
      faulty.release()
    },
  )

  it('is done before a list is read, and before the store is closed', async () => {
    const { inner, issue, line, engine, caller, clock } = faultyWorld()
    const { token, secret } = await issue()
    expect(await line(secret)).toBe('alice')
    const [listed] = await engine.tokens.list(caller('root'), {}, page)
    expect(listed?.lastUsedAt).toBe(clock.wall)
    clock.tick(minute)
    expect(await line(secret)).toBe('alice')
    await engine.close()
    expect((await inner.tokens?.readToken(token.id))?.lastUsedAt).toBe(clock.wall)
  })

  it('counts no request that was refused for the token', async () => {
    const { inner, issue, revoke, line, engine } = faultyWorld()
    const { token, secret } = await issue()
    await revoke(token.id)
    expect(await line(secret)).toBe(invalid)
    await engine.close()
    expect((await inner.tokens?.readToken(token.id))?.lastUsedAt).toBeNull()
  })
})
