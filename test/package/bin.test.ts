import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { root, write } from './npm.ts'
import { packed } from './packed.ts'

const nodes = {
  'Node 22': join(root, 'node_modules/node22/bin/node'),
  'Node 24': join(root, 'node_modules/node/bin/node'),
  'Node 26': join(root, 'node_modules/node26/bin/node'),
}

/** Runs the command as npm has linked it into the project, where no database driver is installed. */
function onbehalf(node: string, ...argv: string[]) {
  const { project } = packed()
  const bin = join(project, 'node_modules/.bin/onbehalf')
  // The shim on PATH is what the first line of the file looks for.
  const env = { PATH: `${join(node, '..')}:${process.env.PATH}` }
  return new Promise<{ code: number; out: string; err: string }>((resolve) => {
    execFile(bin, argv, { cwd: project, env }, (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    )
  })
}

it.each(Object.entries(nodes))('the command works as installed, on %s', async (name, node) => {
  const database = `sqlite:${name.replace(' ', '-')}.db`
  expect(await onbehalf(node, '--version')).toEqual({ code: 0, out: expect.any(String), err: '' })
  expect(await onbehalf(node, 'migrate', '--database', database)).toMatchObject({
    code: 0,
    err: '',
  })
  expect(await onbehalf(node, 'doctor', '--database', database)).toMatchObject({ code: 0, err: '' })
  expect(await onbehalf(node, 'export', '--database', database, '--format', 'csv')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^"id","at",/),
    err: '',
  })
})

it.each([
  ['postgres', 'pg'],
  ['mysql', 'mysql2'],
])('says which driver of %s to install', async (scheme, driver) => {
  const url = `${scheme}://me:s3cret@127.0.0.1:1/app`
  expect(await onbehalf(nodes['Node 24'], 'sessions', '--database', url)).toEqual({
    code: 1,
    out: '',
    err: `onbehalf sessions: The driver ${driver} is not installed here: run npm install ${driver}\n`,
  })
})

it('loads no kysely to tell what it can do', async () => {
  const { project } = packed()
  await write(project, {
    'no-kysely.mjs': `
import { registerHooks } from 'node:module'
registerHooks({
  resolve(specifier, context, next) {
    if (/^(kysely|zod|jose)\\b/.test(specifier)) throw new Error(specifier + ' is loaded')
    return next(specifier, context)
  },
})
process.argv.push('--help')
await import('./node_modules/onbehalf/dist/cli.js')`,
  })
  const out = await new Promise<string>((resolve) => {
    execFile(process.execPath, ['no-kysely.mjs'], { cwd: project }, (_error, out) => resolve(out))
  })
  expect(out).toContain('Usage: onbehalf <command>')
})
