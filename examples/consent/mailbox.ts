import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'

export interface Mail {
  readonly to: string
  readonly subject: string
  readonly text: string
}

/** A mail server on this machine that keeps what it is sent, in the place of a real one. */
export async function openMailbox() {
  const received: Mail[] = []
  let arrived = Promise.withResolvers<void>()
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    async onData(stream, session, done) {
      const chunks: Buffer[] = []
      for await (const chunk of stream) chunks.push(chunk)
      const to = session.envelope.rcptTo.map(({ address }) => address).join(', ')
      received.push(read(to, Buffer.concat(chunks).toString('utf8')))
      arrived.resolve()
      arrived = Promise.withResolvers()
      done()
    },
  })
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  const { port } = server.server.address() as AddressInfo

  return {
    port,
    received: received as readonly Mail[],
    /** Takes the next mail to somebody out of the box; waits until it is there. */
    async take(to: string): Promise<Mail> {
      for (;;) {
        const index = received.findIndex((one) => one.to === to)
        const [found] = index < 0 ? [] : received.splice(index, 1)
        if (found) return found
        await arrived.promise
      }
    },
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}

/** Enough of RFC 5322 for mails of one plain part. */
function read(to: string, source: string): Mail {
  const [head = '', ...body] = source.split('\r\n\r\n')
  const subject = /^Subject: (.*(?:\r\n[ \t].*)*)/im.exec(head)?.[1] ?? ''
  const text = body.join('\r\n\r\n').trim()
  const plain = /^Content-Transfer-Encoding: quoted-printable/im.test(head) ? unquoted(text) : text
  return { to, subject: subject.replaceAll(/\r\n[ \t]/g, ' '), text: plain }
}

function unquoted(text: string): string {
  const bytes = text
    .replaceAll(/=\r\n/g, '')
    .replaceAll(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
