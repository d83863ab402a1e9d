import { execFile } from 'node:child_process'
import http from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { afterEach, expect, it } from 'vitest'
import { impersonate } from '../../adapters/hono.ts'
import { listen } from '../adapters/listen.ts'
import { root } from '../repo/files.ts'
import { world } from './world.ts'

const run = promisify(execFile)
const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

it.each([
  ['Node', 'node/bin/node', []],
  ['Bun', '.bin/bun', ['run']],
  ['Deno', '.bin/deno', ['run', '-A', '--no-check']],
])('tells the same story on %s', { timeout: 60_000 }, async (_name, program, args) => {
  let heard = 0
  const away = await listen(
    http.createServer((_, response) => {
      heard++
      response.end('{}')
    }),
  )
  const { engine } = await world('Hono', { now: Date.now })
  // The same engine in an app that also sends its callers away.
  const app = new Hono<{ Variables: { user: { id: string; may: string[] } | undefined } }>()
  const users = ['root', 'alice', 'bob'].map((id) => ({ id, may: id === 'root' ? ['start'] : [] }))
  app.use((c, next) => {
    c.set(
      'user',
      users.find(({ id }) => c.req.header('authorization') === `Bearer ${id}`),
    )
    return next()
  })
  app.use(impersonate(engine))
  app.all('/whoami', (c) => c.json(c.get('user')?.id ?? null))
  app.all('/app/notes', (c) => c.json('written'))
  app.all('/app/away', (c) => c.redirect(away.url, 307))
  const served = await listen(http.createServer(getRequestListener(app.fetch)))
  open.push(away.close, served.close)

  const script = join(root, 'test/client/runtime-script.ts')
  const { stdout } = await run(
    join(root, 'node_modules', program),
    [...args, script, '--app', served.url, '--away', away.url],
    { cwd: root, timeout: 50_000 },
  )
  expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toEqual([
    'alice',
    'grant_view_only',
    401,
    ['impersonation_ended'],
    null,
    'bob',
    'TypeError',
    'TypeError',
    'impersonation_ended',
    false,
  ])
  expect(heard).toBe(0)
})
