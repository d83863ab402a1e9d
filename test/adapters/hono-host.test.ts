import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { getRequestListener as getListener1 } from 'hono-node-server1'
import { describe, expect, it } from 'vitest'
import { impersonate } from '../../adapters/hono.ts'
import {
  createImpersonation,
  guardrailKinds,
  type ImpersonationOptions,
  memoryStore,
} from '../../src/index.ts'
import { listen } from './listen.ts'

/*
 * Servers make the URL that Hono routes by of the request line and the `Host` header. A header with a
 * slash in it moves the path, so what is judged has to be what is routed.
 */

interface User {
  readonly id: string
}
const none = Object.fromEntries(guardrailKinds.map((kind) => [kind, []])) as never as NonNullable<
  ImpersonationOptions<User>['guardrails']
>

async function world(
  serve: typeof getRequestListener,
  options: Partial<ImpersonationOptions<User>>,
) {
  const engine = createImpersonation<User>({
    store: memoryStore(),
    findUser: (id) => ({ id }),
    can: ({ id }) => id === 'root',
    guardrails: none,
    ...options,
  })
  const reached: string[] = []
  const app = new Hono<{ Variables: { user: User } }>()
  app.use(async (c, next) => {
    c.set('user', { id: 'root' })
    await next()
  })
  app.use(impersonate(engine))
  app.all('*', (c) => {
    reached.push(
      `${c.get('user').id} ${c.req.method} ${c.req.path} ${c.req.query('_method') ?? ''}`,
    )
    return c.text('done')
  })
  const { url, close } = await listen(http.createServer(serve(app.fetch)))
  return {
    reached,
    start: (accessLevel: 'view' | 'full') =>
      engine.sessions.start(engine.caller({ id: 'root' }), {
        targetUserId: 'alice',
        reason: 'a test',
        accessLevel,
      }),
    async raw(line: string, host: string) {
      const socket = net.connect(Number(new URL(url).port), '127.0.0.1')
      const head = `${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`
      socket.end(Buffer.from(head, 'latin1'))
      socket.resume()
      await once(socket, 'close')
    },
    async close() {
      await close()
      await engine.close()
    },
  }
}

const hosts = [
  'ä/notes',
  'ä/./notes',
  'ä.ä.ä/notes',
  'app.example/notes',
  'u@ä/notes',
  'ä#/notes',
  'ä?x=/notes',
]

describe.each([
  ['1', getListener1 as typeof getRequestListener],
  ['2', getRequestListener],
])('on @hono/node-server %s', (_name, serve) => {
  it('the actor stays the actor on their own path only, whatever the Host header says', async () => {
    const { start, raw, reached, close } = await world(serve, {
      keepActorRoutes: ['* /console/*'],
    })
    await start('full')
    for (const host of hosts) await raw('POST /console/x', host)
    const strays = reached.filter((one) => one.startsWith('root') && !/ \/console\//.test(one))
    expect(strays).toEqual([])
    await close()
  })

  it('a guarded path is guarded where the Host header completes it', async () => {
    const { start, raw, reached, close } = await world(serve, {
      guardrails: { ...none, payment: ['* /notes/billing/*'] },
    })
    await start('full')
    for (const host of hosts) await raw('POST /billing/x', host)
    expect(reached.filter((one) => one.includes('/notes/billing'))).toEqual([])
    await close()
  })

  it('a method is not overridden from the Host header at view', async () => {
    const { start, raw, reached, close } = await world(serve, {})
    await start('view')
    for (const host of ['ä?_method=DELETE&a=', 'ä.ä.ä?_method=DELETE&a=', 'ä/?_method=DELETE&a='])
      await raw('GET /x', host)
    expect(reached.filter((one) => one.includes('DELETE'))).toEqual([])
    await close()
  })
})
