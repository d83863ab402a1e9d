import { describe, expect, it } from 'vitest'
import { notificationKinds, type Told } from '../../src/index.ts'
import { oneLine, wordsFor } from '../../src/notify/words.ts'
import { hour, noon } from '../support/core-world.ts'

const told = (changes: Partial<Told> = {}): Told => ({
  kind: 'session_started',
  reader: 'target',
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
  ...changes,
})

describe('the words that come with it', () => {
  it('say who, when, why and how far', () => {
    expect(wordsFor(told())).toEqual({
      subject: 'Rooty (admin) has entered your account',
      text: `Rooty (admin) has entered your account.
When: 2030-06-01 12:00 UTC
Access: view (look, and change nothing)
Reason: ticket 7
They are out again: 2030-06-01 13:00 UTC at the latest
`,
    })
  })

  it.each([
    ['grant_requested', 'target', /^Rooty \(admin\) asks to enter/],
    ['grant_granted', 'actor', /^Alice has consented/],
    ['grant_denied', 'actor', /^Alice has said no/],
    ['grant_revoked', 'actor', /^Alice has withdrawn/],
    ['grant_revoked', 'target', /^Rooty \(admin\) no longer asks/],
    ['session_ended', 'target', /^Rooty \(admin\) has left/],
    ['break_glass', 'target', /^Emergency access/],
    ['token_issued', 'target', /^Rooty \(admin\) has issued an API token for your account$/],
    ['token_rotated', 'target', /^Rooty \(admin\) has renewed an API token of your account$/],
    ['token_revoked', 'target', /^Rooty \(admin\) has taken an API token of your account back$/],
  ] as const)('%s, for the %s', (kind, reader, subject) => {
    expect(wordsFor(told({ kind, reader })).subject).toMatch(subject)
  })

  it.each(notificationKinds)('%s: there are some, whatever is not known', (kind) => {
    const { subject, text } = wordsFor(
      told({
        kind,
        actor: { name: null, role: null },
        target: { id: 'alice', name: null },
        accessLevel: null,
        reason: null,
        expiresAt: null,
      }),
    )
    expect(`${subject}\n${text}`).not.toMatch(/null|undefined|NaN|Invalid|\n\n/)
    expect(subject).not.toBe('')
  })

  it('say how it ended, and that it was an emergency', () => {
    const ended = told({ kind: 'session_ended', endedReason: 'expired', breakGlass: true })
    expect(wordsFor(ended).text).toContain('The time was up.\n')
    expect(wordsFor(ended).text).toContain('in an emergency')
    expect(wordsFor(told({ ...ended, breakGlass: false })).text).not.toContain('emergency')
  })

  it('say of an API token how it begins, what it is good for and until when', () => {
    const issued = told({
      kind: 'token_issued',
      accessLevel: null,
      reason: null,
      tokenPrefix: 'pv_test_Ab1x',
      scopes: ['read', 'upload'],
    })
    expect(
      wordsFor(issued).text,
    ).toBe(`Rooty (admin) has issued an API token for your account: programs that have it act as you.
When: 2030-06-01 12:00 UTC
Token: pv_test_Ab1x…
Good for: read, upload
It is over: 2030-06-01 13:00 UTC at the latest
If you do not know why, ask us, or take it back.
`)
    for (const kind of ['token_rotated', 'token_revoked'] as const)
      expect(wordsFor({ ...issued, kind }).text).toContain('Token: pv_test_Ab1x…\nGood for: read,')
  })

  it('name no instant that no date can name', () => {
    expect(wordsFor(told({ expiresAt: 9e15 })).text).not.toContain('They are out')
  })

  it('take what displayActor gives, names or none', () => {
    const shown = wordsFor(told({ actor: { nick: 'R.', name: 7 } }))
    expect(shown.subject).toBe('Our support has entered your account')
  })
})

describe('what people wrote', () => {
  const nasty = 'x\r\nBcc: everybody@example.com\n\nClick\u2028here\u2029now\u0000\u202Eevil\uD800'

  it.each(notificationKinds)('%s: starts no line and no header', (kind) => {
    for (const reader of ['actor', 'target'] as const) {
      const { subject, text } = wordsFor(
        told({
          kind,
          reader,
          actor: { name: nasty, role: nasty },
          target: { id: 'alice', name: nasty },
          reason: nasty,
        }),
      )
      expect(subject).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/u)
      expect(text).not.toMatch(/^(Bcc|Click|here|now|evil)/m)
      expect(text).not.toMatch(/[\0\r\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/u)
    }
  })

  it('is cut where a subject would be endless, between letters', () => {
    const long = wordsFor(
      told({ kind: 'grant_granted', target: { id: 'a', name: '🦊'.repeat(999) } }),
    )
    expect([...long.subject].length).toBeLessThanOrEqual(200)
    expect(long.subject.isWellFormed()).toBe(true)
    expect(oneLine('🦊🦊🦊', 2)).toBe('🦊…')
  })
})

describe('the words of the host', () => {
  it('stand in place of ours', () => {
    const own = {
      session_started: ({ actor }: Told) => ({ subject: `${actor.name} da`, text: 'a\nb' }),
    }
    expect(wordsFor(told(), own)).toEqual({ subject: 'Rooty da', text: 'a\nb' })
    expect(wordsFor(told({ kind: 'break_glass' }), own).subject).toMatch(/^Emergency/)
  })

  it('are held to one line of subject', () => {
    const own = { session_started: () => ({ subject: 'a\r\nBcc: x@y.z', text: 'b' }) }
    expect(wordsFor(told(), own).subject).toBe('a Bcc: x@y.z')
  })

  it.each<[string, () => never]>([
    [
      'throw',
      () => {
        throw new Error('no words')
      },
    ],
    ['are none', () => undefined as never],
    ['are no words', () => ({ subject: 7, text: 'x' }) as never],
    ['lack a text', () => ({ subject: 'x' }) as never],
    ['have a blank subject', () => ({ subject: ' \n', text: 'x' }) as never],
    ['are a promise', () => Promise.resolve({ subject: 'x', text: 'y' }) as never],
  ])('give way to ours where they %s', (_what, write) => {
    expect(wordsFor(told(), { session_started: write })).toEqual(wordsFor(told()))
  })
})
