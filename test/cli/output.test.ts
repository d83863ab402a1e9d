import { type PassThrough, Writable } from 'node:stream'
import { expect, it } from 'vitest'
import { count, harmless, sinkOf, table } from '../../src/cli/output.ts'

it.each([
  ['plain text – ünï, 日本, 👍', 'plain text – ünï, 日本, 👍'],
  ['\u001b[31mred', '\\u{1b}[31mred'],
  ['\u009b31mred', '\\u{9b}31mred'],
  ['two\nlines\r\tand', 'two\\nlines\\r\\tand'],
  ['\u2028\u2029\u0085', '\\u{2028}\\u{2029}\\u{85}'],
  ['abc\u202Ecba', 'abc\\u{202e}cba'],
  ['ro\u200Bot\u{E0041}\u3164', 'ro\\u{200b}ot\\u{e0041}\\u{3164}'],
  ['\u0000\u007F\uD800', '\\u{0}\\u{7f}\\u{d800}'],
])('harmless(%j)', (text, safe) => {
  expect(harmless(text)).toBe(safe)
})

it('leaves nothing unseen, whatever the character', () => {
  for (let point = 0; point < 0x110000; point++) {
    const safe = harmless(String.fromCodePoint(point))
    if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(safe)) expect.fail(point.toString(16))
  }
})

it('aligns by what a terminal shows, and cuts no id of the first column', () => {
  const id = 'i'.repeat(60)
  const text = table(
    ['ID', 'NAME', 'REASON'],
    [
      [id, '日本', 'x'.repeat(60)],
      ['1', 'e\u0301', '\u001b[2J'],
    ],
  )
  expect(text).toBe(
    [
      `ID${' '.repeat(58)}  NAME  REASON`,
      `${id}  日本  ${'x'.repeat(47)}…`,
      `1${' '.repeat(59)}  e\u0301     \\u{1b}[2J`,
      '',
    ].join('\n'),
  )
})

it('counts in words', () => {
  expect([count(0, 'event'), count(1, 'event'), count(20_000, 'event')]).toEqual([
    '0 events',
    '1 event',
    '20,000 events',
  ])
})

it('takes a listener that has gone for no fault, and any other for one', async () => {
  const failing = (code: string) =>
    new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error(), { code })) })
  const gone = sinkOf(failing('EPIPE') as unknown as PassThrough)
  await gone.write('a')
  await gone.write('b')
  expect(gone.closed).toBe(true)
  const full = sinkOf(failing('ENOSPC') as unknown as PassThrough)
  await expect(full.write('a')).rejects.toMatchObject({ code: 'ENOSPC' })
})
