import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'

/** A server that accepts connections, and how to end it. */
export interface Running {
  readonly url: string
  close(): Promise<void>
}

/** @throws {Error} when the port is taken */
export async function running(server: Server, release: () => Promise<void>): Promise<Running> {
  if (!server.listening) await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      server.close()
      server.closeAllConnections()
      await release()
    },
  }
}

/** Starts a server when its file is what Node was asked to run, and not when it is imported. */
export async function runIfMain(
  moduleUrl: string,
  listen: (port: number) => Promise<Running>,
): Promise<void> {
  if (process.argv[1] !== fileURLToPath(moduleUrl)) return
  const { url, close } = await listen(Number(process.env.PORT ?? 3000))
  console.log(`Listening on ${url}`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void close())
}
