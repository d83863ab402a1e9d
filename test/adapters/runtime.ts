import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const run = promisify(execFile)
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

/** Runs the suite on another runtime, in a process of its own, and passes if each of its tests does. */
export function runOn(runtime: 'bun' | 'deno', args: readonly string[]): void {
  it(`keeps every rule on ${runtime}`, { timeout: 150_000 }, async () => {
    const { stdout } = await run(
      path(`../../node_modules/.bin/${runtime}`),
      [...args, path('hono-runner.ts')],
      { cwd: path('../..'), timeout: 140_000, maxBuffer: 64 * 1024 * 1024 },
    )
    const lines = stdout.split('\n').filter((line) => line.startsWith('{"name"'))
    const results = lines.map((line) => JSON.parse(line) as { name: string; fault: string | null })
    expect(results.filter(({ fault }) => fault !== null)).toEqual([])
    expect(results.length).toBeGreaterThan(200)
    expect(stdout).toContain('all done')
  })
}
