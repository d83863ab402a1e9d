import { expect, it } from 'vitest'
import { filesIn, read } from './files.ts'

const text = /\.(ts|mts|mjs|js|json|md|sql|yml|yaml|html|css|sh)$/
const files = filesIn().filter((file) => text.test(file) && file !== 'package-lock.json')

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
  const { packages } = JSON.parse(read('package-lock.json'))
  const resolved = Object.keys(packages).filter((path) => 'resolved' in packages[path])
  expect(resolved).toEqual([])
})

it('leaves no test out and singles none out', () => {
  const tests = files.filter((file) => file.startsWith('test/') && file.endsWith('.ts'))
  expect(lines(tests, /\b(it|test|describe)\.(only|todo)\b|\b(it|test|describe)\.skip\(/)).toEqual(
    [],
  )
})
