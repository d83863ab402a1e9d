import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { Snapshot } from '../../src/index.ts'
import {
  adapterOf,
  codeOf,
  hour,
  minute,
  requestOf,
  type User,
  worldOf,
} from '../support/core-world.ts'

/** A session at `full`, and the snapshot that a handler under it takes. */
async function queued(level: 'view' | 'interactive' | 'full' = 'full') {
  const world = worldOf()
  const session = await world.start('root', 'alice', { accessLevel: level })
  const { engine } = world
  const adapter = adapterOf(engine)
  const { context } = await adapter.enter(requestOf(), world.users.get('root') as User)
  const snapshot = adapter.run(context, () => engine.snapshot())
  // What a queue makes of it.
  const wired = JSON.parse(JSON.stringify(snapshot)) as Snapshot
  return { world, engine, session, context, snapshot: wired }
}

describe('snapshot and runWith', () => {
  it('carries both people and the session, narrowed to view', async () => {
    const { engine, session, snapshot, world } = await queued()
    const seen = await engine.runWith(snapshot, async () => {
      await null
      return engine.current()
    })
    expect(seen?.actor).toBe(world.users.get('root'))
    expect(seen?.target).toBe(world.users.get('alice'))
    expect(seen?.session).toEqual({ ...session, accessLevel: 'view' })
    expect(Object.isFrozen(seen) && Object.isFrozen(seen?.session)).toBe(true)
    expect(seen?.signal.aborted).toBe(false)
    expect(engine.tryCurrent()).toBeUndefined()
    await engine.close()
  })

  it.each([
    ['full', undefined, 'view'],
    ['full', 'interactive', 'interactive'],
    ['full', 'full', 'full'],
    ['interactive', 'full', 'interactive'],
    ['view', 'full', 'view'],
  ] as const)('a job of a session at %s that asks for %s runs at %s', async (own, asked, runs) => {
    const { engine, snapshot } = await queued(own)
    const options = asked === undefined ? {} : { accessLevel: asked }
    const level = () => engine.current()?.session.accessLevel
    expect(await engine.runWith(snapshot, level, options)).toBe(runs)
  })

  it('a job of a job has no more than the job had', async () => {
    const { engine, snapshot } = await queued()
    const inner = await engine.runWith(snapshot, () => engine.snapshot())
    const level = () => engine.current()?.session.accessLevel
    expect(await engine.runWith(inner, level, { accessLevel: 'full' })).toBe('view')
  })

  it('guards hold in jobs, and their level is asked', async () => {
    const { engine, snapshot } = await queued()
    const guard = () =>
      engine.runWith(snapshot, () => engine.guard('payment'), { accessLevel: 'full' })
    expect(await codeOf(guard())).toBe('impersonation_write_blocked')
    const write = () => engine.runWith(snapshot, () => engine.requireLevel('interactive'))
    expect(await codeOf(write())).toBe('grant_view_only')
  })

  it('runs in another process, on the same store', async () => {
    const { world, snapshot } = await queued()
    const worker = world.another()
    expect(await worker.runWith(snapshot, () => worker.current()?.target.id)).toBe('alice')
  })

  it.each<[string, string, (world: Awaited<ReturnType<typeof queued>>) => unknown]>([
    [
      'stopped',
      'impersonation_ended',
      ({ world, engine }) => engine.sessions.stop(world.caller('root')),
    ],
    [
      'revoked',
      'impersonation_revoked',
      ({ world, engine, session }) => engine.sessions.revoke(world.caller('boss'), session.id),
    ],
    ['expired', 'impersonation_expired', ({ world }) => world.clock.tick(hour)],
    ['replaced', 'impersonation_ended', ({ world }) => world.start('root', 'bob')],
    [
      'of an actor demoted',
      'impersonation_revoked',
      ({ world }) => world.change('root', { may: [] }),
    ],
    ['of an actor deleted', 'impersonation_revoked', ({ world }) => world.users.delete('root')],
    [
      'of an actor deactivated',
      'impersonation_revoked',
      ({ world }) => world.change('root', { active: false }),
    ],
    [
      'of a target deactivated',
      'impersonation_revoked',
      ({ world }) => world.change('alice', { active: false }),
    ],
    [
      'of a target promoted',
      'impersonation_revoked',
      ({ world }) => world.change('alice', { may: ['start'] }),
    ],
    ['of a target deleted', 'impersonation_revoked', ({ world }) => world.users.delete('alice')],
  ])('a session %s runs nothing: %s', async (_what, code, change) => {
    const all = await queued()
    await change(all)
    let ran = false
    const job = all.engine.runWith(all.snapshot, () => {
      ran = true
    })
    expect([await codeOf(job), ran]).toEqual([code, false])
    expect((await all.world.store.readSession(all.session.id))?.status).not.toBe('active')
  })

  it.each([
    ['another session id', { sessionId: 'nobody-knows' }],
    ['another actor', { actorId: 'boss' }],
    ['another target', { targetUserId: 'bob' }],
  ])('a snapshot with %s runs nothing', async (_what, change) => {
    const { engine, snapshot } = await queued()
    const job = engine.runWith({ ...snapshot, ...change } as Snapshot, () => 'ran')
    expect(await codeOf(job)).toBe('impersonation_state_changed')
  })

  it('a raised level in the data raises nothing', async () => {
    const { engine, snapshot } = await queued('view')
    const forged = { ...snapshot, accessLevel: 'full' } as Snapshot
    const level = () => engine.current()?.session.accessLevel
    expect(await engine.runWith(forged, level, { accessLevel: 'full' })).toBe('view')
  })

  it.each([
    undefined,
    null,
    {},
    'snapshot',
    { version: 2, sessionId: null },
    { version: 1 },
    { version: 1, sessionId: '' },
    { version: 1, sessionId: 'a', actorId: '', targetUserId: 'c', accessLevel: 'view' },
    { version: 1, sessionId: 'a', actorId: 'b', targetUserId: 'c' },
    { version: 1, sessionId: 'a', actorId: 'b', targetUserId: 7, accessLevel: 'view' },
    { version: 1, sessionId: 'a', actorId: 'b', targetUserId: 'c', accessLevel: 'root' },
  ])('%j is no snapshot, and runs as nobody', async (data) => {
    const { engine } = await queued()
    let ran = false
    const job = engine.runWith(data as never, () => {
      ran = true
    })
    await expect(job).rejects.toThrow(/runWith wants what impersonation.snapshot\(\) gave/)
    expect(ran).toBe(false)
  })

  it('wants a level there is', async () => {
    const { engine, snapshot } = await queued()
    await expect(
      engine.runWith(snapshot, () => 1, { accessLevel: 'root' as never }),
    ).rejects.toThrow('option "accessLevel"')
  })

  it('a store that fails runs nothing', async () => {
    const { world, snapshot } = await queued()
    const store = { ...world.store, readSession: () => Promise.reject(new Error('down')) }
    const broken = world.another({ store })
    expect(await codeOf(broken.runWith(snapshot, () => 'ran'))).toBe('impersonation_unavailable')
  })

  it('what nobody impersonated queued runs under null, what nobody knows is not queued', async () => {
    const { engine } = await queued()
    const snapshot = engine.run(null, () => engine.snapshot())
    expect(await engine.runWith(snapshot, () => engine.current())).toBeNull()
    expect(() => engine.snapshot()).toThrow(/context is not known here/)
  })

  it('the signal of a job fires when the session ends', async () => {
    const { world, engine, snapshot } = await queued()
    const signal = await engine.runWith(snapshot, () => engine.current()?.signal as AbortSignal)
    expect(signal.aborted).toBe(false)
    await engine.sessions.stop(world.caller('root'))
    expect(signal.aborted).toBe(true)
    await engine.close()
  })

  it('a session that runs out while people are looked up runs nothing', async () => {
    const { world, snapshot } = await queued()
    const slow = world.another({
      findUser: (id) => {
        if (id === 'alice') world.clock.tick(31 * minute)
        return world.users.get(id)
      },
    })
    expect(await codeOf(slow.runWith(snapshot, () => 'ran'))).toBe('impersonation_expired')
  })
})

describe('bind', () => {
  it('keeps the context where it would be lost, with arguments and result', async () => {
    const { engine, context } = await queued()
    const emitter = new EventEmitter()
    const heard: unknown[] = []
    engine.run(context, () => {
      emitter.on(
        'data',
        engine.bind((piece: string) => heard.push([piece, engine.current()])),
      )
      emitter.on('data', (piece: string) => heard.push([piece, engine.tryCurrent()]))
    })
    emitter.emit('data', 'a')
    expect(heard).toEqual([
      ['a', context],
      ['a', undefined],
    ])
    const bound = engine.run(null, () =>
      engine.bind((a: number, b: number) => [a + b, engine.current()]),
    )
    expect(engine.run(context, () => bound(1, 2))).toEqual([3, null])
  })

  it('binds nothing where nobody knows', async () => {
    const { engine } = await queued()
    expect(() => engine.bind(() => 1)).toThrow(/context is not known here/)
  })
})
