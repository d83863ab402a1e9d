import type { ClientError } from './error.ts'

/** What `fetch` is here, in a browser as in Node. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

export type LoginHeaders = Headers | Readonly<Record<string, string>>

export interface ClientOptions {
  /** Where the app is: `https://app.example.com/`, or in a browser also a path of its own origin, `/`. */
  baseUrl: string | URL
  /** The engine's `basePath`, below `baseUrl`. @default '/impersonation' */
  basePath?: string
  /** Another fetch; it has to honour `redirect: 'error'`, `credentials` and `cache`. @default globalThis.fetch */
  fetch?: Fetch
  /**
   * Whether cookies go along, as of fetch; `include` for an app on another origin than the page's.
   * @default what fetch does by itself: `same-origin`
   */
  credentials?: 'include' | 'same-origin' | 'omit'
  /** The caller's own login, where that is no cookie: `{ Authorization: 'Bearer …' }`. A function is asked for each request. */
  headers?: LoginHeaders | (() => LoginHeaders | Promise<LoginHeaders>)
  /**
   * Told, once, when the client learns that it believes in something that is over: its session has ended, or
   * another one was started or stopped elsewhere. Render the page anew. What it throws the call rejects with.
   */
  onEnded?: (error: ClientError) => void
  /**
   * What the page was rendered under: the id of `impersonation.current().session`, or `none`. Where a server
   * renders pages, better than a first `status()`, which tells how things stand by then.
   * @default nothing is known
   */
  pin?: string | undefined
  /** The clock, in ms since the epoch. @default Date.now */
  now?: () => number
}

/** The options, checked and complete. */
export interface Settings {
  /** The app; its path ends with a slash. */
  readonly base: URL
  /** What every path of the routes begins with: an absolute URL without a slash at its end. */
  readonly routes: string
  readonly fetch: Fetch
  readonly credentials: ClientOptions['credentials']
  readonly login: () => LoginHeaders | Promise<LoginHeaders>
  readonly onEnded: (error: ClientError) => void
  readonly pin: string | undefined
  readonly now: () => number
}

/** @throws {TypeError} naming the option in quotes */
export function settle(options: ClientOptions): Settings {
  const { baseUrl, basePath, fetch, credentials, headers, onEnded, pin, now, ...others } = options
  const [unknown] = Object.keys(others)
  want(unknown ?? '', unknown === undefined, 'left out: there is none of that name')
  want('basePath', /^(\/[^?#\\]+)?$/.test(basePath ?? ''), 'a path that starts with a slash')
  want(
    'credentials',
    [undefined, 'include', 'same-origin', 'omit'].includes(credentials),
    '"include", "same-origin" or "omit"',
  )
  want('pin', /^[\x21-\x7e]+$/.test(pin ?? 'none'), 'the id of a session, or "none"')
  want(
    'headers',
    ['undefined', 'function'].includes(typeof headers) ||
      (typeof headers === 'object' && headers !== null),
    'an object, or a function that gives one',
  )
  const base = baseOf(baseUrl)
  return {
    base,
    routes: `${base.href.slice(0, -1)}${(basePath ?? '/impersonation').replace(/\/+$/, '')}`,
    fetch: callable('fetch', fetch, globalThis.fetch),
    credentials,
    login: typeof headers === 'function' ? headers : () => headers ?? {},
    onEnded: callable('onEnded', onEnded, () => {}),
    pin,
    now: callable('now', now, Date.now),
  }
}

function baseOf(baseUrl: string | URL): URL {
  const page = globalThis.location?.href
  const base = URL.canParse(String(baseUrl), page) ? new URL(baseUrl, page) : null
  const holds = base && /^https?:/.test(base.href) && !/[?#]|\/\/[^/]*@/.test(base.href)
  if (!holds) throw wrong('baseUrl', 'the http URL of the app alone, absolute outside a browser')
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  return base
}

function callable<T>(option: string, value: T | undefined, otherwise: T): T {
  want(option, typeof (value ?? otherwise) === 'function', 'a function')
  return value ?? otherwise
}

function want(option: string, holds: boolean, wanted: string): void {
  if (!holds) throw wrong(option, wanted)
}

const wrong = (option: string, wanted: string) =>
  new TypeError(`option "${option}" must be ${wanted}`)
