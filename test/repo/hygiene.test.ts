import { posix } from 'node:path'
import { expect, it } from 'vitest'
import { filesIn, read } from './files.ts'

const text = /\.(ts|mts|mjs|js|json|md|sql|yml|yaml|html|css|sh)$/
const files = filesIn().filter((file) => text.test(file) && file !== 'package-lock.json')

const locked: Record<string, { optionalDependencies?: Record<string, string> }> = JSON.parse(
  read('package-lock.json'),
).packages

/** Whether the lock file has a package where the one at this path looks for it: here or further out. */
function isLocked(path: string, name: string): boolean {
  if (locked[posix.join(path, 'node_modules', name)]) return true
  return path !== '' && isLocked(path.replace(/(^|\/)node_modules\/(@[^/]+\/)?[^/]+$/, ''), name)
}

/** The lines of these files that a pattern finds. */
function lines(among: readonly string[], pattern: RegExp): string[] {
  return among.flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line, index) =>
        pattern.test(line) ? [`${file}:${index + 1} ${line.trim()}`] : [],
      ),
  )
}

it('never calls enterWith, which leaks into the next request', () => {
  const code = files.filter((file) => /^(src|adapters|examples)\//.test(file))
  expect(lines(code, /\.enterWith\(/)).toEqual([])
})

it('names no path of the machine it was written on', () => {
  expect(lines(files, /(?<![\w.:/*-])\/(home|Users|root|work)\/[\w.]+\//)).toEqual([])
  expect(lines(files, /\b[A-Z]:\\\\?Users\b/)).toEqual([])
})

it('names no registry in its lock file', () => {
  expect(Object.keys(locked).filter((path) => 'resolved' in (locked[path] ?? {}))).toEqual([])
})

it('locks the optional packages of every platform, without which npm ci refuses', () => {
  const missing = Object.entries(locked).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !isLocked(path, name))
      .map((name) => `${path} wants ${name}`),
  )
  expect(missing).toEqual([])
})

it('leaves no test out and singles none out', () => {
  const tests = files.filter((file) => file.startsWith('test/') && file.endsWith('.test.ts'))
  expect(lines(tests, /\b(it|test|describe)\.(only|todo)\b|\b(it|test|describe)\.skip\(/)).toEqual(
    [],
  )
})
