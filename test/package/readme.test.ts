import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { servers } from '../support/connect.ts'
import { dropDatabase, makeDatabase } from '../support/databases.ts'
import { install, root, run, tool, write } from './npm.ts'
import { packed } from './packed.ts'

const readme = readFileSync(join(root, 'README.md'), 'utf8')

/** The blocks of README.md that say which file they are. */
const snippets = Object.fromEntries(
  [...readme.matchAll(/[<]!-- file: (\S+) -->\n```\w+\n([\s\S]*?)```/g)].map(([, name, code]) => [
    name,
    code,
  ]),
) as Record<string, string>

/** What the snippets take for given: an app's own users and login. */
const host = {
  'users.ts': `
export interface User { id: string; name: string; isSuperuser: boolean }
export const users: User[] = [
  { id: 'root', name: 'Root', isSuperuser: true },
  { id: 'alice', name: 'Alice', isSuperuser: false },
]
export const byToken = (header: string | undefined) =>
  users.find((user) => header === \`Bearer \${user.id}\`)
`,
  'login-express.ts': `
import type { RequestHandler } from 'express'
import { byToken } from './users.ts'
export const authenticate: RequestHandler = (req, _res, next) => {
  Object.assign(req, { user: byToken(req.headers.authorization) })
  next()
}
`,
  'login-fastify.ts': `
import type { FastifyPluginCallback } from 'fastify'
import { byToken } from './users.ts'
export const login: FastifyPluginCallback = (fastify, _, done) => {
  fastify.addHook('onRequest', async (request) => {
    Object.assign(request, { user: byToken(request.headers.authorization) })
  })
  done()
}
Object.assign(login, { [Symbol.for('skip-override')]: true })
`,
  'login-hono.ts': `
import type { MiddlewareHandler } from 'hono'
import { byToken } from './users.ts'
export const authenticate: MiddlewareHandler = async (c, next) => {
  c.set('user', byToken(c.req.header('authorization')))
  await next()
}
`,
  'drive.ts': `
import { createServer } from 'node:http'
import { app as express } from './express.ts'
import { app as fastify } from './fastify.ts'
import { app as hono } from './hono.ts'
import { invoice, nightlyJob, whoIsThere } from './handlers.ts'
import { impersonation } from './impersonation.ts'
import './slots.ts'
import './jwt.ts'
import './guardrails.ts'
import './classify.ts'
import './graphql.ts'
import './consent.ts'
import './break-glass.ts'
import './sandbox.ts'
import './notify.ts'
import './audit.ts'
import './charged.ts'
import './beyond.ts'
import './sql.ts'
import './rls.ts'
import { app as marksExpress } from './marks-express.ts'
import { app as marksFastify } from './marks-fastify.ts'
import { app as tokens, impersonation as byToken } from './tokens.ts'
import { impersonation as apiTokens } from './api-tokens.ts'
import { app as scopes } from './scopes-fastify.ts'
import { users } from './users.ts'

express.get('/who', (_, res) => void res.send(whoIsThere()))
express.post('/invoice', (_, res) => void res.json(invoice(1)))
fastify.get('/who', async () => whoIsThere())
hono.get('/who', (c) => c.text(whoIsThere()))
nightlyJob(() => whoIsThere())

const server = createServer(express).listen(0)
const { port } = server.address() as { port: number }
const call = { headers: { Authorization: 'Bearer root', 'Content-Type': 'application/json' } }
const body = JSON.stringify({ target_user_id: 'alice', reason: 'the README' })
const url = 'http://127.0.0.1:' + port
const seen: unknown[] = []
const marks: unknown[] = []
async function inExpress(app: typeof express, path: string) {
  const own = createServer(app).listen(0)
  const reply = await fetch('http://127.0.0.1:' + (own.address() as { port: number }).port + path, { ...call, method: 'POST' })
  own.close()
  return reply.status
}
for (const ask of [
  (path: string, init: RequestInit = {}) => fetch(url + path, { ...call, ...init }),
  async (path: string, init: RequestInit = {}) => {
    const payload = init.body as string | undefined
    const reply = await fastify.inject({ url: path, headers: call.headers, method: (init.method ?? 'GET') as 'GET', ...(payload && { payload }) })
    return new Response(reply.body, { status: reply.statusCode })
  },
  async (path: string, init: RequestInit = {}) => hono.request(path, { ...call, ...init }),
]) {
  const start = await ask('/impersonation/start', { method: 'POST', body })
  const who = await (await ask('/who')).text()
  if (seen.length === 0) {
    const paid = await inExpress(marksExpress, '/invoices/7/pay')
    const { statusCode } = await marksFastify.inject({ url: '/invoices/7/pay', method: 'POST', headers: call.headers })
    marks.push(paid, statusCode)
  }
  const stop = await ask('/impersonation/stop', { method: 'POST' })
  seen.push([start.status, who, stop.status, await (await ask('/who')).text()])
}
tokens.get('/invoices', (req, res) => void res.json([(req as unknown as { user: { name: string } }).user.name]))
const script = createServer(tokens).listen(0)
process.env.APP_URL = 'http://127.0.0.1:' + (script.address() as { port: number }).port
process.env.SUPPORT_TOKEN = 'root'
const { invoicesOf } = await import('./support-script.ts')
const invoices = await invoicesOf('alice')
script.close()
await byToken.close()
const uploads: unknown[] = []
for (const scope of ['upload', 'read']) {
  const ask = { userId: 'alice', name: 'a program', scopes: [scope] }
  const { secret } = await apiTokens.tokens.issue(apiTokens.caller(users[0]!), ask)
  const reply = await scopes.inject({ url: '/files', method: 'POST', headers: { authorization: 'Bearer ' + secret } })
  uploads.push(reply.statusCode, reply.json().by ?? reply.json().code)
}
await scopes.close()
await apiTokens.close()
console.log(JSON.stringify([...seen, marks, invoices, uploads]))
server.close()
await fastify.close()
await impersonation.close()
`,
}

let project: string

beforeAll(async () => {
  project = await install([
    packed().tarball,
    'express@5',
    '@types/express@5',
    'fastify@5',
    'hono@4',
    'graphql@17',
    'otpauth@9',
    'nodemailer@10',
    '@types/nodemailer@8',
    '@opentelemetry/api@1',
    'kysely@0.29',
    'pg@8',
    '@types/pg@8',
    '@types/node@24',
  ])
  await write(project, { ...host, ...snippets })
})

afterAll(() => rm(project, { recursive: true, force: true }))

it('every code block of the README says which file it is, or is a command', () => {
  const blocks = readme.match(/^```(?:ts|js)$/gm) ?? []
  expect(Object.keys(snippets)).toHaveLength(blocks.length)
})

it('the snippets compile in a strict project', async () => {
  await write(project, {
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        target: 'es2023',
        module: 'nodenext',
        strict: true,
        exactOptionalPropertyTypes: true,
        verbatimModuleSyntax: true,
        allowImportingTsExtensions: true,
        skipLibCheck: true,
        noEmit: true,
        types: ['node'],
      },
      include: ['*.ts'],
    }),
  })
  expect(await tool('typescript/bin/tsc', ['-p', '.'], project)).toBe('')
})

it('the snippets run: one story on each framework, one by a token, one by API tokens', async () => {
  const output = await run(process.execPath, ['--no-warnings', 'drive.ts'], { cwd: project })
  const story = [201, 'Root as Alice, view', 200, 'themselves']
  const uploads = [200, 'a program', 403, 'insufficient_scope']
  expect(JSON.parse(output)).toEqual([story, story, story, [403, 403], ['Alice'], uploads])
})

it('the suite for stores of one’s own runs', async () => {
  const output = await run(process.execPath, ['--no-warnings', '--test', 'my-store.test.ts'], {
    cwd: project,
  })
  expect(output).toMatch(/^# fail 0$|ℹ fail 0/m)
})

it('the Postgres snippet makes its tables and is ready', async () => {
  const address = await makeDatabase('postgres')
  const {
    host: server,
    port,
    user,
  } = servers.postgres as { host: string; port: number; user: string }
  try {
    await write(project, {
      'try-postgres.ts': `import { impersonation } from './postgres.ts'\nawait impersonation.close()\nconsole.log('ready')\nprocess.exit()\n`,
    })
    const database = (address as { database: string }).database
    const output = await run(process.execPath, ['--no-warnings', 'try-postgres.ts'], {
      cwd: project,
      env: { DATABASE_URL: `postgres://${user}@${server}:${port}/${database}` },
    })
    expect(output).toBe('ready\n')
  } finally {
    await dropDatabase(address)
  }
})

it('the thirty-second start answers its curl lines as printed', async () => {
  await follow('run', 'server.mjs', (port) =>
    (snippets['server.mjs'] ?? '').replaceAll('3000', String(port)),
  )
})

it('the story of API tokens answers its curl lines as printed', async () => {
  const server = (port: number) =>
    `import { app } from './api-tokens.ts'\napp.listen(${port}, () => console.log('listening'))\n`
  const { token, scopes } = await follow('run: api-tokens.ts', 'serve-api-tokens.ts', server)
  expect(scopes).toEqual(['upload'])
  const [pattern = ''] = readme.match(/pv_live_\[0-9A-Za-z\]\{\d+\}/) ?? []
  expect(token).toMatch(new RegExp(`^${pattern}$`))
})

/** Runs the commands of the README under a mark against a server. Gives what the first of them answered. */
async function follow(mark: string, file: string, server: (port: number) => string) {
  const port = await freePort()
  const [, block = ''] = readme.split(`<!-- ${mark} -->\n\`\`\`sh\n`)
  const commands = (block.split('```')[0] ?? '').trim().split(/\n\n/)
  await write(project, { [file]: server(port) })
  const child = spawn(process.execPath, ['--no-warnings', file], { cwd: project })
  let first: Record<string, unknown> = {}
  try {
    await once(child.stdout, 'data')
    expect(commands.length).toBeGreaterThan(4)
    for (const [index, command] of commands.entries()) {
      const expected = [...command.matchAll(/^# (.*)$/gm)].map(([, text]) => text).join('\n')
      const output = await run('bash', ['-c', command.replaceAll('3000', String(port))], {
        env: { TOKEN: String(first.token), ID: String(first.id) },
      })
      const pattern = expected.split('…').map(escaped).join('[^"]+')
      expect(output.trim(), command).toMatch(new RegExp(`^${pattern}$`))
      if (index === 0) first = JSON.parse(output)
    }
  } finally {
    child.kill()
  }
  return first
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')

async function freePort(): Promise<number> {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
