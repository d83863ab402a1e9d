/**
 * Signatures of the Standard Webhooks specification: HMAC-SHA-256 over `id.timestamp.body`.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */

/** What the specification asks for at the least. */
const fewestBytes = 24

/** @throws {TypeError} naming the option and what it wants; never with the secret */
export function secretsOf(option: string, given: string | readonly string[]): readonly Key[] {
  const secrets = typeof given === 'string' ? [given] : given
  if (!Array.isArray(secrets) || secrets.length === 0) {
    throw new TypeError(`option "${option}" must be a secret, or an array of at least one`)
  }
  return secrets.map((secret) => later(bytesOf(option, secret)))
}

/** Imported with its first use. */
export type Key = () => Promise<CryptoKey>

function later(bytes: Uint8Array<ArrayBuffer>): Key {
  let key: Promise<CryptoKey> | undefined
  return () => {
    const algorithm = { name: 'HMAC', hash: 'SHA-256' }
    key ??= crypto.subtle.importKey('raw', bytes, algorithm, false, ['sign', 'verify'])
    return key
  }
}

function bytesOf(option: string, secret: unknown): Uint8Array<ArrayBuffer> {
  const bytes =
    typeof secret !== 'string'
      ? undefined
      : secret.startsWith('whsec_')
        ? fromBase64(secret.slice('whsec_'.length))
        : utf8.encode(secret)
  if (!bytes || bytes.length < fewestBytes) {
    throw new TypeError(
      `option "${option}" must be a string of at least ${fewestBytes} bytes, or "whsec_" and so many in base64`,
    )
  }
  return bytes
}

export async function sign(key: Key, content: string): Promise<string> {
  const signature = await crypto.subtle.sign('HMAC', await key(), utf8.encode(content))
  return btoa(String.fromCharCode(...new Uint8Array(signature)))
}

/** Whether one of the signatures was made with one of the keys; compared in constant time. */
export async function isSigned(
  keys: readonly Key[],
  signatures: readonly string[],
  content: string,
): Promise<boolean> {
  const data = utf8.encode(content)
  for (const each of keys) {
    const key = await each()
    for (const text of signatures) {
      const signature = fromBase64(text)
      if (signature && (await crypto.subtle.verify('HMAC', key, signature, data))) return true
    }
  }
  return false
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  } catch {
    return undefined
  }
}

const utf8 = new TextEncoder()
