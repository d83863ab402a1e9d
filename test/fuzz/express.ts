import http from 'node:http'
import type express from 'express'
import type { Request, Response } from 'express'
import { impersonate } from '../../adapters/express.ts'
import {
  type FuzzRoute,
  type FuzzUser,
  fuzzRoutes,
  type Parts,
  userOf,
  type Variant,
} from './app.ts'
import { overrideOf } from './override.ts'

type Style = 'plain' | 'route' | 'router' | 'merged' | 'app' | 'expressions'

interface Options {
  readonly version: 4 | 5
  readonly style?: Style
  readonly settings?: Readonly<Record<string, unknown>>
  /** Where our layer is. @default 'app' */
  readonly layer?: 'app' | 'router'
}

const bases: Readonly<Record<Style, readonly [string, string]>> = {
  plain: ['', ''],
  route: ['', ''],
  expressions: ['', ''],
  router: ['/api', '/api'],
  app: ['/api', '/api'],
  merged: ['/acme', '/:tenant'],
}

export function expressVariant(framework: typeof express, options: Options): Variant {
  const { version, style = 'plain', settings = {}, layer = 'app' } = options
  const [base, patternBase] = bases[style]
  const told = [style, ...Object.entries(settings).map(([name, value]) => `${name}: ${value}`)]
  return {
    name: `Express ${version}, ${told.join(', ')}${layer === 'router' ? ', layer in the router' : ''}`,
    base,
    patternBase,
    reach: 50,
    build: (parts) => http.createServer(build(framework, parts, { ...options, style, layer })),
  }
}

function build(
  framework: typeof express,
  { engine, hit }: Parts,
  { version, style, settings = {}, layer }: Options,
) {
  const app = framework()
  app.set('env', 'test')
  for (const [name, value] of Object.entries(settings)) app.set(name, value)
  app.use((request, _, next) => {
    const user = userOf(request.get('authorization'))
    if (user) (request as never as { user: FuzzUser }).user = user
    next()
  })
  const ours = engine ? [impersonate(engine)] : []
  const [mount] = [bases[style ?? 'plain'][1]]
  const inner =
    style === 'app'
      ? framework()
      : style === 'router' || style === 'merged'
        ? framework.Router({
            mergeParams: style === 'merged',
            caseSensitive: settings['case sensitive routing'] === true,
            strict: settings['strict routing'] === true,
          })
        : app
  if (layer === 'app') for (const each of ours) app.use(each)
  else for (const each of ours) inner.use(each)
  app.use(
    framework.json({ strict: false, type: /json/ as never }),
    framework.urlencoded({ extended: true }),
  )
  app.use(framework.text({ type: 'multipart/*' }))
  // As the layers that many apps have: what a header, the query or the body says goes.
  app.use((request, _, next) => {
    const method = overrideOf(
      request.method,
      (name) => request.get(name),
      request.query,
      request.body,
    )
    if (method) request.method = method
    next()
  })
  if (inner !== app) app.use(mount, inner)

  for (const route of fuzzRoutes) {
    const handle = (request: Request, response: Response) => {
      hit(request.get('x-line'), {
        route,
        method: request.method,
        user: (request as never as { user?: FuzzUser }).user?.id,
        name: request.params.name as string | undefined,
      })
      response.send('ok')
    }
    const verb = route.method.toLowerCase() as 'post'
    const path = style === 'expressions' ? expressionOf(route) : pathOf(route, version)
    if (style === 'route') inner.route(path as string)[verb](handle)
    else inner[verb](path as string, handle)
  }
  return app
}

function pathOf({ path }: FuzzRoute, version: 4 | 5): string | string[] {
  if (path.endsWith('/*')) return [path.slice(0, -2), version === 4 ? path : `${path}rest`]
  return encodeURI(path)
}

/** The same route as regular expressions, as people write them; and in an array. */
function expressionOf({ path }: FuzzRoute): RegExp | RegExp[] {
  const source = encodeURI(path)
    .replace(/\/\*$/, '(?:/.*)?')
    .replace(/:(\w+)/g, '(?<$1>[^/]+)')
  // Express 4 makes one expression of both, and Node 22 takes no name for a group twice.
  const never = source.replaceAll('(?<', '(?<never_')
  return [new RegExp(`^${source}/?$`, 'i'), new RegExp(`^/never${never}$`)]
}
