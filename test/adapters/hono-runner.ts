import { adapterTests } from '../../src/testing/index.ts'
import { honoRawWays, mountHono } from './mount-hono.ts'

/**
 * The suite on another runtime: it is served and asked by this very process, and tells how each test
 * went, a line of JSON each. Bun and Deno both run this file as it stands.
 */
interface Runtime {
  Bun?: { serve(options: object): { port: number; stop(force: boolean): Promise<void> } }
  Deno?: {
    serve(options: object, handler: unknown): { addr: { port: number }; shutdown(): Promise<void> }
  }
}
const { Bun, Deno } = globalThis as Runtime

const mount = mountHono(({ fetch }) => {
  if (Bun) {
    const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch })
    return { url: `http://127.0.0.1:${server.port}`, close: () => server.stop(true) }
  }
  const stop = new AbortController()
  const options = { port: 0, hostname: '127.0.0.1', signal: stop.signal, onListen: () => {} }
  const server = Deno?.serve(options, fetch)
  return { url: `http://127.0.0.1:${server?.addr.port}`, close: () => stop.abort() }
})

const tests: [name: string, run: () => Promise<void>][] = []
const names: string[] = []
adapterTests(
  {
    describe(name, define) {
      names.push(name)
      define()
      names.pop()
    },
    it: (name, run) => tests.push([[...names, name].join(' > '), run]),
  },
  mount,
  { rawWays: honoRawWays, requests: 500 },
)

const only = process.env.ONLY
for (const [name, run] of tests) {
  if (only && !name.includes(only)) continue
  const fault = await run().then(
    () => null,
    (error) => String(error?.stack ?? error),
  )
  console.log(JSON.stringify({ name, fault }))
}
console.log('all done')
process.exit(0)
