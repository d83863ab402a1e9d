import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { tool } from './npm.ts'
import { packed } from './packed.ts'

it('publint has nothing to say, suggestions included', async () => {
  await tool('publint/src/cli.js', ['--strict', packed().tarball])
})

it('the types resolve wherever ESM does', async () => {
  await tool('@arethetypeswrong/cli/dist/index.js', [
    packed().tarball,
    '--profile=esm-only',
    '--no-color',
    '--no-emoji',
  ])
})

it('holds the built files, the SQL and the papers, and nothing else', () => {
  const strangers = packed().files.filter(
    (file) =>
      !/^(package\.json|(README|CHANGELOG|SECURITY)\.md|LICENSE|sql\/.+|dist\/.+)$/.test(file),
  )
  expect(strangers).toEqual([])
  expect(packed().files).toEqual(
    expect.arrayContaining(['README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE']),
  )
})

it('names no path of the machine that built it', async () => {
  const { files, project } = packed()
  for (const file of files) {
    const text = await readFile(join(project, 'node_modules/onbehalf', file), 'utf8')
    expect(text, file).not.toMatch(/(?<![\w.:/-])\/(home|Users|root|work|tmp)\/\w/)
    expect(text, file).not.toContain('.package-check-')
  }
})

it('holds one AsyncLocalStorage and one error class, whatever is imported', async () => {
  const { files, project } = packed()
  const scripts = files.filter((file) => file.endsWith('.js'))
  const code = await Promise.all(
    scripts.map((file) => readFile(join(project, 'node_modules/onbehalf', file), 'utf8')),
  )
  const all = code.join('\n')
  expect(all.match(/new AsyncLocalStorage\b/g)).toHaveLength(1)
  expect(all.match(/\bclass ImpersonationError\b|\bImpersonationError\d* = class\b/g)).toHaveLength(
    1,
  )
})
