import { once } from 'node:events'
import type { Address } from './connect.ts'
import { startWorker } from './crew.ts'

export interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: Headers
}

/** Processes that serve the same app on one store. */
export interface Servers {
  call(
    server: number,
    actor: string,
    method: string,
    path: string,
    extra?: CallExtra,
  ): Promise<Answer>
  stop(): Promise<void>
}

interface CallExtra {
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

export async function serveOn(
  address: Address,
  count: number,
  onConflict: 'replace' | 'reject' = 'replace',
): Promise<Servers> {
  const workers = Array.from({ length: count }, () => startWorker('http-worker.ts'))
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  const urls = await Promise.all(
    workers.map(async (worker) => {
      const told = once(worker, 'message')
      worker.send({ address, onConflict })
      return (await told)[0].url as string
    }),
  )
  return {
    async call(server, actor, method, path, { body, headers } = {}) {
      const response = await fetch(`${urls[server]}${path}`, {
        method,
        headers: {
          Authorization: `Bearer ${actor}`,
          ...(body !== undefined && { 'Content-Type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      return { status: response.status, text: await response.text(), headers: response.headers }
    },
    async stop() {
      const gone = workers.map((worker) => once(worker, 'exit'))
      for (const worker of workers) worker.disconnect()
      await Promise.all(gone)
    },
  }
}
