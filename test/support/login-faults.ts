import http from 'node:http'
import { createImpersonation, memoryStore } from '../../src/index.ts'
import { listen } from '../adapters/listen.ts'
import { audience, issuer, secret } from '../tokens/fixtures.ts'
import { sendRaw } from './token-world.ts'

/** What logins are tried with that do what they should not. */
export interface User {
  readonly id: string
}

const open: (() => Promise<void>)[] = []

export async function closeServed(): Promise<void> {
  for (const close of open.splice(0)) await close()
}

/** What came to the handler: in whose name, and whether anybody is impersonated. */
export type Ran = [string | null, boolean | undefined]

export function engineOf() {
  const users: User[] = [{ id: 'root' }, { id: 'alice' }]
  const engine = createImpersonation<User>({
    store: memoryStore(),
    findUser: (id) => users.find((user) => user.id === id),
    can: ({ id }) => id === 'root',
    rateLimit: false,
    impersonationTokens: { issuer, audience, secret },
  })
  const caller = engine.caller({ id: 'root' })
  const ask = { targetUserId: 'alice', reason: 'r', accessLevel: 'full' } as const
  const mint = async () => {
    const started = await engine.sessions.start(caller, { ...ask, transport: 'token' })
    return started.accessToken ?? ''
  }
  return { engine, mint, start: () => engine.sessions.start(caller, ask) }
}

export async function served(
  app: http.RequestListener,
  engine: ReturnType<typeof engineOf>['engine'],
) {
  const { url, close } = await listen(http.createServer(app))
  open.push(async () => {
    await engine.close()
    await close()
  })
  return async (headers: readonly string[], method = 'GET', path = '/me') =>
    (await sendRaw(url + path, headers, { method })).status
}

export const oops = () => new Error('the login is broken')
export const asRoot = (request: object) => void Object.assign(request, { user: { id: 'root' } })
