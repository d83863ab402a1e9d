import http from 'node:http'
import { getRequestListener as listener2 } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { LinearRouter } from 'hono/router/linear-router'
import { PatternRouter } from 'hono/router/pattern-router'
import { RegExpRouter } from 'hono/router/reg-exp-router'
import { SmartRouter } from 'hono/router/smart-router'
import { TrieRouter } from 'hono/router/trie-router'
import { getRequestListener as listener1 } from 'hono-node-server1'
import { impersonate } from '../../adapters/hono.ts'
import { type FuzzUser, fuzzRoutes, type Parts, userOf, type Variant } from './app.ts'
import { overrideOf } from './override.ts'

const routers = {
  RegExpRouter: () => new RegExpRouter(),
  TrieRouter: () => new TrieRouter(),
  // This one knows no path with both a parameter and a star; as in hono/quick, the other takes over.
  LinearRouter: () => new SmartRouter({ routers: [new LinearRouter(), new TrieRouter()] }),
  PatternRouter: () => new PatternRouter(),
  SmartRouter: () => new SmartRouter({ routers: [new RegExpRouter(), new TrieRouter()] }),
} as const

type Style = 'plain' | 'basePath' | 'route' | 'mount'

interface Options {
  readonly server: 1 | 2
  readonly router?: keyof typeof routers
  readonly strict?: boolean
  readonly style?: Style
  /** How the app itself makes a path of a request. */
  readonly getPath?: NonNullable<ConstructorParameters<typeof Hono>[0]>['getPath']
  readonly told?: string
}

export function honoVariant(options: Options): Variant {
  const { server, router = 'SmartRouter', strict = true, style = 'plain', told } = options
  const base = style === 'plain' ? '' : '/api'
  return {
    name: `Hono on node-server ${server}, ${router}, ${[strict ? 'strict' : 'not strict', style, told].filter(Boolean).join(', ')}`,
    base,
    reach: 50,
    build(parts) {
      const app = build(parts, { ...options, router, strict, style })
      const fetch = app.fetch as never
      return http.createServer((server === 1 ? listener1(fetch) : listener2(fetch)) as never)
    },
  }
}

type Incoming = http.IncomingMessage & { actsFor?: FuzzUser | undefined }
const incoming = (c: Context) => (c.env as { incoming: Incoming }).incoming

function build(
  { engine, hit }: Parts,
  { router = 'SmartRouter', strict = true, style, getPath }: Options,
) {
  const made = () => {
    const options: object = {
      router: routers[router]() as never,
      strict,
      ...(getPath && { getPath }),
    }
    const app = new Hono(options)
    app.onError((error, c) => ('getResponse' in error ? error.getResponse() : c.text('Error', 500)))
    return app
  }
  const withRoutes = (app: Hono, base: string) => {
    for (const route of fuzzRoutes) {
      app.on(route.method, (base + route.path).replace(/(?<=.)\/$/, ''), (c) => {
        hit(c.req.header('x-line'), {
          route,
          method: c.req.method,
          user: incoming(c).actsFor?.id,
          name: c.req.param('name' as never),
        })
        return c.text('ok')
      })
    }
    return app
  }
  const inner = withRoutes(made(), style === 'plain' ? '' : '/api')
  const app = made()
  const layered = style === 'basePath' ? app.basePath('/api') : app
  layered.use(async (c, next) => {
    c.set('user' as never, userOf(c.req.header('authorization')) as never)
    await next()
  })
  if (engine) layered.use(impersonate(engine))
  layered.use(async (c, next) => {
    incoming(c).actsFor = c.get('user' as never) as FuzzUser | undefined
    const method = overrideOf(
      c.req.method,
      (name) => c.req.header(name),
      {
        _method:
          c.req.query('_method') ?? new URL(c.req.url).searchParams.get('_method') ?? undefined,
      },
      await bodyOf(c),
    )
    if (!method || method === c.req.method) return next()
    const { headers } = c.req.raw
    return inner.fetch(
      new Request(c.req.url, {
        method: /^(TRACE|TRACK|CONNECT)$/.test(method) ? 'GET' : method,
        headers,
      }),
      c.env,
    )
  })
  if (style === 'route') app.route('/api', withRoutes(made(), ''))
  else if (style === 'mount') app.mount('/api', withRoutes(made(), '').fetch as never)
  else withRoutes(layered as never, '')
  return app
}

async function bodyOf(c: Context): Promise<unknown> {
  const type = c.req.header('content-type') ?? ''
  if (c.req.method === 'GET' || c.req.method === 'HEAD' || c.req.method === 'TRACE')
    return undefined
  if (/json/i.test(type)) return c.req.json().catch(() => undefined)
  if (/^\s*multipart/i.test(type)) return c.req.text()
  if (/urlencoded/i.test(type)) return Object.fromEntries(new URLSearchParams(await c.req.text()))
  return undefined
}
