import type { ChainKeys } from './audit/seal.ts'
import { isRecord, noOthers, oneOf, want, wantSection } from './checks.ts'
import type { AuditKey, AuditOptions } from './options.ts'
import { chainVerbs } from './stores/chain.ts'
import { outboxVerbs } from './stores/outbox.ts'
import type { Store } from './stores/store.ts'
import { trailVerbs } from './stores/trail.ts'

interface CheckedAudit {
  readonly onEvent?: AuditOptions['onEvent'] | undefined
  readonly trail: NonNullable<AuditOptions['trail']>
  readonly query: readonly string[]
  readonly sink?: AuditOptions['sink'] | undefined
  readonly chainKeys?: ChainKeys
}

/** HMAC-SHA-256 wants a key as long as what it gives (RFC 2104). */
const shortestKey = 32

/** @throws {TypeError} naming the option in quotes and what it wants, never the key */
export function checkAudit(group: AuditOptions | undefined, store: Store): CheckedAudit {
  if (group === undefined) return { trail: 'off', query: [] }
  want('audit', isRecord(group), 'an object { key?, oldKeys?, onEvent?, trail?, query?, sink? }')
  noOthers('audit.', group, ['key', 'oldKeys', 'onEvent', 'trail', 'query', 'sink'])
  const { key, oldKeys = [], onEvent, query = [], sink } = group as AuditOptions
  const trail = oneOf('audit.trail', (group as AuditOptions).trail, ['off', 'unsafe', 'all'], 'off')
  if (trail !== 'off') wantSection('audit.trail', store, 'trail', trailVerbs)
  want(
    'audit.query',
    Array.isArray(query) && query.every((name) => typeof name === 'string'),
    'an array of names of query parameters',
  )
  want(
    'audit.sink',
    sink === undefined || (isRecord(sink) && typeof sink.send === 'function'),
    "an object { send(event) }, such as eventWebhook(…) from 'onbehalf/notify'",
  )
  if (sink !== undefined) wantSection('audit.sink', store, 'outbox', outboxVerbs)
  const others = { onEvent, trail, query: [...query], sink }
  want(
    'audit.onEvent',
    onEvent === undefined || typeof onEvent === 'function',
    'a function (event) => void',
  )
  want('audit.oldKeys', Array.isArray(oldKeys), 'an array of { id, secret }')
  if (key === undefined) {
    want('audit.oldKeys', oldKeys.length === 0, 'left out where "audit.key" is')
    return others
  }
  wantSection('audit.key', store, 'chain', chainVerbs)
  const current = checkKey('audit.key', isKey(key) ? key : { id: 'default', secret: key })
  const all = [current, ...oldKeys.map((old, n) => checkKey(`audit.oldKeys[${n}]`, old))]
  const secrets = new Map(all.map(({ id, secret }) => [id, secret]))
  want('audit.oldKeys', secrets.size === all.length, 'keys with ids of their own')
  return { ...others, chainKeys: Object.freeze({ current: current.id, secrets }) }
}

const isKey = (key: string | Uint8Array | AuditKey): key is AuditKey =>
  isRecord(key) && !(key instanceof Uint8Array)

function checkKey(option: string, key: AuditKey): { id: string; secret: Uint8Array } {
  want(option, isRecord(key), 'a secret, or { id, secret }')
  noOthers(`${option}.`, key, ['id', 'secret'])
  const { id, secret } = key as AuditKey
  want(`${option}.id`, typeof id === 'string' && /^[\w.:-]{1,64}$/.test(id), 'a short name')
  const bytes = typeof secret === 'string' ? new TextEncoder().encode(secret) : secret
  want(
    option,
    bytes instanceof Uint8Array && bytes.length >= shortestKey,
    `a secret of at least ${shortestKey} characters or bytes, such as \`openssl rand -base64 32\` gives`,
  )
  // Not `slice`, by which a Buffer goes on sharing its bytes with whoever gave it.
  return { id, secret: new Uint8Array(bytes) }
}
