/**
 * The API token of an Authorization header; null where there is none. Where one is in it and not presented as
 * RFC 6750 has it, an empty text, which no check lets pass: what looks like ours is no other login.
 */
export function presentedApiToken(
  authorization: string | undefined,
  prefix: string,
): string | null {
  if (!authorization?.includes(prefix)) return null
  const given = /^bearer +([^\s,]+)$/i.exec(authorization)?.[1]
  if (given?.startsWith(prefix)) return given
  return authorization.split(around).some((part) => part.startsWith(prefix)) ? '' : null
}

/** What hosts cut a header at, or take off what they found. */
const around = /[\s,;:="'<>()[\]{}]+/
