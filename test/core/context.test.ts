import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { guardrailKinds, type ImpersonationOptions, isImpersonationError } from '../../src/index.ts'
import { adapterOf, requestOf, type User, worldOf } from '../support/core-world.ts'

async function impersonating(options: Partial<ImpersonationOptions<User>> = {}) {
  const world = worldOf(options)
  world.change('alice', { orgId: 'acme' })
  const session = await world.start('root', 'alice', { accessLevel: 'full' })
  const { engine } = world
  /** Runs code as a handler of a request of somebody. */
  async function inside<T>(who: string | null, code: () => T): Promise<T> {
    const adapter = adapterOf(engine)
    const actor = who === null ? null : (world.users.get(who) as User)
    const { answer, context } = await adapter.enter(requestOf(), actor)
    expect(answer).toBeNull()
    return adapter.run(context, code)
  }
  return { world, engine, session, inside }
}

describe('inside a request under a session', () => {
  it('current tells of both people and the session', async () => {
    const { world, engine, session, inside } = await impersonating()
    await inside('root', () => {
      const now = engine.current()
      expect(now?.actor).toBe(world.users.get('root'))
      expect(now?.target).toBe(world.users.get('alice'))
      expect(now?.session).toEqual(session)
      expect(now?.signal).toBeInstanceOf(AbortSignal)
      expect(now?.signal.aborted).toBe(false)
      expect(engine.tryCurrent()).toBe(now)
      expect(engine.isImpersonating()).toBe(true)
      expect(engine.currentOrgId()).toBe('acme')
      expect(engine.auditFields()).toEqual({
        impersonated_by: 'root',
        impersonation_target: 'alice',
      })
    })
    await engine.close()
  })

  it('the context is frozen, the records are the host’s own', async () => {
    const { engine, inside } = await impersonating()
    await inside('root', () => {
      const now = engine.current()
      expect(Object.isFrozen(now)).toBe(true)
      expect(Object.isFrozen(now?.session)).toBe(true)
      expect(Object.isFrozen(now?.target)).toBe(false)
    })
  })

  it('the target has none of what the actor has', async () => {
    const { world, engine, inside } = await impersonating()
    world.change('root', { orgId: 'staff', role: 'superuser' })
    const { user } = await world.send('root')
    expect(user).toEqual({
      id: 'alice',
      email: 'alice@example.com',
      name: 'Alice',
      role: 'customer',
      orgId: 'acme',
    })
    await inside('root', () => expect(engine.current()?.target.may).toBeUndefined())
  })

  it('the context goes along through promises and timers', async () => {
    const { engine, inside } = await impersonating()
    const target = await inside('root', async () => {
      await null
      await new Promise<void>((done) => setImmediate(done))
      return engine.current()?.target.id
    })
    expect(target).toBe('alice')
    expect(engine.tryCurrent()).toBeUndefined()
  })

  it.each(guardrailKinds)('guard(%s) stops, with its kind, and writes it down', async (kind) => {
    const { world, engine, inside, session } = await impersonating()
    const error: unknown = await inside('root', () => {
      try {
        engine.guard(kind)
        return undefined
      } catch (thrown) {
        return thrown
      }
    })
    expect(isImpersonationError(error)).toBe(true)
    expect(error).toMatchObject({
      code: 'impersonation_write_blocked',
      status: 403,
      statusCode: 403,
      details: { guardrail: kind },
    })
    const [event] = await world.store.listEvents(
      { action: 'impersonation.write_blocked' },
      { limit: 2 },
    )
    expect(event).toMatchObject({ sessionId: session.id, details: { guardrail: kind } })
  })

  it('guard wants a kind that there is', async () => {
    const { engine, inside } = await impersonating()
    for (const who of ['root', 'mallory']) {
      await inside(who, () => {
        expect(() => engine.guard('passwords' as never)).toThrow(TypeError)
        expect(() => engine.guard(undefined as never)).toThrow(TypeError)
      })
    }
  })
})

describe('inside a request without a session', () => {
  it.each(['boss', 'mallory', 'alice', null])(
    'of %s nobody is impersonated, and that is known',
    async (who) => {
      const { engine, inside } = await impersonating()
      await inside(who, () => {
        expect(engine.current()).toBeNull()
        expect(engine.tryCurrent()).toBeNull()
        expect(engine.isImpersonating()).toBe(false)
        expect(engine.currentOrgId()).toBeNull()
        expect(engine.auditFields()).toEqual({})
        expect(() => engine.guard('password')).not.toThrow()
      })
    },
  )
})

describe('outside any request', () => {
  it('it is not known, and nothing guesses', async () => {
    const { engine } = await impersonating()
    expect(() => engine.current()).toThrow(/outside a request/)
    expect(() => engine.isImpersonating()).toThrow(/outside a request/)
    expect(() => engine.guard('password')).toThrow(/outside a request/)
    expect(() => engine.auditFields()).toThrow(/outside a request/)
    expect(() => engine.currentOrgId()).toThrow(/outside a request/)
    expect(engine.tryCurrent()).toBeUndefined()
  })

  it('run(null) says plainly that nobody is', async () => {
    const { engine } = await impersonating()
    expect(engine.run(null, () => engine.current())).toBeNull()
    expect(engine.run(null, () => engine.auditFields())).toEqual({})
    expect(() => engine.run(null, () => engine.guard('payment'))).not.toThrow()
  })

  it('run(context) carries on where it was lost', async () => {
    const { engine, inside } = await impersonating()
    const emitter = new EventEmitter()
    const seen: unknown[] = []
    await inside('root', () => {
      const now = engine.current()
      emitter.on('plain', () => seen.push(engine.tryCurrent()))
      emitter.on('bound', () => seen.push(engine.run(now, () => engine.current()?.target.id)))
    })
    emitter.emit('plain')
    emitter.emit('bound')
    expect(seen).toEqual([undefined, 'alice'])
  })

  it('run gives what the code gives, and what it throws', async () => {
    const { engine } = await impersonating()
    expect(engine.run(null, () => 7)).toBe(7)
    expect(await engine.run(null, async () => 7)).toBe(7)
    expect(() =>
      engine.run(null, () => {
        throw new RangeError('x')
      }),
    ).toThrow(RangeError)
    expect(engine.tryCurrent()).toBeUndefined()
  })
})

describe('requests within requests', () => {
  it('each has its own, also one made within another', async () => {
    const { engine, inside } = await impersonating()
    await inside('root', async () => {
      expect(engine.current()?.target.id).toBe('alice')
      await inside('mallory', () => expect(engine.current()).toBeNull())
      expect(engine.current()?.target.id).toBe('alice')
    })
  })

  it('two engines know nothing of each other’s', async () => {
    const { world, engine, inside } = await impersonating()
    const other = world.another()
    await inside('root', () => {
      expect(engine.current()).not.toBeNull()
      expect(other.tryCurrent()).toBeUndefined()
      expect(() => other.current()).toThrow(/outside a request/)
    })
  })
})

describe("context: 'impersonating'", () => {
  it('answers null wherever nobody is impersonated, also outside requests', async () => {
    const { engine, inside } = await impersonating({ context: 'impersonating' })
    expect(engine.current()).toBeNull()
    expect(engine.tryCurrent()).toBeNull()
    expect(engine.isImpersonating()).toBe(false)
    expect(engine.auditFields()).toEqual({})
    expect(() => engine.guard('password')).not.toThrow()
    await inside('mallory', () => expect(engine.current()).toBeNull())
  })

  it('knows of an impersonation as ever', async () => {
    const { engine, inside } = await impersonating({ context: 'impersonating' })
    await inside('root', () => {
      expect(engine.current()?.target.id).toBe('alice')
      expect(() => engine.guard('password')).toThrow(/never be done while impersonating/)
      expect(engine.run(null, () => engine.current())).toBeNull()
    })
  })
})

describe('isTarget', () => {
  it('takes the target, also enriched by a later layer, and nobody else', async () => {
    const { world, engine } = await impersonating()
    const adapter = adapterOf(engine)
    const { context } = await world.send('root')
    if (!context) throw new Error('there has to be a context')
    const alice = world.users.get('alice') as User
    expect(adapter.isTarget(context, context.target)).toBe(true)
    expect(adapter.isTarget(context, { ...alice, theme: 'dark' })).toBe(true)
    for (const other of [
      world.users.get('root'),
      world.users.get('bob'),
      { ...alice, orgId: 'globex' },
      { ...alice, orgId: null },
      { ...alice, id: 'Alice' },
      { id: 7 },
      {},
      null,
      undefined,
      'alice',
    ]) {
      expect(adapter.isTarget(context, other), JSON.stringify(other)).toBe(false)
    }
  })
})
