import type { SqlGuardOptions, ViewWall } from './options.ts'
import { createWall, type Wall } from './wall.ts'

export type PoolGuardOptions = Omit<SqlGuardOptions, 'dialect'>

/** What is asked of a pool or client of `pg`. */
interface Queries {
  query(...args: never[]): unknown
}

type Method = (...args: unknown[]) => unknown
type Callback = (error: unknown, client?: unknown, release?: unknown) => void

/** Ways of `pg` past `query`; closed while the context is `view`. */
const below: ReadonlySet<PropertyKey> = new Set([
  ...['newClient', '_clients', '_idle', '_pendingQueue', '_acquireClient'],
  ...['_afterConnect', 'connection', 'native', '_queryQueue', '_sentQueryQueue', 'activeQuery'],
  ...['_activeQuery', '_getActiveQuery', '_pulseQueryQueue', '_pulsePipelinedQueryQueue'],
])

/**
 * Gives a pool or a client of `pg` that checks every statement of `query(…)`, also on the clients
 * that `connect()` gives: while the context is `view`, and where it is not known, what is not shown
 * to only read is refused. A refusal arrives where errors of pg arrive: as a rejection, in the
 * callback, or thrown for a cursor or stream. Hand this one to the rest of the app and to its ORM.
 *
 * Not covered: the plain pool, for whoever still holds it; a `Client` that is opened apart; the clients
 * that listeners (`pool.on('connect')`), `onConnect` and `verify` are given, so that a connection can
 * be set up in whatever request opens it; and what `guardSql` can't see.
 *
 * @throws {TypeError} naming the option in quotes
 * @example
 * ```ts
 * import pg from 'pg'
 * import { guardPool } from 'onbehalf/sql'
 * import { impersonation } from './impersonation.ts'
 *
 * export const pool = guardPool(new pg.Pool(), impersonation)
 * ```
 */
export function guardPool<T extends Queries>(
  pool: T,
  impersonation: ViewWall,
  options: PoolGuardOptions = {},
): T {
  if (typeof pool?.query !== 'function')
    throw new TypeError('"pool" must be a pool or a client of pg.')
  return guarded(
    pool,
    createWall(impersonation, { ...options, dialect: 'postgres' }),
    new WeakMap(),
  )
}

function guarded<T extends object>(raw: T, wall: Wall, known: WeakMap<object, object>): T {
  const before = known.get(raw)
  if (before) return before as T
  const methods = new WeakMap<Method, Method>()

  /** Nothing that comes out of the plain object is the plain object, or a plain client of it. */
  const give = (value: unknown): unknown => (isClient(value) ? guarded(value, wall, known) : value)

  function wrap(key: PropertyKey, method: Method): Method {
    const call = (args: unknown[]) => method.apply(raw, args)
    if (key === 'query') return (...args) => query(wall, args, call)
    if (key === 'connect') return (...args) => connect(args, call, give)
    return (...args) => give(call(args))
  }

  const proxy: T = new Proxy(raw, {
    get(_, key) {
      if (below.has(key)) wall.checkView('a way past the guard')
      // Called on the plain object, so that private fields are there.
      const value: unknown = Reflect.get(raw, key, raw)
      if (typeof value !== 'function' || isClass(key)) return value
      const method = methods.get(value as Method) ?? wrap(key, value as Method)
      methods.set(value as Method, method)
      return method
    },
    set: (_, key, value) => Reflect.set(raw, key, value, raw),
  })
  known.set(raw, proxy)
  return proxy
}

const isClient = (value: unknown): value is Queries =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as Partial<Queries>).query === 'function'

/** `constructor`, `Client`, `Promise`, `_Promise`: to be called with `new`, as they are. */
const isClass = (key: PropertyKey) => typeof key === 'string' && /^(_?[A-Z]|constructor$)/.test(key)

function connect(args: unknown[], call: (args: unknown[]) => unknown, give: Method): unknown {
  const [callback] = args
  if (typeof callback === 'function') {
    const tell: Callback = (error, client, release) => callback(error, give(client), release)
    return call([tell])
  }
  const connected = call(args)
  return connected instanceof Promise || isThenable(connected) ? connected.then(give) : connected
}

const isThenable = (value: unknown): value is Promise<unknown> =>
  typeof (value as Partial<Promise<unknown>> | undefined)?.then === 'function'

interface Config {
  readonly text?: unknown
  readonly cursor?: { readonly text?: unknown }
  readonly submit?: unknown
  readonly callback?: unknown
}

function query(wall: Wall, args: unknown[], call: (args: unknown[]) => unknown): unknown {
  const [statement] = args
  const config: Config = typeof statement === 'object' && statement !== null ? statement : {}
  const texts = [typeof statement === 'string' ? statement : config.text, config.cursor?.text]
  const given = texts.filter((text) => text !== undefined)
  try {
    // A prepared statement by its name alone can't be told.
    if (given.length === 0) wall.checkText(undefined)
    for (const text of given) wall.checkText(text)
  } catch (error) {
    if (typeof config.submit === 'function') throw error
    const callback = [...args.slice(1), config.callback].find(
      (value) => typeof value === 'function',
    )
    if (!callback) return Promise.reject(error)
    process.nextTick(callback as Callback, error)
    return undefined
  }
  return call(args)
}
