import { afterEach, describe, expect, it, vi } from 'vitest'
import { memoryStore } from '../../src/index.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { bearer, bus, tokenedWorld } from '../support/api-tokens.ts'
import { hour, minute, second, type User } from '../support/core-world.ts'

const invalid = '401 token_invalid'
const unavailable = '503 impersonation_unavailable'

afterEach(() => void vi.restoreAllMocks())

describe('the end of a token', () => {
  it('is kept to the millisecond', async () => {
    const { clock, issue, line } = tokenedWorld()
    const { secret } = await issue('alice', { durationMs: minute })
    expect(await line(secret)).toBe('alice')
    clock.tick(minute - 1)
    expect(await line(secret)).toBe('alice')
    clock.tick(1)
    expect(await line(secret)).toBe(invalid)
  })

  it('is kept where it comes while the owner is looked up', async () => {
    let slow = 0
    const world = tokenedWorld({
      findUser(id) {
        world.clock.tick(slow)
        return world.users.get(id)
      },
    })
    for (const known of [false, true]) {
      const { secret } = await world.issue('alice', { durationMs: minute })
      if (known) expect(await world.line(secret)).toBe('alice')
      world.clock.tick(minute - 1)
      slow = 1
      expect([known, await world.line(secret)]).toEqual([known, invalid])
      slow = 0
    }
  })

  it('comes sooner after a rotation, also where the old token is known', async () => {
    const { engine, caller, clock, issue, line } = tokenedWorld()
    const { token, secret } = await issue('alice', { durationMs: hour })
    expect(await line(secret)).toBe('alice')
    const next = await engine.tokens.rotate(caller('root'), token.id, second)
    expect(await line(next.secret)).toBe('alice')
    clock.tick(second - 1)
    expect(await line(secret)).toBe('alice')
    clock.tick(1)
    expect(await line(secret)).toBe(invalid)
    expect(await line(next.secret)).toBe('alice')
  })
})

describe('the owner of a token', () => {
  it.each<[string, Partial<User> | null]>([
    ['deactivated', { active: false }],
    ['deactivated, as a database without booleans says it', { active: 0 }],
    ['made an admin', { may: ['start'] }],
    ['in another organisation', { orgId: 'rivals' }],
    ['in no organisation', { orgId: null }],
    ['gone', null],
  ])('who is %s is nobody within the lag, and at once where that is told', async (_, changes) => {
    const { clock, engine, users, change, issue, line } = tokenedWorld()
    change('alice', { orgId: 'acme' })
    const before = users.get('alice') as User
    const { secret } = await issue()
    const become = () => (changes ? change('alice', changes) : void users.delete('alice'))
    for (const told of [false, true]) {
      users.set('alice', before)
      await engine.userChanged('alice')
      expect(await line(secret)).toBe('alice')
      become()
      if (told) await engine.userChanged('alice')
      else clock.tick(2 * second)
      expect([told, await line(secret)]).toEqual([told, invalid])
      // The token was not at fault: it is good again with its owner.
      users.set('alice', before)
      clock.tick(2 * second)
      expect([told, await line(secret)]).toEqual([told, 'alice'])
    }
  })

  it('is looked up again after the lag, though the store tells of every change', async () => {
    const { store } = bus(faultyStore(memoryStore()))
    let lookups = 0
    const world = tokenedWorld(
      {
        findUser(id) {
          lookups++
          return world.users.get(id)
        },
      },
      store,
    )
    const { secret } = await world.issue()
    lookups = 0
    for (let at = 0; at < 20; at++) {
      expect(await world.line(secret)).toBe('alice')
      world.clock.tick(second)
    }
    expect(lookups).toBe(10)
    world.change('alice', { active: false })
    world.clock.tick(2 * second)
    expect(await world.line(secret)).toBe(invalid)
    await world.engine.close()
  })

  it('whom the host looks up too slowly is nobody to run as', async () => {
    let slow = 0
    const world = tokenedWorld({
      findUser(id) {
        world.clock.tick(slow)
        return world.users.get(id)
      },
    })
    const { secret } = await world.issue()
    slow = 1999
    expect(await world.line(secret)).toBe('alice')
    slow = 2000
    world.clock.tick(2 * second)
    expect(await world.line(secret)).toBe(unavailable)
    slow = 0
    expect(await world.line(secret)).toBe('alice')
  })
})

it('a login that an adapter hands over beside a token counts for nothing', async () => {
  const { issue, send, engine } = tokenedWorld()
  const { secret } = await issue()
  const ask = { headers: bearer(secret) }
  for (const id of ['root', 'bob']) {
    const login = { id, may: ['start', 'list', 'issue_token'] } as never as User
    expect((await send(login, ask)).line).toBe('alice')
    for (const path of ['/start', '/stop', '/status', '/sessions', '/tokens', '/me/tokens'])
      for (const method of ['GET', 'POST']) {
        const { line } = await send(login, { ...ask, method, path: `/impersonation${path}` })
        expect([403, 405], `${method} ${path}`).toContain(Number(line.slice(0, 3)))
      }
  }
  await engine.close()
})
