/** A process that serves requests with tokens, and measures each. Runs as it is: Node strips the types. */
import http from 'node:http'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { impersonate as impersonateExpress } from '../../adapters/express.ts'
import { impersonate as impersonateFastify } from '../../adapters/fastify.ts'
import { impersonate as impersonateHono } from '../../adapters/hono.ts'
import { createImpersonation, type ImpersonationEngine, memoryStore } from '../../src/index.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { listen } from '../adapters/listen.ts'
import type { Framework } from './http-apps.ts'

export interface MutatedOrder {
  readonly framework: Framework
  readonly prefix: string
  readonly tokens: { readonly issuer: string; readonly audience: string; readonly secret: string }
  readonly each: number
}

export interface MutatedServer {
  readonly url: string
  /** What is good, and what was: half of each kind. */
  readonly good: readonly string[]
  readonly over: readonly string[]
}

/** What became of the requests since the last report; times in ms, from the arrival to the last byte. */
export interface MutatedReport {
  readonly served: number
  readonly handled: number
  readonly asked: { readonly tokens: number; readonly sessions: number }
  readonly times: Readonly<Record<'p50' | 'p99' | 'p999' | 'max', number>>
  readonly over50: number
  /**
   * The processor's time of this process while a request was here, others at the same time included: what a busy
   * machine can't make longer.
   */
  readonly cpu: { readonly max: number; readonly over50: number }
}

interface User {
  readonly id: string
  readonly may: readonly string[]
}

const users: readonly User[] = [
  { id: 'root', may: ['start', 'revoke', 'issue_token'] },
  ...Array.from({ length: 100 }, (_, n) => ({ id: `user-${n}`, may: [] })),
]

let handled = 0

const builds: Record<
  Framework,
  (engine: ImpersonationEngine<User>) => http.RequestListener | Promise<http.RequestListener>
> = {
  Express(engine) {
    const app = express()
    app.use(impersonateExpress(engine))
    app.all('/seen', (request, response) => {
      const { user } = request as never as { user?: User }
      if (user) handled++
      response.status(user ? 200 : 401).json({ code: 'nobody' })
    })
    return app
  },
  async Fastify(engine) {
    const app = fastify()
    await app.register(impersonateFastify, { impersonation: engine } as never)
    app.all('/seen', async (request, reply) => {
      const { user } = request as { user?: User | null }
      if (user) handled++
      return reply.code(user ? 200 : 401).send({ code: 'nobody' })
    })
    await app.ready()
    return (request, response) => app.routing(request, response)
  },
  Hono(engine) {
    const app = new Hono<{ Variables: { user: User | undefined } }>()
    app.use(impersonateHono(engine))
    app.all('/seen', (c) => {
      const user = c.get('user')
      if (user) handled++
      return c.json({ code: 'nobody' }, user ? 200 : 401)
    })
    return getRequestListener(app.fetch)
  },
}

/** In microseconds up to a second; what takes longer counts as a second here, and as it is for `max`. */
const counts = new Uint32Array(1_000_001)
let served = 0
let max = 0
const cpu = { max: 0, over50: 0 }

function measured(listener: http.RequestListener): http.RequestListener {
  return (request, response) => {
    const began = performance.now()
    const used = process.cpuUsage()
    response.once('finish', () => {
      const ms = performance.now() - began
      max = Math.max(max, ms)
      const { user, system } = process.cpuUsage(used)
      const cpuMs = (user + system) / 1000
      cpu.max = Math.max(cpu.max, cpuMs)
      if (cpuMs > 50) cpu.over50++
      const at = Math.min(Math.floor(ms * 1000), 1_000_000)
      counts[at] = (counts[at] as number) + 1
      served++
    })
    listener(request, response)
  }
}

function quantile(part: number): number {
  let left = served * part
  for (let at = 0; at < counts.length; at++) {
    left -= counts[at] as number
    if (left <= 0) return at / 1000
  }
  return 0
}

async function start({ framework, prefix, tokens, each }: MutatedOrder): Promise<void> {
  const store = faultyStore(memoryStore())
  const engine = createImpersonation<User>({
    store,
    findUser: (id) => users.find((user) => user.id === id),
    can: (user, action) => user.may.includes(action),
    rateLimit: false,
    impersonationTokens: tokens,
    apiTokens: { prefix, scopes: ['read'] },
  })
  const root = engine.caller(users[0] as User)
  const good: string[] = []
  const over: string[] = []
  for (let n = 0; n < each; n++) {
    const userId = `user-${n % 100}`
    const isGood = n % 2 === 0
    const issued = await engine.tokens.issue(root, { userId, name: 'a program', scopes: ['read'] })
    if (!isGood) await engine.tokens.revoke(root, issued.token.id)
    const { session, accessToken = '' } = await engine.sessions.start(root, {
      targetUserId: userId,
      reason: 'ticket 7',
      transport: 'token',
    })
    if (!isGood) await engine.sessions.revoke(root, session.id)
    const list = isGood ? good : over
    list.push(issued.secret, accessToken)
  }
  const { url, close } = await listen(http.createServer(measured(await builds[framework](engine))))
  process.on('disconnect', async () => {
    await close()
    await engine.close()
    process.exit()
  })
  process.on('message', () => {
    const { findToken, readSession } = store.calls
    const times = { p50: quantile(0.5), p99: quantile(0.99), p999: quantile(0.999), max }
    const over50 = counts.subarray(50_000).reduce((sum, count) => sum + count, 0)
    const asked = { tokens: findToken, sessions: readSession }
    const report: MutatedReport = { served, handled, asked, times, over50, cpu: { ...cpu } }
    process.send?.(report)
    counts.fill(0)
    served = handled = max = cpu.max = cpu.over50 = 0
    store.plan({})
  })
  process.send?.({ url, good, over } satisfies MutatedServer)
}

process.once('message', (order: MutatedOrder) => void start(order))
process.send?.('ready')
