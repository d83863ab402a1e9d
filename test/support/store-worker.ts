/** A process that does to a store what its parent says. Runs as it is: Node strips the types. */
import { randomUUID } from 'node:crypto'
import type { Store } from '../../src/stores/store.ts'
import { endedEvent, eventOf, extendedEvent } from '../../src/testing/store/fixtures.ts'
import type { AuditEvent, Session } from '../../src/types.ts'
import { connect } from './connect.ts'
import type { Order } from './crew.ts'
import { migrateAt } from './migrate.ts'

let store: Store

const unique = (event: AuditEvent): AuditEvent => ({ ...event, id: randomUUID() })
const ended = (session: Session) => unique(endedEvent(session))

async function carryOut(order: Order): Promise<unknown> {
  switch (order.do) {
    case 'connect':
      store = connect(order.address, 2).store
      return store.readSession('none')
    case 'migrate':
      return migrateAt(order.address)
    case 'claim': {
      const { session, now, onConflict } = order
      const started = unique(eventOf('impersonation.started', session))
      return store.claimSession({
        session,
        now,
        onConflict,
        exclusiveTarget: true,
        events: { started, ended },
      })
    }
    case 'end':
      return store.endSession(order.id, order.ending, ended)
    case 'extend':
      return store.extendSession(order.id, order.change, (session) =>
        unique(extendedEvent(session)),
      )
  }
}

process.on('message', async (order: Order) => {
  try {
    process.send?.({ answer: await carryOut(order) })
  } catch (error) {
    process.send?.({ error: error instanceof Error ? error.stack : String(error) })
  }
})
process.on('disconnect', () => process.exit())
process.send?.('ready')
