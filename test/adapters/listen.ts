import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { MountedApp } from '../../src/testing/index.ts'

/** Serves on a free port of this machine; its end takes the open connections with it. */
export async function listen(server: Server): Promise<MountedApp> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
