import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type EventWebhookBody, verifyWebhook } from 'onbehalf/notify'
import { eventToWire } from '../../src/audit/formats.ts'
import type { Delivery, EventSink, Store } from '../../src/index.ts'
import { allEvents } from '../../src/testing/store/fixtures.ts'
import { outboxOf } from './support.ts'

export const secret = 'a secret of more than 24 bytes'

export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** Somebody who takes audit events over HTTP, on this machine. */
export interface Receiver {
  readonly url: string
  readonly received: Received[]
  /** What it answers with from now on. */
  status: number
  /** The events that came with a good signature; rejects where one has none. */
  events(): Promise<EventWebhookBody[]>
  close(): Promise<void>
}

/** @param port the one that another had, or any */
export async function listen(port = 0): Promise<Receiver> {
  const received: Received[] = []
  const verify = verifyWebhook<EventWebhookBody>({ secrets: secret })
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    received.push({ headers: request.headers, text: Buffer.concat(chunks).toString() })
    response.writeHead(receiver.status, { location: '/elsewhere' }).end('not to be read')
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`,
    received,
    status: 204,
    events: () => Promise.all(received.map(({ headers, text }) => verify(headers, text))),
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return receiver
}

type WireEvent = Parameters<EventSink['send']>[0]

/** A sink that keeps what it gets, and fails as it is told to. */
export function sinkOf() {
  const events: WireEvent[] = []
  const faults: unknown[] = []
  return {
    events,
    /** Thrown by the next sendings, one after the other. */
    faults,
    async send(event: WireEvent) {
      if (faults.length > 0) throw faults.shift()
      events.push(event)
    },
  }
}

/** What is on record, as it travels; in no order. */
export async function wireOf(store: Store) {
  return (await allEvents(store)).map(eventToWire).sort(byId)
}

export const byId = (a: { id?: unknown }, b: { id?: unknown }) =>
  String(a.id) < String(b.id) ? -1 : 1

export async function eventRows(store: Store): Promise<Delivery[]> {
  return outboxOf(store).listDeliveries({ topic: 'event' }, { limit: 1000 })
}
