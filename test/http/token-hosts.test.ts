import { createVerifier } from 'fast-jwt'
import { verify } from 'hono/jwt'
import { jwtVerify } from 'jose'
import { afterEach, describe, expect, it } from 'vitest'
import { closeHosts, hosts, hostWith } from '../support/token-hosts.ts'
import { secret } from '../tokens/fixtures.ts'

afterEach(closeHosts)

const names = Object.keys(hosts)

describe.each(names)('%s', (name) => {
  describe.each(['authenticate', 'aside'] as const)('wired by "%s"', (wiring) => {
    it('runs our token as its target, its own as its user, and decides on all others', async () => {
      const { call, login, mint, looked } = await hostWith(name, wiring)
      const token = await mint()
      expect((await call(token, 'GET /me')).json).toEqual(['alice', 'root'])
      expect((await call(token, 'POST /me')).json.code).toBe('grant_view_only')
      expect(looked).toEqual([])
      for (const id of ['root', 'alice', 'mallory'])
        expect((await call(login(id), 'GET /me')).json).toEqual([id, null])
      expect(looked).toHaveLength(3)
      for (const none of [null, 'x', login('nobody').slice(0, -3), login('root').slice(0, -4)]) {
        const { status, headers } = await call(none, 'GET /me')
        expect([none, status, headers.get('x-impersonating')]).toEqual([none, 401, null])
      }
      expect(looked.some((each) => each?.includes(token))).toBe(false)
    })

    it('goes on as itself beside a session of the login', async () => {
      const { call, login, mint } = await hostWith(name, wiring)
      const token = await mint()
      const ask = { target_user_id: 'mallory', reason: 'r' }
      expect((await call(login('root'), 'POST /impersonation/start', ask)).status).toBe(201)
      expect((await call(login('root'), 'GET /me')).json).toEqual(['mallory', 'root'])
      expect((await call(token, 'GET /me')).json).toEqual(['alice', 'root'])
      expect((await call(token, 'POST /impersonation/stop')).json.status).toBe('stopped')
      expect((await call(token, 'GET /me')).json.code).toBe('impersonation_ended')
      expect((await call(login('root'), 'GET /me')).json).toEqual(['mallory', 'root'])
    })

    it('answers our routes to its own login, to our token, and to nobody', async () => {
      const { call, login, mint } = await hostWith(name, wiring)
      const ask = { target_user_id: 'alice', reason: 'r', transport: 'token' }
      const started = await call(login('root'), 'POST /impersonation/start', ask)
      expect([started.status, started.headers.get('set-cookie')]).toEqual([201, null])
      const { access_token: token, session_id: session } = started.json
      expect((await call(token, 'GET /me')).json).toEqual(['alice', 'root'])
      expect((await call(login('mallory'), 'POST /impersonation/start', ask)).status).toBe(403)
      expect((await call(null, 'POST /impersonation/start', ask)).status).toBe(401)
      expect((await call(token, 'POST /impersonation/start', ask)).status).toBe(409)
      expect((await call(token, 'GET /impersonation/status')).json.session_id).toBe(session)
      const own = await call(login('root'), 'GET /impersonation/status')
      expect(own.json.is_impersonating).toBe(false)
      expect((await call(null, 'POST /impersonation/stop')).status).toBe(401)
      expect((await call(login('root'), 'POST /impersonation/stop')).status).toBe(404)
      expect((await call(token, 'GET /me')).status).toBe(200)
      expect((await call(await mint(), 'POST /impersonation/stop')).json.status).toBe('stopped')
    })

    it('takes the token for who is there, whoever else is logged in', async () => {
      const { call, mint } = await hostWith(name, wiring)
      for (const cookie of ['root', 'mallory', 'alice']) {
        const token = await mint()
        const as = (route: string, body?: unknown) => call(token, route, body, cookie)
        expect((await as('GET /me')).json).toEqual(['alice', 'root'])
        const { json } = await as('GET /impersonation/status')
        expect([json.is_impersonating, json.target_user_id]).toEqual([true, 'alice'])
        const others = [
          ['GET /impersonation/sessions'],
          [`DELETE /impersonation/sessions/${json.session_id}`],
          ['GET /impersonation/me/history'],
          ['POST /impersonation/extend', { minutes: 5 }],
          ['POST /impersonation/start', { target_user_id: 'mallory', reason: 'r' }],
        ] as const
        for (const [route, body] of others)
          expect([route, (await as(route, body)).json.code]).toEqual([
            route,
            'nested_impersonation',
          ])
        expect((await as('POST /impersonation/stop')).json.session_id).toBe(json.session_id)
        // Over, it is refused, and not answered as whoever else is there.
        for (const route of ['GET /me', 'POST /me', 'GET /impersonation/status'])
          expect((await as(route)).json.code).toBe('impersonation_ended')
        expect((await call(`${token}x`, 'GET /me', undefined, cookie)).json.code).toBe(
          'token_invalid',
        )
      }
    })

    it('never hands it to the verifier, which shares our secret and might take it', async () => {
      const { call, login, mint, looked } = await hostWith(name, wiring, { shared: true })
      const token = await mint()
      expect((await call(token, 'GET /me')).json).toEqual(['alice', 'root'])
      expect((await call(login('root'), 'GET /me')).json).toEqual(['root', null])
      await call(token, 'POST /impersonation/stop')
      for (const route of ['GET /me', 'POST /me'])
        expect((await call(token, route)).json.code).toBe('impersonation_ended')
      expect(looked).toEqual([`Bearer ${login('root')}`])
      // Nor is the login one of our tokens.
      expect((await call(login('alice'), 'POST /me')).json).toEqual(['alice', null])
    })
  })

  it('that knows of nothing refuses our token by itself', async () => {
    const { call, mint } = await hostWith(name, 'above')
    const { status, headers } = await call(await mint(), 'GET /me')
    expect([status, headers.get('x-impersonating')]).toEqual([401, null])
  })

  it('that knows of nothing and shares our secret runs nobody as somebody outside of a session', async () => {
    const { call, mint, impersonation } = await hostWith(name, 'above', { shared: true })
    const token = await mint()
    const { status, json } = await call(token, 'GET /me')
    // Whether its verifier looks at `typ` or not, this middleware comes after it.
    if (status === 200) expect(json).toEqual(['alice', 'root'])
    else expect([name, status]).toEqual(['hono/jwt', 401])
    await impersonation.endFor('root')
    expect((await call(token, 'GET /me')).status).toBe(401)
  })
})

describe('what verifiers make of our token when it is handed to them', () => {
  const verifiers: Record<string, (token: string, key: string) => unknown> = {
    jose: (token, key) => jwtVerify(token, Buffer.from(key)),
    'jose that wants a typ': (token, key) => jwtVerify(token, Buffer.from(key), { typ: 'JWT' }),
    'fast-jwt': (token, key) => createVerifier({ key })(token),
    'fast-jwt that wants a typ': (token, key) => createVerifier({ key, checkTyp: 'jwt' })(token),
    'hono/jwt': (token, key) => verify(token, key, 'HS256'),
  }
  const takes = async (name: string, key: string) => {
    const { mint } = await hostWith('hono/jwt', 'above')
    const token = await mint()
    try {
      await verifiers[name]?.(token, key)
      return true
    } catch {
      return false
    }
  }

  it.each(Object.keys(verifiers))('%s refuses it with a key of its own', async (name) => {
    expect(await takes(name, 'a secret that signs logins and nothing else')).toBe(false)
  })

  // Why the secret must sign nothing else: two of these look at the signature alone.
  it.each([
    ['jose', true],
    ['fast-jwt', true],
    ['jose that wants a typ', false],
    ['fast-jwt that wants a typ', false],
    ['hono/jwt', false],
  ])('%s with our secret: takes it for a login of the target? %s', async (name, taken) => {
    expect(await takes(name, secret)).toBe(taken)
  })
})
