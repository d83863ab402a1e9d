import { describe, expect, it } from 'vitest'
import type { AuditEvent } from '../../src/index.ts'
import { codeOf, second, type User, type World, worldOf } from '../support/core-world.ts'

const post = { method: 'POST' }

interface Change {
  readonly what: string
  readonly who: string
  readonly reason: string
  change(world: World): void
}

/** What may happen to a target while somebody impersonates them. */
const ofTarget: readonly Change[] = [
  {
    what: 'promoted',
    who: 'alice',
    reason: 'target_privileged',
    change: (world) => world.change('alice', { may: ['start'] }),
  },
  {
    what: 'deactivated',
    who: 'alice',
    reason: 'target_inactive',
    change: (world) => world.change('alice', { active: false }),
  },
  {
    what: 'deleted',
    who: 'alice',
    reason: 'target_gone',
    change: (world) => world.users.delete('alice'),
  },
  {
    what: 'moved to another organisation',
    who: 'alice',
    reason: 'target_gone',
    change: (world) => world.change('alice', { orgId: 'globex' }),
  },
]

async function scene() {
  const world = worldOf()
  world.change('alice', { orgId: 'acme' })
  const session = await world.start('root', 'alice', { accessLevel: 'full' })
  const other = world.another()
  await world.send('root')
  await world.send('root', {}, other)
  return { world, session, other }
}

async function endingEvents(world: World, sessionId: string): Promise<AuditEvent[]> {
  const events = await world.store.listEvents({ sessionId }, { limit: 100 })
  return events.filter((event) => event.action !== 'impersonation.started')
}

describe.each(ofTarget)('a target who is $what', ({ who, reason, change }) => {
  it('is not acted for two seconds later, on any process, and the ending is audited once', async () => {
    const { world, session, other } = await scene()
    change(world)
    world.clock.tick(2 * second)
    for (const on of [world.engine, other]) {
      expect((await world.send('root', post, on)).line).toBe('401 impersonation_revoked')
      expect((await world.send('root', { pin: session.id }, on)).body).toMatchObject({
        code: 'impersonation_revoked',
        ended_reason: reason,
      })
    }
    const events = await endingEvents(world, session.id)
    expect(events).toHaveLength(1)
    expect(events[0]).toMatchObject({
      action: 'impersonation.revoked',
      actorId: 'root',
      targetUserId: 'alice',
      details: { ended_reason: reason, ended_by: null },
    })
  })

  it('is not acted for at once where userChanged says so', async () => {
    const { world, session } = await scene()
    change(world)
    await world.engine.userChanged(who)
    expect(await world.store.readSession(session.id)).toMatchObject({ endedReason: reason })
    expect((await world.send('root', post)).line).toBe('401 impersonation_revoked')
  })

  it('ends the session in status too, which asks past every cache', async () => {
    const { world, session } = await scene()
    change(world)
    const state = await world.engine.sessions.status(world.caller('root'))
    expect(state).toMatchObject({
      session: null,
      lastEnded: { id: session.id, endedReason: reason },
    })
  })

  it('can’t be extended for', async () => {
    const { world } = await scene()
    change(world)
    expect(await codeOf(world.engine.sessions.extend(world.caller('root'), 1000))).toBe(
      'not_impersonating',
    )
  })

  it('does not hinder the actor from stopping', async () => {
    const { world, session } = await scene()
    change(world)
    const stopped = await world.engine.sessions.stop(world.caller('root'))
    expect(stopped).toMatchObject({ id: session.id, status: 'stopped' })
    expect((await world.send('root', post)).line).toBe('root')
  })
})

describe('a target whose record changes', () => {
  it('is seen as they are now two seconds later, without the session ending', async () => {
    const { world } = await scene()
    world.change('alice', { role: 'reader' })
    world.clock.tick(2 * second)
    expect((await world.send('root')).user?.role).toBe('reader')
    expect(await world.active()).toHaveLength(1)
  })

  it('is seen as they are now at once where userChanged says so, with narrowed rights', async () => {
    const { world } = await scene()
    world.change('alice', { role: 'reader' })
    await world.engine.userChanged('alice')
    const { user, context } = await world.send('root')
    expect(user?.role).toBe('reader')
    expect(context?.target).toBe(user)
    expect(await world.active()).toHaveLength(1)
  })

  it('of another session is none of its business', async () => {
    const { world, session } = await scene()
    await world.start('sup', 'bob')
    world.users.delete('bob')
    await world.engine.userChanged('bob')
    expect((await world.send('root', { pin: session.id })).line).toBe('alice')
    expect((await world.send('sup', post)).line).toBe('401 impersonation_revoked')
  })
})

/** What may happen to an actor; `live` is what their own login then puts on the request. */
const ofActor: ReadonlyArray<readonly [string, User | null, (world: World) => void]> = [
  ['demoted', { id: 'root' }, (world) => world.users.set('root', { id: 'root' })],
  [
    'deactivated',
    { id: 'root', may: ['start'], active: false },
    (world) => world.change('root', { active: false }),
  ],
]

describe.each(ofActor)('an actor who is %s', (_, live, change) => {
  it('is out at the next request of a process that knows of the session', async () => {
    const { world, session, other } = await scene()
    change(world)
    const first = await world.send(live, post)
    expect(first.line).toBe('401 impersonation_revoked')
    expect(first.setCookie).toMatch(/^onbehalf=; /)
    expect(await world.store.readSession(session.id)).toMatchObject({
      endedReason: 'actor_not_allowed',
    })
    // From then on they are who they are, with none of the target's or the old powers.
    for (const on of [world.engine, other]) {
      world.clock.tick(2 * second)
      const { ran, user, context } = await world.send(live, post, on)
      if (ran !== null)
        expect({ ran, user, context }).toEqual({ ran: 'root', user: live, context: null })
    }
    expect(await endingEvents(world, session.id)).toHaveLength(1)
  })

  it('is out at once by userChanged', async () => {
    const { world, session } = await scene()
    change(world)
    await world.engine.userChanged('root')
    expect(await world.store.readSession(session.id)).toMatchObject({
      endedReason: 'actor_not_allowed',
    })
    expect((await world.send(live, { ...post, pin: session.id })).line).toBe(
      '401 impersonation_revoked',
    )
  })

  it('may stop, and gets nothing back by it', async () => {
    const { world } = await scene()
    change(world)
    const outcome = await world.send(live, { ...post, path: '/impersonation/stop' })
    expect(outcome.status).toBe(200)
    expect((await world.send(live, post)).user).toBe(live)
  })

  it('may do nothing else with sessions', async () => {
    const { world, session } = await scene()
    const caller = world.engine.caller(live as User)
    const { sessions } = world.engine
    for (const attempt of [
      sessions.extend(caller, 1000),
      sessions.start(caller, { targetUserId: 'bob', reason: 'x' }),
      sessions.list(caller, {}, { limit: 1 }),
      sessions.get(caller, session.id),
      sessions.revoke(caller, session.id),
    ]) {
      expect(await codeOf(attempt)).toBe('not_allowed')
    }
    expect(await world.active()).toHaveLength(1)
  })

  it('is told so by status, which ends the session', async () => {
    const { world, session } = await scene()
    const state = await world.engine.sessions.status(world.engine.caller(live as User))
    expect(state).toMatchObject({ session: null, lastEnded: { id: session.id } })
    expect(await world.active()).toEqual([])
  })
})

describe('who may list and revoke', () => {
  it('is asked of can by those names, and start does not say it', async () => {
    const { world, session } = await scene()
    const { sessions } = world.engine
    const sup = world.caller('sup')
    expect(await codeOf(sessions.list(sup, {}, { limit: 1 }))).toBe('not_allowed')
    expect(await codeOf(sessions.revoke(sup, session.id))).toBe('not_allowed')
    const boss = world.caller('boss')
    expect(await sessions.list(boss, {}, { limit: 9 })).toHaveLength(1)
    expect(await codeOf(sessions.get(boss, 'made-up'))).toBe('session_not_found')
    expect(await codeOf(sessions.revoke(boss, 'made-up'))).toBe('session_not_found')
  })

  it('a revoke is idempotent and keeps the first words', async () => {
    const { world, session } = await scene()
    const { sessions } = world.engine
    const boss = world.caller('boss')
    const first = await sessions.revoke(boss, session.id, 'wrong\ud800 customer')
    expect(first).toMatchObject({
      status: 'revoked',
      endedReason: 'revoked',
      endedBy: 'boss',
      endedNote: 'wrong\ufffd customer',
    })
    expect(await sessions.revoke(boss, session.id, 'again')).toEqual(first)
    expect(await endingEvents(world, session.id)).toHaveLength(1)
  })
})

describe('the target themselves', () => {
  it('logs in during an impersonation, and nothing of it is on their requests', async () => {
    const { world } = await scene()
    const { ran, context, headers, setCookie } = await world.send('alice', post)
    expect({ ran, context, headers, setCookie }).toEqual({
      ran: 'alice',
      context: null,
      headers: {},
      setCookie: null,
    })
    expect(await codeOf(world.engine.sessions.stop(world.caller('alice')))).toBe(
      'not_impersonating',
    )
    expect(await world.active()).toHaveLength(1)
  })
})
