import { describe, expect, it } from 'vitest'
import { guardrailKinds, type ImpersonationOptions, type RoutePattern } from '../../src/index.ts'
import { adapterOf, requestOf, type User, worldOf } from '../support/core-world.ts'

const post = { method: 'POST', path: '/notes' }

describe('a program that pins "none"', () => {
  it('does not write as the actor after a start elsewhere, whatever this process remembers', async () => {
    const world = worldOf()
    const other = world.another()
    expect((await world.send('root', { ...post, pin: 'none' }, other)).line).toBe('root')
    await world.start('root', 'alice', { accessLevel: 'full' })
    const written = await world.send('root', { ...post, pin: 'none' }, other)
    expect(written.line).toBe('409 impersonation_state_changed')
  })

  it('reads from what is remembered', async () => {
    let reads = 0
    const world = worldOf()
    const readStanding = (id: string) => {
      reads++
      return world.store.readStanding(id)
    }
    const other = world.another({ store: { ...world.store, readStanding } })
    for (let n = 0; n < 5; n++) await world.send('root', { pin: 'none' }, other)
    expect(reads).toBe(1)
  })
})

describe('a form', () => {
  const guardrails = Object.fromEntries(
    guardrailKinds.map((kind) => [kind, [] as RoutePattern[]]),
  ) as Record<(typeof guardrailKinds)[number], RoutePattern[]>
  const options: Partial<ImpersonationOptions<User>> = {
    guardrails: { ...guardrails, account_deletion: ['DELETE /me'] },
  }

  it.each([
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    ' Multipart/Form-Data',
  ])(
    'of type %s may name another method in its body, so guardrails of any method hold',
    async (type) => {
      const world = worldOf(options)
      await world.start('root', 'alice', { accessLevel: 'full' })
      const form = { method: 'POST', path: '/me', headers: { 'content-type': type } }
      expect((await world.send('root', form)).line).toBe('403 impersonation_write_blocked')
    },
  )

  it('may be JSON as well, where it is posted; other methods are made for themselves', async () => {
    const world = worldOf(options)
    await world.start('root', 'alice', { accessLevel: 'full' })
    const headers = { 'content-type': 'application/json', 'content-length': '2' }
    const ask = async (method: string, more = {}) =>
      (await world.send('root', { method, path: '/me', headers, ...more })).code
    expect(await ask('POST')).toBe('impersonation_write_blocked')
    expect(await ask('PATCH')).toBeUndefined()
    // Without a body there is nothing in it.
    expect(await ask('POST', { headers: { 'content-type': 'application/json' } })).toBeUndefined()
  })
})

describe('an attempt of nobody', () => {
  const start = {
    method: 'POST',
    path: '/impersonation/start',
    body: { target_user_id: 'alice', reason: 'a try' },
  }

  it('to start is recorded', async () => {
    const world = worldOf()
    expect((await world.send(null, start)).line).toBe('401 unauthenticated')
    const [event] = await world.store.listEvents({ action: 'impersonation.refused' }, { limit: 9 })
    expect(event).toMatchObject({ code: 'unauthenticated', actorId: null, ipAddress: '192.0.2.1' })
  })

  it('is recorded 60 times a minute at most, with a count of the rest', async () => {
    const world = worldOf()
    for (let n = 0; n < 100; n++) await world.send(null, start)
    const count = async () => (await world.store.listEvents({}, { limit: 200 })).length
    expect(await count()).toBe(60)
    world.clock.tick(60_000)
    await world.send(null, start)
    expect(await count()).toBe(61)
    const [last] = await world.store.listEvents({}, { limit: 1 })
    expect(last?.details).toMatchObject({ suppressed: 40 })
  })
})

it('with context "impersonating", a request inside another one does not see that one’s session', async () => {
  const world = worldOf({ context: 'impersonating' })
  await world.start('root', 'alice')
  const adapter = adapterOf(world.engine)
  const of = (id: string) => adapter.enter(requestOf(), world.users.get(id) as User)
  const outer = await of('root')
  const inner = await of('bob')
  const seen = adapter.run(outer.context, () =>
    adapter.run(inner.context, () => world.engine.current()),
  )
  expect(seen).toBeNull()
})

it('an origin with a wildcard is refused, since it would match nothing', () => {
  expect(() => worldOf({ allowedOrigins: ['https://*.example.com'] })).toThrow(/"allowedOrigins"/)
})
