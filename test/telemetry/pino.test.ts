import http from 'node:http'
import express from 'express'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { impersonate } from '../../adapters/express.ts'
import { createImpersonation, memoryStore } from '../../src/index.ts'
import { listen } from '../adapters/listen.ts'

const users = [
  { id: 'root', admin: true },
  { id: 'alice', admin: false },
]
const impersonation = createImpersonation({
  store: memoryStore(),
  findUser: (id) => users.find((user) => user.id === id),
  can: (user) => user.admin,
})
const lines: string[] = []
const log = pino(
  { mixin: () => impersonation.logFields() },
  { write: (line: string) => void lines.push(line) },
)
const app = express()
app.use((request, _response, next) => {
  const id = request.headers.authorization?.replace('Bearer ', '')
  ;(request as { user?: object | undefined }).user = users.find((user) => user.id === id)
  next()
})
app.use(impersonate(impersonation))
app.get('/', (_request, response) => {
  log.info('looked')
  setTimeout(() => {
    log.info('later')
    response.end()
  }, 1)
})

let server: Awaited<ReturnType<typeof listen>>
beforeAll(async () => {
  server = await listen(http.createServer(app))
})
afterAll(async () => {
  await server.close()
  await impersonation.close()
})

async function logged(as: string): Promise<object[]> {
  lines.length = 0
  await fetch(server.url, { headers: { Authorization: `Bearer ${as}` } })
  return lines.map((line) => JSON.parse(line))
}

it('every line of a request under impersonation says who acts, and no other line does', async () => {
  const reason = 'one\nline {"level":60}'
  const root = impersonation.caller(users[0] as (typeof users)[0])
  const { session } = await impersonation.sessions.start(root, { targetUserId: 'alice', reason })
  const told = {
    actor_id: 'root',
    target_user_id: 'alice',
    session_id: session.id,
    access_level: 'view',
    break_glass: false,
  }
  expect(await logged('root')).toMatchObject([
    { msg: 'looked', impersonation: told },
    { msg: 'later', impersonation: told },
  ])
  for (const line of await logged('alice')) expect(line).not.toHaveProperty('impersonation')
  log.info('outside')
  expect(lines.at(-1)).not.toContain('impersonation')
})
