import { expect, it } from 'vitest'
import { type ImpersonationOptions, memoryStore, type StoreWatcher } from '../../src/index.ts'
import {
  adapterOf,
  codeOf,
  minute,
  requestOf,
  second,
  type User,
  worldOf,
} from '../support/core-world.ts'
import { audience, issuer, secret } from '../tokens/fixtures.ts'

/** Impersonation tokens where no framework is in the way. */
function tokens(options: Partial<ImpersonationOptions<User>> = {}) {
  const world = worldOf({ impersonationTokens: { issuer, audience, secret }, ...options })
  return {
    world,
    async mint(more = {}) {
      const { session, accessToken = '' } = await world.engine.sessions.start(
        world.caller('root'),
        {
          targetUserId: 'alice',
          reason: 'ticket 7',
          transport: 'token',
          ...more,
        },
      )
      return { session, token: accessToken, headers: { Authorization: `Bearer ${accessToken}` } }
    },
  }
}

it('what is known grows old by either clock', async () => {
  const { world, mint } = tokens()
  const other = world.another()
  const over = '401 impersonation_revoked'
  for (const [wall, steady] of [
    [2 * second, 0],
    [0, 2 * second],
    [-minute, 0],
  ] as const) {
    world.clock.tick(minute)
    const { session, headers } = await mint()
    world.clock.tick(minute)
    const line = async () => (await world.send(null, { headers }, other)).line
    expect(await line()).toBe('alice')
    await world.engine.sessions.revoke(world.caller('boss'), session.id)
    expect(await line()).toBe('alice')
    world.clock.wall += wall
    world.clock.steady += steady
    expect(await line()).toBe(over)
  }
})

it('people are judged again within the lag, though the store tells of every change', async () => {
  const inner = memoryStore()
  const store = {
    ...inner,
    watch(watcher: StoreWatcher) {
      watcher.healthy(true)
      return () => {}
    },
  }
  const { world, mint } = tokens({ store })
  for (const [id, changes] of [
    ['alice', { active: false }],
    ['root', { may: ['list'] }],
  ] as const) {
    const { headers } = await mint()
    const line = async () => (await world.send(null, { headers })).line
    expect(await line()).toBe('alice')
    const before = world.users.get(id) as User
    world.change(id, changes)
    world.clock.tick(2 * second)
    expect([id, await line()]).toEqual([id, '401 impersonation_revoked'])
    world.users.set(id, before)
  }
  await world.engine.close()
})

it('after a watch that was blind, everything is read again', async () => {
  const watchers: StoreWatcher[] = []
  const store = {
    ...memoryStore(),
    watch(watcher: StoreWatcher) {
      watchers.push(watcher)
      return () => {}
    },
  }
  const { world, mint } = tokens({ store })
  const other = world.another()
  const { session, headers } = await mint()
  const line = async () => (await world.send(null, { headers }, other)).line
  expect(await line()).toBe('alice')
  await world.engine.sessions.revoke(world.caller('boss'), session.id)
  for (const watcher of watchers) watcher.healthy(true)
  expect(await line()).toBe('401 impersonation_revoked')
  for (const engine of [world.engine, other]) await engine.close()
})

it('what was read before the store fell silent during a lookup serves nobody', async () => {
  const watchers: StoreWatcher[] = []
  const store = {
    ...memoryStore(),
    watch(watcher: StoreWatcher) {
      watchers.push(watcher)
      watcher.healthy(true)
      return () => {}
    },
  }
  let look = async () => {}
  const { world, mint } = tokens({
    store,
    async findUser(id) {
      await look()
      return world.users.get(id)
    },
  })
  const other = world.another()
  const { session, headers } = await mint()
  const line = async () => (await world.send(null, { headers }, other)).line
  expect(await line()).toBe('alice')
  world.clock.tick(10 * second)
  look = async () => {
    look = async () => {}
    for (const watcher of watchers) watcher.healthy(false)
    await world.engine.sessions.revoke(world.caller('boss'), session.id)
  }
  expect(await line()).toBe('401 impersonation_revoked')
  for (const engine of [world.engine, other]) await engine.close()
})

it('users that are looked up too slowly are nobody to run as', async () => {
  let slow = 0
  const { world, mint } = tokens({
    findUser(id) {
      world.clock.tick(slow)
      return world.users.get(id)
    },
  })
  const { headers } = await mint()
  slow = 1500
  expect((await world.send(null, { headers })).line).toBe('503 impersonation_unavailable')
  slow = 0
  expect((await world.send(null, { headers })).line).toBe('alice')
})

it('what ends while a request is looked at does not run', async () => {
  let meanwhile = async () => {}
  const { world, mint } = tokens({
    classify: async () => {
      await meanwhile()
      return 'read' as const
    },
  })
  const { session, headers } = await mint()
  const ask = { headers, method: 'POST', body: {}, peeked: { parsed: {} } }
  expect((await world.send(null, ask)).line).toBe('alice')
  meanwhile = async () => {
    await world.engine.sessions.revoke(world.caller('boss'), session.id)
  }
  expect((await world.send(null, ask)).line).toBe('401 impersonation_revoked')
})

it('headers that only we may set are gone before anybody reads them', async () => {
  const { world, mint } = tokens()
  const { headers } = await mint()
  const forged = {
    'x-impersonating': 'false',
    'x-impersonated-user-id': 'root',
    'x-impersonator-id': 'mallory',
    'x-impersonation-access-level': 'full',
    'x-impersonation-id': 'x',
  }
  const request = requestOf({ headers: { ...headers, ...forged } })
  await adapterOf(world.engine).enter(request, null)
  expect(Object.keys(request.headers).filter((name) => name in forged)).toEqual([])
})

it('a session too short for a token is ended, and none is handed out', async () => {
  const { world, mint } = tokens()
  expect(await codeOf(mint({ durationMs: 500 }))).toBe('invalid_request')
  const [row] = await world.store.listSessions({}, { limit: 9 })
  expect(row).toMatchObject({ status: 'revoked', endedReason: 'start_failed' })
  expect(await world.actions()).toEqual(['refused', 'revoked', 'started'])
})

it('of a stop that comes too late, nothing but the expiry is on record', async () => {
  const { world, mint } = tokens()
  const { session, headers } = await mint({ durationMs: minute })
  const stop = () => world.send(null, { headers, method: 'POST', path: '/impersonation/stop' })
  world.clock.tick(minute)
  expect((await stop()).line).toBe('401 token_invalid')
  expect(await world.actions(session.id)).toEqual(['started'])
  await world.engine.reap()
  expect(await world.actions(session.id)).toEqual(['expired', 'started'])
  // Stopped twice, it was stopped once.
  const again = await mint()
  for (const _ of ['once', 'twice'])
    expect(
      (
        await world.send(null, {
          headers: again.headers,
          method: 'POST',
          path: '/impersonation/stop',
        })
      ).body,
    ).toMatchObject({ status: 'stopped', session_id: again.session.id })
  expect(await world.actions(again.session.id)).toEqual(['started', 'stopped'])
})

it('a change that was told of is seen with the next request', async () => {
  const { world, mint } = tokens()
  const { headers } = await mint()
  const seen = async () => {
    const { context } = await world.send(null, { headers })
    return [context?.actor.name, context?.target.name]
  }
  expect(await seen()).toEqual(['Rooty', 'Alice'])
  world.change('alice', { name: 'Alice B.' })
  expect(await seen()).toEqual(['Rooty', 'Alice'])
  await world.engine.userChanged('alice')
  expect(await seen()).toEqual(['Rooty', 'Alice B.'])
  world.change('root', { name: 'Roots' })
  await world.engine.userChanged('root')
  expect(await seen()).toEqual(['Roots', 'Alice B.'])
})

it('a logout ends every token, be they ever so many', async () => {
  const { world, mint } = tokens({ exclusiveTarget: false })
  for (let n = 0; n < 1005; n++) await mint()
  expect(await world.engine.endFor('root')).toBe(1005)
  expect(await world.active()).toEqual([])
}, 60_000)
