import { createHmac, createSecretKey, hash, type KeyObject, randomBytes } from 'node:crypto'
import type { ChainHead, Link, Seal } from '../stores/chain.ts'
import type { AuditEvent } from '../types.ts'

/** The keys of the chain: links are made with the current one, and checked with the one they name. */
export interface ChainKeys {
  readonly current: string
  /** By their ids. */
  readonly secrets: ReadonlyMap<string, Uint8Array>
}

/** Puts an event behind whatever will be the head when it is stored. */
export function sealOf(event: AuditEvent, { current, secrets }: ChainKeys): Seal {
  const key = secrets.get(current) as Uint8Array
  const salt = randomBytes(16).toString('base64url')
  const personalDigest = personalDigestOf(event, salt)
  const digest = digestOf(event, personalDigest)
  return (head) => {
    const seq = (head?.seq ?? 0) + 1
    const link = { seq, eventId: event.id, keyId: current, digest, personalDigest, salt }
    return { ...link, mac: macOf(link, head, key) }
  }
}

/** Made once of each: for Node, to look at the bytes of a key costs more than to use it. */
const keyObjects = new WeakMap<Uint8Array, KeyObject>()

export function keyObjectOf(key: Uint8Array): KeyObject {
  const made = keyObjects.get(key) ?? createSecretKey(key)
  keyObjects.set(key, made)
  return made
}

/** The mac that a link has to have behind this head. */
export function macOf(
  { seq, eventId, keyId, digest }: Omit<Link, 'mac'>,
  head: ChainHead | null,
  key: Uint8Array,
): string {
  return createHmac('sha256', keyObjectOf(key))
    .update(JSON.stringify(['onbehalf chain 1', seq, head?.mac ?? '', keyId, eventId, digest]))
    .digest('base64url')
}

/** Of everything in an event; what may be erased goes in as a digest, and so its absence changes nothing. */
export function digestOf(event: AuditEvent, personalDigest: string): string {
  const { ended_note, ...details } = event.details
  return hash(
    'sha256',
    canonical([
      ...[event.id, event.at, event.action, event.outcome, event.code],
      ...[event.actorId, event.targetUserId, event.actorOrgId, event.targetOrgId],
      ...[event.sessionId, event.grantId, event.clientId, event.requestId],
      Object.entries(details).sort(([a], [b]) => (a < b ? -1 : 1)),
      personalDigest,
    ]),
    'base64url',
  )
}

/** Salted, so that nobody can find out what was erased by trying what it may have been. */
export function personalDigestOf(event: AuditEvent, salt: string): string {
  const { reason, ipAddress, userAgent, details } = event
  return createHmac('sha256', salt)
    .update(canonical([reason, ipAddress, userAgent, details.ended_note ?? null]))
    .digest('base64url')
}

/** As every store hands it out: databases replace NUL and half a surrogate pair in text. */
function canonical(values: readonly unknown[]): string {
  const text = JSON.stringify(values)
  // Both stand there as escapes, and only then is another look worth its time.
  return text.includes('\\u0000') || text.includes('\\ud')
    ? JSON.stringify(values, (_, value) =>
        typeof value === 'string' ? value.toWellFormed().replaceAll('\0', '\uFFFD') : value,
      )
    : text
}
