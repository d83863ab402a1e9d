import { channel } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { memoryStore } from '../../src/index.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { closeAll, noon, tokenApp } from '../support/api-token-apps.ts'
import { madeUp, prefix } from '../support/api-tokens.ts'
import { frameworks } from '../support/http-apps.ts'

afterEach(closeAll)

const day = 24 * 60 * 60_000
const start = { target_user_id: 'bob', reason: 'ticket 7' }
/** Who may be logged in beside a token: nobody, an admin, a user, the owner. */
const logins = ['', 'root', 'mallory', 'alice']

describe.each(frameworks)('API tokens beside logins on %s', (framework) => {
  it('run as their owner beside an admin who impersonates, and leave that alone', async () => {
    const { call, issue, engine, store } = await tokenApp(framework)
    const { token, id } = await issue()
    const started = await call('POST /start', { as: 'root', body: start })
    const { session_id: session } = started.json
    const cookie = started.headers.get('set-cookie')?.split(';')[0] ?? ''
    const before = await store.readSession(session)
    const both = { Cookie: `sid=root; ${cookie}` }
    const owner = { user: 'alice', token: id, impersonated: null }
    for (const method of ['GET', 'POST', 'DELETE']) {
      const reply = await call(`${method} /seen`, { token, headers: both })
      expect(reply.json).toEqual(owner)
      expect(reply.headers.get('set-cookie')).toBeNull()
      expect(reply.headers.get('x-impersonating')).toBeNull()
    }
    // A pin of the session means that the client is mistaken about what it does.
    const pinned = { ...both, 'X-Impersonation-Session': session }
    expect((await call('GET /seen', { token, headers: pinned })).json.code).toBe(
      'impersonation_state_changed',
    )
    for (const route of [
      'POST /stop',
      'POST /extend',
      'GET /status',
      `POST /sessions/${session}/revoke`,
    ]) {
      const reply = await call(route, {
        token,
        headers: both,
        ...(route.startsWith('POST') && { body: {} }),
      })
      expect([route, reply.status, reply.json.code]).toEqual([route, 403, 'not_allowed'])
      expect(reply.headers.get('set-cookie')).toBeNull()
    }
    expect(await store.readSession(session)).toEqual(before)
    expect((await call('GET /seen', { headers: both })).json.impersonated).toBe('bob')
    expect(await engine.endFor('root')).toBe(1)
    expect((await call('GET /seen', { token, headers: both })).json).toEqual(owner)
  })

  it('may do nothing of ours, whoever is logged in beside them, and that is on record', async () => {
    const { call, issue, store, seen } = await tokenApp(framework, {
      consent: () => false,
      breakGlass: { verifySecondFactor: () => true },
      approvals: { levels: ['full'] },
      sandbox: { provision: () => ({ id: 'tester', may: [] }), dispose: () => {} },
    })
    const { token, id } = await issue()
    const { json: document } = await call('GET /openapi.json')
    const routes = Object.entries(document.paths as Record<string, object>).flatMap(
      ([path, methods]) =>
        Object.keys(methods).map((method) => [method.toUpperCase(), path] as const),
    )
    expect(routes.length).toBeGreaterThan(34)
    const open = /^\/(jwks\.json|openapi\.json)$/
    let tried = 0
    for (const [method, path] of routes) {
      const below = path.slice('/impersonation'.length).replace('{id}', id) || '/'
      if (open.test(below)) continue
      tried++
      for (const as of logins) {
        const body = method === 'POST' ? {} : undefined
        const { status, json } = await call(`${method} ${below}`, { as, token, body })
        expect([method, path, as, status, json.code]).toEqual([
          method,
          path,
          as,
          403,
          'not_allowed',
        ])
      }
    }
    expect(tried).toBeGreaterThan(32)
    expect(seen).toEqual([])
    expect(await store.listSessions({}, { limit: 9 })).toEqual([])
    expect(await store.tokens?.listTokens({}, { limit: 9 })).toHaveLength(1)
    expect((await call('GET /seen', { token })).json.user).toBe('alice')
    const refused = await store.listEvents({ action: 'impersonation.refused' }, { limit: 1000 })
    expect(refused.length).toBeGreaterThan(20)
    expect(new Set(refused.map(({ actorId, code }) => `${actorId} ${code}`))).toEqual(
      new Set(['alice not_allowed']),
    )
  })

  it('of a service rotate themselves and nothing else', async () => {
    const { call, issue, store } = await tokenApp(framework)
    const robot = await issue('robot')
    const person = await issue('alice')
    const second = await issue('robot')
    const rotate = (id: string, token: string, as = '') =>
      call(`POST /tokens/${id}/rotate`, { as, token, body: {} })
    for (const as of logins) {
      expect((await rotate(person.id, robot.token, as)).json.code).toBe('token_not_found')
      expect((await rotate(second.id, robot.token, as)).json.code).toBe('token_not_found')
      expect((await rotate(person.id, person.token, as)).json.code).toBe('not_allowed')
      expect((await rotate(robot.id, person.token, as)).json.code).toBe('not_allowed')
    }
    const rotated = await rotate(robot.id, robot.token)
    expect(rotated.status).toBe(201)
    expect(rotated.headers.get('cache-control')).toContain('no-store')
    expect((await rotate(robot.id, robot.token)).json.code).toBe('token_not_active')
    expect((await call('GET /seen', { token: rotated.json.token })).json.user).toBe('robot')
    expect(await store.tokens?.listTokens({}, { limit: 9 })).toHaveLength(4)
  })

  it('of an owner who is an admin by now are good for nothing, also beside an admin’s login', async () => {
    const { call, issue, change, engine, seen } = await tokenApp(framework)
    const { token } = await issue()
    expect((await call('GET /seen', { token })).json.user).toBe('alice')
    seen.length = 0
    change('alice', { may: ['start'] })
    await engine.userChanged('alice')
    for (const as of logins) {
      expect((await call('GET /seen', { as, token })).json.code).toBe('token_invalid')
      expect((await call('POST /start', { as, token, body: start })).json.code).toBe(
        'token_invalid',
      )
    }
    expect(seen).toEqual([])
  })

  it('that are unknown, revoked, expired or their owner’s no more get the same answer', async () => {
    const { call, issue, change, engine, clock, seen } = await tokenApp(framework)
    const revoked = await issue()
    const expired = await issue('alice', { expires_in_days: 1 })
    const inactive = await issue('bob', { expires_in_days: 30 })
    expect((await call(`DELETE /tokens/${revoked.id}`, { as: 'root' })).status).toBe(200)
    clock.now = noon + day
    change('bob', { active: false })
    await engine.userChanged('bob')
    const tokens = {
      revoked: revoked.token,
      expired: expired.token,
      inactive: inactive.token,
      unknown: madeUp(),
      'with a wrong checksum': `${madeUp().slice(0, -6)}000000`,
      short: `${prefix}x`,
    }
    for (const path of ['/seen', '/me/tokens']) {
      const answers = new Set<string>()
      for (const token of Object.values(tokens)) {
        for (const as of logins) {
          const { status, text, headers } = await call(`GET ${path}`, { as, token })
          const told = [...headers].filter(([name]) => name !== 'date')
          answers.add(JSON.stringify([status, text, told]))
        }
      }
      expect([...answers]).toHaveLength(1)
      const [status, text, headers] = JSON.parse([...answers][0] as string)
      expect([status, JSON.parse(text).code]).toEqual([401, 'token_invalid'])
      expect(Object.fromEntries(headers)['www-authenticate']).toBe(
        'Bearer realm="impersonation", error="invalid_token"',
      )
    }
    expect(seen).toEqual([])
  })

  it('cost no look into the store unless they could be one, and no connection elsewhere', async () => {
    const store = faultyStore(memoryStore())
    const { call, issue, url } = await tokenApp(framework, { store })
    const { token } = await issue()
    const opened = new Set<string>()
    const note = (message: unknown) => {
      const { socket } = message as { socket: Socket }
      socket.once('connect', () => opened.add(`${socket.remotePort}`))
      socket.once('error', () => opened.add('elsewhere'))
    }
    channel('net.client.socket').subscribe(note)
    try {
      store.plan({})
      for (const odd of [
        `${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`,
        `${prefix}http://keys.example.net/x`,
        `${prefix}../../etc/passwd`,
        `${prefix}${'0'.repeat(49)}`,
        `${prefix}${'x'.repeat(14_000)}`,
      ])
        expect((await call('GET /seen', { token: odd })).json.code).toBe('token_invalid')
      expect(store.calls.findToken).toBe(0)
      expect((await call('GET /seen', { token: madeUp() })).json.code).toBe('token_invalid')
      expect(store.calls.findToken).toBe(1)
      expect((await call('GET /seen', { token })).json.user).toBe('alice')
    } finally {
      channel('net.client.socket').unsubscribe(note)
    }
    expect([...opened].filter((port) => port !== new URL(url).port)).toEqual([])
  })

  it('while the store is down let nobody through, and everybody else', async () => {
    const store = faultyStore(memoryStore())
    const { call, issue, seen } = await tokenApp(framework, { store })
    const { token } = await issue()
    store.plan({ findToken: 'before' })
    for (const as of logins)
      expect((await call('GET /seen', { as, token })).json.code).toBe('impersonation_unavailable')
    expect(seen).toEqual([])
    expect((await call('GET /seen', { as: 'mallory' })).json.user).toBe('mallory')
  })
})
