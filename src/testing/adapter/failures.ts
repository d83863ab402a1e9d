import assert from 'node:assert/strict'
import type { FaultPlan } from '../faulty-store.ts'
import { minute, type Rule, reason, refusedWith } from './world.ts'

const faults: readonly [what: string, plan: FaultPlan][] = [
  ['fails', { readStanding: 'before' }],
  ['fails after it has read', { readStanding: 'after' }],
  ['answers nothing', { readStanding: 'garbage' }],
  ['answers garbage', { readStanding: { garbage: { active: {}, lapse: null } } }],
  ['answers somebody else’s session', { readStanding: { garbage: { active: null } } }],
  ['hangs', { readStanding: 'hang' }],
]

/** That whoever may impersonate never gets their own powers by accident, and nobody else notices a thing. */
export function failureRules(rule: Rule): void {
  for (const [what, plan] of faults) {
    rule(`a store that ${what} is 503 for actors and nothing to others`, async (setup) => {
      const { send, store, written, whoami } = await setup({ engine: { storeTimeoutMs: 20 } })
      store.plan(plan)
      for (const method of ['GET', 'POST'] as const) {
        const reply = await send(method, method === 'GET' ? '/me' : '/notes')
        refusedWith(reply, 503, 'impersonation_unavailable')
        assert.match(reply.headers['retry-after'] ?? '', /^\d+$/)
      }
      for (const as of ['alice', 'mallory']) assert.equal(await whoami({ as }), as)
      assert.equal(await whoami({ as: null }), 'nobody')
      assert.equal(await whoami({ as: 'mallory', cookie: 'onbehalf=whatever' }), 'mallory')
      assert.deepEqual(written, [])
      store.plan({})
      store.release()
      assert.equal(await whoami(), 'root')
    })
  }

  rule(
    'a store that fails to read sessions costs others in that browser nothing',
    async (setup) => {
      const { send, start, store, whoami } = await setup()
      const id = await start()
      store.plan({ readSession: 'before' })
      const cookie = `onbehalf=${id}`
      for (const as of ['alice', 'mallory']) assert.equal(await whoami({ as, cookie }), as)
      // Who pins by header has asked to be refused where it can't be told; so has an actor.
      for (const ask of [{ as: 'mallory', pin: id }, { pin: 'made-up' }, { cookie: 'onbehalf=x' }])
        refusedWith(await send('GET', '/me', ask), 503, 'impersonation_unavailable')
    },
  )

  rule(
    'a store that fails in the middle of a session never makes the admin themselves',
    async (setup) => {
      const { send, start, store, written, clock, call, whoami } = await setup()
      await start('alice', { access_level: 'full' })
      assert.equal(await whoami(), 'alice')
      store.plan({ readStanding: 'before' })
      clock.now += 2000
      for (let n = 0; n < 3; n++)
        refusedWith(await send('POST', '/notes'), 503, 'impersonation_unavailable')
      refusedWith(await call('GET', '/status'), 503, 'impersonation_unavailable')
      refusedWith(await call('POST', '/stop'), 503, 'impersonation_unavailable')
      assert.deepEqual(written, [])
      store.plan({})
      assert.equal(await whoami(), 'alice')
      assert.equal((await call('POST', '/stop')).status, 200)
      assert.equal(await whoami(), 'root')
    },
  )

  rule('a start whose answer was lost is either there or not, and never half', async (setup) => {
    for (const fault of ['before', 'after'] as const) {
      const { call, store, whoami } = await setup()
      store.plan({ claimSession: fault })
      const reply = await call('POST', '/start', { json: { target_user_id: 'alice', reason } })
      store.plan({})
      assert.equal(await whoami(), reply.status === 201 ? 'alice' : 'root')
      assert.equal(reply.status, fault === 'after' ? 201 : 503)
    }
  })

  rule('stopping works where the audit does not', async (setup) => {
    const { call, start, store, whoami } = await setup()
    await start()
    store.plan({ endSession: { 1: 'before' }, appendEvents: 'before' })
    assert.equal((await call('POST', '/stop')).status, 200)
    assert.equal(await whoami(), 'root')
  })

  rule('a lookup of users that fails is 503, not the admin', async (setup) => {
    let down = false
    const { send, start, clock, written } = await setup({
      engine: {
        findUser: (id) => {
          if (down) throw new Error('the directory is down')
          return { ...base, id }
        },
      },
    })
    await start('alice', { access_level: 'full' })
    down = true
    clock.now += 2000
    refusedWith(await send('POST', '/notes'), 503, 'impersonation_unavailable')
    assert.deepEqual(written, [])
  })

  rule('a revocation holds from the next request on, in the same process', async (setup) => {
    const { call, send, start, written, whoami } = await setup()
    const id = await start('alice', { access_level: 'full' })
    assert.equal(await whoami(), 'alice')
    assert.equal((await call('DELETE', `/sessions/${id}`, { as: 'boss' })).status, 200)
    refusedWith(await send('POST', '/notes'), 401, 'impersonation_revoked')
    assert.deepEqual(written, [])
  })

  for (const [what, change, ended] of [
    ['deactivated', { active: false }, 'target_inactive'],
    ['promoted', { rights: ['start'] as const }, 'target_privileged'],
    ['deleted', null, 'target_gone'],
  ] as const) {
    rule(`a target who is ${what} is left within two seconds, at once when told`, async (setup) => {
      for (const told of [false, true]) {
        const { send, start, users, clock, engine, written, call } = await setup()
        await start('alice', { access_level: 'full' })
        assert.equal((await send('GET', '/me')).json.user.id, 'alice')
        const alice = users.get('alice')
        if (change === null) users.delete('alice')
        else if (alice) users.set('alice', { ...alice, ...change })
        if (told) await engine.userChanged('alice')
        else clock.now += 2000
        refusedWith(await send('POST', '/notes'), 401, 'impersonation_revoked')
        const { last_ended } = (await call('GET', '/status')).json
        assert.equal(last_ended.ended_reason, ended)
        assert.deepEqual(written, [])
      }
    })
  }

  rule('the host’s logout ends what the actor has open', async (setup) => {
    const { send, start, engine, written } = await setup()
    await start('alice', { access_level: 'full' })
    assert.equal(await engine.endFor('root'), 1)
    refusedWith(await send('POST', '/notes'), 401, 'impersonation_revoked')
    assert.deepEqual(written, [])
  })

  rule('too many starts are 429 with a time to wait, and stopping still works', async (setup) => {
    const { call, start, clock } = await setup({
      engine: { rateLimit: { starts: 2, perMs: 10 * minute } },
    })
    await start()
    clock.now += minute
    await start()
    const json = { target_user_id: 'bob', reason }
    const reply = refusedWith(await call('POST', '/start', { json }), 429, 'rate_limited')
    assert.equal(reply.headers['retry-after'], String(9 * 60))
    assert.equal((await call('POST', '/stop')).status, 200)
    clock.now += 10 * minute
    await start()
  })

  rule('an old login is asked for a new one', async (setup) => {
    const { call } = await setup({
      engine: { freshAuth: { maxAgeMs: 5 * minute, authTime: () => undefined } },
    })
    const json = { target_user_id: 'alice', reason }
    const reply = await call('POST', '/start', { json })
    refusedWith(reply, 401, 'insufficient_user_authentication')
    assert.match(reply.headers['www-authenticate'] ?? '', /max_age="300"/)
  })
}

const base = {
  name: 'x',
  email: null,
  orgId: null,
  role: null,
  active: true,
  isSuperuser: false,
  rights: [],
}
