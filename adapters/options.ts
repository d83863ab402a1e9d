import { type Adapter, type Impersonation, overwritten } from '../src/adapter.ts'

/** What every adapter takes beside the engine. */
export interface AdapterOptions<Req, User> {
  /** Where your login puts the user: a property of the request, or for Hono a context variable. @default 'user' */
  userProperty?: string
  /** Finds the logged-in user where they are not in `userProperty`; null or undefined when nobody is logged in. */
  getActor?: (request: Req) => User | null | undefined | Promise<User | null | undefined>
  /** Puts the target where your handlers look for the user, where that is not `userProperty`. */
  setUser?: (request: Req, user: User) => void
}

/** @throws {TypeError} naming the option in quotes and what it wants */
export function checkAdapterOptions<Req, User>(
  engine: unknown,
  { userProperty, getActor, setUser }: AdapterOptions<Req, User>,
): void {
  if (typeof (engine as { adapter?: unknown } | null)?.adapter !== 'function') {
    throw new TypeError('impersonate wants the engine that createImpersonation made')
  }
  if (userProperty !== undefined && (typeof userProperty !== 'string' || userProperty === '')) {
    throw new TypeError('option "userProperty" must be the name of a property')
  }
  for (const [name, value] of Object.entries({ getActor, setUser })) {
    if (value === undefined || typeof value === 'function') continue
    throw new TypeError(`option "${name}" must be a function of the request`)
  }
}

/** The slot stays the target: what runs later may enrich the record, not bring the admin back. */
export function hold<User>(
  adapter: Adapter<never, User>,
  request: object,
  slot: string,
  context: Impersonation<User>,
): void {
  let user: unknown = context.target
  Object.defineProperty(request, slot, {
    configurable: true,
    enumerable: true,
    get: () => user,
    set(other: unknown) {
      if (other != null && !adapter.isTarget(context, other)) throw overwritten(slot)
      user = other
    },
  })
}
