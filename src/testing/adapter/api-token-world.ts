import assert from 'node:assert/strict'
import type { ImpersonationOptions } from '../../options.ts'
import type { ApiTokenContext } from '../../types.ts'
import type { TestCall, TestRoute, TestUser } from './app.ts'
import type { Ask } from './client.ts'
import { noGuardrails } from './headers.ts'
import { answerJson, type Setup, type World } from './world.ts'

/** What API tokens of the tests begin with. */
export const prefix = 'tst_live_'

/** Root may issue, for everybody who may not impersonate; what a token may do is up to its scopes alone. */
export const withApiTokens: Partial<ImpersonationOptions<TestUser>> = {
  guardrails: noGuardrails,
  apiTokens: { prefix, scopes: ['read', 'upload'] },
  can: (user, action) =>
    action === 'issue_token' ? user.id === 'root' : user.rights.includes(action),
}

/** Issues a token. Gives its id, and what a request with it and no other login is asked with. */
export async function issue({ call }: World, userId = 'alice', scopes = ['read']) {
  const json = { user_id: userId, name: 'a script', scopes }
  const reply = await call('POST', '/tokens', { json })
  assert.equal(reply.status, 201, reply.text)
  const token: string = reply.json.token
  return { id: reply.json.id as string, token, ask: by(token) }
}

export const by = (token: string, headers: Ask['headers'] = {}): Ask => ({
  as: null,
  headers: { Authorization: `Bearer ${token}`, ...headers },
})

const told = (token: unknown) => {
  if (token === undefined || token === null) return token === null ? null : 'unknown'
  const { owner, id, name, scopes, issuedBy } = token as ApiTokenContext<TestUser>
  return { owner: owner.id, id, name, scopes, issuedBy }
}

/** What a handler can learn of the token and of impersonation, from everywhere it could look. */
export const seen = ({ engine }: World, { user, impersonation, apiToken }: TestCall) => ({
  user: (user as TestUser | null | undefined)?.id ?? null,
  token: told(engine.tryApiToken()),
  request: told(apiToken),
  impersonated: [engine.tryCurrent(), impersonation].map((context) =>
    context === undefined ? 'unknown' : context !== null,
  ),
})

const tick = () => new Promise<void>((resolve) => setImmediate(resolve))

export const tokenRoutes = (world: World): readonly TestRoute[] => [
  { method: 'GET', path: '/token', handle: (call) => answerJson(seen(world, call)) },
  {
    method: 'POST',
    path: '/token',
    handle: async (call) => {
      const before = seen(world, call)
      await call.body()
      await tick()
      return answerJson([before, seen(world, call)])
    },
  },
  {
    method: 'GET',
    path: '/token/stream',
    handle: (call) => ({
      stream: async function* () {
        for (let n = 0; n < 3; n++) {
          await tick()
          yield `${seen(world, call).user} ${world.engine.tryApiToken()?.id}\n`
        }
      },
    }),
  },
  {
    method: 'GET',
    path: '/token/fails',
    handle: async () => {
      await tick()
      throw new Error('the handler failed, as it was asked to')
    },
  },
  {
    method: 'GET',
    path: '/token/within',
    handle: async (call) => {
      const inner: unknown[] = []
      for (const as of ['alice', null]) inner.push((await world.send('GET', '/token', { as })).json)
      return answerJson({ inner, own: seen(world, call) })
    },
  },
]

/** A world with API tokens, and a token of alice's that is good for `read`. */
export const setUp = async (setup: Setup, options: Parameters<Setup>[0] = {}) => {
  const engine = { ...withApiTokens, ...options.engine }
  const world = await setup({ routes: tokenRoutes, ...options, engine })
  const issued = await issue(world)
  const { id } = issued
  const mine = { owner: 'alice', id, name: 'a script', scopes: ['read'], issuedBy: 'root' }
  const expected = { user: 'alice', token: mine, request: mine, impersonated: [false, false] }
  return { ...world, ...issued, world, expected }
}

/** What is seen where there is no token of either kind. */
export const plain = { token: null, request: null, impersonated: [false, false] }
