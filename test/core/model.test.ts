import { expect, it } from 'vitest'
import {
  type AccessLevel,
  memoryStore,
  type Session,
  type Standing,
  type Store,
} from '../../src/index.ts'
import {
  codeOf,
  day,
  type Engine,
  minute,
  type Outcome,
  random,
  type User,
  type World,
  worldOf,
} from '../support/core-world.ts'

/**
 * Random commands of several admins on two processes with one store, and after each of them: was what
 * happened allowed? A process may know what the store said within the last two seconds, but no less
 * than what it has done itself. Of every such knowledge the rules name one outcome; the outcome that
 * was seen has to be among them. COMMANDS and SEED set how many commands run, and which.
 */
const commands = Number(process.env.COMMANDS ?? 20_000)
const seed = Number(process.env.SEED ?? 20_300_101)
const perWorld = 400
const lagMs = 2000

/** Something that was so until it was not any more. */
interface Era<T> {
  readonly value: T
  /** When it ended, in ms and in the order of all changes; absent while it lasts. */
  endedAt?: number
  endedSeq?: number
}

/** What one thing was, and since when each process must know of its last change. */
class History<T> {
  readonly eras: Era<T>[]
  private readonly knownBy = new Map<Engine, number>()

  constructor(value: T) {
    this.eras = [{ value }]
  }

  change(value: T, at: number, seq: number): void {
    Object.assign(this.eras.at(-1) as Era<T>, { endedAt: at, endedSeq: seq })
    this.eras.push({ value })
  }

  /** From now on this process has no excuse. */
  known(engine: Engine, seq: number): void {
    this.knownBy.set(engine, seq)
  }

  knownSince = (engine: Engine) => this.knownBy.get(engine) ?? -1

  /** What may be believed at `now` by who knows all up to `seq`. */
  believable(now: number, seq: number): T[] {
    return this.eras
      .filter((era) => now - (era.endedAt ?? now) < lagMs && (era.endedSeq ?? 1 / 0) > seq)
      .map((era) => era.value)
  }

  /** What was so at some moment after `seq`. */
  since = (seq: number): T[] =>
    this.eras.filter((era) => (era.endedSeq ?? 1 / 0) > seq).map((era) => era.value)

  get last(): T {
    return (this.eras.at(-1) as Era<T>).value
  }
}

const admins = ['a1', 'a2', 'a3']
const customers = ['t1', 't2', 't3', 't4']
const levels = ['view', 'interactive', 'full'] as const

class Host {
  seq = 0
  doing = ''
  readonly world: World
  readonly engines: Engine[]
  readonly standings = new Map<string, History<Standing>>()
  readonly records = new Map<string, History<User | null>>()
  readonly ids: string[] = []
  started = 0
  ended = 0
  private readonly inner = memoryStore()
  private readonly dice: ReturnType<typeof random>

  constructor(dice: ReturnType<typeof random>) {
    this.dice = dice
    this.world = worldOf({}, this.spied(0))
    this.engines = [this.world.engine, this.world.another({ store: this.spied(1) })]
    this.world.users.clear()
    for (const id of admins) {
      this.standings.set(id, new History<Standing>({ active: null, lapse: null }))
      this.setUser(id, { id, may: ['start', 'list'] })
    }
    for (const id of customers) this.setUser(id, { id })
    this.world.users.set('boss', { id: 'boss', may: ['list', 'revoke'] })
  }

  get now(): number {
    return this.world.clock.wall
  }

  setUser(id: string, user: User | null): void {
    if (user) this.world.users.set(id, user)
    else this.world.users.delete(id)
    const history = this.records.get(id)
    if (history) history.change(user, this.now, ++this.seq)
    else this.records.set(id, new History(user))
  }

  /** The store of one process: it tells what that process changes, and checks that it may. */
  private spied(which: number): Store {
    const { inner } = this
    const note = async (actorId: string) => {
      const history = this.standings.get(actorId) as History<Standing>
      history.change(await inner.readStanding(actorId), this.now, ++this.seq)
      history.known(this.engines[which] as Engine, this.seq)
    }
    const over = async (session: Session) => {
      this.ended++
      this.checkEnding(session)
      await note(session.actorId)
    }
    return {
      ...inner,
      claimSession: async (claim) => {
        const result = await inner.claimSession(claim)
        for (const session of result.ended) await over(session)
        if (result.outcome === 'started') {
          this.started++
          this.ids.push(claim.session.id)
          await note(claim.session.actorId)
        }
        return result
      },
      endSession: async (id, ending, event) => {
        const result = await inner.endSession(id, ending, event)
        if (result?.changed) await over(result.session)
        return result
      },
      extendSession: async (id, change, event) => {
        const result = await inner.extendSession(id, change, event)
        if (result) await note(result.actorId)
        return result
      },
      acknowledgeLapses: async (actorId) => {
        await inner.acknowledgeLapses(actorId)
        await note(actorId)
      },
    }
  }

  /** Whether a session may end like this, now. */
  private checkEnding(session: Session): void {
    const { status, endedReason, endedAt, expiresAt, actorId, targetUserId } = session
    const target = this.records.get(targetUserId)?.last
    const lawful: Record<string, boolean> = {
      stopped: this.doing === `stop ${actorId}`,
      replaced: this.doing === `start ${actorId}`,
      expired: expiresAt <= this.now && endedAt === expiresAt,
      revoked: this.doing === `revoke ${session.id}`,
      actor_logged_out: this.doing === `endFor ${actorId}`,
      actor_not_allowed: !this.may(actorId),
      target_gone: !target,
      target_inactive: target?.active === false,
      target_privileged: target?.may !== undefined,
    }
    expect(lawful[endedReason ?? ''], `${this.doing}: ${JSON.stringify(session)}`).toBe(true)
    expect(status).toBe(
      ['stopped', 'replaced', 'expired'].includes(endedReason ?? '') ? endedReason : 'revoked',
    )
    if (endedReason !== 'expired') expect(expiresAt).toBeGreaterThan(endedAt ?? 1 / 0)
  }

  may = (id: string) => this.records.get(id)?.last?.may?.includes('start') ?? false

  async session(id: string): Promise<Session | null> {
    return this.inner.readSession(id)
  }

  engine = () => this.dice.pick(this.engines)

  /** One random thing. */
  async step(): Promise<void> {
    const { dice, world } = this
    const actor = dice.pick(admins)
    const on = this.engine()
    const what = dice.below(100)
    if (what < 50) await this.requests(on)
    else if (what < 62) await this.start(actor, on)
    else if (what < 66) await this.stop(actor, on)
    else if (what < 70) await this.extend(actor, on)
    else if (what < 74) await this.revoke(on)
    else if (what < 90)
      world.clock.tick(dice.pick([1, 500, 999, 1000, 1999, 2000, minute, 3 * minute]))
    else if (what < 94) await this.changeSomebody(on)
    else if (what < 97) await this.as('reap', () => on.reap())
    else if (what < 98) await this.as(`endFor ${actor}`, () => on.endFor(actor))
    else if (dice.below(20) === 0) world.clock.tick(day)
  }

  private async as<T>(doing: string, code: () => Promise<T>): Promise<T> {
    this.doing = doing
    try {
      return await code()
    } finally {
      this.doing = ''
    }
  }

  private async start(actor: string, on: Engine): Promise<void> {
    const { dice, world } = this
    const target = dice.pick([...customers, ...customers, 'a3', 'nobody'])
    const accessLevel: AccessLevel = dice.pick(levels)
    const durationMs = dice.pick([1, 1000, 2500, minute, 10 * minute])
    const record = world.users.get(target)
    const user = world.users.get(actor) as User
    const [other] = (await world.active()).filter(
      (session) => session.targetUserId === target && session.expiresAt > this.now,
    )
    const busy = other && other.actorId !== actor
    let expected = busy ? 'target_already_impersonated' : 'done'
    if (record?.may) expected = 'target_protected'
    if (record?.active === false) expected = 'target_inactive'
    if (!record) expected = 'target_not_found'
    if (target === actor) expected = 'self_impersonation'
    if (!this.may(actor)) expected = 'not_allowed'
    const code = await this.as(`start ${actor}`, () =>
      codeOf(
        on.sessions.start(on.caller(user), {
          targetUserId: target,
          reason: 'r',
          accessLevel,
          durationMs,
        }),
      ),
    )
    expect(code, `start ${actor} as ${target}`).toBe(expected)
  }

  private async stop(actor: string, on: Engine): Promise<void> {
    const { active, lapse } = (this.standings.get(actor) as History<Standing>).last
    const user = this.world.users.get(actor) as User
    const code = await this.as(`stop ${actor}`, () => codeOf(on.sessions.stop(on.caller(user))))
    expect(code, `stop ${actor}`).toBe(active || lapse ? 'done' : 'not_impersonating')
    expect((this.standings.get(actor) as History<Standing>).last).toEqual({
      active: null,
      lapse: null,
    })
  }

  private async extend(actor: string, on: Engine): Promise<void> {
    const before = (this.standings.get(actor) as History<Standing>).last.active
    const user = this.world.users.get(actor) as User
    const code = await this.as(`extend ${actor}`, () =>
      codeOf(on.sessions.extend(on.caller(user), this.dice.pick([1000, minute]))),
    )
    const after = (this.standings.get(actor) as History<Standing>).last.active
    if (!this.may(actor)) expect(code).toBe('not_allowed')
    else expect(code).toBe(after ? 'done' : 'not_impersonating')
    if (before && after && code === 'done') {
      expect(after.id).toBe(before.id)
      expect(after.expiresAt).toBeGreaterThanOrEqual(before.expiresAt)
      expect(after.expiresAt).toBeLessThanOrEqual(after.createdAt + 60 * minute)
    }
  }

  private async revoke(on: Engine): Promise<void> {
    if (this.ids.length === 0) return
    const id = this.dice.pick(this.ids.slice(-5))
    const boss = on.caller(this.world.users.get('boss') as User)
    expect(await this.as(`revoke ${id}`, () => codeOf(on.sessions.revoke(boss, id)))).toBe('done')
    expect((await this.session(id))?.status).not.toBe('active')
  }

  private async changeSomebody(on: Engine): Promise<void> {
    const { dice } = this
    const id = dice.pick([...customers, ...admins])
    const isAdmin = admins.includes(id)
    const changes: readonly (User | null)[] = isAdmin
      ? [{ id }, { id, may: ['start', 'list'] }, { id, may: ['start', 'list'] }]
      : [
          { id },
          { id },
          { id, role: 'narrowed' },
          { id, active: false },
          { id, may: ['start'] },
          null,
        ]
    this.setUser(id, dice.pick(changes))
    if (dice.below(2)) {
      await this.as('userChanged', () => on.userChanged(id))
      this.records.get(id)?.known(on, this.seq)
    }
  }

  /** A handful of requests at once on one process. */
  private async requests(on: Engine): Promise<void> {
    const { dice, world } = this
    const asks = await Promise.all(
      Array.from({ length: dice.pick([1, 1, 1, 5]) }, async () => {
        const actor = dice.pick(admins)
        const pins = [undefined, undefined, 'none', dice.pick(['made-up', ...this.ids.slice(-4)])]
        const live = this.standings.get(actor)?.last.active?.id
        const pin = dice.pick([...pins, live])
        return { actor, method: dice.pick(['GET', 'POST']), pin }
      }),
    )
    const begun = this.seq
    const knew = new Map(
      admins.map((id) => [id, (this.standings.get(id) as History<Standing>).knownSince(on)]),
    )
    const outcomes = await Promise.all(
      asks.map(({ actor, ...ask }) => this.as('', () => world.send(actor, ask, on))),
    )
    for (const [n, ask] of asks.entries()) {
      await this.checkRequest(ask, outcomes[n] as Outcome, on, begun, knew.get(ask.actor) ?? -1)
    }
  }

  private async checkRequest(
    ask: { actor: string; method: string; pin: string | undefined },
    outcome: Outcome,
    on: Engine,
    begun: number,
    knew: number,
  ): Promise<void> {
    const { actor, pin } = ask
    const told = () => `${JSON.stringify(ask)} came to ${outcome.line} (seed ${seed})`
    const user = this.world.users.get(actor)
    const { context } = outcome

    // Never a mix, whatever else: the slot, the context and the session speak of the same two people.
    if (context) {
      expect(context.session.actorId, told()).toBe(actor)
      expect(context.session.targetUserId, told()).toBe(outcome.ran)
      expect(outcome.user, told()).toBe(context.target)
      expect(context.session.expiresAt, told()).toBeGreaterThan(this.now)
    } else if (outcome.ran !== null) {
      expect(outcome.user, told()).toBe(user)
    }

    if (!this.may(actor)) {
      expect(context ?? null, told()).toBeNull()
      if (outcome.ran === null) expect([401, 409], told()).toContain(outcome.status)
      return
    }

    const standings = this.standings.get(actor) as History<Standing>
    const named = pin === undefined ? null : await this.session(pin)
    const lines = new Set<string>()
    const add = (standing: Standing, records: readonly (User | null)[]) => {
      for (const record of records) {
        lines.add(lineOf({ ...ask, named, now: this.now }, standing, record))
      }
    }
    const recordsOf = ({ active }: Standing, seq: number | null): readonly (User | null)[] => {
      if (!active) return [null]
      const history = this.records.get(active.targetUserId) as History<User | null>
      if (seq === null) return [history.last]
      return history.believable(this.now, Math.max(seq, history.knownSince(on)))
    }
    for (const standing of standings.believable(this.now, knew)) {
      // A pin that disagrees with what is believed makes the process ask.
      const believed = isOver(standing.active, this.now) ? undefined : standing.active?.id
      if (pin === undefined || pin === (believed ?? 'none')) add(standing, recordsOf(standing, -1))
    }
    for (const standing of standings.since(begun)) add(standing, recordsOf(standing, null))
    expect([...lines], told()).toContain(outcome.line)

    if (context) {
      const history = this.records.get(context.session.targetUserId) as History<User | null>
      expect(history.believable(this.now, history.knownSince(on)), told()).toContain(outcome.user)
    }
  }

  /** What the whole story must come to. */
  async checkEnd(): Promise<void> {
    this.world.clock.tick(60 * minute)
    await this.as('reap', () => (this.engines[0] as Engine).reap())
    const sessions = await this.inner.listSessions({}, { limit: 1e9 })
    const events = await this.inner.listEvents({}, { limit: 1e9 })
    const counts = new Map<string, number>()
    for (const { action, sessionId } of events) {
      if (action === 'impersonation.extended' || action === 'impersonation.write_blocked') continue
      const name = `${sessionId} ${action}`
      if (sessionId !== null) counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    expect(sessions).toHaveLength(this.started)
    expect(this.ended, 'starts are ends and what is active').toBe(this.started)
    expect(counts.size).toBe(this.started * 2)
    for (const { id, status } of sessions) {
      expect(counts.get(`${id} impersonation.started`)).toBe(1)
      expect(counts.get(`${id} impersonation.${status}`)).toBe(1)
    }
    for (const engine of this.engines) await engine.close()
  }
}

const isOver = (session: Session | null, now: number) => !session || session.expiresAt <= now

interface Question {
  readonly actor: string
  readonly method: string
  readonly pin: string | undefined
  /** The session that the pin names. */
  readonly named: Session | null
  readonly now: number
}

const codes: Record<string, string> = {
  expired: '401 impersonation_expired',
  revoked: '401 impersonation_revoked',
  stopped: '401 impersonation_ended',
  replaced: '401 impersonation_ended',
}

/** What the rules say of a request, if this is where the actor stands and this is who the target is. */
function lineOf(ask: Question, { active, lapse }: Standing, target: User | null): string {
  const { actor, method, pin, named, now } = ask
  const isFit = target !== null && target.active !== false && !target.may
  if (active && !isOver(active, now) && isFit) {
    if (pin !== undefined && pin !== active.id) return '409 impersonation_state_changed'
    return method === 'POST' && active.accessLevel === 'view'
      ? '403 grant_view_only'
      : active.targetUserId
  }
  if (pin === 'none') return actor
  if (pin !== undefined) {
    const over = named?.actorId === actor ? codes[named.status] : undefined
    return over ?? '409 impersonation_state_changed'
  }
  const status = active ? (isOver(active, now) ? 'expired' : 'revoked') : lapse?.status
  const endedAt = active ? Math.min(active.expiresAt, now) : lapse?.endedAt
  if (status === undefined || now - (endedAt ?? 0) >= day) return actor
  return method === 'POST' ? (codes[status] ?? '') : `${actor}, told ${status}`
}

it(`${commands} random commands on two processes do nothing that the rules forbid`, async () => {
  const dice = random(seed)
  let started = 0
  for (let done = 0; done < commands; done += perWorld) {
    const host = new Host(dice)
    for (let n = 0; n < Math.min(perWorld, commands - done); n++) await host.step()
    await host.checkEnd()
    started += host.started
  }
  expect(started, 'enough has happened to mean something').toBeGreaterThan(commands / 40)
}, 3_600_000)
