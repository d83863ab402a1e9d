import type { AuditEvent } from '../types.ts'

/** How an export writes events down: one text per event, and what stands before the first. */
export interface Format {
  readonly contentType: string
  /** Of a file that holds it. */
  readonly extension: string
  readonly head: string
  line(event: AuditEvent): string
}

/** An event as it travels: snake_case, instants as ISO 8601 in UTC with milliseconds. */
export function eventToWire(event: AuditEvent) {
  return {
    id: event.id,
    at: new Date(event.at).toISOString(),
    action: event.action,
    outcome: event.outcome,
    ...(event.code !== null && { code: event.code }),
    actor_id: event.actorId,
    target_user_id: event.targetUserId,
    actor_org_id: event.actorOrgId,
    target_org_id: event.targetOrgId,
    session_id: event.sessionId,
    grant_id: event.grantId,
    reason: event.reason,
    ip_address: event.ipAddress,
    user_agent: event.userAgent,
    client_id: event.clientId,
    request_id: event.requestId,
    details: event.details,
  }
}

/** JSON Lines: one event a line. No text in it can break a line or colour a terminal: JSON escapes both. */
const jsonLines: Format = {
  contentType: 'application/jsonl; charset=utf-8',
  extension: 'jsonl',
  head: '',
  line: (event) => `${oneLine(eventToWire(event))}\n`,
}

/** What the specification lets a text attribute hold; the data holds the id in any case. */
const attribute = /^[^\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]+$/u

/** CloudEvents 1.0 in its JSON format, one a line. */
const cloudEvents = (source: string): Format => ({
  ...jsonLines,
  line: (event) => {
    const { id, at: time, ...data } = eventToWire(event)
    const envelope = { specversion: '1.0', id, source, type: `onbehalf.${event.action}`, time }
    const subject = event.sessionId ?? event.grantId ?? ''
    const about = attribute.test(subject) ? { subject } : {}
    return `${oneLine({ ...envelope, ...about, datacontenttype: 'application/json', data })}\n`
  },
})

const columns = [
  ...['id', 'at', 'action', 'outcome', 'code', 'actor_id', 'target_user_id', 'actor_org_id'],
  ...['target_org_id', 'session_id', 'grant_id', 'reason', 'ip_address', 'user_agent'],
  ...['client_id', 'request_id', 'details'],
] as const

/** What is not seen (controls, formats, white space, marks on nothing, fillers), and quotes. */
const before = `[\\s\\p{C}\\p{Z}\\p{M}\\p{Default_Ignorable_Code_Point}\\u2800"']*`

/** As they are, and full-width, small, and as a real minus. */
const signs = '[=+\\-@|\\u2212\\uFE62\\uFE63\\uFE66\\uFE6B\\uFF0B\\uFF0D\\uFF1D\\uFF20\\uFF5C]'

/**
 * Where a spreadsheet may take what follows for a formula: at the beginning of a cell, and also behind
 * a semicolon, at which it splits where the comma stands in numbers. The apostrophe makes it text (OWASP,
 * CSV injection).
 */
const formula = new RegExp(`(?<=^|;)(?=${before}${signs})|^(?=\\p{Cc})`, 'gu')

/** CSV as RFC 4180 writes it, every cell in quotes, safe to open in a spreadsheet. */
const csv: Format = {
  contentType: 'text/csv; charset=utf-8; header=present',
  extension: 'csv',
  head: `${columns.map(cell).join(',')}\r\n`,
  line(event) {
    const row: Readonly<Record<string, unknown>> = eventToWire(event)
    return `${columns.map((column) => cell(row[column])).join(',')}\r\n`
  },
}

/** Every way in which events leave. `source` is who speaks, for CloudEvents: a URI reference. */
export function formatOf(name: FormatName, source: string): Format {
  if (name === 'cloudevents') return cloudEvents(source)
  return name === 'csv' ? csv : jsonLines
}

export const formatNames = ['jsonl', 'csv', 'cloudevents'] as const
export type FormatName = (typeof formatNames)[number]

/**
 * JSON leaves characters alone that some readers take for the end of a line, that colour a terminal (DEL,
 * C1), or that reorder what stands around them. Each may as well be written as an escape.
 */
export function oneLine(value: object): string {
  return JSON.stringify(value).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) =>
    char
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  )
}

function cell(value: unknown): string {
  const text = typeof value === 'object' && value !== null ? oneLine(value) : String(value ?? '')
  const line = text.replace(formula, "'").replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
  return `"${line.replaceAll('"', '""')}"`
}
