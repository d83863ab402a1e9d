/** Reads paths as seen from a place whose prefix may hold parameters, such as `/:tenant`. */
export function mountedAt(prefix: string, basePath: string) {
  const depth = segmentsOf(prefix + basePath).length
  const mount = new RegExp(`^${prefix.split('/').map(patternOf).join('/')}(?=/|$)`)
  return {
    /** The path below the prefix; as it is when it lies elsewhere. */
    below(path: string): string {
      if (prefix === '') return path
      return path.slice(mount.exec(path)?.[0].length ?? 0) || '/'
    },
    /** The same of a route as the router has it, whose prefix is written as ours is. */
    belowRoute: (route: string): string =>
      route.startsWith(prefix) ? route.slice(prefix.length) || '/' : route,
    /** The plain spelling of a path that the router took for one of our routes, however it was spelled. */
    asOwn: (path: string): string => [basePath, ...segmentsOf(path).slice(depth)].join('/'),
  }
}

const segmentsOf = (path: string) => path.split('/').filter((segment) => segment !== '')

const patternOf = (segment: string) =>
  segment.startsWith(':') ? '[^/]+' : segment.replace(/[^\w-]/g, '\\$&')
