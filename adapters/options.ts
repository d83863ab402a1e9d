import {
  type Adapter,
  type Came,
  type Entrance,
  overwritten,
  type RequestContext,
} from '../src/adapter.ts'

/** What every adapter takes beside the engine. */
export interface AdapterOptions<Req, User> {
  /** Where your login puts the user: a property of the request, or for Hono a context variable. @default 'user' */
  userProperty?: string
  /** Finds the logged-in user where they are not in `userProperty`; null or undefined when nobody is logged in. */
  getActor?: (request: Req) => User | null | undefined | Promise<User | null | undefined>
  /** Puts the target where your handlers look for the user, where that is not `userProperty`. */
  setUser?: (request: Req, user: User) => void
}

/** `authenticate` is of each framework's own type. */
interface Checked<Req, User> extends AdapterOptions<Req, User> {
  authenticate?: unknown
}

/** @throws {TypeError} naming the option in quotes and what it wants */
export function checkAdapterOptions<Req, User>(
  engine: unknown,
  { userProperty, getActor, setUser, authenticate }: Checked<Req, User>,
): void {
  if (typeof (engine as { adapter?: unknown } | null)?.adapter !== 'function') {
    throw new TypeError('impersonate wants the engine that createImpersonation made')
  }
  if (userProperty !== undefined && (typeof userProperty !== 'string' || userProperty === '')) {
    throw new TypeError('option "userProperty" must be the name of a property')
  }
  for (const [name, value] of Object.entries({ getActor, setUser, authenticate })) {
    if (value === undefined || typeof value === 'function') continue
    throw new TypeError(`option "${name}" must be a function of the request`)
  }
}

/** What was thrown, as a framework takes it for a fault: nothing at all, or a word of Express's, would let the request pass. */
export function faultOf(error: unknown): Error {
  return error && error !== 'route' && error !== 'router'
    ? (error as Error)
    : new Error('the login failed without saying why', { cause: error })
}

const came = Symbol('onbehalf.came')

/** Keeps how a request came, for routes that want scopes: what handlers read of it, other layers may write. */
export function keepCame(
  request: object,
  { context, apiToken }: Entrance<unknown>,
  isLoggedOut: boolean,
): void {
  const kept = request as { [came]?: Came }
  kept[came] = apiToken ?? (context === null && isLoggedOut ? 'nobody' : 'login')
}

export const cameOf = (request: object) => (request as { readonly [came]?: Came })[came]

interface Hold {
  readonly adapter: Pick<Adapter<never, unknown>, 'isTarget'>
  readonly context: RequestContext<unknown>
  user: unknown
}

const held = Symbol('onbehalf.user')
const accessors = new Map<string, PropertyDescriptor>()

/** The slot stays who the request runs as: what runs later may enrich the record, not bring the admin back. */
export function hold<User>(
  adapter: Pick<Adapter<never, User>, 'isTarget'>,
  request: object,
  slot: string,
  context: RequestContext<User>,
): void {
  const kept = request as { [held]?: Hold }
  const user = 'owner' in context ? context.owner : context.target
  kept[held] = { adapter, context, user }
  Object.defineProperty(request, slot, accessorOf(slot))
}

/** The same two functions for all requests: closures of their own would cost each of them dearly. */
function accessorOf(slot: string): PropertyDescriptor {
  let accessor = accessors.get(slot)
  if (!accessor) {
    accessor = {
      configurable: true,
      enumerable: true,
      get(this: { [held]: Hold }) {
        return this[held].user
      },
      set(this: { [held]: Hold }, other: unknown) {
        const { adapter, context } = this[held]
        if (other != null && !adapter.isTarget(context, other)) throw overwritten(slot)
        this[held].user = other
      },
    }
    accessors.set(slot, accessor)
  }
  return accessor
}

/** Whether it has to be waited for: what query builders give is no Promise, and no user either. */
export function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as PromiseLike<T> | null | undefined)?.then === 'function'
}
