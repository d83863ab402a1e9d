import type { AccessLevel, AuditEvent } from '../../src/index.ts'
import { adapterOf, codeOf, requestOf, type User, worldOf } from '../support/core-world.ts'

/** An engine, and code run under each level as a request would run it. */
export async function levels(targetId = 'alice') {
  const world = worldOf()
  world.users.set(targetId, { id: targetId })
  const root = world.users.get('root') as User
  const { engine } = world

  async function contextOf(level: AccessLevel) {
    await world.start('root', targetId, { accessLevel: level })
    const { context } = await adapterOf(engine).enter(requestOf(), root)
    if (!context) throw new Error('the session is live')
    return context
  }
  const contexts = {
    view: await contextOf('view'),
    interactive: await contextOf('interactive'),
    full: await contextOf('full'),
  }
  const at =
    (context: (typeof contexts)['view'] | null) =>
    <T>(code: () => T): T =>
      engine.run(context, code)

  return {
    engine,
    view: at(contexts.view),
    interactive: at(contexts.interactive),
    full: at(contexts.full),
    free: at(null),
    blocked: async (): Promise<AuditEvent['details'][]> => {
      const events = await world.store.listEvents(
        { action: 'impersonation.write_blocked' },
        { limit: 99 },
      )
      return events.map(({ details }) => details)
    },
  }
}

/** `done`, the code of the refusal, or the message of any other error. */
export async function outcomeOf(code: () => unknown): Promise<string> {
  return codeOf((async () => code())())
}
