/** A process that does to a store what its parent says. Runs as it is: Node strips the types. */
import { randomUUID } from 'node:crypto'
import type { DeliveryLease } from '../../src/stores/outbox.ts'
import type { GrantResult, SessionEnding, Store } from '../../src/stores/store.ts'
import { endedEvent, eventOf, extendedEvent } from '../../src/testing/store/fixtures.ts'
import { changeOf, grantEvent } from '../../src/testing/store/grant-fixtures.ts'
import { requestEvent } from '../../src/testing/store/request-fixtures.ts'
import { tokenEvent } from '../../src/testing/store/token-fixtures.ts'
import type { AuditEvent, Delivery, Session } from '../../src/types.ts'
import { connect } from './connect.ts'
import type { Order } from './crew.ts'
import { migrateAt } from './migrate.ts'

let store: Store

const unique = (event: AuditEvent): AuditEvent => ({ ...event, id: randomUUID() })
const ended = (session: Session) => endedEvent(session).map(unique)

async function carryOut(order: Order): Promise<unknown> {
  switch (order.do) {
    case 'connect':
      store = connect(order.address, 2).store
      return store.readSession('none')
    case 'migrate':
      return migrateAt(order.address)
    case 'claim': {
      const { session, now, onConflict, grant, request } = order
      const started = unique(eventOf('impersonation.started', session))
      return store.claimSession({
        session,
        now,
        onConflict,
        exclusiveTarget: true,
        grant,
        request: request && { ...request, events: [unique(requestEvent(request.after))] },
        events: { started, ended },
      })
    }
    case 'end':
      return store.endSession(order.id, order.ending, ended)
    case 'extend':
      return store.extendSession(order.id, order.change, (session) =>
        extendedEvent(session).map(unique),
      )
    case 'changeGrant': {
      const { change, ending } = order
      const event = unique(grantEvent(change.after))
      return store.grants?.changeGrant(change, [event], ending && { how: ending, event: ended })
    }
    case 'revoke':
      return revoke(order.grantId, order.ending)
    case 'ask': {
      const { request, code } = order
      return store.requests?.createRequest(request, [unique(requestEvent(request))], code)
    }
    case 'changeRequest': {
      const { change, code } = order
      return store.requests?.changeRequest(change, [unique(requestEvent(change.after))], code)
    }
    case 'issue': {
      const { token, hash, replaces } = order
      return store.tokens
        ?.createToken(token, hash, [unique(tokenEvent(token))], replaces)
        .catch((error: Error) => `refused: ${error.message}`)
    }
    case 'changeToken': {
      const { change } = order
      return store.tokens?.changeToken(change, [unique(tokenEvent(change.after))])
    }
    case 'touch':
      return store.tokens?.touchTokens(order.uses, order.everyMs)
    case 'lease':
      return leaseAll(order.lease)
    case 'settle': {
      const made: boolean[] = []
      for (const change of order.changes) {
        made.push((await store.outbox?.changeDelivery(change, [order.more])) ?? false)
      }
      return made
    }
  }
}

async function leaseAll(lease: DeliveryLease): Promise<Delivery[]> {
  const handed: Delivery[] = []
  for (;;) {
    const more = (await store.outbox?.leaseDeliveries(lease)) ?? []
    handed.push(...more)
    if (more.length === 0) return handed
  }
}

/** As the core does it: from whatever the grant is now, until there is nothing left to revoke. */
async function revoke(grantId: string, how: SessionEnding): Promise<GrantResult> {
  for (;;) {
    const grant = await store.grants?.readGrant(grantId)
    if (grant?.status !== 'granted') return { changed: false }
    const change = changeOf(grant, { status: 'revoked' })
    const event = unique(grantEvent(change.after))
    const result = await store.grants?.changeGrant(change, [event], { how, event: ended })
    if (result?.changed) return result
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
