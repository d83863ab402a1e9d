import { randomBytes } from 'node:crypto'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import http2 from 'node:http2'
import net, { type AddressInfo } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import express from 'express'
import express4 from 'express4'
import fastify from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { peekNode } from '../../adapters/peek.ts'

type Peeked = Awaited<ReturnType<typeof peekNode>>
type Read = (request: IncomingMessage, response: ServerResponse) => Promise<Buffer>

const limit = 300_000
const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

const byParser =
  (parser: express.RequestHandler): Read =>
  (request, response) =>
    new Promise((resolve, reject) => {
      parser(request as never, response as never, (error?: unknown) => {
        const { body } = request as { body?: unknown }
        if (error) reject(error)
        else resolve(Buffer.isBuffer(body) ? body : Buffer.alloc(0))
      })
    })

/** Everything that reads bodies, each in its own way. */
const readers: Record<string, Read> = {
  'body-parser 1': byParser(express4.raw({ type: () => true, limit: '9mb' })),
  'body-parser 2': byParser(express.raw({ type: () => true, limit: '9mb' })),
  'data and end': (request) =>
    new Promise((resolve, reject) => {
      const pieces: Buffer[] = []
      request.on('data', (piece) => pieces.push(piece))
      request.on('end', () => resolve(Buffer.concat(pieces)))
      request.on('error', reject)
    }),
  'readable and read': (request) =>
    new Promise((resolve) => {
      const pieces: Buffer[] = []
      request.on('readable', () => {
        for (let piece = request.read(); piece !== null; piece = request.read()) pieces.push(piece)
      })
      request.on('end', () => resolve(Buffer.concat(pieces)))
    }),
  'for await': async (request) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    return Buffer.concat(pieces)
  },
  pipe: (request) => buffer(request.pipe(new PassThrough())),
  pipeline: async (request) => {
    const out = new PassThrough()
    const [bytes] = await Promise.all([buffer(out), pipeline(request, out)])
    return bytes
  },
  'stream/consumers': (request) => buffer(request),
  toWeb: async (request) =>
    Buffer.from(await new Response(Readable.toWeb(request) as ReadableStream).arrayBuffer()),
  'a reader in two ticks': async (request) => {
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    return buffer(request)
  },
}

interface Told {
  readonly peeked: string
  readonly read: string
  readonly ends: number
  readonly same: boolean
}

const show = (peeked: Peeked) =>
  peeked === undefined ? 'undefined' : 'parsed' in peeked ? 'parsed' : `${peeked.bytes.length}`

async function serve(handle: (request: IncomingMessage, response: ServerResponse) => unknown) {
  const server = http.createServer((request, response) => {
    Promise.resolve(handle(request, response)).catch((error) => {
      response.statusCode = 500
      response.end(String(error?.stack))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  closers.push(() => agent.destroy())
  return { port, agent }
}

interface Sent {
  readonly method?: string
  readonly chunked?: boolean
  readonly headers?: http.OutgoingHttpHeaders
}

/** Sends a body whole, or in pieces of which each is on its way before the next. */
function send(
  { port, agent }: { port: number; agent: http.Agent },
  body: Buffer,
  { method = 'POST', chunked = false, headers = {} }: Sent = {},
) {
  return new Promise<{ status: number; text: string; reused: boolean }>((resolve, reject) => {
    const length = chunked || method === 'GET' ? {} : { 'content-length': body.length }
    const request = http.request({
      port,
      agent,
      method,
      host: '127.0.0.1',
      headers: { 'content-type': 'application/x', ...length, ...headers },
    })
    request.on('error', reject)
    request.on('response', (response) => {
      buffer(response).then((bytes) => {
        const { reusedSocket: reused } = request
        resolve({ status: response.statusCode ?? 0, text: bytes.toString(), reused })
      }, reject)
    })
    if (!chunked) request.end(body)
    else {
      if (body.length === 0) request.flushHeaders()
      for (let at = 0; at < body.length; at += 20_000) request.write(body.subarray(at, at + 20_000))
      request.end()
    }
  })
}

describe.each(Object.entries(readers))('what %s reads after a peek', (_, read) => {
  it('is every byte with one end, whatever the length and however it was sent', async () => {
    const at = await serve(async (request, response) => {
      let ends = 0
      request.on('end', () => ends++)
      const peeked = await peekNode(request, undefined, limit)
      expect(request.readableFlowing).toBe(null)
      expect(await peekNode(request, undefined, limit)).toBe(peeked)
      const bytes = await read(request, response)
      await new Promise((resolve) => setImmediate(resolve))
      const same =
        peeked !== undefined && 'bytes' in peeked && Buffer.compare(peeked.bytes, bytes) === 0
      response.end(
        JSON.stringify({
          peeked: show(peeked),
          read: bytes.toString('base64'),
          ends,
          same,
        } satisfies Told),
      )
    })
    for (const chunked of [false, true])
      for (const length of [0, 1, 5, 16_384, 65_536, 65_537, 200_000, limit, limit + 1, 900_000]) {
        const body = randomBytes(length)
        const { status, text } = await send(at, body, { chunked })
        const context = `${length} ${chunked ? 'in chunks' : 'with a length'}`
        expect(status, `${context}: ${text.slice(0, 300)}`).toBe(200)
        const told = JSON.parse(text) as Told
        expect(told.peeked, context).toBe(length > limit ? 'undefined' : String(length))
        expect(told.read === body.toString('base64'), context).toBe(true)
        expect(told.ends, context).toBe(1)
        expect(told.same, context).toBe(length <= limit)
      }
  })

  it('is nothing, with one end, where a GET has no body', async () => {
    const at = await serve(async (request, response) => {
      let ends = 0
      request.on('end', () => ends++)
      const peeked = await peekNode(request, undefined, limit)
      const bytes = await read(request, response)
      if (!request.readableEnded) request.resume()
      await new Promise((resolve) => setImmediate(resolve))
      response.end(`${show(peeked)} ${bytes.length} ${ends}`)
    })
    for (let round = 0; round < 2; round++)
      expect((await send(at, Buffer.alloc(0), { method: 'GET' })).text).toBe('0 0 1')
  })
})

describe('a body that nobody reads after a peek', () => {
  it.each([
    [0, true],
    [100, false],
    [200_000, true],
    [limit + 1, false],
    [limit + 1, true],
    [3_000_000, false],
    [3_000_000, true],
  ])('of %d bytes (in chunks: %s) spoils nothing for the next request', async (length, chunked) => {
    const at = await serve(async (request, response) => {
      response.end(show(await peekNode(request, undefined, limit)))
    })
    const shown = length > limit ? 'undefined' : String(length)
    for (let round = 0; round < 3; round++) {
      const { text, reused } = await send(at, randomBytes(length), { chunked })
      // A client that is still sending when the answer comes may give the connection up by itself.
      expect([text, reused || length > 1_000_000]).toEqual([shown, round > 0 || length > 1_000_000])
    }
  })
})

describe('an upload', () => {
  it('that comes slowly, a byte at a time, is waited for', async () => {
    const at = await serve(async (request, response) => {
      const peeked = await peekNode(request, undefined, limit)
      response.end(`${show(peeked)} ${(await buffer(request)).toString()}`)
    })
    const socket = net.connect(at.port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 11\r\n\r\n')
    for (const letter of 'hello world') {
      await new Promise((resolve) => setImmediate(resolve))
      socket.write(letter)
    }
    expect((await buffer(socket)).toString()).toMatch(/11 hello world/)
  })

  it('whose head and end come in one packet is read', async () => {
    const at = await serve(async (request, response) => {
      const peeked = await peekNode(request, undefined, limit)
      response.end(`${show(peeked)} [${(await buffer(request)).toString()}]`)
    })
    const ask = async (rest: string) => {
      const socket = net.connect(at.port, '127.0.0.1')
      socket.write(`POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${rest}`)
      return (await buffer(socket)).toString()
    }
    expect(await ask('Content-Length: 2\r\n\r\nab')).toMatch(/2 \[ab\]/)
    expect(await ask('Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n')).toMatch(/0 \[\]/)
    expect(await ask('Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n')).toMatch(
      /2 \[ab\]/,
    )
  })

  it('that others follow on the same connection, unasked, keeps its own bytes', async () => {
    const at = await serve(async (request, response) => {
      const peeked = await peekNode(request, undefined, limit)
      response.end(`${show(peeked)} [${(await buffer(request)).toString()}]`)
    })
    const post = (body: string, last = '') =>
      `POST / HTTP/1.1\r\nHost: x\r\n${last}Content-Length: ${body.length}\r\n\r\n${body}`
    const socket = net.connect(at.port, '127.0.0.1')
    socket.write(post('first') + post('') + post('second') + post('third', 'Connection: close\r\n'))
    const answers = (await buffer(socket)).toString().match(/\d+ \[\w*\]/g)
    expect(answers).toEqual(['5 [first]', '0 []', '6 [second]', '5 [third]'])
  })

  it('that is broken off settles, and leaves nothing behind', async () => {
    const settled = Promise.withResolvers<readonly unknown[]>()
    const begun = Promise.withResolvers<void>()
    const at = await serve(async (request) => {
      const names = ['readable', 'error', 'close', 'data', 'end'] as const
      const counts = () => names.map((name) => request.listenerCount(name))
      const before = counts()
      const peek = peekNode(request, undefined, limit)
      request.socket.once('data', () => {})
      begun.resolve()
      const peeked = await peek
      settled.resolve([show(peeked), String(before) === String(counts())])
    })
    const socket = net.connect(at.port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello')
    await begun.promise
    await new Promise((resolve) => setImmediate(resolve))
    socket.destroy()
    expect(await settled.promise).toEqual(['undefined', true])
  })

  it('that waits for 100-continue is told to go on', async () => {
    const at = await serve(async (request, response) => {
      const peeked = await peekNode(request, undefined, limit)
      response.end(`${show(peeked)} ${await buffer(request)}`)
    })
    const request = http.request({
      port: at.port,
      method: 'POST',
      headers: { expect: '100-continue', 'content-length': 5 },
    })
    request.on('continue', () => request.end('later'))
    const response = await new Promise<IncomingMessage>((resolve) =>
      request.on('response', resolve),
    )
    expect((await buffer(response)).toString()).toBe('5 later')
  })
})

it('has let go of the stream by the time it tells, also where the end comes out of a promise', async () => {
  const request = Object.assign(new Readable({ read() {} }), { headers: {} })
  const peek = peekNode(request as never, undefined, limit).then((peeked) => [
    show(peeked),
    request.readableFlowing,
    request.listenerCount('readable'),
  ])
  request.push('hello')
  await new Promise((resolve) => setImmediate(resolve))
  await Promise.resolve().then(() => request.push(null))
  expect(await peek).toEqual(['5', null, 0])
  expect((await buffer(request)).toString()).toBe('hello')
})

it('settles where somebody destroys the stream, with an error and without one', async () => {
  for (const error of [undefined, new Error('gone')]) {
    const request = Object.assign(new Readable({ read() {} }), { headers: {} })
    const peek = peekNode(request as never, undefined, limit)
    request.push('hello')
    await new Promise((resolve) => setImmediate(resolve))
    request.destroy(error)
    expect(await peek).toBe(undefined)
    expect(await peekNode(request as never, undefined, limit)).toBe(undefined)
  }
})

describe('a body that somebody was at before', () => {
  const shown = (prepare: (request: IncomingMessage) => unknown, parsed?: unknown) =>
    serve(async (request, response) => {
      await prepare(request)
      const peeked = await peekNode(request, parsed, limit)
      response.end(peeked && 'parsed' in peeked ? JSON.stringify(peeked.parsed) : show(peeked))
    })
  const body = Buffer.from('{"a":1}')

  it('is what a parser has made of it, or can not be told', async () => {
    expect((await send(await shown(buffer, { a: 1 }), body)).text).toBe('{"a":1}')
    expect((await send(await shown(buffer, null), body)).text).toBe('null')
    expect((await send(await shown(buffer), body)).text).toBe('undefined')
  })

  it('is not the empty record that Express 4 puts there without reading', async () => {
    expect((await send(await shown(buffer, {}), body)).text).toBe('undefined')
    expect((await send(await shown(buffer, {}), Buffer.from('{}'))).text).toBe('{}')
    const read = async (request: IncomingMessage) => {
      await buffer(request)
      Object.assign(request, { _body: true })
    }
    expect((await send(await shown(read, {}), Buffer.from(' {   } '))).text).toBe('{}')
    expect((await send(await shown(() => {}, {}), body)).text).toBe('7')
  })

  it('can not be told where somebody has begun to read, and stays theirs', async () => {
    for (const begin of [
      (request: IncomingMessage) => void request.on('data', () => {}),
      (request: IncomingMessage) => void request.on('readable', () => {}),
      (request: IncomingMessage) => void request.setEncoding('utf8'),
    ])
      expect((await send(await shown(begin), body)).text).toBe('undefined')
  })

  it('is empty where it was read and nothing was in it', async () => {
    expect((await send(await shown(buffer, {}), Buffer.alloc(0))).text).toBe('0')
  })
})

it.each([
  ['Express 4', express4],
  ['Express 5', express],
] as const)('%s: JSON and forms are parsed after a peek, twice peeked', async (_, framework) => {
  const app = framework()
  app.use(async (request, response, next) => {
    response.setHeader('x-peeked', show(await peekNode(request, request.body, limit)))
    next()
  })
  app.use(framework.json(), framework.urlencoded({ extended: true }), framework.text())
  app.use(async (request, response) => {
    const again = await peekNode(request, request.body, limit)
    response.json([show(again), request.body])
  })
  const at = await serve(app)
  for (const [type, sent, read] of [
    ['application/json', '{"a":[1]}', { a: [1] }],
    ['application/x-www-form-urlencoded', 'a[b]=1', { a: { b: '1' } }],
    ['text/plain', 'text', 'text'],
  ] as const) {
    const { text } = await send(at, Buffer.from(sent), { headers: { 'content-type': type } })
    expect(JSON.parse(text)).toEqual([String(sent.length), read])
  }
})

describe('Fastify', () => {
  const made = (options = {}) => {
    const app = fastify(options)
    closers.push(() => app.close())
    app.addHook('onRequest', async (request, reply) => {
      reply.header('x-peeked', show(await peekNode(request.raw, request.body, limit)))
    })
    app.post('/', async (request) => request.body)
    return app
  }

  it('parses after a peek, over inject, with text and with a stream', async () => {
    const app = made()
    for (const [payload, headers] of [
      [{ a: 1 }, {}],
      ['{"a":1}', { 'content-type': 'application/json' }],
      [
        Readable.from([Buffer.from('{"a"'), Buffer.from(':1}')]),
        { 'content-type': 'application/json' },
      ],
    ] as const) {
      const response = await app.inject({
        method: 'POST',
        url: '/',
        payload: payload as never,
        headers,
      })
      expect([response.headers['x-peeked'], response.json()]).toEqual(['7', { a: 1 }])
    }
    const bare = await app.inject({ method: 'POST', url: '/' })
    expect([bare.statusCode, bare.headers['x-peeked']]).toEqual([200, '0'])
  })

  it('parses after a peek, over HTTP/2, with a body and without', async () => {
    const app = made({ http2: true })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const client = http2.connect(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
    closers.unshift(() => client.close())
    const call = async (body?: string) => {
      const stream = client.request({
        ':method': 'POST',
        ':path': '/',
        ...(body && { 'content-type': 'application/json' }),
      })
      const headers = new Promise<http2.IncomingHttpHeaders>((resolve) =>
        stream.on('response', resolve),
      )
      stream.end(body)
      const text = (await buffer(stream)).toString()
      return [(await headers)['x-peeked'], text]
    }
    expect(await call('{"a":1}')).toEqual(['7', '{"a":1}'])
    const long = JSON.stringify({ a: 'x'.repeat(250_000) })
    expect(await call(long)).toEqual([String(long.length), long])
    expect(await call()).toEqual(['0', ''])
  })
})
