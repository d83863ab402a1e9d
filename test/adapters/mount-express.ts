import http from 'node:http'
import { Readable } from 'node:stream'
import type express from 'express'
import type { Request, Response } from 'express'
import { type ExpressOptions, guarded, impersonate, requireScope } from '../../adapters/express.ts'
import type { Mount, TestAnswer, TestCall, TestUser } from '../../src/testing/index.ts'
import { listen } from './listen.ts'

type RawWay = (response: http.ServerResponse, answer: TestAnswer) => void

const rawWays: Record<string, RawWay> = {
  'writeHead with a record': (response, { status = 200, headers, body }) =>
    response.writeHead(status, { ...headers }).end(body),
  'writeHead with a message': (response, { status = 200, headers, body }) =>
    response.writeHead(status, 'Fine', { ...headers }).end(body),
  'writeHead with a flat array': (response, { status = 200, headers, body }) =>
    response.writeHead(status, Object.entries(headers ?? {}).flat()).end(body),
  'writeHead with pairs': (response, { status = 200, headers, body }) =>
    response.writeHead(status, Object.entries(headers ?? {}) as never).end(body),
  'write without a head': (response, { status = 200, headers, body }) => {
    response.statusCode = status
    response.setHeaders(new Map(Object.entries(headers ?? {})))
    response.write('')
    response.end(body)
  },
  'flushed headers': (response, { status = 200, headers, body }) => {
    response.statusCode = status
    response.setHeaders(new Map(Object.entries(headers ?? {})))
    response.flushHeaders()
    response.end(body)
  },
}
/** Express has set headers before, and Node takes pairs only where there are none. */
export const expressRawWays = Object.keys(rawWays).filter((way) => !way.endsWith('pairs'))
export const nodeRawWays = Object.keys(rawWays)
export const answerRaw = (response: http.ServerResponse, answer: TestAnswer) =>
  rawWays[answer.raw ?? '']?.(response, answer)

/** Builds the app of the suite in Express, 4 or 5. */
export function mountExpress(
  framework: typeof express,
  options: ExpressOptions<TestUser> & { slot?: string } = {},
): Mount {
  const { slot = 'user', ...ours } = options
  return async ({ engine, mountPath, layers, routes, onError, notFound }) => {
    const app = framework()
    const router = framework.Router()
    for (const layer of layers) {
      if (layer.kind === 'impersonation') router.use(impersonate(engine, ours))
      if (layer.kind === 'parser') router.use(framework.json(), framework.urlencoded())
      router.use((request, response, next) => {
        if (layer.kind === 'header') response.setHeader(layer.name, layer.value)
        const user = layer.kind === 'user' ? layer.find(callOf(request, slot)) : undefined
        if (user !== undefined) (request as never as Record<string, unknown>)[slot] = user
        next()
      })
    }
    for (const { method, path, guard, scopes, handle } of routes) {
      const verb = method.toLowerCase() as 'get'
      if (guard) router[verb](path, guarded(guard))
      if (scopes) router[verb](path, requireScope(...scopes))
      router[verb](path, async (request, response, next) => {
        try {
          send(response, await handle(callOf(request, slot)))
        } catch (error) {
          next(error)
        }
      })
    }
    app.use(mountPath || '/', router)
    if (notFound)
      app.use(async (request, response) => send(response, await notFound(callOf(request, slot))))
    app.use((error: unknown, request: Request, response: Response, next: (e: unknown) => void) => {
      if (onError && !response.headersSent) send(response, onError(error, callOf(request, slot)))
      else next(error)
    })
    app.set('env', 'test')
    return listen(http.createServer(app))
  }
}

function callOf(request: Request, slot: string): TestCall {
  return {
    get user() {
      return (request as never as Record<string, unknown>)[slot]
    },
    get impersonation() {
      return request.impersonation
    },
    get apiToken() {
      return request.apiToken
    },
    header: (name) => request.get(name),
    headerNames: () => headerNames(request),
    body: () => request.body ?? readAll(request),
  }
}

export const headerNames = (request: http.IncomingMessage) => [
  ...Object.keys(request.headers),
  ...Object.keys(request.headersDistinct),
  ...request.rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()),
]

async function readAll(request: Request): Promise<unknown> {
  let text = ''
  for await (const piece of request) text += piece
  return text === '' ? undefined : JSON.parse(text)
}

function send(response: Response, answer: TestAnswer): void {
  if (answer.raw) answerRaw(response, answer)
  else sendUsual(response, answer)
}

function sendUsual(response: Response, answer: TestAnswer): void {
  const { status = 200, headers = {}, body, redirect, stream } = answer
  response.status(status).set(headers)
  if (redirect) response.redirect(redirect)
  else if (stream) Readable.from(stream()).pipe(response)
  else if (body === undefined) response.end()
  else response.send(body)
}
