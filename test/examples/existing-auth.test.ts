import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Example, startExample } from './processes.ts'

interface Login {
  /** What the browser or program sends with every request to be logged in. */
  readonly headers: Record<string, string>
  /** What the login itself consists of, to see that nobody touches it. */
  readonly credential: () => string
  /** Takes in what an answer sets. */
  learn(response: Response): void
}

const hosts: Record<string, (url: string, name: string) => Promise<Login>> = {
  'passport.ts': (url, name) => loginByCookie(url, '/login', { email: emails[name] }),
  'better-auth.ts': (url, name) =>
    loginByCookie(url, '/api/auth/sign-in/email', {
      email: `${name}@app.example`,
      password: 'a long password',
    }),
  'fastify-jwt.ts': async (url, name) => {
    const { token } = await (await send(url, 'POST', '/login', { email: emails[name] })).json()
    const headers = { Authorization: `Bearer ${token}` }
    return { headers, credential: () => token, learn() {} }
  },
}

const emails: Record<string, string> = { root: 'root@staff.example', alice: 'alice@acme.example' }

describe.each(Object.keys(hosts))('existing-auth/%s', (file) => {
  let example: Example
  const login = async (name: string) => {
    const found = await hosts[file]?.(example.url, name)
    if (!found) throw new Error(`nobody logs in ${name}`)
    return found
  }
  const call = async (who: Login, method: string, path: string, body?: object) => {
    const response = await send(example.url, method, path, body, who.headers)
    who.learn(response)
    return { response, body: await response.json() }
  }

  beforeAll(async () => {
    example = await startExample(`existing-auth/${file}`)
  })
  afterAll(async () => {
    expect(await example.end()).toBe(0)
  })

  it('acts as the target and stops, and the login stays as it was', async () => {
    const [root, alice] = [await login('root'), await login('alice')]
    const credential = root.credential()
    expect(credential).not.toBe('')
    const before = await call(root, 'GET', '/me')
    const { body: target } = await call(alice, 'GET', '/me')
    expect(before.body.email).toMatch(/^root@/)
    expect(target.email).toMatch(/^alice@/)

    const ask = { target_user_id: target.id, reason: 'a test' }
    const started = await call(root, 'POST', '/impersonation', ask)
    expect(started.response.status).toBe(201)
    expect(root.credential()).toBe(credential)

    const during = await call(root, 'GET', '/me')
    expect(during.body).toEqual(target)
    expect(during.response.headers.get('X-Impersonated-User-Id')).toBe(target.id)
    expect((await call(root, 'POST', '/me', {})).body.code).toBe('grant_view_only')
    expect(root.credential()).toBe(credential)

    const untouched = await call(alice, 'GET', '/me')
    expect(untouched.body).toEqual(target)
    expect(untouched.response.headers.get('X-Impersonating')).toBeNull()

    const stopped = await call(root, 'POST', '/impersonation/stop', {})
    expect(stopped.body.status).toBe('stopped')
    const after = await call(root, 'GET', '/me')
    expect(after.body).toEqual(before.body)
    expect(after.response.headers.get('X-Impersonating')).toBeNull()
    expect(root.credential()).toBe(credential)
  })

  it('lets nobody start who may not, or is not logged in', async () => {
    const [root, alice] = [await login('root'), await login('alice')]
    const { body: admin } = await call(root, 'GET', '/me')
    const ask = { target_user_id: admin.id, reason: 'a test' }
    expect((await call(alice, 'POST', '/impersonation', ask)).body.code).toBe('not_allowed')
    const nobody = { Origin: example.url }
    const refused = await send(example.url, 'POST', '/impersonation', ask, nobody)
    expect(refused.status).toBe(401)
  })

  if (file === 'passport.ts') {
    it('ends the impersonation with the logout of who is really there', async () => {
      const [root, alice] = [await login('root'), await login('alice')]
      const { body: target } = await call(alice, 'GET', '/me')
      await call(root, 'POST', '/impersonation', { target_user_id: target.id, reason: 'a test' })
      expect((await call(root, 'POST', '/logout', {})).response.status).toBe(200)
      const again = await login('root')
      const status = await call(again, 'GET', '/impersonation/status')
      expect(status.body).toMatchObject({
        is_impersonating: false,
        last_ended: { ended_reason: 'actor_logged_out' },
      })
    })
  }

  if (file === 'fastify-jwt.ts') {
    it('leaves the refusal of a missing login to the route', async () => {
      const response = await send(example.url, 'GET', '/me')
      expect(response.status).toBe(401)
      expect((await response.json()).code).toBe('FST_JWT_NO_AUTHORIZATION_IN_HEADER')
    })
  }

  if (file === 'better-auth.ts') {
    it("refuses to start from within better-auth's own impersonation", async () => {
      const [root, bob] = [await login('root'), await login('bob')]
      const { body: target } = await call(bob, 'GET', '/me')
      const swap = await call(root, 'POST', '/api/auth/admin/impersonate-user', {
        userId: target.id,
      })
      expect(swap.response.status).toBe(200)
      expect((await call(root, 'GET', '/me')).body.email).toBe(target.email)
      const ask = { target_user_id: 'whoever', reason: 'a test' }
      const refused = await call(root, 'POST', '/impersonation', ask)
      expect(refused.body).toMatchObject({ status: 409, code: 'nested_impersonation' })
    })
  }
})

/** Logs in as a browser does, and keeps its cookies. */
async function loginByCookie(url: string, path: string, body: object): Promise<Login> {
  const jar = new Map<string, string>()
  const headers: Record<string, string> = { Origin: url }
  const learn = (response: Response) => {
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      if (/max-age=0/i.test(cookie)) jar.delete(name)
      else jar.set(name, value)
    }
    headers.Cookie = [...jar].map((pair) => pair.join('=')).join('; ')
  }
  const response = await send(url, 'POST', path, body, headers)
  expect(response.status).toBe(200)
  learn(response)
  const own = () => [...jar].filter(([name]) => !name.includes('onbehalf')).join(' ')
  return { headers, credential: own, learn }
}

function send(
  url: string,
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(url + path, {
    method,
    body: body ? JSON.stringify(body) : null,
    headers: { ...headers, ...(body && { 'Content-Type': 'application/json' }) },
  })
}
