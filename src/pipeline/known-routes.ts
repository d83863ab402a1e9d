import { warnOnce } from '../warnings.ts'

/** A route the app has, as frameworks list them: `{ method: 'GET' | ['GET', …] | 'ALL', path: '/users/:id' }`. */
export interface KnownRoute {
  readonly method: string | readonly string[]
  readonly path: string
}

/** A pattern of an option, as it was written. */
export interface WrittenPattern {
  readonly option: string
  readonly pattern: string
}

/** The patterns that none of these routes could be meant by; they protect nothing, most likely for a typo. */
export function unusedPatterns(
  patterns: readonly WrittenPattern[],
  routes: Iterable<KnownRoute>,
): WrittenPattern[] {
  const known = [...routes]
    // What runs for any method below a prefix is a layer, not a route.
    .filter(({ method, path }) => !(isAny(method) && path.endsWith('*')))
    .map(({ method, path }) => ({
      methods: (Array.isArray(method) ? method : [method]) as readonly string[],
      segments: segmentsOf(path),
    }))
  return patterns.filter(({ pattern }) => {
    const [method = '', path = ''] = pattern.split(' ')
    const segments = segmentsOf(path)
    return !known.some(
      (route) =>
        route.methods.some((one) => sameMethod(method, one)) && meet(segments, route.segments),
    )
  })
}

export function warnOfUnused(unused: readonly WrittenPattern[]): void {
  if (unused.length === 0) return
  const list = unused.map(({ option, pattern }) => `${option}: ${JSON.stringify(pattern)}`)
  warnOnce(
    'ONBEHALF_UNUSED_PATTERN',
    `no route of this app is meant by ${list.join(', ')}; look for a typo or a missing prefix (patterns are whole paths)`,
  )
}

const segmentsOf = (path: string) =>
  path
    .toLowerCase()
    .split('/')
    .filter((segment) => segment !== '')

const isAny = (method: KnownRoute['method']) => method === 'ALL' || method === '*'

function sameMethod(one: string, other: string): boolean {
  const same = one === other.toUpperCase() || one === '*' || isAny(other)
  return same || (one === 'HEAD' && other === 'GET') || (one === 'GET' && other === 'HEAD')
}

/** Whether some path is both. A segment that isn't plain text may be anything. */
function meet([one, ...ones]: readonly string[], [other, ...others]: readonly string[]): boolean {
  if (one === '*' || other?.endsWith('*')) return true
  if (other?.endsWith('?') && meet(one === undefined ? [] : [one, ...ones], others)) return true
  if (one === undefined || other === undefined) return one === other
  const open = /[:*({?[]/
  return (one === other || open.test(one) || open.test(other)) && meet(ones, others)
}
