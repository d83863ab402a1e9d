import { readFileSync } from 'node:fs'
import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { impersonate } from '../../adapters/hono.ts'
import { routes } from '../../src/http/routes.ts'
import { createImpersonation, memoryStore } from '../../src/index.ts'

/** The table of README.md: who gets what from which route. It is the contract; this holds the code to it. */
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const [head = [], , ...rows] = (/[<]!-- matrix -->\n([\s\S]*?)\n\n/.exec(readme)?.[1] ?? '')
  .split('\n')
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )

interface User {
  id: string
  may: readonly string[]
}

const users: User[] = [
  { id: 'root', may: ['start', 'list', 'revoke'] },
  { id: 'sup', may: ['start'] },
  { id: 'alice', may: [] },
  { id: 'mallory', may: [] },
]

const callers: Record<string, { token?: string; impersonates?: boolean }> = {
  nobody: {},
  user: { token: 'mallory' },
  target: { token: 'alice' },
  'may `start`': { token: 'sup' },
  'may everything': { token: 'root' },
  impersonating: { token: 'sup', impersonates: true },
}

/** A fresh app; somebody's session with alice is there to be listed and revoked, and over when it would be in the way. */
async function world(impersonates: boolean) {
  const impersonation = createImpersonation<User>({
    store: memoryStore(),
    findUser: (id) => users.find((user) => user.id === id),
    can: (user, action) => user.may.includes(action),
  })
  const app = new Hono<{ Variables: { user: User | undefined } }>()
  app.use((c, next) => {
    c.set(
      'user',
      users.find(({ id }) => c.req.header('authorization') === `Bearer ${id}`),
    )
    return next()
  })
  app.use(impersonate(impersonation))
  const actor = impersonation.caller(users.find(({ id }) => id === 'sup') as User)
  const { session } = await impersonation.sessions.start(actor, {
    targetUserId: 'alice',
    reason: 'matrix',
  })
  if (!impersonates) await impersonation.sessions.stop(actor)
  return { app, sessionId: session.id }
}

const bodies: Record<string, unknown> = {
  '/': { target_user_id: 'alice', reason: 'matrix' },
  '/start': { target_user_id: 'alice', reason: 'matrix' },
  '/extend': { minutes: 1 },
}

async function call(
  method: string,
  path: string,
  { token, impersonates = false }: (typeof callers)[string],
) {
  const { app, sessionId } = await world(impersonates)
  const body = method === 'GET' ? undefined : bodies[path]
  return app.request(`/impersonation${path === '/' ? '' : path.replace(':id', sessionId)}`, {
    method,
    headers: {
      'Sec-Fetch-Site': 'same-origin',
      ...(token && { Authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}

describe('the matrix in README.md', () => {
  it('has a row for every route and a column for every caller', () => {
    expect(rows.map(([route]) => route?.replaceAll('`', ''))).toEqual(
      routes.map(({ method, path }) => `${method} ${path}`),
    )
    expect(head.slice(1)).toEqual(Object.keys(callers))
  })

  for (const [route = '', ...answers] of rows) {
    const [method = '', path = ''] = route.replaceAll('`', '').split(' ')
    for (const [index, [name, caller]] of Object.entries(callers).entries()) {
      it(`${method} ${path} by ${name} is ${answers[index]}`, async () => {
        const response = await call(method, path, caller)
        expect(response.status).toBe(Number(answers[index]))
      })
    }
  }

  it.each(routes.map(({ path }) => path))('%s knows no other method than its own', async (path) => {
    const own = routes.filter((route) => route.path === path).map(({ method }) => method as string)
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY'].filter(
      (each) => !own.includes(each),
    )) {
      const response = await call(method, path, { token: 'root' })
      expect([method, response.status]).toEqual([method, 405])
      expect(response.headers.get('allow')?.split(', ')).toEqual(
        own.flatMap((each) => (each === 'GET' ? ['GET', 'HEAD'] : [each])),
      )
    }
  })
})
