import { afterEach, describe, expect, it } from 'vitest'
import { memoryStore } from '../../src/index.ts'
import { faultyStore } from '../../src/testing/index.ts'
import { frameworks } from '../support/http-apps.ts'
import { closeAll, second, tokenWorld } from '../support/token-world.ts'

afterEach(closeAll)

type World = Awaited<ReturnType<typeof tokenWorld>>

describe.each(frameworks)('a store that fails, on %s', (framework) => {
  const lines = async (world: World, token: string) => {
    const routes = ['GET /whoami', 'POST /whoami', 'GET /status']
    const answers = await Promise.all(routes.map((route) => world.by(token, route)))
    return answers.map(({ status, json }) => `${status} ${json.code}`)
  }
  const unavailable = Array.from({ length: 3 }, () => '503 impersonation_unavailable')

  it.each(['before', 'after', 'hang', 'garbage'] as const)(
    '%s: 503, never as anybody',
    async (fault) => {
      const store = faultyStore(memoryStore())
      const world = await tokenWorld(framework, { store, storeTimeoutMs: 20 })
      const { token } = await world.mint()
      store.plan({ readSession: fault })
      // Not known yet, then known and too old.
      expect(await lines(world, token)).toEqual(unavailable)
      store.plan({})
      store.release()
      expect((await world.by(token, 'GET /whoami')).json).toBe('alice')
      store.plan({ readSession: fault })
      expect((await world.by(token, 'GET /whoami')).json, 'a known answer').toBe('alice')
      world.clock.now += 2 * second
      expect(await lines(world, token)).toEqual(unavailable)
      expect((await world.by(token, 'POST /stop')).status).toBe(503)
      store.plan({})
      store.release()
      expect((await world.by(token, 'GET /whoami')).json).toBe('alice')
      expect((await world.by(token, 'POST /stop')).json.status).toBe('stopped')
    },
  )

  it('rows that are none: 503', async () => {
    const store = faultyStore(memoryStore())
    const world = await tokenWorld(framework, { store })
    const { token, session } = await world.mint()
    const row = await store.readSession(session)
    for (const garbage of [
      {},
      [],
      'x',
      { ...row, status: 'perhaps' },
      { ...row, expiresAt: 'later' },
      { ...row, targetUserId: '' },
    ]) {
      store.plan({ readSession: { garbage } })
      expect([garbage, ...(await lines(world, token))]).toEqual([garbage, ...unavailable])
    }
  })

  it('a start that is not stored hands out no token', async () => {
    const store = faultyStore(memoryStore())
    const world = await tokenWorld(framework, { store })
    store.plan({ claimSession: 'before' })
    await expect(world.mint()).rejects.toThrow('impersonation_unavailable')
    store.plan({ claimSession: 'after' })
    // Stored all the same: then it is there, and its token works.
    const { token } = await world.mint()
    store.plan({})
    expect((await world.by(token, 'GET /whoami')).json).toBe('alice')
  })
})
