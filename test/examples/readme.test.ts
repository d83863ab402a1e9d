import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { filesIn, read, root } from '../repo/files.ts'

const readme = read('examples/README.md')

it('names every example that can be started, and none that is not there', () => {
  const startable = filesIn('examples').filter((file) =>
    /^(await runIfMain\(|storeTests\()|'--once'/m.test(read(file)),
  )
  expect(startable).toHaveLength(8)
  for (const file of startable) expect(readme).toContain(file.replace('examples/', ''))
  for (const [, file = ''] of readme.matchAll(/\]\(([^)]+)\)/g)) {
    expect(existsSync(join(root, 'examples', file)), file).toBe(true)
  }
})
