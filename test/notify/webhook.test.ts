import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { byChannel, verifyWebhook, type WebhookBody, webhook } from 'onbehalf/notify'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Notification } from '../../src/index.ts'
import { hour, minute, noon } from '../support/core-world.ts'
import { toldWorld } from './support.ts'

interface Received {
  readonly method: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

const received: Received[] = []
/** How the server answers; null is never. */
let answer: { status: number; headers?: Record<string, string> } | null = { status: 204 }
let server: Server
let url = ''

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { method, headers } = request
    received.push({ method, headers, body: Buffer.concat(chunks).toString() })
    if (answer) response.writeHead(answer.status, answer.headers).end('the body of the answer')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})
beforeEach(() => {
  received.length = 0
  answer = { status: 204 }
})

const secret = `whsec_${randomBytes(32).toString('base64')}`
const plain = 'a secret of more than 24 bytes'

const notification = (changes: Partial<Notification> = {}): Notification => ({
  id: 'an-event:webhook',
  kind: 'session_started',
  reader: 'target',
  userId: 'alice',
  channel: 'webhook',
  to: url,
  forced: false,
  at: noon,
  actor: { name: 'Rooty', role: 'admin' },
  target: { id: 'alice', name: 'Alice' },
  sessionId: 'a-session',
  grantId: null,
  accessLevel: 'view',
  reason: 'Gruß 🦊',
  breakGlass: false,
  expiresAt: noon + hour,
  endedReason: null,
  tokenPrefix: null,
  scopes: null,
  subject: 'Somebody is here',
  text: 'a\nb',
  ...changes,
})

const codeOf = async (work: Promise<unknown>) =>
  work.then(
    () => 'fine',
    (error) => error.code,
  )
const at = (ms: number) => () => ms

describe('what is posted', () => {
  it('is JSON in snake_case, signed as the specification says', async () => {
    await webhook({ secret, now: at(noon) })(notification())
    const [got] = received
    expect(got?.method).toBe('POST')
    expect(got?.headers).toMatchObject({
      'content-type': 'application/json',
      'webhook-id': 'an-event:webhook',
      'webhook-timestamp': String(noon / 1000),
    })
    expect(JSON.parse(got?.body ?? '')).toEqual({
      type: 'session_started',
      timestamp: '2030-06-01T12:00:00.000Z',
      data: {
        id: 'an-event:webhook',
        user_id: 'alice',
        channel: 'webhook',
        forced: false,
        reader: 'target',
        subject: 'Somebody is here',
        text: 'a\nb',
        actor: { name: 'Rooty', role: 'admin' },
        target_user: { id: 'alice', name: 'Alice' },
        session_id: 'a-session',
        grant_id: null,
        access_level: 'view',
        reason: 'Gruß 🦊',
        break_glass: false,
        expires_at: '2030-06-01T13:00:00.000Z',
        ended_reason: null,
        token_prefix: null,
        scopes: null,
      },
    } satisfies WebhookBody)
    // By the words of the specification, and by nothing of ours.
    const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
    const content = `an-event:webhook.${noon / 1000}.${got?.body}`
    const expected = createHmac('sha256', key).update(content).digest('base64')
    expect(got?.headers['webhook-signature']).toBe(`v1,${expected}`)
  })

  it('agrees with a known value of the specification’s own libraries', async () => {
    const verify = verifyWebhook({
      secrets: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
      now: at(1614265330_000),
    })
    const headers = {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    }
    expect(await verify(headers, '{"test": 2432232314}')).toEqual({ test: 2432232314 })
  })

  it('goes to the url of the options, or else to the channel’s', async () => {
    await webhook({ secret: plain, url })(notification({ to: 'http://127.0.0.1:1/' }))
    await webhook({ secret: plain })(notification())
    expect(received).toHaveLength(2)
  })

  it('keeps an id of any letters within header and signature', async () => {
    await webhook({ secret })(notification({ id: 'ein.Gruß\r\n🦊:x' }))
    expect(received[0]?.headers['webhook-id']).toBe('ein%2EGru%C3%9F%0D%0A%F0%9F%A6%8A:x')
    const verify = verifyWebhook({ secrets: secret })
    const { data } = await verify(received[0]?.headers ?? {}, received[0]?.body ?? '')
    expect(data.id).toBe('ein.Gruß\r\n🦊:x')
  })

  it('names no instant that no date can name', async () => {
    await webhook({ secret })(notification({ expiresAt: 9e15 }))
    expect(JSON.parse(received[0]?.body ?? '').data.expires_at).toBeNull()
  })
})

describe('the receiver', () => {
  const signed = async (by: string | string[] = secret, time = noon) => {
    received.length = 0
    await webhook({ secret: by, now: at(time) })(notification())
    const [got] = received
    if (!got) throw new Error('nothing was received')
    return got
  }
  const verify = (secrets: string | string[] = secret, time = noon) =>
    verifyWebhook({ secrets, now: at(time) })

  it('gets what was sent, from headers of any shape and a body of text or bytes', async () => {
    const { headers, body } = await signed()
    const shapes = [headers, new Headers(headers as Record<string, string>)]
    for (const shape of shapes) {
      const { data } = await verify()(shape, Buffer.from(body))
      expect(data.user_id).toBe('alice')
      expect(await verify()(shape, body)).toEqual(JSON.parse(body))
    }
  })

  it('refuses another body, id, time or secret', async () => {
    const { headers, body } = await signed()
    const wrong = 'webhook_signature_invalid'
    expect(await codeOf(verify()(headers, `${body} `))).toBe(wrong)
    expect(await codeOf(verify()({ ...headers, 'webhook-id': 'x' }, body))).toBe(wrong)
    const later = String(noon / 1000 + 1)
    expect(await codeOf(verify()({ ...headers, 'webhook-timestamp': later }, body))).toBe(wrong)
    expect(await codeOf(verify(plain)(headers, body))).toBe(wrong)
  })

  it.each([
    ['4:59 old', 5 * minute - 1000, 'fine'],
    ['5:00 old', 5 * minute, 'fine'],
    ['older', 5 * minute + 1, 'webhook_timestamp_invalid'],
    ['5:00 ahead', -5 * minute, 'fine'],
    ['further ahead', -5 * minute - 1, 'webhook_timestamp_invalid'],
  ])('judges one that is %s', async (_what, age, expected) => {
    const { headers, body } = await signed()
    expect(await codeOf(verify(secret, noon + age)(headers, body))).toBe(expected)
  })

  it('takes another tolerance', async () => {
    const { headers, body } = await signed()
    const strict = verifyWebhook({ secrets: secret, toleranceMs: 1000, now: at(noon + 1001) })
    expect(await codeOf(strict(headers, body))).toBe('webhook_timestamp_invalid')
  })

  it('changes over from one secret to the next, at either end first', async () => {
    const both = await signed([secret, plain])
    expect(both.headers['webhook-signature']).toMatch(/^v1,\S+ v1,\S+$/)
    for (const one of [secret, plain])
      expect(await codeOf(verify(one)(both.headers, both.body))).toBe('fine')
    const old = await signed(plain)
    expect(await codeOf(verify([secret, plain])(old.headers, old.body))).toBe('fine')
  })

  it.each<[string, object]>([
    ['no id', { 'webhook-id': undefined }],
    ['no time', { 'webhook-timestamp': undefined }],
    ['no seconds', { 'webhook-timestamp': '12x' }],
    ['no signature', { 'webhook-signature': undefined }],
    ['two ids', { 'webhook-id': ['a', 'b'] }],
  ])('says which header is wrong: %s', async (_what, changes) => {
    const { headers, body } = await signed()
    expect(await codeOf(verify()({ ...headers, ...changes } as never, body))).toBe(
      'webhook_header_invalid',
    )
  })

  it.each(['v1a,xx', 'v2,xx', 'v1,', 'v1,!!!!', ' ', 'v1'])(
    'refuses a signature that is none: %j',
    async (signature) => {
      const { headers, body } = await signed()
      const changed = { ...headers, 'webhook-signature': signature }
      expect(await codeOf(verify()(changed, body))).toBe('webhook_signature_invalid')
    },
  )

  it('says that a signed body is no JSON', async () => {
    const time = String(noon / 1000)
    const signature = createHmac('sha256', plain).update(`x.${time}.no`).digest('base64')
    const headers = {
      'webhook-id': 'x',
      'webhook-timestamp': time,
      'webhook-signature': `v1,${signature}`,
    }
    expect(await codeOf(verify(plain)(headers, 'no'))).toBe('webhook_body_invalid')
  })
})

describe('a failure', () => {
  const messageOf = async (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'fine',
      (error: Error) => error.message,
    )

  it.each([400, 401, 410, 429, 500, 503])(
    'is an answer of %i, named and no more',
    async (status) => {
      answer = { status }
      const message = await messageOf(webhook({ secret })(notification()))
      expect(message).toBe(`the receiver of the webhook answered with status ${status}`)
    },
  )

  it.each([301, 302, 303, 307, 308])('is a redirect, which is not followed: %i', async (status) => {
    answer = { status, headers: { location: url } }
    const message = await messageOf(webhook({ secret })(notification()))
    expect(message).toContain('a redirect, which is not followed')
    expect(received).toHaveLength(1)
  })

  it('is a receiver that never answers', async () => {
    answer = null
    const message = await messageOf(webhook({ secret, timeoutMs: 50 })(notification()))
    expect(message).toBe('the receiver of the webhook did not answer within 50 ms')
  })

  it('is a receiver that is not there', async () => {
    const free = createServer().listen(0, '127.0.0.1')
    await once(free, 'listening')
    const { port } = free.address() as AddressInfo
    free.close()
    await once(free, 'close')
    const message = await messageOf(
      webhook({ secret })(notification({ to: `http://127.0.0.1:${port}` })),
    )
    expect(message).toBe('the receiver of the webhook can not be reached (ECONNREFUSED)')
  })

  it.each([
    'file:///etc/passwd',
    'ftp://x.example',
    'javascript:alert(1)',
    'x',
    'http://me:hunter2@x.example',
  ])('is an address that is none: %s', async (to) => {
    const message = await messageOf(webhook({ secret })(notification({ to })))
    expect(message).toContain('the address of a webhook must be')
    expect(message).not.toContain('hunter2')
  })

  it('of the host’s own fetch tells nothing of what it was given', async () => {
    const fetch = () => Promise.reject(new Error(`no ${secret}`))
    expect(await messageOf(webhook({ secret, fetch })(notification()))).toBe(
      'the receiver of the webhook can not be reached',
    )
  })

  it('is tried again under the same id, and kept without a secret', async () => {
    answer = { status: 503 }
    const world = toldWorld({
      notifier: { channels: () => [{ channel: 'webhook', to: url }], send: webhook({ secret }) },
    })
    await world.start('root', 'alice')
    await world.engine.outbox.deliver()
    const [failed] = await world.deliveries({ status: 'pending' })
    expect(failed?.error).toBe('the receiver of the webhook answered with status 503')
    answer = { status: 200 }
    world.clock.tick(minute)
    await world.engine.outbox.deliver()
    expect(await world.deliveries({ status: 'pending' })).toEqual([])
    const [first, second] = received.map(({ headers }) => headers['webhook-id'])
    expect(first).toBe(second)
    expect(first).toBe(failed?.id)
    expect(JSON.stringify(await world.deliveries())).not.toContain(secret.slice(6))
    await world.engine.close()
  })
})

describe('options', () => {
  it.each<[string, () => unknown]>([
    ['secret', () => webhook({ secret: 'short' })],
    ['secret', () => webhook({ secret: 'whsec_c2hvcnQ=' })],
    ['secret', () => webhook({ secret: `whsec_${'!'.repeat(40)}` })],
    ['secret', () => webhook({ secret: [] })],
    ['secret', () => webhook({ secret: [plain, 'short'] })],
    ['secret', () => webhook({} as never)],
    ['url', () => webhook({ secret: plain, url: 'ftp://x.example' })],
    ['url', () => webhook({ secret: plain, url: 'https://me:x@x.example' })],
    ['timeoutMs', () => webhook({ secret: plain, timeoutMs: 0 })],
    ['secrets', () => verifyWebhook({ secrets: 'short' })],
    ['toleranceMs', () => verifyWebhook({ secrets: plain, toleranceMs: Number.NaN })],
    ['mail', () => byChannel({ mail: undefined as never })],
  ])('"%s" is checked at once, and not repeated', (name, make) => {
    expect(make).toThrow(TypeError)
    expect(make).toThrow(`"${name}"`)
    expect(make).not.toThrow(/short|c2hvcnQ|me:x/)
  })
})

describe('byChannel', () => {
  it('sends by the one of that name', async () => {
    const sent: string[] = []
    const send = byChannel({
      mail: ({ id }) => void sent.push(`mail ${id}`),
      push: async ({ id }) => void sent.push(`push ${id}`),
    })
    await send(notification({ channel: 'push', id: 'one' }))
    await send(notification({ channel: 'mail', id: 'two' }))
    expect(sent).toEqual(['push one', 'mail two'])
  })

  it('waits for it, and fails with it', async () => {
    const send = byChannel({ mail: () => Promise.reject(new Error('down')) })
    await expect(send(notification({ channel: 'mail' }))).rejects.toThrow('down')
  })

  it.each(['fax', 'toString', '__proto__', 'constructor'])(
    'knows no channel %s',
    async (channel) => {
      const send = byChannel({ mail: () => {}, push: () => {} })
      await expect(send(notification({ channel }))).rejects.toThrow(
        `there is no sender for the channel "${channel}"; there are: mail, push`,
      )
    },
  )
})
