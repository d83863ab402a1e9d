import assert from 'node:assert/strict'
import { Hono } from 'hono'
import { impersonate } from '../../adapters/hono.ts'
import { graphqlClassifier } from '../../src/graphql/index.ts'
import { createImpersonation, memoryStore } from '../../src/index.ts'

/** Bodies looked at and read again on another runtime: Bun and Deno both run this file as it stands. */
interface Runtime {
  Bun?: { serve(options: object): { port: number; stop(force: boolean): Promise<void> } }
  Deno?: { serve(options: object, handler: unknown): { addr: { port: number } } }
}
const { Bun, Deno } = globalThis as Runtime

const root = { id: 'root' }
const engine = createImpersonation({
  store: memoryStore(),
  findUser: (id) => ({ id }),
  can: ({ id }) => id === 'root',
  classify: graphqlClassifier(),
})
const app = new Hono<{ Variables: { user: { id: string } } }>()
app.use(async (c, next) => {
  c.set('user', root)
  // What a layer before has read is found again.
  if (c.req.header('read-before')) await c.req.text()
  await next()
})
app.use(impersonate(engine))
app.post('/graphql', async (c) =>
  c.text(c.req.header('read-raw') ? await c.req.raw.text() : JSON.stringify(await c.req.json())),
)

const options = { port: 0, hostname: '127.0.0.1', fetch: app.fetch, onListen: () => {} }
const port = Bun ? Bun.serve(options).port : Deno?.serve(options, app.fetch).addr.port

const post = async (body: BodyInit, headers: Record<string, string> = {}) => {
  const init = { method: 'POST', body, headers, duplex: 'half' } as RequestInit
  const response = await fetch(`http://127.0.0.1:${port}/graphql`, init)
  return [response.status, await response.text()]
}
const streamed = (text: string) => new Blob([text]).stream()
const json = { 'content-type': 'application/json' }
const asked = (query: string, padding = 0) =>
  JSON.stringify({ query, padding: 'x'.repeat(padding) })

await engine.sessions.start(engine.caller(root), { targetUserId: 'alice', reason: 'a test' })
for (const padding of [0, 100_000, 900_000])
  for (const how of [{}, { 'read-before': '1' }, { 'read-raw': '1' }]) {
    for (const wrap of [(text: string) => text, streamed]) {
      const read = asked('{ a }', padding)
      assert.deepEqual(await post(wrap(read), { ...json, ...how }), [200, read])
      const [status, text] = await post(wrap(asked('mutation { a }', padding)), { ...json, ...how })
      assert.deepEqual([status, String(text).includes('grant_view_only')], [403, true])
    }
  }
const [status] = await post(asked('{ a }', 1_100_000), json)
assert.equal(status, 403)
assert.equal((await post('', json))[0], 403)
console.log('all done')
process.exit(0)
