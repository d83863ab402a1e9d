import http from 'node:http'
import net from 'node:net'
import type { MountedApp } from './app.ts'

export interface Ask {
  /** Who is logged in; null for nobody. @default 'root' */
  readonly as?: string | null
  /** @default 'bearer' */
  readonly login?: 'bearer' | 'cookie'
  /** Pins of the browser: its cookie header, beside the login. */
  readonly cookie?: string | undefined
  /** The header pin. */
  readonly pin?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly json?: unknown
  readonly body?: string | Uint8Array
  /** Sends the body in pieces, without a length. */
  readonly chunked?: boolean
  /** Keeps the body back until then, as a slow network does; the headers go ahead. */
  readonly after?: Promise<unknown>
}

export interface Reply {
  readonly status: number
  /** By lower-case name; repeated ones joined by `, `. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly cookies: readonly string[]
  readonly text: string
  /** Whether it came by a connection that was used before. */
  readonly reused: boolean
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  readonly json: any
}

export interface Client {
  send(method: string, path: string, ask?: Ask): Promise<Reply>
  /** Sends lines as they stand, for what clients would tidy up; one answer, then the connection closes. */
  raw(lines: readonly string[], body?: string): Promise<Reply>
  close(): void
}

export function createClient(app: MountedApp): Client {
  const agent = new http.Agent({ keepAlive: true })
  const { hostname, port } = new URL(app.url)

  async function send(method: string, path: string, ask: Ask = {}): Promise<Reply> {
    const { headers, body } = prepare(ask)
    return app.fetch
      ? fetched(await app.fetch(new Request(app.url + path, requestInit(method, headers, body))))
      : overHttp(method, path, headers, body, ask)
  }

  function overHttp(
    method: string,
    path: string,
    headers: Headers_,
    body: string | Uint8Array | undefined,
    { chunked, after }: Ask,
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const length = body === undefined ? undefined : Buffer.byteLength(body)
      const request = http.request({
        agent,
        hostname,
        port,
        method,
        path,
        headers: {
          ...headers,
          ...(length !== undefined && !chunked && { 'content-length': String(length) }),
          ...(length === undefined && method === 'POST' && { 'content-length': '0' }),
        } as http.OutgoingHttpHeaders,
      })
      request.on('error', reject)
      request.on('response', (response) => {
        const pieces: Buffer[] = []
        response.on('data', (piece: Buffer) => pieces.push(piece))
        response.on('error', reject)
        response.on('end', () =>
          resolve(
            replyOf(
              response.statusCode ?? 0,
              response.rawHeaders,
              Buffer.concat(pieces).toString(),
              request.reusedSocket,
            ),
          ),
        )
      })
      if (after) {
        request.flushHeaders()
        after.then(() => request.end(body), reject)
      } else if (body !== undefined && chunked) {
        const bytes = Buffer.from(body)
        for (let at = 0; at < bytes.length; at += 16_384)
          request.write(bytes.subarray(at, at + 16_384))
        request.end()
      } else request.end(body)
    })
  }

  function raw(lines: readonly string[], body = ''): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const pieces: Buffer[] = []
      const socket = net.connect(Number(port), hostname, () => {
        socket.write(`${lines.join('\r\n')}\r\nConnection: close\r\n\r\n${body}`, 'latin1')
      })
      socket.on('data', (piece: Buffer) => pieces.push(piece))
      socket.on('error', reject)
      socket.on('close', () => resolve(parse(Buffer.concat(pieces).toString('latin1'))))
    })
  }

  return { send, raw, close: () => agent.destroy() }
}

type Headers_ = Record<string, string | readonly string[]>

function prepare({ as = 'root', login = 'bearer', cookie, pin, headers, json, body }: Ask) {
  const cookies = [
    ...(as !== null && login === 'cookie' ? [`login=${encodeURIComponent(as)}`] : []),
    ...(cookie ? [cookie] : []),
  ]
  const all: Headers_ = {
    ...(as !== null && login === 'bearer' && { authorization: `Bearer ${encodeURIComponent(as)}` }),
    // What a browser says of a call that a page of the app itself makes.
    ...(login === 'cookie' && { 'sec-fetch-site': 'same-origin' }),
    ...(cookies.length > 0 && { cookie: cookies.join('; ') }),
    ...(pin !== undefined && { 'x-impersonation-session': pin }),
    ...(json !== undefined && { 'content-type': 'application/json' }),
    ...Object.fromEntries(
      Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
    ),
  }
  return { headers: all, body: json === undefined ? body : JSON.stringify(json) }
}

function requestInit(method: string, headers: Headers_, body: string | Uint8Array | undefined) {
  const flat = new Headers()
  for (const [name, value] of Object.entries(headers))
    for (const each of [value].flat()) flat.append(name, String(each))
  return { method, headers: flat, ...(body !== undefined && { body }) } as RequestInit
}

async function fetched(response: Response): Promise<Reply> {
  const raw = [...response.headers].flat()
  return replyOf(response.status, raw, await response.text(), false)
}

function replyOf(status: number, raw: readonly string[], text: string, reused: boolean): Reply {
  const headers: Record<string, string> = {}
  const cookies: string[] = []
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase()
    const value = raw[index + 1] ?? ''
    if (name === 'set-cookie') cookies.push(value)
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value
  }
  return {
    status,
    headers,
    cookies,
    text,
    reused,
    get json() {
      return JSON.parse(text)
    },
  }
}

/** A response as it came over the wire; the body is left as it is, chunks and all. */
function parse(wire: string): Reply {
  const end = wire.indexOf('\r\n\r\n')
  const [first = '', ...lines] = wire.slice(0, Math.max(end, 0)).split('\r\n')
  const raw = lines.flatMap((line) => {
    const at = line.indexOf(':')
    return [line.slice(0, at), line.slice(at + 1).trim()]
  })
  return replyOf(Number(first.split(' ')[1] ?? 0), raw, wire.slice(end + 4), false)
}
