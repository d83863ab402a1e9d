import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { entry } from '../../tsup.config.ts'
import { read, root } from './files.ts'

const manifest = JSON.parse(read('package.json'))
const { paths } = JSON.parse(read('tsconfig.json')).compilerOptions

it('builds every entry that package.json exports, and exports every one it builds', () => {
  expect(manifest.exports).toEqual({
    ...Object.fromEntries(
      Object.keys(entry).map((name) => [
        name === 'index' ? '.' : `./${name}`,
        { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` },
      ]),
    ),
    './package.json': './package.json',
  })
})

it('lets tests and examples reach the same sources under the same names', () => {
  expect(paths).toEqual(
    Object.fromEntries(
      Object.entries(entry).map(([name, file]) => [
        name === 'index' ? 'onbehalf' : `onbehalf/${name}`,
        [`./${file}`],
      ]),
    ),
  )
})

it.each(Object.entries(entry))('%s is there', (_name, file) => {
  expect(existsSync(join(root, file)), file).toBe(true)
})

it('keeps index a table of contents: named re-exports and nothing else', () => {
  const code = read(entry.index)
    .replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
    .replace(/export (type )?\{[^}]*\} from '[^']+'/g, '')
  expect(code.trim()).toBe('')
})

it('asks no host for a framework, and names each as an optional peer', () => {
  const peers = Object.keys(manifest.peerDependencies)
  for (const name of peers) {
    expect(manifest.peerDependenciesMeta[name], name).toEqual({ optional: true })
    expect(manifest.dependencies, name).not.toHaveProperty(name)
  }
  expect(peers).toEqual(expect.arrayContaining(['express', 'fastify', 'hono']))
})
