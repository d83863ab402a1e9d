import fc from 'fast-check'
import { expect, it, vi } from 'vitest'
import { memoryStore, requestStatuses } from '../../src/index.ts'
import { become, isOver, mayBecome, newRequest } from '../../src/lifecycle/request-state.ts'
import type { AccessRequest, RequestStatus } from '../../src/types.ts'
import { codeOf, minute, type User, type World, worldOf } from '../support/core-world.ts'

/** Marks are slow on purpose; what is tested here is what happens around them. */
vi.mock(import('../../src/lifecycle/one-time-code.ts'), async (original) => ({
  ...(await original()),
  markOf: async (userId, code) => JSON.stringify([userId, code]),
}))

/**
 * Random commands of everybody on approvals and break-glass, on two processes with one store, against
 * a model of what each request may be after them. RUNS and SEED set how many, and which.
 */
const runs = Number(process.env.RUNS ?? 150)
const seed = Number(process.env.SEED ?? 20_300_102)

const askers = ['sup', 'boss'] as const
const seconds = ['boss', 'lead', 'sup'] as const
const targets = ['alice', 'bob'] as const
const may = ['start', 'approve', 'break_glass', 'confirm_break_glass']

/** What is believed of one request. */
interface Known {
  readonly id: string
  readonly kind: 'approval' | 'break_glass'
  readonly actor: string
  readonly target: string
  status: RequestStatus
  expiresAt: number
  yes: Set<string>
  attempts: number
}

class Model {
  readonly known: Known[] = []
  readonly world: World
  code = 0

  constructor() {
    const breakGlass = {
      verifySecondFactor: (_user: User, code: string) => code.startsWith('right'),
    }
    const options = { approvals: { quorum: 2 }, breakGlass, exclusiveTarget: false }
    const world = worldOf(options, memoryStore())
    const engines = [world.engine, world.another()]
    let turn = 0
    // Each command goes to the other process than the last one.
    this.world = Object.defineProperty({ ...world }, 'engine', {
      get: () => engines[turn++ % 2],
    })
    for (const id of seconds) world.users.set(id, { id, may })
  }

  /** Writes down whose time is up, as anybody who looks does. */
  due(request: Known): void {
    const waits = request.status === 'pending' || request.status === 'approved'
    if (waits && request.expiresAt <= this.world.clock.wall) request.status = 'expired'
  }
}

type Step = (model: Model, pick: number) => Promise<void>
const at = <T>(list: readonly T[], n: number): T => list[n % list.length] as T
const lapsed = (known: Known) =>
  known.status === 'expired' ? 'request_expired' : 'request_not_pending'
/** A request that a command is about, if there is one of its kind. */
const chosen = ({ known }: Model, kind: Known['kind'], pick: number) => {
  // The last ones, so that the few commands that there are meet.
  const some = known.filter((each) => each.kind === kind).slice(-2)
  return some.length ? at(some, pick) : undefined
}

const steps: Record<string, Step> = {
  async askApproval(model, pick) {
    const [actor, target] = [at(askers, pick), at(targets, pick >> 2)]
    const { engine, caller, clock } = model.world
    const asked = { targetUserId: target, reason: 'model' }
    const { id } = await engine.approvals.request(caller(actor), asked)
    const expiresAt = clock.wall + 12 * 60 * minute
    model.known.push({
      ...{ id, kind: 'approval', actor, target, status: 'pending', expiresAt },
      ...{ yes: new Set(), attempts: 0 },
    })
  },
  async openGlass(model, pick) {
    const [actor, target] = [at(askers, pick), at(targets, pick >> 2)]
    const { engine, caller, clock } = model.world
    const totp = `right ${++model.code}`
    const asked = { targetUserId: target, reason: 'model', totp }
    const { id } = await engine.breakGlass.open(caller(actor), asked)
    const expiresAt = clock.wall + 5 * minute
    model.known.push({
      ...{ id, kind: 'break_glass', actor, target, status: 'pending', expiresAt },
      ...{ yes: new Set(), attempts: 1 },
    })
  },
  async approve(model, pick) {
    const known = chosen(model, 'approval', pick)
    if (!known) return
    const { engine, caller, clock } = model.world
    const who = at(seconds, pick >> 3)
    const code = await codeOf(engine.approvals.approve(caller(who), known.id))
    // The clock is looked at before the person.
    model.due(known)
    if (who === known.actor) return expect(code).toBe('second_admin_required') as never
    const open = known.status === 'pending' || known.status === 'approved'
    if (open && known.yes.has(who)) expect(code).toBe('done')
    else if (known.status !== 'pending') expect(code).toBe(lapsed(known))
    else {
      expect(code).toBe('done')
      known.yes.add(who)
      if (known.yes.size === 2) Object.assign(known, approved(clock.wall))
    }
  },
  async deny(model, pick) {
    const known = chosen(model, 'approval', pick)
    if (!known) return
    const who = at(seconds, pick >> 3)
    const { engine, caller } = model.world
    const code = await codeOf(engine.approvals.deny(caller(who), known.id))
    model.due(known)
    if (who === known.actor) return expect(code).toBe('second_admin_required') as never
    const open = ['pending', 'approved', 'denied'].includes(known.status)
    expect(code).toBe(open ? 'done' : lapsed(known))
    if (open) known.status = 'denied'
  },
  async withdraw(model, pick) {
    const known = chosen(model, 'approval', pick)
    if (!known) return
    const who = at(seconds, pick >> 3)
    const { engine, caller } = model.world
    const code = await codeOf(engine.approvals.withdraw(caller(who), known.id))
    if (who !== known.actor) return expect(code).toBe('request_not_found') as never
    model.due(known)
    expect(code).toBe('done')
    if (known.status === 'pending' || known.status === 'approved') known.status = 'withdrawn'
  },
  async start(model, pick) {
    const known = chosen(model, 'approval', pick)
    if (!known) return
    const who = at(askers, pick >> 3)
    const code = await codeOf(
      model.world.start(who, known.target, { approvalId: known.id }, model.world.engine),
    )
    if (who !== known.actor) return expect(code).toBe('request_not_found') as never
    model.due(known)
    if (known.status === 'approved') {
      expect(code).toBe('done')
      known.status = 'used'
    } else expect(code).toBe(known.status === 'pending' ? 'second_admin_required' : lapsed(known))
  },
  async confirm(model, pick) {
    const known = chosen(model, 'break_glass', pick)
    if (!known) return
    const who = at(seconds, pick >> 3)
    const right = pick % 4 === 0
    const { engine, caller, store } = model.world
    const busy = (await store.readStanding(known.actor)).active
    const isBusy = busy !== null && busy.expiresAt > model.world.clock.wall
    const totp = `${right ? 'right' : 'wrong'} ${++model.code}`
    const code = await codeOf(engine.breakGlass.confirm(caller(who), known.id, totp))
    model.due(known)
    if (known.status !== 'pending') expect(code).toBe(lapsed(known))
    else if (who === known.actor) expect(code).toBe('second_admin_required')
    else if (known.attempts === 5) expect(code).toBe('second_factor_invalid')
    else {
      known.attempts++
      if (!right) {
        expect(code).toBe('second_factor_invalid')
        if (known.attempts === 5) known.status = 'locked'
      } else if (isBusy) expect(code).toBe('impersonation_already_active')
      else {
        expect(code).toBe('done')
        known.status = 'used'
      }
    }
  },
  async stop(model, pick) {
    await codeOf(model.world.engine.sessions.stop(model.world.caller(at(askers, pick))))
  },
  async wait(model, pick) {
    model.world.clock.tick(at([1, 2, 7, 61, 721], pick) * minute)
  },
  async reap(model) {
    await model.world.engine.reap()
    for (const known of model.known) model.due(known)
  },
}

const approved = (at: number) => ({ status: 'approved', expiresAt: at + 60 * minute }) as const

async function compare({ known, world }: Model): Promise<void> {
  const page = { limit: 1000 }
  const sessions = await world.store.listSessions({}, page)
  for (const each of known) {
    const row = (await world.store.requests?.readRequest(each.id)) as AccessRequest
    // What nobody has looked at since its time was up may still say that it waits.
    const unnoticed = isOver(row, world.clock.wall) && each.status !== 'used'
    if (!unnoticed) expect([row.id, row.status]).toEqual([each.id, each.status])
    const own = sessions.filter(({ id }) => id === row.sessionId)
    expect(own).toHaveLength(row.status === 'used' ? 1 : 0)
    for (const { actorId, targetUserId, breakGlass } of own) {
      expect([actorId, targetUserId]).toEqual([each.actor, each.target])
      expect(breakGlass).toBe(each.kind === 'break_glass')
    }
    expect(row.approvedBy).not.toContain(row.actorId)
  }
  // Every session has a request of its own, every change its event.
  const used = await world.store.listEvents({ action: '*' }, { limit: 10_000 })
  const opened = used.filter(({ action }) => /^(approval.used|break_glass.confirmed)$/.test(action))
  expect(new Set(opened.map(({ sessionId }) => sessionId))).toEqual(
    new Set(sessions.map(({ id }) => id)),
  )
}

it('any commands in any order leave each request as the model has it', async () => {
  const often = ['approve', 'approve', 'approve', 'start', 'start', 'confirm', 'confirm', 'confirm']
  const names = [...Object.keys(steps), ...often, 'confirm', 'approve']
  const command = fc.tuple(fc.constantFrom(...names), fc.nat({ max: 1000 }))
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(
      fc.array(command, { minLength: 1, maxLength: 60, size: 'max' }),
      async (commands) => {
        const model = new Model()
        for (const [name, pick] of commands) {
          await (steps[name] as Step)(model, pick)
          await compare(model)
          for (const { kind, status } of model.known) seen.add(`${kind} ${status}`)
        }
      },
    ),
    { numRuns: runs, seed, interruptAfterTimeLimit: 60_000 },
  )
  const approval = ['pending', 'approved', 'used', 'denied', 'withdrawn', 'expired']
  const glass = ['pending', 'used', 'locked', 'expired']
  expect([...seen].toSorted()).toEqual(
    [
      ...approval.map((status) => `approval ${status}`),
      ...glass.map((status) => `break_glass ${status}`),
    ].toSorted(),
  )
}, 120_000)

const person = { email: null, name: null, orgId: null, role: null, active: true }
const asked = {
  accessLevel: 'view',
  createdAt: 0,
  expiresAt: 10,
  reason: undefined,
  ticket: undefined,
} as const

it.each(['approval', 'break_glass'] as const)('%s comes to an end, and stays there', (kind) => {
  const request = newRequest(kind, { ...person, id: 'a' }, { ...person, id: 'b' }, asked)
  for (const status of requestStatuses)
    for (const next of requestStatuses) {
      const from = { ...request, status }
      if (mayBecome(from, next)) {
        expect(become(from, next)).toMatchObject({ status: next, revision: 2 })
        expect(['unproven', 'pending', 'approved']).toContain(status)
      } else expect(() => become(from, next)).toThrow('does not become')
    }
})

it('what never showed a right code stays unproven, so that it counts', () => {
  const request = newRequest('break_glass', { ...person, id: 'a' }, { ...person, id: 'b' }, asked)
  expect(isOver(request, 99)).toBe(false)
  expect(isOver(become(request, 'pending'), 10)).toBe(true)
  expect(isOver(become(request, 'pending'), 9)).toBe(false)
})
