import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const run = promisify(execFile)
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

it.each([
  ['bun', ['run']],
  ['deno', ['run', '--allow-all', '--no-check', '--node-modules-dir=manual', '--quiet']],
] as const)(
  'bodies are looked at and read again on %s',
  { timeout: 60_000 },
  async (name, args) => {
    const { stdout } = await run(
      path(`../../node_modules/.bin/${name}`),
      [...args, path('hono-runner.ts')],
      { cwd: path('../..'), timeout: 50_000 },
    )
    expect(stdout).toContain('all done')
  },
)
