import {
  cacheHeaders,
  exposeWith,
  type HeaderPlan,
  noStore,
  varyWith,
} from '../src/pipeline/headers.ts'

/** Our headers on the web's own Response, as Node's are seen to in `node.ts`. */

/** A copy of a response that carries our headers; for those whose own can't be changed. */
export function sealed(response: Response, plan: HeaderPlan): Response {
  const { status, statusText, headers } = response
  const copy = new Response(response.body, { status, statusText, headers: new Headers(headers) })
  applyPlan(copy.headers, plan)
  return copy
}

/** Whether a handler has lost, or never had, what the answer has to carry. */
export function lacks(headers: Headers, { set, isPrivate, cookie }: HeaderPlan): boolean {
  if (cookie !== null || set.some(([name, value]) => headers.get(name) !== value)) return true
  if (!isPrivate) return false
  const vary = headers.get('Vary')
  return (
    headers.get('Cache-Control') !== noStore ||
    varyWith(vary) !== vary ||
    cacheHeaders.some((name) => headers.has(name)) ||
    headers.has('Access-Control-Allow-Origin')
  )
}

export function applyPlan(headers: Headers, { set, isPrivate, cookie }: HeaderPlan): void {
  for (const [name, value] of set) headers.set(name, value)
  if (cookie !== null) headers.append('Set-Cookie', cookie)
  if (!isPrivate) return
  headers.set('Cache-Control', noStore)
  for (const name of cacheHeaders) headers.delete(name)
  headers.set('Vary', varyWith(headers.get('Vary')))
  if (headers.has('Access-Control-Allow-Origin')) {
    headers.set(
      'Access-Control-Expose-Headers',
      exposeWith(headers.get('Access-Control-Expose-Headers')),
    )
  }
}
