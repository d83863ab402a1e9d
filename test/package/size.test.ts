import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { expect, it } from 'vitest'
import { write } from './npm.ts'
import { packed } from './packed.ts'

const limit = 14 * 1024

/**
 * The size of what a process has loaded before its first request: everything imported statically,
 * dependencies included, minified and gzipped. The framework itself and whatever is loaded later,
 * by a dynamic import, don't count.
 */
async function size(name: string, code: string, framework: string): Promise<number> {
  const { project } = packed()
  await write(project, { [`${name}.mjs`]: code })
  const { outputFiles, metafile } = await build({
    absWorkingDir: project,
    entryPoints: [`${name}.mjs`],
    outdir: 'bundle',
    write: false,
    bundle: true,
    splitting: true,
    minify: true,
    metafile: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    external: [framework, 'zod', 'jose', 'kysely'],
  })
  const needed = new Set([`bundle/${name}.js`])
  for (const file of needed) {
    for (const { path, kind, external } of metafile.outputs[file]?.imports ?? []) {
      if (kind !== 'import-statement') continue
      expect(['zod', 'jose', 'kysely'], `imported statically by ${file}`).not.toContain(path)
      if (!external) needed.add(path)
    }
  }
  const loaded = outputFiles.filter(({ path }) =>
    [...needed].some((file) => path === join(project, file)),
  )
  return loaded.reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length, 0)
}

it.each(['express', 'fastify', 'hono'])('onbehalf with onbehalf/%s is small', async (framework) => {
  const used = await size(
    `size-${framework}`,
    `export { createImpersonation, memoryStore, ImpersonationError } from 'onbehalf'
export { impersonate } from 'onbehalf/${framework}'`,
    framework,
  )
  const whole = await size(
    `size-${framework}-whole`,
    `export * from 'onbehalf'
export { impersonate } from 'onbehalf/${framework}'`,
    framework,
  )
  console.log(`onbehalf + ${framework}: ${kib(used)} gzip (with every export ${kib(whole)})`)
  expect(used).toBeGreaterThan(1024)
  expect(used).toBeLessThanOrEqual(limit)
})

function kib(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KB`
}
