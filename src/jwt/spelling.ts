/**
 * Three parts of base64url, each spelled as an encoder spells it: no padding, no stray bits behind the
 * last byte, nothing around. Decoders forgive more, and every forgiven spelling is a second token.
 */
const part = '(?=[\\w-])(?:[\\w-]{4})*(?:[\\w-][AQgw]|[\\w-]{2}[AEIMQUYcgkosw048])?'
const compact = new RegExp(`^${part}\\.${part}\\.${part}$`)

/** Whether a text is spelled as a signed token (RFC 7515, section 7.1), and in no second way. */
export function isCompact(token: string): boolean {
  return compact.test(token)
}

/** RFC 7515, section 4.1.9: `application/` may be left out, and case does not count. */
export function shortType(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '')
}
