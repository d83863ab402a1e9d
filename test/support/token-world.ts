import http from 'node:http'
import { vi } from 'vitest'
import {
  createImpersonation,
  type ImpersonationEngine,
  type ImpersonationOptions,
  memoryStore,
  type Session,
} from '../../src/index.ts'
import { audience, forge, header, issuer, secret } from '../tokens/fixtures.ts'
import { type Framework, type Handlers, type Reply, serve } from './http-apps.ts'

export interface User {
  readonly id: string
  readonly may: readonly string[]
  readonly active?: boolean
  readonly orgId?: string | null
}

export const noon = Date.UTC(2030, 5, 1, 12)
export const second = 1000
export const minute = 60 * second

export const impersonationTokens = { issuer, audience, secret }

/** `root`, `boss` and `sup` may start; the others are customers, `mallory` among them. */
const everybody = (): User[] => [
  {
    id: 'root',
    may: ['start', 'list', 'revoke', 'read_audit', 'break_glass', 'confirm_break_glass', 'approve'],
  },
  { id: 'boss', may: ['start', 'list', 'revoke'] },
  { id: 'sup', may: ['start'] },
  { id: 'alice', may: [], orgId: 'acme' },
  { id: 'bob', may: [], orgId: 'acme' },
  { id: 'carol', may: [], orgId: 'acme' },
  { id: 'mallory', may: [] },
]

const open: (() => Promise<void>)[] = []

export async function closeAll(): Promise<void> {
  vi.restoreAllMocks()
  for (const close of open.splice(0)) await close()
}

type Options = Partial<ImpersonationOptions<User>>
type Engine = ImpersonationEngine<User>

export interface Minted {
  readonly token: string
  readonly session: string
}

/** An app with tokens switched on, and a clock that moves only when told. */
export async function tokenWorld(
  framework: Framework,
  options: Options = {},
  handlersOf: (engine: Engine) => Handlers = () => ({}),
) {
  // What is known grows old by this one as well, and a busy machine is slow.
  vi.spyOn(performance, 'now').mockReturnValue(1000)
  const users = everybody()
  const clock = { now: noon }
  const store = options.store ?? memoryStore()
  const signals: AbortSignal[] = []

  async function process(more: Options = {}) {
    const engine: Engine = createImpersonation<User>({
      store,
      findUser: (id) => users.find((user) => user.id === id),
      can: (user, action) => user.may.includes(action),
      now: () => clock.now,
      rateLimit: false,
      impersonationTokens,
      ...options,
      ...more,
    })
    const handlers = {
      '/notes': () => engine.current()?.session.id ?? 'as oneself',
      '/two': () => [engine.current()?.actor.id ?? null, engine.current()?.target.id ?? null],
      '/signal': () => {
        const context = engine.current()
        if (context) signals.push(context.signal)
        return context?.session.id
      },
      ...handlersOf(engine),
    }
    const served = await serve(framework, engine, users, handlers)
    open.push(served.close)
    const by = (token: string, route: string, body?: unknown, headers = {}): Promise<Reply> =>
      served.call('', route, body, { Authorization: `Bearer ${token}`, ...headers })
    return { ...served, engine, by }
  }

  const first = await process()
  return {
    ...first,
    process,
    users,
    clock,
    store,
    /** Those that the handler of `/app/signal` has looked at. */
    signals,
    async mint(more = {}, who = 'root'): Promise<Minted> {
      const { status, json } = await first.call(who, 'POST /start', {
        target_user_id: 'alice',
        reason: 'ticket 7',
        transport: 'token',
        ...more,
      })
      if (status !== 201) throw new Error(JSON.stringify(json))
      return { token: json.access_token, session: json.session_id }
    },
    change(id: string, changes: Partial<User>): void {
      const index = users.findIndex((user) => user.id === id)
      users[index] = { ...(users[index] as User), ...changes }
    },
  }
}

/** What the token of a session says, by hand. */
export const payloadOf = (session: Session) => ({
  iss: issuer,
  aud: audience,
  sub: session.targetUserId,
  act: { sub: session.actorId },
  jti: session.id,
  iat: session.createdAt / 1000,
  exp: Math.floor(session.expiresAt / 1000),
  access_level: session.accessLevel,
  grant_id: session.grantId ?? undefined,
  client_id: session.clientId ?? undefined,
  org_id: session.targetOrgId ?? undefined,
})

/** A token for a session, signed as the host itself would. */
export const signedFor = (session: Session, changes: object = {}) =>
  forge(header(), { ...payloadOf(session), ...changes })

/** A request with its headers as they are given here, twice the same name if need be. */
export function sendRaw(
  url: string,
  headers: readonly string[],
  { method = 'GET', agent }: { method?: string; agent?: http.Agent } = {},
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const length = method === 'GET' ? [] : ['Content-Length', '0']
    const options = { method, headers: ['Host', new URL(url).host, ...length, ...headers] }
    const request = http.request(url, { ...options, ...(agent && { agent }) }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    request.on('error', reject)
    request.end()
  })
}
