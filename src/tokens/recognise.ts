/**
 * Whether a token says of itself, in its header, that it is an impersonation token: `typ` is `imp+jwt`,
 * in any case, with or without `application/`. Nothing is verified. Such a token is never handed on to
 * the host's own verifier, which might overlook `typ` and take it for a login of the target.
 *
 * It says yes wherever some lenient decoder would read it so: any alphabet, padding or stray characters,
 * escapes within the JSON, a member given twice. Never throws; linear in the length of the header; for an
 * ordinary token nothing is allocated.
 */
export function isImpersonationToken(token: string): boolean {
  return isPlain(token) ? false : isNamedSo(token)
}

/**
 * Whether any part of an Authorization header is such a token. Hosts take the token out of the header in
 * ways of their own: behind another scheme, another blank, a name or quotes.
 */
export function carriesImpersonationToken(authorization: string): boolean {
  return (
    authorization.split(/[\s,;"]+/).some(isImpersonationToken) ||
    isImpersonationToken(authorization.replace(/^\s*\S+\s+/, '')) ||
    (!/^bearer\s/i.test(authorization) &&
      counted.some((at) => isImpersonationToken(authorization.slice(at))))
  )
}

/** Behind `JWT `, `Token ` and `Bearer `: many hosts count, and don't look what they leave out. */
const counted = [4, 6, 7]

/** Numbers of the base64 alphabets by character code, both spellings; -1 for whatever is none. */
const sextets = new Int8Array(128).fill(-1)
for (const [n, letter] of [
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
].entries()) {
  sextets[letter.charCodeAt(0)] = n
}
sextets['-'.charCodeAt(0)] = 62
sextets['_'.charCodeAt(0)] = 63

const dot = 46
/** The letters `\u`, behind which JSON may write any other. */
const unicode = 0x5c75
/** The letters `mp+j`, which the type has and hardly anything else. */
const mark = 0x6d702b6a
const lower = 0x20200020

/** A cheap look: nothing but letters of base64, and under them neither an escape nor the mark. */
function isPlain(token: string): boolean {
  let bits = 0
  let last = 0
  for (let i = 0; i < token.length; i++) {
    const code = token.charCodeAt(i)
    if (code === dot) break
    const sextet = code < 128 ? (sextets[code] ?? -1) : -1
    if (sextet < 0) return false
    bits = (bits << 6) | sextet
    const phase = i & 3
    if (phase === 0) continue
    // After the second, third and fourth letter of each group a byte is whole.
    const byte = (bits >> (6 - phase * 2)) & 0xff
    last = (last << 8) | byte
    if ((last & 0xffff) === unicode || (last | lower) === mark) return false
  }
  return true
}

const named = /"typ"[^"]*"\s*(?:application\/)?imp\+jwt\s*"/i

function isNamedSo(token: string): boolean {
  const at = token.indexOf('.')
  const header = at < 0 ? token : token.slice(0, at)
  // Decoders differ in what they do at padding and with characters that are none of theirs.
  return [
    decode(header.replaceAll('=', '')),
    header
      .split(/=+/)
      .map((part) => decode(part))
      .join(''),
  ].some((text) => named.test(withoutEscapes(text)))
}

/** Passes over what is no letter of base64. */
function decode(text: string): string {
  let letters = ''
  for (let i = 0; i < text.length; i++) {
    // Some decoders look at the low byte of a character only.
    const code = text.charCodeAt(i) & 0xff
    if (code < 128 && (sextets[code] ?? -1) >= 0) letters += String.fromCharCode(code)
  }
  return Buffer.from(letters, 'base64').toString('latin1')
}

/** Takes back what JSON lets one write otherwise, as far as it matters here. */
function withoutEscapes(json: string): string {
  return json
    .replace(/\\u([0-9a-fA-F]{4})/g, (_all, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    .replaceAll('\\/', '/')
}
