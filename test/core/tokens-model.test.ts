import { expect, it } from 'vitest'
import { memoryStore, type Session } from '../../src/index.ts'
import {
  codeOf,
  type Engine,
  minute,
  type Outcome,
  random,
  second,
  type User,
  type World,
  worldOf,
} from '../support/core-world.ts'
import { audience, issuer, secret } from '../tokens/fixtures.ts'

/**
 * Random starts by token and by login, ends of every kind, and requests by every token and every login, on
 * two processes with one store. Each request is refused, or runs as exactly the target of its token, or of
 * its login's session, while the row says that it is live: to the process that ended it at once, to the
 * other one after two seconds at most. COMMANDS and SEED set how many commands run, and which.
 */
const commands = Number(process.env.COMMANDS ?? 20_000)
const seed = Number(process.env.SEED ?? 20_300_601)
const perWorld = 400
const lagMs = 2 * second

const actors = ['root', 'boss', 'sup'] as const
const targets = ['alice', 'bob', 'carol'] as const
const fit: Readonly<Record<string, User>> = Object.fromEntries([
  ...actors.map((id) => [id, { id, may: ['start', 'list', 'revoke'] }]),
  ...targets.map((id) => [id, { id }]),
])

/** A token, and the moment from which on each process must refuse it. */
interface Carried {
  readonly token: string
  readonly session: Session
  readonly overAt: Map<Engine, number>
}

class Host {
  readonly world: World
  readonly engines: readonly Engine[]
  readonly carried: Carried[] = []
  readonly counts = { ran: 0, refused: 0, started: 0 }
  private readonly dice: ReturnType<typeof random>
  private readonly inner = memoryStore()
  /** Since when somebody's record is not fit any more, unsaid. */
  private readonly unfitSince = new Map<string, number>()

  constructor(dice: ReturnType<typeof random>) {
    this.dice = dice
    const options = {
      impersonationTokens: { issuer, audience, secret },
      exclusiveTarget: dice.below(2) === 0,
    }
    this.world = worldOf(options, this.inner)
    this.engines = [this.world.engine, this.world.another()]
    for (const [id, user] of Object.entries(fit)) this.world.users.set(id, user)
  }

  get now(): number {
    return this.world.clock.wall
  }

  async step(): Promise<void> {
    const { dice, world } = this
    const on = dice.pick(this.engines)
    const what = dice.below(100)
    if (what < 50) await this.request(on)
    else if (what < 56) await this.login(on)
    else if (what < 66) await this.start(on)
    else if (what < 68) await this.stop(on)
    else if (what < 70) await this.revoke(on)
    else if (what < 71) await on.endFor(dice.pick(actors))
    else if (what < 74) await this.change(on)
    else if (what < 82) await on.reap()
    else if (what < 97)
      world.clock.tick(dice.pick([1, 300, 999, 1000, lagMs - 1, lagMs, 5 * second]))
    else world.clock.tick(minute)
    await this.noteEnds(on)
  }

  /** Whoever has ended a session knows; the others within the lag. */
  private async noteEnds(by: Engine): Promise<void> {
    for (const { session, overAt } of this.carried) {
      const row = await this.inner.readSession(session.id)
      if (row?.status === 'active' || overAt.size > 0) continue
      for (const engine of this.engines) overAt.set(engine, this.now + (engine === by ? 0 : lagMs))
    }
  }

  private async start(on: Engine): Promise<void> {
    const { dice, world } = this
    const actor = dice.pick(actors)
    const target = dice.pick(targets)
    const user = world.users.get(actor)
    if (!user) return
    const ask = {
      targetUserId: target,
      reason: 'r',
      accessLevel: dice.pick(['view', 'full'] as const),
      durationMs: dice.pick([1500, 10 * second, minute, 20 * minute]),
      transport: dice.pick(['token', 'token', 'session'] as const),
    }
    try {
      const { session, accessToken } = await on.sessions.start(on.caller(user), ask)
      this.counts.started++
      expect(accessToken !== undefined).toBe(ask.transport === 'token')
      if (accessToken) this.carried.push({ token: accessToken, session, overAt: new Map() })
    } catch (error) {
      const { code } = error as { code?: string }
      expect([
        'not_allowed',
        'target_protected',
        'target_inactive',
        'target_not_found',
        'target_already_impersonated',
      ]).toContain(code)
    }
  }

  private bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } })

  private async stop(on: Engine): Promise<void> {
    const one = this.dice.pick(this.carried)
    if (!one) return
    const ask = { method: 'POST', path: '/impersonation/stop', ...this.bearer(one.token) }
    const outcome = await this.world.send(null, ask, on)
    const row = await this.inner.readSession(one.session.id)
    if (outcome.status === 200) expect(row?.status).not.toBe('active')
    // Cut to the second, a token may be over before its session is.
    else expect([outcome.status, this.exp(one) <= this.now]).toEqual([401, true])
  }

  private async revoke(on: Engine): Promise<void> {
    const one = this.dice.pick(this.carried)
    if (!one) return
    const caller = on.caller({ id: 'root', may: ['list', 'revoke'] })
    expect(await codeOf(on.sessions.revoke(caller, one.session.id))).toBe('done')
  }

  private async change(on: Engine): Promise<void> {
    const { dice, world } = this
    const id = dice.pick([...actors, ...targets])
    const bad: readonly User[] = (actors as readonly string[]).includes(id)
      ? [{ id }]
      : [
          { id, active: false },
          { id, may: ['start'] },
        ]
    const isFit = dice.below(4) > 0
    world.users.set(id, isFit ? (fit[id] as User) : dice.pick(bad))
    if (isFit) this.unfitSince.delete(id)
    else this.unfitSince.set(id, this.now)
    if (dice.below(2)) await on.userChanged(id)
  }

  private exp = ({ session }: Carried) => Math.floor(session.expiresAt / 1000) * 1000

  private isUnfit = (id: string) => this.now - (this.unfitSince.get(id) ?? this.now) >= lagMs

  private async request(on: Engine): Promise<void> {
    const { dice, world } = this
    const late = this.carried.slice(-8)
    const lasting = late.filter((each) => this.exp(each) > this.now && each.overAt.size === 0)
    const one = dice.pick(dice.below(3) ? lasting : late)
    if (!one) return
    // Whoever else is logged in there does not matter.
    const who = dice.pick([null, null, ...actors, ...targets, 'mallory'])
    const method = dice.pick(['GET', 'POST'])
    const asks = Array.from({ length: dice.pick([1, 1, 4]) }, () =>
      world.send(who, { method, ...this.bearer(one.token) }, on),
    )
    for (const outcome of await Promise.all(asks)) await this.check(one, method, outcome, on)
    if (dice.below(10) === 0) {
      const forged = `${one.token.slice(0, -6)}AAAAAA`
      const outcome = await world.send(who, this.bearer(forged), on)
      expect(outcome.line).toBe('401 token_invalid')
    }
  }

  private async check(one: Carried, method: string, outcome: Outcome, on: Engine) {
    const { session, overAt } = one
    const told = `${method} of ${JSON.stringify(session)} came to ${outcome.line} (seed ${seed})`
    const row = await this.inner.readSession(session.id)
    if (outcome.ran === null) {
      this.counts.refused++
      if (outcome.line === '403 grant_view_only') {
        expect([session.accessLevel, method], told).toEqual(['view', 'POST'])
        return
      }
      expect(outcome.status, told).toBe(401)
      // Refused for a reason: the row is over, or the token is.
      const isOver = row?.status !== 'active' || this.exp(one) <= this.now
      expect(isOver, told).toBe(true)
      return
    }
    this.counts.ran++
    expect(outcome.ran, told).toBe(session.targetUserId)
    expect(outcome.user, told).toBe(outcome.context?.target)
    expect(outcome.context?.session, told).toMatchObject({
      id: session.id,
      actorId: session.actorId,
      targetUserId: session.targetUserId,
      accessLevel: session.accessLevel,
      transport: 'token',
    })
    expect(outcome.context?.actor.id, told).toBe(session.actorId)
    expect(this.now, told).toBeLessThan(this.exp(one))
    expect(method === 'GET' || session.accessLevel === 'full', told).toBe(true)
    expect(this.now, told).toBeLessThan(overAt.get(on) ?? Number.POSITIVE_INFINITY)
    expect([session.actorId, session.targetUserId].some(this.isUnfit), told).toBe(false)
  }

  /** A login runs under its own session or as itself, never under what a token carries. */
  private async login(on: Engine): Promise<void> {
    const { dice, world } = this
    const who = dice.pick([...actors, ...targets, 'mallory'])
    const outcome = await world.send(who, {}, on)
    if (outcome.ran === null) expect([401, 409]).toContain(outcome.status)
    else if (outcome.context) {
      expect(outcome.context.session).toMatchObject({ actorId: who, transport: 'session' })
      expect(outcome.ran).toBe(outcome.context.session.targetUserId)
    } else expect(outcome.ran).toBe(who)
  }

  /** Everything that was started ends, once, with its events. */
  async end(): Promise<void> {
    this.world.clock.tick(60 * minute)
    await this.engines[0]?.reap()
    const sessions = await this.inner.listSessions({}, { limit: 1e9 })
    expect(sessions).toHaveLength(this.counts.started)
    expect(sessions.filter(({ status }) => status === 'active')).toEqual([])
    const actions = await this.world.actions()
    expect(actions.filter((action) => action === 'started')).toHaveLength(sessions.length)
    const ends = ['stopped', 'expired', 'revoked', 'replaced']
    expect(actions.filter((action) => ends.includes(action))).toHaveLength(sessions.length)
    for (const { token } of this.carried) {
      const outcome = await this.world.send(null, this.bearer(token), this.engines[1])
      expect(outcome.line).toBe('401 token_invalid')
    }
    for (const engine of this.engines) await engine.close()
  }
}

it(`${commands} random commands: a token is its target while its row is live, and nothing else`, async () => {
  const dice = random(seed)
  const sums = { ran: 0, refused: 0, started: 0 }
  for (let done = 0; done < commands; done += perWorld) {
    const host = new Host(dice)
    for (let n = 0; n < Math.min(perWorld, commands - done); n++) await host.step()
    await host.end()
    for (const name of ['ran', 'refused', 'started'] as const) sums[name] += host.counts[name]
  }
  // Enough has happened to mean something.
  expect(sums.ran).toBeGreaterThan(commands / 10)
  expect(sums.refused).toBeGreaterThan(commands / 10)
}, 3_600_000)
