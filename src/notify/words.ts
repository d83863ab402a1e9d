import type { AccessLevel, EndedReason } from '../types.ts'
import type { NotificationKind, Told, Words } from './notification.ts'

type Write = (told: Told) => Words

const longestSubject = 200

/** The host's words where it has some that hold; a message is never lost for want of words. */
export function wordsFor(
  told: Told,
  own: Partial<Readonly<Record<NotificationKind, Write>>> = {},
): Words {
  const { subject, text } = written(told, own[told.kind]) ?? english[told.kind](told)
  return { subject: oneLine(subject, longestSubject), text: text.replaceAll('\0', '') }
}

function written(told: Told, write: Write | undefined): Words | undefined {
  try {
    const words = write?.(told)
    const holds = typeof words?.text === 'string' && typeof words.subject === 'string'
    return holds && oneLine(words.subject) !== '' ? words : undefined
  } catch {
    return undefined
  }
}

/**
 * What people wrote, as part of a line: nothing in it starts a line or a header of its own, nor turns
 * the direction of what stands around it.
 */
export function oneLine(text: string, longest = Number.POSITIVE_INFINITY): string {
  const line = text
    .toWellFormed()
    .replace(/\p{Bidi_Control}/gu, '')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim()
  const points = [...line]
  return points.length > longest ? `${points.slice(0, longest - 1).join('')}…` : line
}

const english: Readonly<Record<NotificationKind, Write>> = {
  grant_requested: (told) => ({
    subject: `${operator(told)} asks to enter your account`,
    text: lines(
      `${operator(told)} asks for your consent to enter your account.`,
      ...particulars(told),
      expiry('The question lapses', told),
      'Nobody enters unless you say yes.',
    ),
  }),
  grant_granted: (told) => ({
    subject: `${customer(told)} has consented`,
    text: lines(
      `${customer(told)} lets you enter their account.`,
      ...particulars(told),
      expiry('The consent ends', told),
    ),
  }),
  grant_denied: (told) => ({
    subject: `${customer(told)} has said no`,
    text: lines(`${customer(told)} does not let you enter their account.`, ...particulars(told)),
  }),
  grant_revoked: (told) =>
    told.reader === 'actor'
      ? {
          subject: `${customer(told)} has withdrawn their consent`,
          text: lines(
            `${customer(told)} no longer lets you enter their account. A session under this consent has ended.`,
          ),
        }
      : {
          subject: `${operator(told)} no longer asks to enter your account`,
          text: lines(
            `${operator(told)} has taken the question back, or no longer needs your consent. It lets nobody in any more.`,
          ),
        },
  session_started: (told) => ({
    subject: `${operator(told)} has entered your account`,
    text: lines(
      `${operator(told)} has entered your account.`,
      when(told),
      ...particulars(told),
      expiry('They are out again', told),
    ),
  }),
  session_ended: (told) => ({
    subject: `${operator(told)} has left your account`,
    text: lines(
      `${operator(told)} has left your account.`,
      when(told),
      told.endedReason && endings[told.endedReason],
      told.breakGlass && 'They had been in it without your consent, in an emergency.',
      ...particulars(told),
    ),
  }),
  break_glass: (told) => ({
    subject: 'Emergency access to your account',
    text: lines(
      `${operator(told)} has entered your account without your consent, in an emergency.`,
      when(told),
      ...particulars(told),
      expiry('They are out again', told),
      'If you do not know why, ask us. This message can not be switched off.',
    ),
  }),
  token_issued: (told) => ({
    subject: `${operator(told)} has issued an API token for your account`,
    text: lines(
      `${operator(told)} has issued an API token for your account: programs that have it act as you.`,
      when(told),
      ...tokenOf(told),
      expiry('It is over', told),
      'If you do not know why, ask us, or take it back.',
    ),
  }),
  token_rotated: (told) => ({
    subject: `${operator(told)} has renewed an API token of your account`,
    text: lines(
      `${operator(told)} has put a new API token in the place of one of your account; the old one soon ends.`,
      when(told),
      ...tokenOf(told),
      expiry('It is over', told),
      'If you do not know why, ask us, or take it back.',
    ),
  }),
  token_revoked: (told) => ({
    subject: `${operator(told)} has taken an API token of your account back`,
    text: lines(
      `${operator(told)} has taken an API token of your account back: programs that have it can do nothing more with it.`,
      when(told),
      ...tokenOf(told),
    ),
  }),
}

const operator = ({ actor: { name, role } }: Told) =>
  filled(name)
    ? `${oneLine(name, 100)}${filled(role) ? ` (${oneLine(role, 40)})` : ''}`
    : 'Our support'

const customer = ({ target }: Told) => oneLine(target.name ?? target.id, 100)

const filled = (value: unknown): value is string =>
  typeof value === 'string' && oneLine(value) !== ''

function particulars({ accessLevel, reason }: Told) {
  return [
    accessLevel && `Access: ${levels[accessLevel]}`,
    filled(reason) && `Reason: ${oneLine(reason)}`,
  ]
}

const tokenOf = ({ tokenPrefix, scopes }: Told) => [
  tokenPrefix && `Token: ${oneLine(tokenPrefix, 40)}…`,
  scopes && `Good for: ${oneLine(scopes.join(', '), 1000)}`,
]

const when = ({ at }: Told) => instant(at) && `When: ${instant(at)}`

function expiry(what: string, { expiresAt }: Told) {
  const at = expiresAt !== null && instant(expiresAt)
  return at && `${what}: ${at} at the latest`
}

/** Null beyond the last instant that a date can name. */
function instant(ms: number): string | null {
  const date = new Date(ms)
  if (Number.isNaN(date.getTime())) return null
  return `${date.toISOString().slice(0, -8).replace('T', ' ')} UTC`
}

const lines = (...all: readonly (string | null | undefined | false)[]): string =>
  `${all.filter(Boolean).join('\n')}\n`

const levels: Readonly<Record<AccessLevel, string>> = {
  view: 'view (look, and change nothing)',
  interactive: 'interactive (look, and make changes)',
  full: 'full (nearly everything that the account may do)',
}

const endings: Partial<Readonly<Record<EndedReason, string>>> = {
  stopped: 'They ended it themselves.',
  expired: 'The time was up.',
  grant_revoked: 'The consent was withdrawn.',
}
