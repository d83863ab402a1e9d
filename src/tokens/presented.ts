import { carriesImpersonationToken } from './recognise.ts'

/**
 * The impersonation token of an Authorization header; null where there is none. Where something in it calls
 * itself one and is not presented as RFC 6750 has it, an empty text, which no check lets pass.
 */
export function presentedToken(authorization: string | undefined): string | null {
  if (authorization === undefined || !carriesImpersonationToken(authorization)) return null
  return /^bearer +([^\s,]+)$/i.exec(authorization)?.[1] ?? ''
}
