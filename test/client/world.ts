import { afterEach } from 'vitest'
import { type ClientError, type ClientOptions, createClient } from '../../src/client/index.ts'
import { createImpersonation, type ImpersonationOptions, memoryStore } from '../../src/index.ts'
import { type Framework, serve } from '../support/http-apps.ts'

export interface User {
  readonly id: string
  readonly may: readonly string[]
}

export const noon = Date.UTC(2030, 5, 1, 12)
export const minute = 60_000
const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

/** What went over the wire. */
export interface Sent {
  readonly url: string
  readonly headers: Headers
  readonly init: RequestInit
}

/** A server with its clock, and clients of it whose requests are on record. */
export async function world(
  framework: Framework,
  options: Partial<ImpersonationOptions<User>> = {},
) {
  const users: User[] = [
    { id: 'root', may: ['start', 'list', 'revoke'] },
    { id: 'boss', may: ['start', 'list', 'revoke'] },
    { id: 'alice', may: [] },
    { id: 'bob', may: [] },
  ]
  const clock = { now: noon }
  /** Who the handlers have written as. */
  const written: string[] = []
  const engine = createImpersonation<User>({
    store: memoryStore(),
    findUser: (id) => users.find((user) => user.id === id),
    can: (user, action) => user.may.includes(action),
    now: () => clock.now,
    rateLimit: false,
    impersonationTokens: {
      issuer: 'https://api.example.com',
      audience: 'https://api.example.com',
      secret: 'a secret of at least thirty-two characters',
    },
    ...options,
  })
  const served = await serve(framework, engine, users, {
    '/notes': () => {
      const as = engine.current()?.target.id ?? 'oneself'
      written.push(as)
      return as
    },
  })
  open.push(served.close)

  /** A page or a script of root's, with all it has sent and been told. */
  function client(more: Partial<ClientOptions> = {}, who = 'root') {
    const sent: Sent[] = []
    const ended: ClientError[] = []
    const made = createClient({
      baseUrl: served.url,
      headers: { Authorization: `Bearer ${who}` },
      now: () => clock.now,
      onEnded: (error) => ended.push(error),
      ...more,
      fetch: (input, init = {}) => {
        const url = typeof input === 'object' && 'url' in input ? input.url : String(input)
        sent.push({ url, headers: new Headers(init.headers), init })
        return (more.fetch ?? fetch)(input, init)
      },
    })
    return Object.assign({ sent, ended, pin: () => pinOf(sent.at(-1)) }, made)
  }

  return { ...served, engine, clock, users, written, client }
}

const pinOf = (sent: Sent | undefined) => sent?.headers.get('x-impersonation-session') ?? null

/** Alice, for a reason. */
export const asAlice = { targetUserId: 'alice', reason: 'ticket 7' } as const

/** What a call was refused with. */
export async function refusal(call: Promise<unknown>): Promise<ClientError> {
  return call.then(
    () => Promise.reject(new Error('it was not refused')),
    (error: ClientError) => error,
  )
}
