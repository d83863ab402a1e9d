import { eventWebhook } from 'onbehalf/notify'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { hour, minute, type World, worldOf } from '../support/core-world.ts'
import { byId, eventRows, listen, type Receiver, secret, sinkOf, wireOf } from './sink-support.ts'
import { deliveryOf, lines, putDeliveries, stopTimers, toldWorld } from './support.ts'

beforeEach(stopTimers)
afterEach(() => void vi.useRealTimers())

/** Starts, stops, refusals, revokes and consent: most of what there is to tell. */
async function eventful(world: World): Promise<void> {
  const { grants, sessions } = world.engine
  const ask = { targetUserId: 'alice', reason: 'ticket "7" \u2028 Gruß 🦊' }
  await world.start('root', 'alice').catch(() => undefined)
  await sessions.start(world.caller('mallory'), ask).catch(() => undefined)
  const grant = await grants.request(world.caller('root'), ask)
  await grants.deny(world.caller('alice'), (await grants.request(world.caller('boss'), ask)).id)
  await grants.approve(world.caller('alice'), grant.id)
  const session = await world.start('root', 'alice', { grantId: grant.id })
  await world.send('root', { method: 'POST', path: '/notes', pin: session.id })
  await sessions.extend(world.caller('root'), minute)
  await sessions.revoke(world.caller('boss'), session.id)
  const another = await grants.request(world.caller('root'), ask)
  await grants.approve(world.caller('alice'), another.id)
  await world.start('root', 'alice', { grantId: another.id })
  await grants.revoke(world.caller('alice'), another.id)
  const third = await grants.request(world.caller('root'), ask)
  await grants.approve(world.caller('alice'), third.id)
  await world.start('root', 'alice', { grantId: third.id })
  await sessions.stop(world.caller('root'))
  await world.engine.reap()
}

describe('over HTTP', () => {
  let receiver: Receiver
  beforeAll(async () => {
    receiver = await listen()
  })
  afterAll(() => receiver.close())
  beforeEach(() => {
    receiver.received.length = 0
    receiver.status = 204
  })
  const sinkTo = () => eventWebhook({ url: receiver.url, secret })

  it('every event arrives as it is on record, signed, under its own id', async () => {
    const world = worldOf({ consent: 'required', audit: { sink: sinkTo() } })
    await eventful(world)
    const recorded = await wireOf(world.store)
    expect(recorded.map(({ action }) => action)).toEqual(
      expect.arrayContaining([
        ...['started', 'stopped', 'revoked', 'refused'].map((what) => `impersonation.${what}`),
        ...['requested', 'granted', 'denied', 'used', 'revoked'].map((what) => `grant.${what}`),
      ]),
    )
    expect(await world.engine.outbox.deliver()).toBe(recorded.length)
    const bodies = (await receiver.events()).sort((a, b) => byId(a.data, b.data))
    expect(bodies).toEqual(
      recorded.map((event) => ({
        type: `onbehalf.${event.action}`,
        timestamp: event.at,
        data: event,
      })),
    )
    const ids = receiver.received.map(({ headers }) => headers['webhook-id'])
    expect(ids.sort()).toEqual(recorded.map(({ id }) => id))
    expect(await world.engine.outbox.deliver(), 'once').toBe(0)
  })

  it.each([
    [500, 'status 500'],
    [404, 'status 404'],
    [302, 'redirect'],
  ])('an answer of %i is a failure: sent again, with the same id', async (status, why) => {
    const world = worldOf({ audit: { sink: sinkTo() } })
    await world.start('root', 'alice')
    receiver.status = status
    expect(await world.engine.outbox.deliver()).toBe(0)
    expect(await eventRows(world.store)).toMatchObject([
      { status: 'pending', attempts: 1, error: expect.stringContaining(why) },
    ])
    receiver.status = 200
    world.clock.tick(minute)
    expect(await world.engine.outbox.deliver()).toBe(1)
    const [first, second, ...more] = await receiver.events()
    expect(more).toEqual([])
    expect(first).toEqual(second)
  })

  it('what a receiver that is down has missed, it gets when it is back', async () => {
    const gone = await listen()
    const world = worldOf({ audit: { sink: eventWebhook({ url: gone.url, secret }) } })
    await gone.close()
    const session = await world.start('root', 'alice')
    await world.engine.outbox.deliver()
    await world.engine.sessions.revoke(world.caller('boss'), session.id)
    await world.engine.outbox.deliver()
    expect((await eventRows(world.store)).map(({ error }) => error)).toEqual(
      Array(2).fill('the receiver of the webhook can not be reached (ECONNREFUSED)'),
    )
    const back = await listen(Number(new URL(gone.url).port))
    try {
      world.clock.tick(minute)
      expect(await world.engine.outbox.deliver()).toBe(2)
      const events = (await back.events()).map(({ data }) => data).sort(byId)
      expect(events).toEqual(await wireOf(world.store))
    } finally {
      await back.close()
    }
  })

  it('a body that was changed on its way is refused', async () => {
    const world = worldOf({ audit: { sink: sinkTo() } })
    await world.start('root', 'alice')
    await world.engine.outbox.deliver()
    const [got] = receiver.received.splice(0)
    const text = got?.text.replace('ticket 7', 'ticket 8') ?? ''
    receiver.received.push({ headers: got?.headers ?? {}, text })
    await expect(receiver.events()).rejects.toMatchObject({ code: 'webhook_signature_invalid' })
  })

  it.each([
    ['url', { url: undefined }],
    ['url', { url: 'ftp://siem.example.com' }],
    ['url', { url: 'https://user:password@siem.example.com' }],
    ['secret', { secret: 'short' }],
    ['secret', { secret: undefined }],
    ['timeoutMs', { timeoutMs: 0 }],
  ])('eventWebhook refuses a wrong %s', (option, more) => {
    const make = () => eventWebhook({ url: receiver.url, secret, ...more } as never)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(`option "${option}" must be`)
  })
})

describe('a sink that hangs', () => {
  const hanging = () => ({ send: vi.fn(() => new Promise<never>(() => {})) })

  it('keeps no request waiting, and no change of state', async () => {
    const sink = hanging()
    const world = worldOf({ audit: { sink } })
    const session = await world.start('root', 'alice')
    void world.engine.outbox.deliver()
    await vi.waitUntil(() => sink.send.mock.calls.length > 0)
    expect((await world.send('root', { pin: session.id })).line).toBe('alice')
    await world.engine.sessions.revoke(world.caller('boss'), session.id)
    expect(await world.active()).toEqual([])
  })

  it('holds up no message, however many events wait', async () => {
    const sink = hanging()
    const world = toldWorld({ audit: { sink } })
    const event = { event: '{}' }
    await putDeliveries(
      world.store,
      Array.from({ length: 50 }, (_, n) =>
        deliveryOf({ id: `e${n}`, topic: 'event', payload: event }),
      ),
    )
    void world.engine.outbox.deliver()
    await vi.waitUntil(() => sink.send.mock.calls.length === 8)
    const mails = () => lines(world.sent)
    // The sink has all its time, and has used none of it, when these go.
    await world.start('root', 'alice')
    void world.engine.outbox.deliver()
    await vi.waitUntil(() => mails().length === 1)
    await world.start('boss', 'bob')
    void world.engine.outbox.deliver()
    await vi.waitUntil(() => mails().length === 2)
    expect(mails()).toEqual(['alice mail session_started', 'bob mail session_started'])
    expect(sink.send).toHaveBeenCalledTimes(8)
  })

  it('is a failure after 10 s', async () => {
    const world = worldOf({ audit: { sink: hanging() } })
    await world.start('root', 'alice')
    const round = world.engine.outbox.deliver()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(await round).toBe(0)
    expect(await eventRows(world.store)).toMatchObject([
      { status: 'pending', attempts: 1, error: 'the sink took longer than 10000 ms' },
    ])
  })
})

describe('a sink that fails', () => {
  it.each<[string, () => Promise<unknown>]>([
    [
      'throws',
      () => {
        throw new Error('no room')
      },
    ],
    ['rejects', () => Promise.reject(new Error('no room'))],
  ])('as it %s: tried again, later each time, and nobody notices', async (_how, send) => {
    const sink = { send: vi.fn(send) }
    const world = worldOf({ audit: { sink } })
    await world.start('root', 'alice')
    for (const attempts of [1, 2, 3]) {
      expect(await world.engine.outbox.deliver()).toBe(0)
      const [row] = await eventRows(world.store)
      expect(row).toMatchObject({ status: 'pending', attempts, error: 'no room' })
      const pause = (row?.dueAt ?? 0) - world.clock.wall
      expect(pause / (5000 * 2 ** (attempts - 1))).toBeGreaterThanOrEqual(0.75)
      world.clock.tick(pause - 1)
      expect(await world.engine.outbox.deliver()).toBe(0)
      expect(sink.send).toHaveBeenCalledTimes(attempts)
      world.clock.tick(1)
    }
  })

  it('15 times is given up with a warning, keeps its event, and can be tried again', async () => {
    const warnings: string[] = []
    const emit = vi.spyOn(process, 'emitWarning').mockImplementation((text) => {
      warnings.push(String(text))
    })
    const sink = sinkOf()
    const world = worldOf({ audit: { sink } })
    await world.start('root', 'alice')
    sink.faults.push(...Array(15).fill(new Error('no room')))
    for (let attempt = 0; attempt < 15; attempt++) {
      await world.engine.outbox.deliver()
      world.clock.tick(2 * hour)
    }
    emit.mockRestore()
    const [dead] = await eventRows(world.store)
    expect(dead).toMatchObject({ status: 'dead', attempts: 15, error: 'no room' })
    expect(warnings.join()).toMatch(
      /an audit event has not reached the sink: no room.*ONBEHALF_NOT/s,
    )
    await world.engine.outbox.retry(dead?.id ?? '')
    await world.engine.outbox.deliver()
    expect(sink.events).toEqual(await wireOf(world.store))
  })

  it('at one event holds up no other', async () => {
    const sink = sinkOf()
    const world = worldOf({ audit: { sink } })
    const session = await world.start('root', 'alice')
    await world.engine.sessions.revoke(world.caller('boss'), session.id)
    sink.faults.push(new Error('not this one'))
    expect(await world.engine.outbox.deliver()).toBe(1)
    world.clock.tick(minute)
    expect(await world.engine.outbox.deliver()).toBe(1)
    expect(sink.events.toSorted(byId)).toEqual(await wireOf(world.store))
  })
})
