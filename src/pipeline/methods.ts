import type { RequestView } from './identify.ts'
import { safeMethods } from './patterns.ts'

/** What a request's method says of it, and what else in the request may overrule that. */

const overrideHeaders = [
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
  'x-method',
  'x-http-override',
  'http-method-override',
  'method-override',
] as const

/** Whether a request only reads, as far as its method tells. */
export function isSafe<Req>(request: Req, view: RequestView<Req>): boolean {
  return (
    safeMethods.has(view.method(request)) &&
    !saysOtherMethod(request, view) &&
    !carriesBody(request, view) &&
    !opensSocket(request, view)
  )
}

/** A request that asks some layer below to take its method for another one. */
export function saysOtherMethod<Req>(request: Req, view: RequestView<Req>): boolean {
  for (const name of overrideHeaders) if (view.header(request, name) !== undefined) return true
  // The web's URL drops these wherever they stand.
  const target = view.target(request).replace(/[\t\r\n]/g, '')
  const query = target.indexOf('?')
  return query >= 0 && /method|%/i.test(target) && namesMethod(target.slice(query + 1))
}

/** A GET that becomes a WebSocket: what goes through it then passes no middleware. */
function opensSocket<Req>(request: Req, view: RequestView<Req>): boolean {
  const upgrade = view.header(request, 'upgrade')
  return upgrade !== undefined && /websocket/i.test(upgrade)
}

/** A read with a body: nobody needs one, and a layer that looks into bodies may find another method there. */
function carriesBody<Req>(request: Req, view: RequestView<Req>): boolean {
  return announcesBody(request, view) || isForm(request, view)
}

function announcesBody<Req>(request: Req, view: RequestView<Req>): boolean {
  const length = view.header(request, 'content-length')
  if (length !== undefined) return length.trim() !== '0'
  return view.header(request, 'transfer-encoding') !== undefined
}

/**
 * A form may name another method in its body, where it can't be seen from here. So may JSON that is sent
 * by POST, the method that overrides are made for: such layers don't ask which parser has read `_method`.
 */
export function isForm<Req>(request: Req, view: RequestView<Req>): boolean {
  const type = view.header(request, 'content-type')
  if (type === undefined) return false
  return (
    /^\s*(?:application\/x-www-form-urlencoded|multipart\/)/i.test(type) ||
    (view.method(request).toUpperCase() === 'POST' &&
      /json/i.test(type) &&
      announcesBody(request, view))
  )
}

/** `_method`, `_HttpMethod`, `$method`, `x-http-method-override` …; and `method`, where it holds a method that writes. */
const overrides =
  /^[\s_$.[-]+(?:http[_-]?)?method\b|^\s*(?:x[_-])?(?:http[_-]?method|method[_-]?override)\b/i
const writes = /^\s*(?:POST|PUT|PATCH|DELETE|MERGE)\s*$/i

function namesMethod(query: string): boolean {
  return query.split(/[&;]/).some((pair) => {
    const at = pair.indexOf('=')
    const name = decoded(at < 0 ? pair : pair.slice(0, at))
    if (name === undefined || overrides.test(name)) return true
    if (!/^\s*method\b/i.test(name)) return false
    const value = decoded(at < 0 ? '' : pair.slice(at + 1))
    return value === undefined || writes.test(value)
  })
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
