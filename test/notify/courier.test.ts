import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Channel, type Delivery, memoryStore, type Notification } from '../../src/index.ts'
import { mostAttempts } from '../../src/notify/failure.ts'
import { type Fault, faultyStore } from '../../src/testing/faulty-store.ts'
import { hour, minute, noon, second, worldOf } from '../support/core-world.ts'
import {
  breakGlass,
  courierOf,
  deliveryOf,
  lines,
  outboxOf,
  putDeliveries,
  stopTimers,
  toldWorld,
} from './support.ts'

beforeEach(stopTimers)
afterEach(() => void vi.useRealTimers())

const mail: Channel = { channel: 'mail', to: 'alice@example.com' }
const push: Channel = { channel: 'push', to: 'her phone' }

describe('a message', () => {
  it('goes over every channel once, and is done with', async () => {
    const world = toldWorld()
    world.ways.set('alice', [mail, push])
    const session = await world.start('root', 'alice', { reason: 'ticket 7', accessLevel: 'full' })
    const sent = await world.deliver()
    expect(lines(sent)).toEqual(['alice mail session_started', 'alice push session_started'])
    expect(sent[0]).toMatchObject({
      kind: 'session_started',
      reader: 'target',
      userId: 'alice',
      forced: false,
      at: noon,
      actor: { name: 'Rooty', role: 'admin' },
      target: { id: 'alice', name: 'Alice' },
      sessionId: session.id,
      grantId: null,
      accessLevel: 'full',
      reason: 'ticket 7',
      breakGlass: false,
      expiresAt: session.expiresAt,
      endedReason: null,
      tokenPrefix: null,
      scopes: null,
      subject: 'Rooty (admin) has entered your account',
    })
    const [event] = await world.store.listEvents({ action: 'impersonation.started' }, { limit: 1 })
    expect(sent.map(({ id, channel, to }) => [id, channel, to])).toEqual([
      [`${event?.id}:mail`, 'mail', 'alice@example.com'],
      [`${event?.id}:push`, 'push', 'her phone'],
    ])
    expect((await world.deliveries()).map(({ status }) => status)).toEqual(['sent', 'sent', 'sent'])
    expect(await world.deliver()).toEqual([])
  })

  it('counts what it is done with: the notice and each way', async () => {
    const world = toldWorld()
    world.ways.set('alice', [mail, push])
    await world.start('root', 'alice')
    expect(await world.engine.outbox.deliver()).toBe(3)
    expect(await world.engine.outbox.deliver()).toBe(0)
  })

  it('tells the end, and how', async () => {
    const world = toldWorld()
    await world.start('root', 'alice')
    await world.deliver()
    await world.engine.sessions.stop(world.caller('root'))
    const [ended] = await world.deliver()
    expect(ended).toMatchObject({ kind: 'session_ended', endedReason: 'stopped', expiresAt: null })
  })

  it('of an expiry noticed late is due at once, at the instant of the expiry', async () => {
    const world = toldWorld()
    const { expiresAt } = await world.start('root', 'alice')
    await world.deliver()
    world.clock.tick(3 * hour)
    await world.engine.reap()
    const [ended] = await world.deliver()
    expect(ended).toMatchObject({ kind: 'session_ended', endedReason: 'expired', at: expiresAt })
  })

  it('tells of consent, each to the other side', async () => {
    const world = toldWorld({ consent: 'required', grantRequestMs: hour })
    const { grants } = world.engine
    const ask = () =>
      grants.request(world.caller('root'), { targetUserId: 'alice', reason: 'ticket 7' })
    const grant = await ask()
    const [asked] = await world.deliver()
    expect(asked).toMatchObject({
      kind: 'grant_requested',
      userId: 'alice',
      grantId: grant.id,
      expiresAt: grant.expiresAt,
    })
    const yes = await grants.approve(world.caller('alice'), grant.id)
    const [granted] = await world.deliver()
    expect(granted).toMatchObject({
      kind: 'grant_granted',
      reader: 'actor',
      userId: 'root',
      to: 'root@example.com',
      actor: { name: 'Rooty', role: 'admin' },
      target: { id: 'alice', name: 'Alice' },
      expiresAt: yes.expiresAt,
    })
    await world.start('root', 'alice', { grantId: grant.id })
    await world.deliver()
    await grants.revoke(world.caller('alice'), grant.id)
    expect(lines(await world.deliver())).toEqual([
      'alice mail session_ended',
      'root mail grant_revoked',
    ])
    await grants.deny(world.caller('alice'), (await ask()).id)
    await grants.withdraw(world.caller('root'), (await ask()).id)
    expect(lines(await world.deliver())).toEqual([
      'alice mail grant_requested',
      'alice mail grant_requested',
      'alice mail grant_revoked',
      'root mail grant_denied',
    ])
  })

  it('is told as displayActor says, to either side', async () => {
    const displayActor = vi.fn(() => ({ name: 'the night shift' }))
    const world = toldWorld({ displayActor, consent: 'required' })
    const asked = { targetUserId: 'alice', reason: 'ticket 7' }
    const grant = await world.engine.grants.request(world.caller('root'), asked)
    await world.engine.grants.deny(world.caller('alice'), grant.id)
    for (const { actor, text } of await world.deliver()) {
      expect(actor).toEqual({ name: 'the night shift' })
      expect(text).not.toContain('Rooty')
    }
    expect(displayActor.mock.calls).toHaveLength(2)
    for (const call of displayActor.mock.calls)
      expect(call).toEqual([world.users.get('root'), world.users.get('alice')])
  })

  it('names nobody whose account is gone', async () => {
    const world = toldWorld()
    await world.start('root', 'alice')
    world.users.delete('root')
    const [sent] = await world.deliver()
    expect(sent?.actor).toEqual({ name: null, role: null })
  })

  it('for an operator whose target is gone is told all the same', async () => {
    const world = toldWorld({ consent: 'required', displayActor: () => ({ name: 'never asked' }) })
    const asked = { targetUserId: 'alice', reason: 'ticket 7' }
    const grant = await world.engine.grants.request(world.caller('root'), asked)
    await world.deliver()
    await world.engine.grants.deny(world.caller('alice'), grant.id)
    world.users.delete('alice')
    const [sent] = await world.deliver()
    expect(sent).toMatchObject({
      kind: 'grant_denied',
      actor: { name: null },
      target: { id: 'alice', name: null },
    })
  })

  it('is written by the host where it has words, and by us where they throw', async () => {
    const words = {
      session_started: () => ({ subject: 'Besuch\r\nBcc: x@example.com', text: 'Hallo' }),
      session_ended: () => {
        throw new Error('no words')
      },
    }
    const world = toldWorld({ notifier: { words } })
    await world.start('root', 'alice')
    const [started] = await world.deliver()
    expect(started).toMatchObject({ subject: 'Besuch Bcc: x@example.com', text: 'Hallo' })
    await world.engine.sessions.stop(world.caller('root'))
    const [ended] = await world.deliver()
    expect(ended?.subject).toBe('Rooty (admin) has left your account')
  })

  it('holds no line that a reason or a name has made', async () => {
    const world = toldWorld()
    world.change('root', { name: 'Rooty\r\nBcc: everybody@example.com' })
    await world.start('root', 'alice', { reason: 'x\r\n\r\nYour password is wrong:' })
    const [sent] = await world.deliver()
    expect(sent?.subject).not.toMatch(/[\r\n]/)
    expect(sent?.text).toContain('Reason: x Your password is wrong:\n')
  })

  it('is made outside every impersonation', async () => {
    const seen: unknown[] = []
    const world = toldWorld({
      notifier: {
        channels() {
          seen.push(world.engine.tryCurrent())
          return [mail]
        },
        send: () => void seen.push(world.engine.tryCurrent()),
      },
    })
    const session = await world.start('root', 'alice')
    const context = { actor: {}, target: {}, session } as never
    await world.engine.run(context, () => world.engine.outbox.deliver())
    expect(seen).toEqual([null, null, null])
  })

  it('is left to a newer version where its kind is not known here', async () => {
    const world = toldWorld()
    const strange = deliveryOf()
    const payload = { ...strange.payload, kind: 'from_the_future' }
    await putDeliveries(world.store, [{ ...strange, payload }])
    await world.deliver()
    expect(await world.deliveries()).toMatchObject([{ status: 'pending', attempts: 1 }])
  })

  it('waits where nobody here can send it', async () => {
    const world = toldWorld({ sandbox: undefined as never })
    const dispose = vi.fn()
    const elsewhere = world.another({
      notifier: undefined as never,
      sandbox: { provision: () => ({ id: 'x' }), dispose },
    })
    await world.start('root', 'alice')
    const before = await world.deliveries()
    expect(before).toMatchObject([{ status: 'pending', attempts: 0, dueAt: noon }])
    expect(await elsewhere.outbox.deliver()).toBe(0)
    expect(await world.deliveries(), 'not even put off').toEqual(before)
    expect(await world.deliver()).toHaveLength(1)
  })
})

describe('whoever does not want to be told', () => {
  const only = (...ways: Channel[]) => {
    const world = toldWorld()
    world.ways.set('alice', ways)
    return world
  }
  const out = (channel: Channel): Channel => ({ ...channel, optedOut: true })

  it('is not told over that channel', async () => {
    const world = only(out(mail), push)
    await world.start('root', 'alice')
    expect(lines(await world.deliver())).toEqual(['alice push session_started'])
    const channels = (await world.deliveries()).map(({ channel }) => channel)
    expect(channels.sort()).toEqual([null, 'push'])
  })

  it.each<[string, Channel[], string]>([
    ['over none', [out(mail), out(push)], 'the user has opted out'],
    ['and can not be', [], 'no way to reach the user'],
  ])('%s: it is skipped, and says why', async (_what, ways, error) => {
    const world = only(...ways)
    await world.start('root', 'alice')
    expect(await world.deliver()).toEqual([])
    const stored = await world.deliveries()
    expect(stored).toMatchObject([{ status: 'skipped', error, settledAt: noon }])
  })

  it('and is gone: skipped, even where it must be told', async () => {
    const world = only(mail)
    await breakGlass(world)
    world.users.delete('alice')
    await world.deliver()
    expect(await world.deliveries()).toMatchObject([
      { status: 'skipped', error: 'the user is gone' },
    ])
  })

  it.each<[string, Channel[], string]>([
    ['says so', [out(mail)], 'the user has opted out'],
    ['drops the channel', [push], 'no longer reached by mail'],
  ])('is not told where they %s between two attempts', async (_what, ways, error) => {
    const world = only(mail)
    await world.start('root', 'alice')
    world.faults.push(new Error('down'))
    await world.deliver()
    world.ways.set('alice', ways)
    world.clock.tick(minute)
    expect(await world.deliver()).toEqual([])
    const [stored] = (await world.deliveries()).filter(({ channel }) => channel === 'mail')
    expect(stored).toMatchObject({ status: 'skipped', error })
  })

  it('is told of break-glass all the same, of its start and of its end', async () => {
    const world = only(out(mail), push)
    const session = await breakGlass(world)
    expect(lines(await world.deliver())).toEqual([
      'alice mail break_glass',
      'alice push break_glass',
    ])
    expect(world.sent[0]).toMatchObject({ forced: true, breakGlass: true })
    await world.engine.sessions.revoke(world.caller('boss'), session.id)
    expect(lines(await world.deliver())).toEqual([
      'alice mail session_ended',
      'alice push session_ended',
    ])
    expect(world.sent.every(({ forced }) => forced)).toBe(true)
  })

  it('is told of break-glass also where they opt out between two attempts', async () => {
    const world = only(mail)
    await breakGlass(world)
    world.faults.push(new Error('down'))
    await world.deliver()
    world.ways.set('alice', [out(mail)])
    world.clock.tick(minute)
    expect(lines(await world.deliver())).toEqual(['alice mail break_glass'])
  })

  it('and can not be told of break-glass: dead, not skipped', async () => {
    const world = only()
    await breakGlass(world)
    await world.deliver()
    expect(await world.deliveries()).toMatchObject([
      { status: 'dead', error: 'no way to reach the user' },
    ])
  })
})

describe('an answer of channels', () => {
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['no array', { mail: 'x' }],
    ['no channels', ['mail']],
    ['no name', [{ channel: '', to: 'x' }]],
    ['too long a name', [{ channel: 'x'.repeat(65), to: 'x' }]],
    ['no address', [{ channel: 'mail' }]],
    ['null', [null]],
  ])('%s: a failed attempt', async (_what, answer) => {
    const world = toldWorld({ notifier: { channels: () => answer as never } })
    await world.start('root', 'alice')
    expect(await world.deliver()).toEqual([])
    expect(await world.deliveries()).toMatchObject([
      { status: 'pending', attempts: 1, error: expect.stringContaining('notifier.channels') },
    ])
  })

  it('that names one twice means the first', async () => {
    const world = toldWorld()
    world.ways.set('alice', [mail, { ...mail, to: 'old@example.com' }])
    await world.start('root', 'alice')
    expect((await world.deliver()).map(({ to }) => to)).toEqual(['alice@example.com'])
  })
})

describe('a failure', () => {
  const failing = async (notifier: Parameters<typeof courierOf>[1], more = {}) => {
    const world = worldOf()
    await putDeliveries(world.store, [deliveryOf({ id: 'one:mail', channel: 'mail' })])
    const courier = courierOf(world, { channels: () => [mail], ...notifier }, more)
    const stored = () => outboxOf(world.store).readDelivery('one:mail')
    return { world, courier, stored }
  }
  const down = () => Promise.reject(new Error('the mail is down'))

  it('is tried again after 5 s, 10 s … an hour, and is dead after 15 attempts', async () => {
    const send = vi.fn(down)
    const { world, courier, stored } = await failing({ send })
    const pauses: number[] = []
    for (let attempt = 1; attempt < mostAttempts; attempt++) {
      expect(await courier.round()).toBe(0)
      const { dueAt, ...rest } = (await stored()) as Delivery
      expect(rest).toMatchObject({
        status: 'pending',
        attempts: attempt,
        error: 'the mail is down',
      })
      pauses.push((dueAt - world.clock.wall) / second)
      world.clock.tick(dueAt - world.clock.wall - 1)
      expect(await courier.round(), 'not before it is due').toBe(0)
      expect(send).toHaveBeenCalledTimes(attempt)
      world.clock.tick(1)
    }
    expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600, 3600])
    expect(await courier.round()).toBe(1)
    const dead = { status: 'dead', attempts: 15, error: 'the mail is down' }
    expect(await stored()).toMatchObject({ ...dead, settledAt: world.clock.wall })
    world.clock.tick(100 * hour)
    expect(await courier.round()).toBe(0)
    expect(send).toHaveBeenCalledTimes(15)
  })

  it('says once per process that something is dead, and what', async () => {
    const warnings: string[] = []
    const emit = vi.spyOn(process, 'emitWarning').mockImplementation((text) => {
      warnings.push(String(text))
    })
    // What was said before, by another test, is said anew.
    vi.resetModules()
    const { createCourier } = await import('../../src/notify/courier.ts')
    const world = worldOf()
    const settings = { notifier: { channels: () => [], send: down }, now: () => noon } as never
    const parts = { settings, store: world.store as never, outbox: outboxOf(world.store) }
    const people = { anybody: async () => ({ id: 'alice' }) } as never
    await breakGlass(world)
    await breakGlass(world, { actorId: 'boss', targetUserId: 'bob' })
    await createCourier({ ...parts, people, closed: () => false }).round('notice')
    emit.mockRestore()
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(/could not be delivered: no way to reach the user.*ONBEHALF_NOT/s)
  })

  it('comes a quarter sooner or later, as chance has it', async () => {
    const { world, courier, stored } = await failing({ send: down }, { random: () => 0 })
    await courier.round()
    expect((await stored())?.dueAt).toBe(world.clock.wall + 3750)
  })

  it.each<[string, object, object?]>([
    ['channels', { channels: down }],
    ['findUser', {}, { options: { findUser: down } }],
    ['displayActor', {}, { options: { displayActor: down } }],
    ['describe', {}, { options: { describe: () => ({ id: 7 }) } }],
  ])('of %s is an attempt, too', async (_what, notifier, more) => {
    const send = vi.fn()
    const { courier, stored } = await failing({ send, ...notifier }, more)
    await courier.round()
    expect(await stored()).toMatchObject({ status: 'pending', attempts: 1 })
    expect((await stored())?.error).toMatch(/the mail is down|user's id/)
    expect(send).not.toHaveBeenCalled()
  })

  it.each<[string, object]>([
    ['channels', { channels: () => new Promise(() => {}) }],
    ['send', { send: () => new Promise(() => {}) }],
  ])('is also a %s that never answers', async (what, notifier) => {
    const { courier, stored } = await failing(notifier, { limitMs: 777 })
    const round = courier.round()
    await vi.advanceTimersByTimeAsync(777)
    expect(await round).toBe(0)
    expect(await stored()).toMatchObject({ status: 'pending', attempts: 1 })
    expect((await stored())?.error).toMatch(
      what === 'send' ? 'sending took longer than 777 ms' : 'looking people up took longer',
    )
  })

  it('of one holds up no other', async () => {
    const world = toldWorld({
      notifier: {
        send: ({ userId }) => (userId === 'alice' ? down() : undefined),
      },
    })
    const ids = ['alice', 'bob', 'carol', 'mallory']
    await putDeliveries(
      world.store,
      ids.map((userId) => deliveryOf({ id: userId, userId, channel: 'mail' })),
    )
    expect(await world.engine.outbox.deliver()).toBe(3)
  })

  it('is dead without another attempt where it never came back from 15', async () => {
    const send = vi.fn()
    const world = worldOf()
    const lost = deliveryOf({ id: 'poison', channel: 'mail', attempts: 15 })
    await putDeliveries(world.store, [lost])
    await courierOf(world, { channels: () => [mail], send }).round()
    expect(await outboxOf(world.store).readDelivery('poison')).toMatchObject({
      status: 'dead',
      error: 'handed out too often',
    })
    expect(send).not.toHaveBeenCalled()
  })

  it('of a way leaves the other ways alone', async () => {
    const world = toldWorld({
      notifier: {
        channels: () => [mail, push],
        send: ({ channel }: Notification) => (channel === 'mail' ? down() : undefined),
      },
    })
    await world.start('root', 'alice')
    await world.engine.outbox.deliver()
    const byChannel = Object.fromEntries(
      (await world.deliveries()).map(({ channel, status }) => [channel, status]),
    )
    expect(byChannel).toEqual({ null: 'sent', mail: 'pending', push: 'sent' })
  })
})

describe('a batch', () => {
  it('is eight side by side, until nothing is due', async () => {
    let open = 0
    let most = 0
    const world = toldWorld({
      notifier: {
        async send() {
          most = Math.max(most, ++open)
          await Promise.resolve()
          open--
        },
      },
    })
    await putDeliveries(
      world.store,
      Array.from({ length: 50 }, (_, n) => deliveryOf({ id: `n${n}`, channel: 'mail' })),
    )
    expect(await world.engine.outbox.deliver()).toBe(50)
    expect(most).toBeGreaterThan(1)
    expect(most).toBeLessThanOrEqual(8)
  })

  it('ends with a store that hands out the same for good', async () => {
    const world = worldOf()
    const same = deliveryOf({ channel: 'mail' })
    const outbox = { ...outboxOf(world.store), leaseDeliveries: async () => [same] }
    const courier = courierOf(world, { channels: () => [mail] }, { outbox })
    expect(await courier.round()).toBe(0)
  })
})

describe('lost answers', () => {
  const tellOne = async (verb: string, fault: Fault, calls: readonly number[]) => {
    const store = faultyStore(memoryStore())
    const world = toldWorld({}, store)
    await world.start('root', 'alice')
    store.plan({ [verb]: Object.fromEntries(calls.map((call) => [call, fault])) })
    await world.engine.outbox.deliver().catch(() => undefined)
    store.plan({})
    for (let round = 0; round < 5; round++) {
      world.clock.tick(2 * minute)
      await world.engine.outbox.deliver()
    }
    return world
  }

  for (const fault of ['before', 'after', 'garbage'] as const) {
    it.each([
      ['leaseDeliveries', [1]],
      ['leaseDeliveries', [2]],
      ['changeDelivery', [1]],
      ['changeDelivery', [1, 2]],
      ['changeDelivery', [2]],
    ] as const)(`%s, call %s, ${fault}: sent once`, async (verb, calls) => {
      const world = await tellOne(verb, fault, calls)
      expect(lines(world.sent)).toEqual(['alice mail session_started'])
      const statuses = (await world.deliveries()).map(({ status }) => status)
      expect(statuses).toEqual(['sent', 'sent'])
    })
  }

  it('of the settling, twice, before it was stored: sent again, under the same id', async () => {
    const world = await tellOne('changeDelivery', 'before', [2, 3])
    const [first, second, ...more] = world.sent
    expect(more).toEqual([])
    expect(first?.id).toBe(second?.id)
    expect((await world.deliveries()).map(({ status }) => status)).toEqual(['sent', 'sent'])
  })

  it.each(['before', 'after'] as const)(
    'of a retry (%s): asked again, it is back',
    async (fault) => {
      const store = faultyStore(memoryStore())
      const world = toldWorld({}, store)
      const dead = { status: 'dead', settledAt: noon, error: 'x', attempts: 15 } as const
      await putDeliveries(store, [deliveryOf({ id: 'one', channel: 'mail', ...dead })])
      for (const verb of ['readDelivery', 'changeDelivery'] as const) {
        store.plan({ [verb]: { 1: fault } })
        await world.engine.outbox.retry('one').catch(() => undefined)
      }
      store.plan({})
      expect(await world.engine.outbox.retry('one')).toMatchObject({
        status: 'pending',
        attempts: 0,
      })
    },
  )

  it('of the list is told to who asks', async () => {
    const store = faultyStore(memoryStore(), { listDeliveries: 'after' })
    const world = toldWorld({}, store)
    await expect(world.engine.outbox.list({}, { limit: 1 })).rejects.toMatchObject({ status: 503 })
  })
})
