/**
 * Route patterns and the many spellings of a path.
 *
 * Routers disagree about what a path says: one decodes `%70`, one folds case, one resolves `..`, one
 * cuts at `;`. A net that reads a path in one way only has holes. So a path is read in every way some
 * router reads it, and a pattern holds if it matches any reading. Over-blocking is the right mistake.
 */

/** `'METHOD /path/:param/*'`; `*` as the method means any, at the end of the path it means anything below. */
export type RoutePattern = `${string} /${string}`

export interface PatternSet {
  readonly size: number
  /** Whether no pattern can match a safe method, so that the hot path may skip the work. */
  readonly unsafeOnly: boolean
  /** The first pattern that matches any of the readings; `*` as the method matches every pattern. */
  find(method: string, readings: readonly string[]): string | undefined
}

export const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * @param spelling `'loose'` matches as the loosest router does (pass `readingsOf`), `'exact'` a path only as it is written
 * @throws {TypeError} naming the option and the pattern
 */
export function compilePatterns(
  option: string,
  patterns: readonly RoutePattern[],
  spelling: 'loose' | 'exact' = 'loose',
): PatternSet {
  if (!Array.isArray(patterns))
    throw new TypeError(`option "${option}" must be an array of route patterns`)
  const compiled = patterns.map((pattern) => compile(option, pattern, spelling))
  return {
    size: compiled.length,
    unsafeOnly: compiled.every(({ method }) => method !== '*' && !safeMethods.has(method)),
    find: (method, readings) =>
      compiled.find(
        (one) =>
          (one.method === '*' ||
            method === '*' ||
            one.method === method ||
            (one.method === 'GET' && method === 'HEAD')) &&
          readings.some((reading) => one.path.test(reading)),
      )?.pattern,
  }
}

function compile(option: string, pattern: string, spelling: 'loose' | 'exact') {
  const parts = typeof pattern === 'string' ? /^([A-Z][A-Z-]*|\*) (\/\S*)$/.exec(pattern) : null
  if (!parts) throw malformed(option, pattern)
  const [, method = '', path = ''] = parts
  const segments = path.split('/').slice(1)
  // What the loose readings fold away, a loose pattern must not contain.
  const written = spelling === 'loose' ? segments.filter((segment) => segment !== '') : segments
  const body = written.map((segment, index) => {
    if (segment === '*' && index === written.length - 1) return '(?:/.*)?'
    if (/^:[A-Za-z_]\w*$/.test(segment)) return spelling === 'loose' ? '/[^/]*' : '/[^/]+'
    if (/[*:()[\]{}?+\\%;#]/.test(segment)) throw malformed(option, pattern)
    return `/${escapeRegExp(spelling === 'loose' ? fold(segment) : segment)}`
  })
  return { pattern, method, path: new RegExp(`^${body.join('') || '/'}$`, 's') }
}

function malformed(option: string, pattern: unknown): TypeError {
  return new TypeError(
    `option "${option}": ${JSON.stringify(pattern)} is no route pattern; write 'METHOD /path/:param/*', with * for any method`,
  )
}

const escapeRegExp = (text: string) => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')

/**
 * One spelling for letters that some router or regular expression takes for the same. Each step undoes
 * what the others can't: `ẞ` is lowered, `ß` and `ss` meet in upper case, and accents come loose there.
 */
function fold(text: string): string {
  if (isAscii.test(text)) return text.toLowerCase()
  const lower = text.normalize('NFKC').toLowerCase().toUpperCase().toLowerCase()
  return lower.normalize('NFKC').replaceAll('ς', 'σ')
}
const isAscii = /^[\x20-\x7e]*$/

/** What NFKC makes a slash of, such as `／` or `℅`: for routers it is a letter like any other. */
const slashAlikes = /[\u2100\u2101\u2105\u2106\uff0f]/g

/**
 * The path of a request target, without scheme, host, query and fragment. Where parsers disagree about
 * what is the host, it is left in: such a path is no plain one, and reads in more ways than one.
 */
export function pathOf(target: string): string {
  let start = 0
  if (target.charCodeAt(0) !== 47) {
    const absolute = /^https?:\/\/[^/?#]+/i.exec(target)
    start = absolute ? absolute[0].length : 0
  }
  let end = start
  for (; end < target.length; end++) {
    const char = target.charCodeAt(end)
    if (char === 63 || char === 35) break
  }
  return target.slice(start, end) || '/'
}

/** A path that every router reads in the same way. */
const plain = /^(?:\/[a-z0-9_~-]+)+$/
/** A target whose path begins at the same place for every parser. */
const ordinary = /^(?:https?:\/\/[\w.:-]+)?(?:[/?#]|$)/i

/**
 * Every way in which a router may read this path, folded for loose patterns: the same list for
 * `/account/password`, `/Account//password/`, `/account/%70assword;v=1` and `/x/../account/password`.
 */
export function readingsOf(target: string): readonly string[] {
  const path = pathOf(target)
  if (plain.test(path) && ordinary.test(target)) return [path]
  let readings = new Set([path.replaceAll('\\', '/'), path, ...unusualPaths(target)])
  readings = spread(readings, (one) => [one, one.replace(unseen, ''), one.trim()])
  // With a fragment behind it, node:url takes `//user@host` for a host.
  readings = spread(readings, (one) => [one, one.replace(/^\/\/[^/]*/, '') || '/'])
  readings = spread(readings, decodings)
  readings = spread(readings, (one) => [one, one.replace(/;[^/]*/g, ''), one.replace(/;.*$/s, '')])
  readings = spread(readings, (one) => [one, one.replace(/\/{2,}/g, '/')])
  readings = spread(readings, (one) => [one, withoutDots(one)])
  readings = spread(readings, (one) => [one.replace(/\/{2,}/g, '/'), one])
  readings = spread(readings, (one) => [fold(one), fold(one.replace(slashAlikes, '\u{fffd}'))])
  readings = spread(readings, (one) => [one, withoutTrailingSlashes(one)])
  return [...readings]
}

/** Tabs and line breaks, which the web's URL drops wherever they stand; node:url cuts white space off the ends. */
const unseen = /[\t\r\n]/g

/** What else is read of a target that is neither a path nor one behind a plain host. */
function unusualPaths(target: string): readonly string[] {
  if (ordinary.test(target)) return []
  const whole = target.replace(/[?#].*$/s, '')
  return [
    // find-my-way takes the first character for a slash, whatever it is: `*account` is `/account`.
    `/${whole.slice(1)}`,
    // The web's URL skips slashes until there is a host; node:url takes `http:///account` without one.
    whole.replace(/^[a-z][a-z0-9+.-]*:\/*[^/]*/i, ''),
    whole.replace(/^[a-z][a-z0-9+.-]*:/i, ''),
  ]
}

/** What some router undoes: with it in a path, another route may be meant than the one it is written as. */
const undone = /\/\/|\\|;|\/\.{1,2}(?:\/|$)|%(?:2[35ef]|3[bf]|5c)|[\0-\x20\x7f\xa0\ufeff]/i

/** Whether every router takes this path apart in the same way. */
export function readsOneWay(path: string): boolean {
  return !undone.test(path)
}

function spread(readings: Set<string>, ways: (one: string) => readonly string[]): Set<string> {
  const all = new Set<string>()
  for (const one of readings) for (const way of ways(one)) all.add(way)
  return all
}

/** As sent, and decoded once or twice, with an encoded slash read as a slash or as part of a name. */
function decodings(path: string): readonly string[] {
  if (!path.includes('%')) return [path]
  const all = new Set([path])
  let open = path
  let closed = path
  for (let round = 0; round < 2; round++) {
    open = decode(open)
    closed = decode(closed.replace(/%(2f|5c|25)/gi, '%25$1')).replace(/%(2f|5c)/gi, '\u{fffd}')
    all.add(open).add(open.replaceAll('\\', '/')).add(closed)
    // A decoded ? or # ends the path for some routers.
    all.add(open.replace(/[?#].*$/s, ''))
  }
  return [...all]
}

/** Decodes what can be decoded and leaves the rest, as lenient routers do. */
function decode(path: string): string {
  return path.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
    try {
      return decodeURIComponent(run)
    } catch {
      return run.replace(/%([0-7][0-9a-f])/gi, (_, hex: string) =>
        String.fromCharCode(Number.parseInt(hex, 16)),
      )
    }
  })
}

function withoutDots(path: string): string {
  if (!path.includes('/.')) return path
  const kept: string[] = []
  for (const segment of path.split('/').slice(1)) {
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
  }
  // As the web's URL has it: what is left ends in a slash.
  if (/\/\.{1,2}$/.test(path)) kept.push('')
  return `/${kept.join('/')}`
}

function withoutTrailingSlashes(path: string): string {
  let end = path.length
  while (end > 1 && path.charCodeAt(end - 1) === 47) end--
  return path.slice(0, end)
}
