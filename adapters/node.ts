import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Trace } from '../src/adapter.ts'
import {
  cacheHeaders,
  exposeWith,
  type HeaderPlan,
  noStore,
  varyWith,
} from '../src/pipeline/headers.ts'

/** What Express and Fastify share: Node's own request and response. */

export function headerOf(request: IncomingMessage, name: string): string | undefined {
  if (name === 'authorization' && hasTwoLogins(request)) return loginsOf(request)
  const value = request.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

/** Node keeps only the first of several Authorization headers; which one the host reads is anybody's guess. */
export function hasTwoLogins(request: IncomingMessage): boolean {
  if (request.headers.authorization === undefined) return false
  let count = 0
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const name = request.rawHeaders[index]
    if (name?.length === 13 && name.toLowerCase() === 'authorization') count++
  }
  return count > 1
}

/** All of them: whoever reads the raw ones finds the second, too. */
function loginsOf({ rawHeaders }: IncomingMessage): string {
  return rawHeaders
    .filter((_, index) => rawHeaders[index - 1]?.toLowerCase() === 'authorization' && index % 2)
    .join(', ')
}

/** A download, to be sent as it is made; null for every other answer: those are small. */
export function fileOf(answer: Response): Readable | null {
  if (answer.body === null || !answer.headers.has('content-disposition')) return null
  return Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0])
}

/** @throws {Error} when the file can't be made to its end: the connection is cut, so that nobody takes it for whole */
export async function sendFile(response: ServerResponse, file: Readable): Promise<void> {
  try {
    await pipeline(file, response)
  } catch (error) {
    // Whoever hung up wants no answer.
    if ((error as { code?: unknown }).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
  }
}

export function removeHeader(request: IncomingMessage, name: string): void {
  delete request.headers[name]
  // Requests of HTTP/2 have none.
  if (request.headersDistinct) delete request.headersDistinct[name]
  for (let index = request.rawHeaders.length - 2; index >= 0; index -= 2) {
    if (request.rawHeaders[index]?.toLowerCase() === name) request.rawHeaders.splice(index, 2)
  }
}

export interface RequestParts {
  readonly target: string
  readonly secure: boolean
  /** What a body parser made of the body, if one ran. */
  readonly parsed: unknown
}

/** The request in the web's form. The body is read only when somebody reads it. */
export function toRequest(
  request: IncomingMessage,
  { target, secure, parsed }: RequestParts,
): Request {
  const path = target.startsWith('/')
    ? target
    : target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '')
  const host = request.headers.host ?? (request.headers[':authority'] as string | undefined)
  const url = [host, 'localhost']
    .map(
      (each) => `${secure ? 'https' : 'http'}://${each}${path.startsWith('/') ? path : `/${path}`}`,
    )
    .find((each) => URL.canParse(each))
  const headers = new Headers()
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined && !name.startsWith(':'))
      headers.set(name, Array.isArray(value) ? value.join(', ') : value)
  }
  if (host !== undefined) headers.set('host', host)
  // The web's Request can't be made with these; no route of ours knows them, whatever they are called.
  const method = /^(TRACE|TRACK|CONNECT)$/.test(request.method ?? '')
    ? 'OTHER'
    : (request.method ?? 'GET')
  const body = bodyOf(request, method, parsed)
  return new Request(url ?? 'http://localhost/', {
    method,
    headers,
    ...(body !== null && { body, duplex: 'half' }),
  } as RequestInit)
}

function bodyOf(request: IncomingMessage, method: string, parsed: unknown): BodyInit | null {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  // HTTP/2 announces no body: it is there or it is not.
  const announced = encoding !== undefined || request.httpVersionMajor > 1
  if (method === 'GET' || method === 'HEAD' || (length ?? (announced ? '' : '0')) === '0')
    return null
  if (typeof parsed === 'string' || parsed instanceof Uint8Array) return parsed as BodyInit
  if (parsed !== undefined && parsed !== null) return written(parsed)
  return request.readableEnded ? null : streamOf(request)
}

/** What a parser could read and nobody can write, such as 10,000 nested arrays, is passed on as broken JSON. */
function written(parsed: unknown): string {
  try {
    return JSON.stringify(parsed)
  } catch {
    return '['
  }
}

/** Unlike `Readable.toWeb`, giving up on this stream leaves the connection open for the answer. */
function streamOf(request: IncomingMessage): ReadableStream<Uint8Array> {
  const chunks = request.iterator({ destroyOnReturn: false })
  const source: UnderlyingDefaultSource<Uint8Array> = {
    async pull(controller) {
      const { done, value } = await chunks.next()
      if (done) controller.close()
      else controller.enqueue(typeof value === 'string' ? Buffer.from(value) : value)
    },
    async cancel() {
      await chunks.return?.()
      request.resume()
    },
  }
  // Nothing is read ahead: Node throws away by itself only what nobody has begun to read.
  return new ReadableStream(source, { highWaterMark: 0 })
}

/** @param route the matched route, as it is known once the answer is out */
export function follow(
  response: ServerResponse,
  trace: Trace,
  route: () => string | undefined = () => undefined,
): void {
  // Not 'finish': a client that hangs up is answered by nobody.
  response.once('close', () => trace(response.headersSent ? response.statusCode : null, route()))
}

const plans = Symbol('onbehalf.headers')
const inner = Symbol('onbehalf.writeHead')

interface Sealed extends ServerResponse {
  [plans]?: HeaderPlan
  [inner]?: ServerResponse['writeHead']
}

/** Sees to it that a response carries our headers: set at the last moment, so that no handler can lose them. */
export function seal(response: Sealed, plan: HeaderPlan): void {
  response[plans] = plan
  if (response[inner]) return
  response[inner] = response.writeHead
  // One function for all responses: a closure for each costs many times what it does.
  response.writeHead = writeHead as ServerResponse['writeHead']
}

function writeHead(this: Sealed, status: number, ...rest: unknown[]): ServerResponse {
  const write = this[inner] as (...args: unknown[]) => ServerResponse
  const plan = this[plans]
  if (plan === undefined || this.headersSent) return write.call(this, status, ...rest)
  const [message, headers] = typeof rest[0] === 'string' ? rest : [undefined, rest[1] ?? rest[0]]
  takeHeaders(this, headers)
  applyPlan(this, plan)
  return message === undefined ? write.call(this, status) : write.call(this, status, message)
}

/** Takes over the headers handed to `writeHead`: a record, a flat array, or pairs. */
function takeHeaders(response: ServerResponse, headers: unknown): void {
  if (typeof headers !== 'object' || headers === null) return
  if (!Array.isArray(headers)) {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    return
  }
  const pairs = Array.isArray(headers[0])
    ? (headers as [string, OutgoingHttpHeader][])
    : headers.flatMap((name, index) =>
        index % 2 === 0 ? [[name, headers[index + 1]] as const] : [],
      )
  for (const [name] of pairs) response.removeHeader(String(name))
  for (const [name, value] of pairs) response.appendHeader(String(name), asText(value))
}

const asText = (value: OutgoingHttpHeader) => (typeof value === 'number' ? String(value) : value)

function applyPlan(response: ServerResponse, { set, isPrivate, cookie }: HeaderPlan): void {
  for (const [name, value] of set) response.setHeader(name, value)
  if (cookie !== null) response.appendHeader('Set-Cookie', cookie)
  if (!isPrivate) return
  response.setHeader('Cache-Control', noStore)
  // One look at the names: asking for each header that may be there costs more than the rest.
  let varies = false
  for (const name of response.getHeaderNames()) {
    if (name === 'vary') varies = true
    else if (keeping.has(name)) response.removeHeader(name)
    else if (name === 'access-control-allow-origin') {
      const exposed = textOf(response, 'access-control-expose-headers')
      response.setHeader('Access-Control-Expose-Headers', exposeWith(exposed))
    }
  }
  response.setHeader('Vary', varies ? varyWith(textOf(response, 'vary')) : varyAlone)
}

const keeping: ReadonlySet<string> = new Set(cacheHeaders)
const varyAlone = varyWith(null)

function textOf(response: ServerResponse, name: string): string | undefined {
  const value = response.getHeader(name)
  return value === undefined ? undefined : String(value)
}
