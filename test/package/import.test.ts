import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root, run, write } from './npm.ts'
import { packed } from './packed.ts'

const names = {
  onbehalf: ['createImpersonation', 'memoryStore', 'ImpersonationError'],
  'onbehalf/express': ['impersonate', 'guarded'],
  'onbehalf/fastify': ['impersonate'],
  'onbehalf/hono': ['impersonate', 'guarded'],
  'onbehalf/kysely': ['kyselyStore', 'migrate', 'migrations'],
  'onbehalf/sqlite': ['sqliteStore'],
  'onbehalf/jwt': ['jwtActor'],
  'onbehalf/graphql': ['graphqlClassifier'],
  'onbehalf/totp': ['totp'],
  'onbehalf/sql': [
    'guardPool',
    'guardSql',
    'guardDialect',
    'impersonationPlugin',
    'allowOutsideRequests',
  ],
  'onbehalf/notify': ['mail', 'webhook', 'byChannel', 'verifyWebhook'],
  'onbehalf/opentelemetry': ['instrument'],
  'onbehalf/client': ['createClient', 'ClientError', 'isClientError', 'problemOf'],
  'onbehalf/testing': ['storeTests', 'adapterTests'],
}

const nodes = {
  'Node 22': join(root, 'node_modules/node22/bin/node'),
  'Node 24': join(root, 'node_modules/node/bin/node'),
  'Node 26': join(root, 'node_modules/node26/bin/node'),
}

const imported = `
const missing = []
for (const [entry, names] of Object.entries(${JSON.stringify(names)})) {
  const exported = await import(entry)
  missing.push(...names.filter((name) => exported[name] === undefined).map((name) => entry + ' ' + name))
}
console.log(JSON.stringify(missing))`

const required = `
const missing = []
for (const [entry, names] of Object.entries(${JSON.stringify(names)})) {
  const exported = require(entry)
  missing.push(...names.filter((name) => exported[name] === undefined).map((name) => entry + ' ' + name))
}
console.log(JSON.stringify(missing))`

const mixed = `
const required = require('onbehalf')
import('onbehalf').then((imported) => {
  console.log(JSON.stringify(
    Object.keys(imported).filter((name) => imported[name] !== required[name])
  ))
})`

describe.each(Object.entries(nodes))('on %s', (_name, node) => {
  it.each([
    ['imports every entry', 'imported.mjs', imported],
    ['requires every entry', 'required.cjs', required],
    ['gives require and import the same copy', 'mixed.cjs', mixed],
  ])('%s', async (_what, file, code) => {
    const { project } = packed()
    await write(project, { [file]: code })
    const output = await run(node, [join(project, file)], { cwd: project })
    expect(JSON.parse(output)).toEqual([])
  })
})
