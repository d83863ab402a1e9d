import type { ChainKeys } from './audit/seal.ts'
import { isRecord, noOthers, want, wantSection } from './checks.ts'
import type { AuditKey, AuditOptions } from './options.ts'
import { chainVerbs } from './stores/chain.ts'
import type { Store } from './stores/store.ts'

/** HMAC-SHA-256 wants a key as long as what it gives (RFC 2104). */
const shortestKey = 32

/** @throws {TypeError} naming the option in quotes and what it wants, never the key */
export function checkAudit(
  group: AuditOptions | undefined,
  store: Store,
): { readonly chainKeys?: ChainKeys; readonly onEvent?: AuditOptions['onEvent'] } {
  if (group === undefined) return {}
  want('audit', isRecord(group), 'an object { key?, oldKeys?, onEvent? }')
  noOthers('audit.', group, ['key', 'oldKeys', 'onEvent'])
  const { key, oldKeys = [], onEvent } = group as AuditOptions
  want(
    'audit.onEvent',
    onEvent === undefined || typeof onEvent === 'function',
    'a function (event) => void',
  )
  want('audit.oldKeys', Array.isArray(oldKeys), 'an array of { id, secret }')
  if (key === undefined) {
    want('audit.oldKeys', oldKeys.length === 0, 'left out where "audit.key" is')
    return { onEvent }
  }
  wantSection('audit.key', store, 'chain', chainVerbs)
  const current = checkKey('audit.key', isKey(key) ? key : { id: 'default', secret: key })
  const all = [current, ...oldKeys.map((old, n) => checkKey(`audit.oldKeys[${n}]`, old))]
  const secrets = new Map(all.map(({ id, secret }) => [id, secret]))
  want('audit.oldKeys', secrets.size === all.length, 'keys with ids of their own')
  return { onEvent, chainKeys: Object.freeze({ current: current.id, secrets }) }
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
  return { id, secret: bytes.slice() }
}
