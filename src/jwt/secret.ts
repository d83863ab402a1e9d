/** A secret's bytes, copied, so that what the host does to its own later changes nothing. */
export function secretBytes(secret: string | Uint8Array): Uint8Array<ArrayBuffer> {
  return typeof secret === 'string' ? new TextEncoder().encode(secret) : new Uint8Array(secret)
}

/** A public key taken for a secret is known to everybody: the classic confusion, made by hand. */
export function isPem(bytes: Uint8Array): boolean {
  return new TextDecoder().decode(bytes).trimStart().startsWith('-----BEGIN ')
}
