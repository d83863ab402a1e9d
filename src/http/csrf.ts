import { ImpersonationError } from '../errors.ts'

export interface OriginRules {
  readonly allowedOrigins: ReadonlySet<string>
  /** Whether the request came by https, as the framework sees it. */
  readonly secure: boolean
  /** True for documents that use no credential: a caller that says nothing of itself may have them. */
  readonly isPublic: boolean
}

/**
 * Refuses what another site makes a browser send, reads included. Browsers say where a call comes from
 * by `Sec-Fetch-Site`, older ones by `Origin`; a caller with neither is no current browser, and has to
 * show a credential that no browser attaches by itself.
 * @throws {ImpersonationError} cross_origin_blocked
 */
export function checkOrigin(request: Request, rules: OriginRules): void {
  const origin = request.headers.get('origin')
  if (origin !== null && rules.allowedOrigins.has(origin)) return
  const site = request.headers.get('sec-fetch-site')
  if (site !== null && site !== 'same-origin' && site !== 'none') {
    throw blocked(`Sec-Fetch-Site is ${JSON.stringify(site.slice(0, 20))}`)
  }
  if (origin !== null && !isOwn(origin, request, rules.secure, site === 'same-origin')) {
    throw blocked(`Origin is ${JSON.stringify(origin.slice(0, 100))}`)
  }
  if (site === null && origin === null && !rules.isPublic && !hasBearer(request)) {
    throw blocked('neither Sec-Fetch-Site nor Origin nor a bearer token says where it comes from')
  }
}

function isOwn(origin: string, request: Request, secure: boolean, browserSaysSo: boolean): boolean {
  const host = request.headers.get('host') ?? new URL(request.url).host
  // Behind a proxy that ends TLS the scheme may look wrong; the browser's own word outweighs it.
  const schemes = browserSaysSo ? ['https', 'http'] : [secure ? 'https' : 'http']
  return schemes.some((scheme) => sameOrigin(origin, `${scheme}://${host}`))
}

function sameOrigin(origin: string, own: string): boolean {
  if (!URL.canParse(own) || !URL.canParse(origin)) return false
  const parsed = new URL(origin)
  return (
    parsed.origin === new URL(own).origin &&
    parsed.origin !== 'null' &&
    parsed.origin === origin.toLowerCase()
  )
}

function hasBearer(request: Request): boolean {
  return /^bearer +\S/i.test(request.headers.get('authorization') ?? '')
}

function blocked(why: string): ImpersonationError {
  return new ImpersonationError('cross_origin_blocked', {
    message: `This call comes from another origin, or does not show where from: ${why}. If it is yours, list its origin in "allowedOrigins".`,
  })
}
