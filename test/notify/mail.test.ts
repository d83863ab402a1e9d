import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createTransport } from 'nodemailer'
import { mail } from 'onbehalf/notify'
import { SMTPServer } from 'smtp-server'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Notification } from '../../src/index.ts'
import { hour, noon } from '../support/core-world.ts'
import { toldWorld } from './support.ts'

interface Received {
  readonly from: string | undefined
  readonly to: readonly string[]
  readonly headers: ReadonlyMap<string, string>
  readonly text: string
}

const received: Received[] = []
/** What the server says to the next recipients. */
const refusals: string[] = []

const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ['STARTTLS'],
  onRcptTo(_address, _session, done) {
    const refusal = refusals.shift()
    done(refusal ? Object.assign(new Error(refusal), { responseCode: 550 }) : null)
  },
  async onData(stream, { envelope }, done) {
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk)
    received.push({
      from: (envelope.mailFrom || undefined)?.address,
      to: envelope.rcptTo.map(({ address }) => address),
      ...parsed(Buffer.concat(chunks).toString()),
    })
    done()
  },
})

let port = 0
beforeAll(async () => {
  const tcp = server.listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  port = (tcp.address() as AddressInfo).port
})
afterAll(() => new Promise<void>((resolve) => void server.close(resolve)))
beforeEach(() => {
  received.length = 0
  refusals.length = 0
})

const transport = () => createTransport({ host: '127.0.0.1', port, secure: false, ignoreTLS: true })

/** Headers unfolded and decoded, and the text. */
function parsed(raw: string) {
  const [head = '', ...body] = raw.split('\r\n\r\n')
  const headers = new Map(
    head
      .replace(/\r\n[ \t]+/g, ' ')
      .split('\r\n')
      .map((line): [string, string] => {
        const at = line.indexOf(':')
        return [line.slice(0, at).toLowerCase(), decodedWords(line.slice(at + 1).trim())]
      }),
  )
  const text = body.join('\r\n\r\n')
  const encoding = headers.get('content-transfer-encoding')
  if (encoding === 'base64') return { headers, text: Buffer.from(text, 'base64').toString() }
  return { headers, text: encoding === 'quoted-printable' ? unquoted(text) : text }
}
const unquoted = (text: string) =>
  Buffer.from(
    text
      .replace(/=\r?\n/g, '')
      .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString()
const decodedWords = (value: string) =>
  value
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?utf-8\?([qb])\?([^?]*)\?=/gi, (_, how: string, text: string) =>
      how.toLowerCase() === 'b'
        ? Buffer.from(text, 'base64').toString()
        : unquoted(text.replaceAll('_', ' ')),
    )

const notification = (changes: Partial<Notification> = {}): Notification => ({
  id: 'an-event:mail',
  kind: 'session_started',
  reader: 'target',
  userId: 'alice',
  channel: 'mail',
  to: 'alice@example.com',
  forced: false,
  at: noon,
  actor: { name: 'Rooty', role: 'admin' },
  target: { id: 'alice', name: 'Alice' },
  sessionId: 'a-session',
  grantId: null,
  accessLevel: 'view',
  reason: 'ticket 7',
  breakGlass: false,
  expiresAt: noon + hour,
  endedReason: null,
  tokenPrefix: null,
  scopes: null,
  subject: 'Somebody is here',
  text: 'Für Dich: ein Gruß\nund noch eine Zeile\n',
  ...changes,
})

describe('through a real transport to a real server', () => {
  it('arrives as it was written', async () => {
    const send = mail({
      transport: transport(),
      from: 'Support <support@staff.example>',
      replyTo: 'help@staff.example',
    })
    await send(notification({ subject: 'Füchse 🦊' }))
    const [got] = received
    expect(got).toMatchObject({ from: 'support@staff.example', to: ['alice@example.com'] })
    expect(Object.fromEntries(got?.headers ?? [])).toMatchObject({
      from: 'Support <support@staff.example>',
      to: 'alice@example.com',
      'reply-to': 'help@staff.example',
      subject: 'Füchse 🦊',
      'message-id': '<an-event%3Amail@staff.example>',
      'auto-submitted': 'auto-generated',
    })
    expect(got?.text.trimEnd().split(/\r?\n/)).toEqual([
      'Für Dich: ein Gruß',
      'und noch eine Zeile',
    ])
  })

  it('carries the engine’s messages, each attempt under the same Message-ID', async () => {
    const sendMail = mail({ transport: transport(), from: 'support@staff.example' })
    let lost = true
    const world = toldWorld({
      notifier: {
        async send(notification) {
          await sendMail(notification)
          if (lost) {
            lost = false
            throw new Error('the answer was lost')
          }
        },
      },
    })
    world.change('root', { name: 'Rooty\r\nBcc: everybody@example.com' })
    await world.start('root', 'alice', { reason: 'a bill\r\nSubject: you have won' })
    await world.engine.outbox.deliver()
    world.clock.tick(hour / 60)
    await world.engine.outbox.deliver()
    expect(received).toHaveLength(2)
    const ids = received.map(({ headers }) => headers.get('message-id'))
    expect(ids[0]).toMatch(/^<[\w-]+%3Amail@staff\.example>$/)
    expect(ids[1]).toBe(ids[0])
    for (const { headers, to, text } of received) {
      expect(to).toEqual(['alice@example.com'])
      expect(headers.get('subject')).toBe(
        'Rooty Bcc: everybody@example.com (admin) has entered your account',
      )
      expect(headers.has('bcc')).toBe(false)
      expect(text).toContain('Reason: a bill Subject: you have won')
    }
    await world.engine.close()
  })

  it('fails where the server refuses', async () => {
    refusals.push('no such user here')
    const send = mail({ transport: transport(), from: 'support@staff.example' })
    await expect(send(notification())).rejects.toThrow(/no such user here/)
    expect(received).toEqual([])
  })

  it.each([
    'alice@example.com, everybody@example.com',
    'alice@example.com\r\nBcc: everybody@example.com',
    'Alice <alice@example.com>',
    '"x y"@example.com',
    'a@b@example.com',
    'alice',
    '@example.com',
  ])('writes to one plain address only: not to %j', async (to) => {
    const send = mail({ transport: transport(), from: 'support@staff.example' })
    await expect(send(notification({ to }))).rejects.toThrow('no address')
    expect(received).toEqual([])
  })

  it('keeps an id of any letters within its header', async () => {
    const send = mail({ transport: transport(), from: 'support@staff.example' })
    await send(notification({ id: '..é >\r\n(x)\'@"' }))
    expect(received[0]?.headers.get('message-id')).toMatch(/^<[\w%!~*-]+@staff\.example>$/)
  })
})

describe('its options', () => {
  it.each<[string, object]>([
    ['transport', { transport: {}, from: 'a@b.example' }],
    ['transport', { from: 'a@b.example' }],
    ['from', { transport: { sendMail: async () => {} }, from: 'support' }],
    ['from', { transport: { sendMail: async () => {} }, from: 'x\r\nBcc: a@b.example' }],
    ['replyTo', { transport: { sendMail: async () => {} }, from: 'a@b.example', replyTo: 'a\nb' }],
  ])('"%s" is checked at once', (name, options) => {
    expect(() => mail(options as never)).toThrow(TypeError)
    expect(() => mail(options as never)).toThrow(`"${name}"`)
  })
})
