import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { eventToWire, type FormatName, formatNames, formatOf } from '../../src/audit/formats.ts'
import { eventOf, sessionOf, t0 } from '../../src/testing/store/fixtures.ts'
import type { AuditEvent } from '../../src/types.ts'

const event = (changes: Partial<AuditEvent> = {}): AuditEvent => ({
  ...eventOf('impersonation.started', sessionOf({ id: 'session' }), { id: 'event' }),
  ...changes,
})

const line = (name: FormatName, changes: Partial<AuditEvent> = {}) =>
  formatOf(name, 'https://app.test/').line(event(changes))

/** What ends a line for one reader or another. */
const breaks = /[\n\v\f\r\u0085\u2028\u2029]/
/** Any text, with what is hard to write down more often than chance would have it. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.string({
    unit: fc.constantFrom(
      ...'=+-@|;,"\'\t\r\n\0 \u001b\u007f\u0085\u009b\u00a0\u00ad\u200b\u2028\u2029\u202e\u2800\ufeff\uff1da1',
    ),
  }),
)
/** Any event that a store gives: its texts have no half of a surrogate pair. */
const anyEvent = fc.record({
  reason: fc.option(anyText),
  userAgent: fc.option(anyText),
  code: fc.option(anyText),
  actorId: fc.option(anyText),
  sessionId: fc.option(anyText),
  details: fc.dictionary(
    anyText.filter((key) => key !== '__proto__'),
    fc.oneof(anyText, fc.integer(), fc.boolean(), fc.constant(null)),
  ),
})

/** A reader of RFC 4180, and a strict one: quotes around each cell, doubled within, CRLF at the end. */
function readCsv(text: string): string[][] {
  const rows: string[][] = []
  let at = 0
  while (at < text.length) {
    const row: string[] = []
    for (;;) {
      const [whole, content = ''] = /^"((?:[^"]|"")*)"/.exec(text.slice(at)) ?? []
      if (whole === undefined) throw new Error(`no cell at ${at}`)
      row.push(content.replaceAll('""', '"'))
      at += whole.length
      if (text[at] !== ',') break
      at++
    }
    if (text.slice(at, at + 2) !== '\r\n') throw new Error(`no end of a row at ${at}`)
    at += 2
    rows.push(row)
  }
  return rows
}

/** The cells of a line, by the names of their columns. */
function cells(changes: Partial<AuditEvent>): Record<string, string> {
  const { head } = formatOf('csv', '')
  const [names = [], values = [], ...more] = readCsv(head + line('csv', changes))
  expect(more).toEqual([])
  expect(values).toHaveLength(names.length)
  return Object.fromEntries(names.map((name, n) => [name, values[n] ?? '']))
}

describe('JSON Lines', () => {
  it('writes an event as the routes do', () => {
    const changes = { code: 'not_allowed', outcome: 'refused', at: t0 + 1 } as const
    const read = JSON.parse(line('jsonl', changes))
    expect(read).toEqual(eventToWire(event(changes)))
    expect(read).toMatchObject({ at: '2030-01-01T00:00:00.001Z', code: 'not_allowed' })
    expect(JSON.parse(line('jsonl'))).not.toHaveProperty('code')
  })

  it('comes back as it went, whatever the text', () => {
    fc.assert(
      fc.property(anyEvent, (changes) => {
        const read = JSON.parse(line('jsonl', changes))
        expect(read).toEqual(eventToWire(event(changes)))
      }),
    )
  })

  it.each<FormatName>(['jsonl', 'cloudevents'])('%s is one line, whatever the text', (name) => {
    fc.assert(
      fc.property(anyEvent, (changes) => {
        const text = line(name, changes)
        expect(text.endsWith('\n')).toBe(true)
        expect(text.slice(0, -1)).not.toMatch(breaks)
      }),
    )
  })

  it('has nothing in it that a terminal obeys or a reader does not see, at any code point', () => {
    for (let from = 0; from < 0x110000; from += 0x1000) {
      const points = Array.from({ length: 0x1000 }, (_, n) => from + n)
      const reason = String.fromCodePoint(...points)
      const text = line('jsonl', { reason })
      expect(text.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
      expect(JSON.parse(text).reason).toBe(reason)
    }
  })
})

describe('CSV', () => {
  it('has a heading, and a cell for every member of an event', () => {
    const { head, contentType, extension } = formatOf('csv', '')
    expect(readCsv(head)[0]?.toSorted()).toEqual(
      Object.keys(eventToWire(event({ code: 'x' }))).toSorted(),
    )
    expect([contentType, extension]).toEqual(['text/csv; charset=utf-8; header=present', 'csv'])
  })

  it('writes plain values as they are, and nothing for null', () => {
    const details = { a: 1, b: 'two', c: true, d: null }
    expect(cells({ reason: 'ticket 4711, "urgent"', grantId: null, details })).toMatchObject({
      id: 'event',
      at: '2030-01-01T00:00:00.000Z',
      action: 'impersonation.started',
      actor_id: 'root',
      code: '',
      grant_id: '',
      reason: 'ticket 4711, "urgent"',
      details: JSON.stringify(details),
    })
  })

  it('is a table for a strict reader, one row to a line, whatever the text', () => {
    fc.assert(
      fc.property(anyEvent, (changes) => {
        cells(changes)
        expect(line('csv', changes).slice(0, -2)).not.toMatch(breaks)
      }),
    )
  })

  const signs = [
    ...'=+-@|',
    ...'\uFF1D\uFF0B\uFF0D\uFF20\uFF5C',
    ...'\uFE66\uFE62\uFE63\uFE6B\u2212',
  ]
  const before = {
    nothing: '',
    'white space': ' \u00a0\u3000',
    'a byte order mark': '\ufeff',
    'what is not seen': '\u200b\u00ad\u2060\u{E0020}',
    fillers: '\u3164\u2800\u034f',
    'a mark on nothing': '\u0301',
    'a tab': '\t',
    'a line break': '\r\n',
    'NUL behind a space': ' \0',
    quotes: '"\'',
    'private use': '\ue000',
    'a semicolon': 'a;',
    'a semicolon, a quote and white space': '"x" ;" \u200b',
  }
  it.each(Object.entries(before))('makes no formula behind %s', (_what, text) => {
    for (const sign of signs) {
      const formula = `${text}${sign}cmd|'/C calc'!A0`
      const { reason = '', details = '' } = cells({ reason: formula, details: { formula } })
      expect(reason.replace(/^.*;/s, ''), JSON.stringify(formula)).toMatch(/^'/)
      expect(details).toMatch(/^\{/)
    }
  })

  it.each(['\t', '\r', '\n', '\0', '\u001b'])(
    'makes text of a cell that begins with %j',
    (char) => {
      expect(cells({ reason: `${char}1` }).reason).toBe("' 1")
    },
  )

  it('makes no formula in any column', () => {
    const evil = '=1'
    const strings = Object.entries(event()).filter(([name]) => name !== 'at' && name !== 'details')
    const changes = Object.fromEntries(strings.map(([name]) => [name, evil]))
    const found = Object.entries(cells(changes)).filter(([, cell]) => cell.includes('=1'))
    expect(found).toHaveLength(strings.length)
    expect(found.filter(([, cell]) => cell !== "'=1")).toEqual([])
  })

  it('begins no cell with what a spreadsheet obeys, whatever the text', () => {
    const obeyed = /^["'\s\p{C}\p{Z}\p{M}]*[=+\-@|\uFF1D\uFF0B\uFF0D\uFF20]|^\p{Cc}/u
    fc.assert(
      fc.property(anyText, (reason) => {
        const cell = cells({ reason }).reason ?? ''
        // As a reader sees it that splits at commas, and as one that splits at semicolons.
        for (const part of [cell, ...cell.split(';')])
          if (!part.startsWith("'")) expect(part).not.toMatch(obeyed)
      }),
      { numRuns: 2_000 },
    )
  })

  it('leaves harmless text alone', () => {
    for (const reason of [
      'a=b',
      'a@b.test',
      '4-5',
      'one; two',
      '日本',
      "it's",
      "'quoted'",
      '(X11; Linux)',
    ])
      expect(cells({ reason }).reason).toBe(reason)
  })

  it('takes no longer for a text made for it', () => {
    const long = `${';"'.repeat(50_000)}${'" '.repeat(50_000)}x`
    const began = performance.now()
    cells({ reason: long })
    expect(performance.now() - began).toBeLessThan(2_000)
  })
})

describe('CloudEvents', () => {
  const read = (changes: Partial<AuditEvent> = {}) => JSON.parse(line('cloudevents', changes))

  // https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
  it('has the attributes that the specification requires, and no other names than it allows', () => {
    for (const changes of [{}, { sessionId: null }, { sessionId: null, grantId: 'grant' }]) {
      const { data, ...attributes } = read(changes)
      expect(attributes).toMatchObject({
        specversion: '1.0',
        id: 'event',
        source: 'https://app.test/',
        type: 'onbehalf.impersonation.started',
      })
      for (const [name, value] of Object.entries(attributes)) {
        expect(name).toMatch(/^[a-z0-9]{1,20}$/)
        expect(value).toEqual(expect.any(String))
        expect(value, name).not.toBe('')
      }
      expect(attributes.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      expect(attributes.datacontenttype).toBe('application/json')
      expect(data).toEqual(expect.any(Object))
    }
  })

  it('is about the session, or the grant, or nothing', () => {
    expect(read({ grantId: 'grant' }).subject).toBe('session')
    expect(read({ sessionId: null, grantId: 'grant' }).subject).toBe('grant')
    expect(read({ sessionId: null })).not.toHaveProperty('subject')
  })

  it('holds the whole event, id and time in the envelope and the rest in its data', () => {
    fc.assert(
      fc.property(anyEvent, (changes) => {
        const { id, time: at, data } = read(changes)
        expect({ id, at, ...data }).toEqual(eventToWire(event(changes)))
      }),
    )
  })

  it('has attributes that are not empty and hold no control, whatever the ids', () => {
    fc.assert(
      fc.property(anyEvent, fc.option(anyText), (changes, grantId) => {
        const { data, ...attributes } = read({ ...changes, grantId })
        for (const [name, value] of Object.entries(attributes))
          expect(value, name).toMatch(/^[^\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]+$/u)
      }),
    )
  })
})

it('names no two formats alike', () => {
  expect(formatNames.map((name) => formatOf(name, 'x').extension)).toEqual([
    'jsonl',
    'csv',
    'jsonl',
  ])
  expect(new Set(formatNames.map((name) => line(name))).size).toBe(3)
})
