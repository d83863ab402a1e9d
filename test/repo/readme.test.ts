import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { errorTable } from '../../src/errors.ts'
import { read, root } from './files.ts'

const readme = existsSync(join(root, 'README.md')) ? read('README.md') : ''

it('README.md is there', () => {
  expect(readme, 'README.md is missing or empty').not.toBe('')
})

it('README.md lists every error code beside its status', () => {
  const lines = readme.split('\n')
  const undocumented = Object.entries(errorTable)
    .filter(
      ([code, [status]]) =>
        !lines.some((line) => line.includes(`\`${code}\``) && line.includes(String(status))),
    )
    .map(([code, [status]]) => `${status} ${code}`)
  expect(undocumented, 'codes that README.md does not list').toEqual([])
})
