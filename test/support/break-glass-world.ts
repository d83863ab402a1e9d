import {
  type AccessRequest,
  type BreakGlassOptions,
  type BreakGlassRequest,
  type ImpersonationOptions,
  memoryStore,
  type Store,
} from '../../src/index.ts'
import { type Engine, type User, type World, worldOf } from './core-world.ts'

type Options = Partial<ImpersonationOptions<User>>
type Scene = World & { readonly asked: string[]; readonly verdict: { say: Verify } }
export type Verify = BreakGlassOptions<User>['verifySecondFactor']

/** `root` may open and `boss` may do both; `guard` may confirm and nothing else, `sup` may only start. */
const people: Record<string, Partial<User>> = {
  root: { may: ['start', 'break_glass', 'revoke', 'list'], name: 'Rooty', orgId: 'hq' },
  boss: { may: ['start', 'break_glass', 'confirm_break_glass', 'list', 'revoke'] },
  guard: { id: 'guard', may: ['confirm_break_glass'] },
}

/** A code is right while it begins with the letter of whoever it is of: `r1`, `r2` … are root's. */
const byLetter: Verify = (user, code) => code.startsWith(user.id.slice(0, 1))

export function scene(
  options: Options = {},
  group: Partial<BreakGlassOptions<User>> = {},
  store: Store = memoryStore(),
): Scene {
  const asked: string[] = []
  const verdict = { say: byLetter }
  const world = worldOf(
    {
      breakGlass: {
        verifySecondFactor(user, code) {
          asked.push(`${user.id} ${code}`)
          return verdict.say(user, code)
        },
        ...group,
      },
      ...options,
    },
    store,
  )
  for (const [id, user] of Object.entries(people)) {
    world.users.set(id, { id, ...world.users.get(id), ...user })
  }
  return { ...world, asked, verdict }
}

let count = 0
/** A code of this person that nobody has tried yet. */
export const codeFor = (who: string) => `${who.slice(0, 1)}${++count}`

export const open = (
  { engine, caller }: World,
  more: Partial<BreakGlassRequest> = {},
  who: string | User = 'root',
  on: Engine = engine,
) =>
  on.breakGlass.open(caller(who, on), {
    targetUserId: 'alice',
    reason: 'the shop is down',
    totp: codeFor(typeof who === 'string' ? who : who.id),
    ...more,
  })

export const confirm = (
  { engine, caller }: World,
  { id }: Pick<AccessRequest, 'id'>,
  who: string | User = 'boss',
  totp = codeFor(typeof who === 'string' ? who : who.id),
  on: Engine = engine,
) => on.breakGlass.confirm(caller(who, on), id, totp)

export const stored = async ({ store }: World, { id }: Pick<AccessRequest, 'id'>) =>
  (await store.requests?.readRequest(id)) as AccessRequest
