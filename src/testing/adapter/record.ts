import assert from 'node:assert/strict'
import type { TrailEntry } from '../../types.ts'
import { answerJson, type RuleGroup, refusedWith, type World } from './world.ts'

const recorded = { audit: { trail: 'all' } } as const

const impersonationTokens = {
  issuer: 'https://api.example.com',
  audience: 'https://api.example.com',
  secret: 'a secret of the tests, of more than 32 characters',
}

async function entriesOf({ store }: World, sessionId: string): Promise<readonly TrailEntry[]> {
  return (await store.trail?.readTrails([sessionId], null, 100)) ?? []
}

/** A start that a token carries; gives what a request with it and nothing else is asked with. */
async function tokenOf({ call }: World, body: Readonly<Record<string, unknown>> = {}) {
  const { status, json, text } = await call('POST', '/start', {
    json: { target_user_id: 'alice', reason: 'ticket 4711', transport: 'token', ...body },
  })
  assert.equal(status, 201, text)
  return { as: null, headers: { Authorization: `Bearer ${json.access_token}` } }
}

/** That the adapter tells what became of a request, and leaves those with a token to it. */
export const recordRules: RuleGroup = (rule) => {
  rule('what became of each request under a session is on record', async (setup) => {
    const world = await setup({ engine: recorded })
    const { send, start, call, store } = world
    const id = await start('alice', { access_level: 'full' })
    await send('GET', '/me')
    await send('POST', '/notes')
    await send('GET', '/nowhere')
    await send('POST', '/account/password')
    await send('GET', '/me', { as: 'alice' })
    await call('POST', '/stop')
    await send('GET', '/me')
    const actions = (await store.trail?.listActions(id, 0, 100)) ?? []
    assert.deepEqual(
      actions.map(({ method, path, status }) => `${method} ${path} ${status}`),
      ['GET /me 200', 'POST /notes 200', 'GET /nowhere 404', 'POST /account/password 403'],
    )
  })

  rule('a write is on record before its handler runs', async (setup) => {
    const seen: (readonly TrailEntry[])[] = []
    const world = await setup({
      engine: recorded,
      routes: (here) => [
        {
          method: 'PUT',
          path: '/seen',
          handle: async () => {
            seen.push(await entriesOf(here, id))
            return answerJson({})
          },
        },
      ],
    })
    const id = await world.start('alice', { access_level: 'full' })
    assert.equal((await world.send('PUT', '/seen')).status, 200)
    assert.deepEqual(
      seen.flat().map(({ method, path, status }) => [method, path, status]),
      [['PUT', '/seen', null]],
    )
  })

  rule('a token runs as its target, whoever else is logged in', async (setup) => {
    const world = await setup({ engine: { impersonationTokens } })
    const { send, whoami, call, written } = world
    const ask = await tokenOf(world, { access_level: 'full' })
    for (const cookie of [undefined, 'login=root', 'login=mallory']) {
      const headers = { ...ask.headers, ...(cookie && { Cookie: cookie }) }
      const reply = await send('GET', '/me', { ...ask, headers })
      assert.deepEqual(
        [reply.json.user?.id, reply.json.context, reply.json.actor],
        ['alice', 'alice', 'root'],
      )
      assert.equal(reply.headers['x-impersonating'], 'true')
      assert.equal((await send('POST', '/notes', { ...ask, headers })).status, 200)
    }
    assert.deepEqual(written, ['alice', 'alice', 'alice'])
    assert.equal(await whoami(), 'root')
    refusedWith(await call('POST', '/start', { ...ask, json: {} }), 409, 'nested_impersonation')
    assert.equal((await call('POST', '/stop', ask)).status, 200)
    refusedWith(await send('GET', '/me', ask), 401, 'impersonation_ended')
    assert.equal(await whoami(), 'root')
  })

  rule('what calls itself a token and is none runs as nobody', async (setup) => {
    const world = await setup({ engine: { impersonationTokens } })
    const { Authorization: good } = (await tokenOf(world)).headers
    for (const bad of [`${good.slice(0, -4)}AAAA`, good.replace('Bearer', 'Token'), `${good} x`]) {
      const headers = { Authorization: bad, Cookie: 'login=root' }
      refusedWith(await world.send('POST', '/notes', { as: null, headers }), 401, 'token_invalid')
    }
    assert.deepEqual(world.written, [])
  })
}
