import type { Notification } from './notification.ts'

/** What a nodemailer transport, or anything like it, is asked to do. */
export interface MailTransport {
  sendMail(message: MailMessage): Promise<unknown>
}

export interface MailMessage {
  from: string
  to: { name: string; address: string }
  replyTo?: string
  subject: string
  text: string
  messageId: string
  headers: Record<string, string>
}

export interface MailOptions {
  /** Such as `nodemailer.createTransport(…)`. */
  readonly transport: MailTransport
  /** `'support@example.com'`, or `'Support <support@example.com>'`. */
  readonly from: string
  /** Where answers go. @default `from` */
  readonly replyTo?: string
}

/**
 * Makes a sender of plain mails to the channel's `to`, one address. A repetition carries the same
 * `Message-ID`, so that most mailboxes show it once.
 *
 * @throws {TypeError} naming the option in quotes and what it wants
 * @example
 * ```ts
 * import { createTransport } from 'nodemailer'
 * const send = mail({ transport: createTransport(process.env.SMTP_URL), from: 'support@example.com' })
 * ```
 */
export function mail({ transport, from, replyTo }: MailOptions) {
  if (typeof transport?.sendMail !== 'function') {
    throw new TypeError('option "transport" must be a transport with sendMail, as of nodemailer')
  }
  const domain = typeof from === 'string' ? /@([\w.-]+)>?\s*$/.exec(from)?.[1] : undefined
  if (!domain || !isLine(from)) throw new TypeError('option "from" must be an address')
  if (replyTo !== undefined && !isLine(replyTo)) {
    throw new TypeError('option "replyTo" must be an address')
  }

  return async function sendByMail({ id, to, subject, text }: Notification): Promise<void> {
    // One address, whatever a user wrote into their profile: not a list, not a line more.
    if (!/^[^\s,;<>"()@]+@[^\s,;<>"()@]+$/u.test(to))
      throw new Error('this is no address for a mail')
    await transport.sendMail({
      from,
      to: { name: '', address: to },
      ...(replyTo !== undefined && { replyTo }),
      subject,
      text,
      messageId: `<${localPart(id)}@${domain}>`,
      headers: { 'Auto-Submitted': 'auto-generated' },
    })
  }
}

const isLine = (value: unknown): boolean => typeof value === 'string' && /^[^\p{Cc}]+$/u.test(value)

/** Of what may stand there unquoted. */
const localPart = (id: string): string =>
  encodeURIComponent(id).replace(
    /[()'.]/g,
    (character) => `%${character.charCodeAt(0).toString(16)}`,
  )
