import http from 'node:http'
import type { ErrorRequestHandler } from 'express'
import { vi } from 'vitest'
import { createImpersonation, type ImpersonationOptions, memoryStore } from '../../src/index.ts'
import { listen } from './listen.ts'

/** What apps are asked with that take API tokens, impersonation tokens and logins. */

export interface User {
  readonly id: string
}
export const root = { id: 'root' }
export type Headers = http.IncomingHttpHeaders

export function world(options: Partial<ImpersonationOptions<User>> = {}) {
  const engine = createImpersonation<User>({
    store: memoryStore(),
    findUser: (id) => ({ id }),
    can: ({ id }) => id === 'root',
    rateLimit: false,
    apiTokens: { prefix: 'pv_live_', scopes: ['read', 'upload'] },
    impersonationTokens: {
      issuer: 'i',
      audience: 'a',
      secret: 'a secret of the tests, and of 32+',
    },
    ...options,
  })
  const caller = engine.caller(root)
  const issue = async (userId: string, ...scopes: string[]) => {
    const { secret } = await engine.tokens.issue(caller, { userId, name: 'a script', scopes })
    return { authorization: `Bearer ${secret}` }
  }
  const mint = async () => {
    const ask = {
      targetUserId: 'dave',
      reason: 'r',
      accessLevel: 'full',
      transport: 'token',
    } as const
    const { accessToken } = await engine.sessions.start(caller, ask)
    return { authorization: `Bearer ${accessToken}` }
  }
  const start = () =>
    engine.sessions.start(caller, { targetUserId: 'bob', reason: 'r', accessLevel: 'full' })
  /** Who is there, as code downstream is told: by the token, by the impersonation. */
  const now = () => [engine.apiToken()?.owner.id ?? null, engine.current()?.target.id ?? null]
  return { engine, issue, mint, start, now }
}

/** A bearer token that is a user's id. */
export const loginOf = (authorization: string | undefined) => {
  const id = /^Bearer (\w{3,6})$/.exec(authorization ?? '')?.[1]
  return id === undefined ? undefined : { id }
}

const open: (() => unknown)[] = []

export function keepQuiet(): void {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  vi.spyOn(console, 'error').mockImplementation(() => {})
}

export async function closeAll(): Promise<void> {
  vi.restoreAllMocks()
  for (const close of open.splice(0)) await close()
}

/** To be closed with the test. */
export const closing = (close: () => unknown) => void open.push(close)

/** Asks one by one over a single connection that is kept. */
export async function served(app: http.RequestListener) {
  const { url, close } = await listen(http.createServer(app))
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  open.push(() => agent.destroy(), close)
  return (method: string, path: string, headers: http.OutgoingHttpHeaders = {}, body = '') =>
    new Promise<{ status: number; text: string; reused: boolean }>((resolve, reject) => {
      const length = { 'Content-Length': Buffer.byteLength(body) }
      const type = body === '' ? {} : { 'Content-Type': 'application/json' }
      const all = { ...headers, ...type, ...(method === 'GET' || method === 'HEAD' ? {} : length) }
      const request = http.request(url + path, { agent, method, headers: all }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (piece: string) => {
          text += piece
        })
        const status = response.statusCode ?? 0
        response.on('end', () => resolve({ status, text, reused: request.reusedSocket }))
      })
      request.on('error', reject)
      request.end(body)
    })
}

export const errors: ErrorRequestHandler = (error, _request, response, _next) =>
  void response.status(error.status ?? 500).json(error.code ?? error.message)
