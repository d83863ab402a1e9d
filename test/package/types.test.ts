import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { install, root, tool, write } from './npm.ts'
import { packed } from './packed.ts'

const nodenext = { module: 'nodenext' }
const bundler = { module: 'esnext', moduleResolution: 'bundler', exactOptionalPropertyTypes: true }

/** A quick compiler takes both resolutions, the slow one the second for one host only. */
const checks = [
  { name: 'TypeScript 6, nodenext', tsc: 'typescript/bin/tsc', options: nodenext, slow: false },
  { name: 'TypeScript 6, bundler', tsc: 'typescript/bin/tsc', options: bundler, slow: true },
  { name: 'TypeScript 7, nodenext', tsc: 'typescript7/bin/tsc', options: nodenext, slow: false },
  { name: 'TypeScript 7, bundler', tsc: 'typescript7/bin/tsc', options: bundler, slow: false },
]

const policy = `
import { createImpersonation, ImpersonationError, memoryStore } from 'onbehalf'

export interface User {
  readonly id: string
  readonly email: string
  readonly isSuperuser: boolean
}
declare const users: Map<string, User>

export const impersonation = createImpersonation({
  store: memoryStore(),
  findUser: (id) => users.get(id) ?? null,
  can: (user, action) => action !== 'issue_token' && user.isSuperuser,
})

// Inferred from findUser, and not any.
export const email: string | undefined = impersonation.current()?.target.email
// @ts-expect-error a user has no such member
impersonation.current()?.target.shoeSize
// @ts-expect-error there is no such guardrail
impersonation.guard('shoes')
impersonation.guard('payment')
export const refusal: ImpersonationError = new ImpersonationError('not_allowed')

export const scoped = createImpersonation({
  store: memoryStore(),
  findUser: (id) => users.get(id) ?? null,
  can: () => false,
  apiTokens: { prefix: 'pv_live_', scopes: ['read', 'upload'] },
})
scoped.requireScope('read', 'upload')
// @ts-expect-error there is no such scope
scoped.requireScope('uplaod')
export const scopes: readonly ('read' | 'upload')[] | undefined = scoped.apiToken()?.scopes
// Where none are named, any text is one.
impersonation.requireScope('anything')
`

const express = `
import express from 'express'
import { impersonate, requireScope } from 'onbehalf/express'
import { impersonation, scoped } from './policy.js'

const app = express()
app.use(impersonate(impersonation))
app.use('/api', impersonate(scoped))
app.get('/', requireScope('read'), (req, res) => {
  res.json({ actor: impersonation.current()?.actor.id, path: req.path, by: req.apiToken?.issuedBy })
})
`

/** What a host has installed beside onbehalf, and what it writes. */
const hosts: Record<string, { packages: string[]; files: Record<string, string> }> = {
  'no framework at all': {
    packages: [],
    files: {
      'other.ts': `
import { kyselyStore, migrate, migrations } from 'onbehalf/kysely'
import { sqliteStore } from 'onbehalf/sqlite'
import { type ActingClient, createClient } from 'onbehalf/client'
import { jwtActor } from 'onbehalf/jwt'
import { guardPool, guardSql } from 'onbehalf/sql'
import { adapterTests, storeTests } from 'onbehalf/testing'
export const acting: Promise<ActingClient> = createClient({ baseUrl: 'https://app.example.com', fetch }).impersonate('alice')
export { guardPool, guardSql }
export { adapterTests, jwtActor, kyselyStore, migrate, migrations, sqliteStore, storeTests }
`,
    },
  },
  GraphQL: {
    packages: ['graphql@16'],
    files: {
      'other.ts': `
import { createImpersonation, memoryStore } from 'onbehalf'
import { graphqlClassifier } from 'onbehalf/graphql'
export const other = createImpersonation({
  store: memoryStore(),
  findUser: (id) => ({ id }),
  can: () => false,
  classify: graphqlClassifier({ guardrails: { payment: ['pay'] } }),
})
`,
    },
  },
  'Express 5': { packages: ['express@5', '@types/express@5'], files: { 'app.ts': express } },
  'Express 4': { packages: ['express@4', '@types/express@4'], files: { 'app.ts': express } },
  Fastify: {
    packages: ['fastify@5'],
    files: {
      'app.ts': `
import Fastify from 'fastify'
import { impersonate, requireScope } from 'onbehalf/fastify'
import { impersonation, scoped } from './policy.js'

const app = Fastify()
await app.register(impersonate, { impersonation })
await app.register(impersonate, { impersonation: scoped })
app.get('/', async (request) => ({ actor: impersonation.current()?.actor.id, url: request.url }))
app.get('/files', { preHandler: requireScope('read') }, async (request) => request.apiToken?.id)
`,
    },
  },
  Hono: {
    packages: ['hono@4'],
    files: {
      'app.ts': `
import { Hono } from 'hono'
import { impersonate, requireScope } from 'onbehalf/hono'
import { impersonation, scoped, type User } from './policy.js'

const app = new Hono<{ Variables: { user: User } }>()
app.use(impersonate(impersonation))
app.use('/api/*', impersonate(scoped))
app.get('/', (c) => c.json({ actor: impersonation.current()?.actor.id, email: c.var.user.email }))
app.get('/files', requireScope('read'), (c) => c.json(c.get('apiToken')?.id))
`,
    },
  },
}

const nodeTypes = JSON.parse(
  readFileSync(join(root, 'node_modules/@types/node/package.json'), 'utf8'),
).version

describe.each(Object.entries(hosts))('a host with %s', (host, { packages, files }) => {
  let folder = ''

  beforeAll(async () => {
    folder = await install([packed().tarball, `@types/node@${nodeTypes}`, ...packages])
    await write(folder, { 'policy.ts': policy, ...files })
  })
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  it.each(checks.filter(({ slow }) => !slow || host === 'Express 5'))(
    'checks under $name, libraries included',
    async ({ tsc, options }) => {
      await write(folder, {
        'tsconfig.json': JSON.stringify({
          compilerOptions: {
            target: 'es2023',
            lib: ['es2023'],
            types: ['node'],
            strict: true,
            skipLibCheck: false,
            noEmit: true,
            ...options,
          },
          include: ['*.ts'],
        }),
      })
      expect(await tool(tsc, [], folder)).toBe('')
    },
  )
})
