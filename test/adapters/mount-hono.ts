import { type Context, Hono } from 'hono'
import { stream as honoStream } from 'hono/streaming'
import type { HTTPResponseError } from 'hono/types'
import { guarded, type HonoOptions, impersonate, requireScope } from '../../adapters/hono.ts'
import type {
  MountedApp,
  TestAnswer,
  TestApp,
  TestCall,
  TestUser,
} from '../../src/testing/index.ts'

type RawWay = (c: Context, answer: TestAnswer) => Response | Promise<Response>

const plain = ({ status = 200, headers, body }: TestAnswer) =>
  new Response(body ?? null, { status, headers: { ...headers } })

const rawWays: Record<string, RawWay> = {
  'a Response': (_, answer) => plain(answer),
  'a Response whose headers are fixed': (_, answer) =>
    fixed(plain({ ...answer, headers: { 'Content-Type': 'text/plain', ...answer.headers } })),
  'a mounted app': (c, answer) => {
    const inner = new Hono().mount('/', () => plain(answer))
    return inner.fetch(new Request(c.req.url))
  },
}
export const honoRawWays = Object.keys(rawWays)

/** As of a fetched Response: none of its headers can be changed. */
function fixed(response: Response): Response {
  const deny = () => {
    throw new TypeError('immutable')
  }
  Object.assign(response.headers, { set: deny, append: deny, delete: deny })
  return response
}

/** Builds the app of the suite in Hono; `serve` puts it on a server. */
export function mountHono(
  serve: (app: Hono) => MountedApp | Promise<MountedApp>,
  options: HonoOptions<TestUser> & { slot?: string; strict?: boolean } = {},
) {
  const { slot = 'user', strict = true, ...ours } = options
  return async ({ engine, mountPath, layers, routes, onError, notFound }: TestApp) => {
    const app = new Hono({ strict })
    const below = mountPath ? app.basePath(mountPath) : app
    for (const layer of layers) {
      if (layer.kind === 'impersonation') below.use(impersonate(engine, ours))
      else if (layer.kind === 'parser')
        below.use(async (c, next) => {
          if (c.req.method !== 'GET') await c.req.text()
          await next()
        })
      else
        below.use(async (c, next) => {
          if (layer.kind === 'header') c.header(layer.name, layer.value)
          const user = layer.kind === 'user' ? layer.find(callOf(c, slot)) : undefined
          if (user !== undefined) c.set(slot as never, user as never)
          await next()
        })
    }
    for (const { method, path, guard, scopes, handle } of routes) {
      if (guard) below.on(method, path, guarded(guard))
      if (scopes) below.on(method, path, requireScope(...scopes))
      below.on(method, path, async (c) => send(c, await handle(callOf(c, slot))))
    }
    if (onError)
      app.onError(
        (error: Error | HTTPResponseError, c) => send(c, onError(error, callOf(c, slot))) as never,
      )
    else
      app.onError((error, c) =>
        'getResponse' in error ? error.getResponse() : c.text('Error', 500),
      )
    if (notFound) app.notFound(async (c) => send(c, await notFound(callOf(c, slot))) as never)
    return serve(app)
  }
}

function callOf(c: Context, slot: string): TestCall {
  const incoming = (c.env as { incoming?: import('node:http').IncomingMessage } | undefined)
    ?.incoming
  return {
    get user() {
      return c.get(slot)
    },
    get impersonation() {
      return c.get('impersonation')
    },
    get apiToken() {
      return c.get('apiToken')
    },
    header: (name) => c.req.header(name),
    headerNames: () => [
      ...c.req.raw.headers.keys(),
      ...(incoming ? Object.keys(incoming.headers) : []),
      ...(incoming ? Object.keys(incoming.headersDistinct) : []),
      ...(incoming?.rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase()) ??
        []),
    ],
    body: () => c.req.json(),
  }
}

function send(c: Context, answer: TestAnswer): Response | Promise<Response> {
  const { status = 200, headers = {}, body, redirect, stream, raw } = answer
  if (raw) return rawWays[raw]?.(c, answer) as Response
  for (const [name, value] of Object.entries(headers)) c.header(name, value)
  if (redirect) return c.redirect(redirect)
  c.status(status as 200)
  if (stream)
    return honoStream(c, async (out) => {
      for await (const piece of stream()) await out.write(piece)
    })
  return body === undefined ? c.body(null) : c.body(body)
}
