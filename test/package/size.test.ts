import { gzipSync } from 'node:zlib'
import { build, type Plugin } from 'esbuild'
import { expect, it } from 'vitest'
import { write } from './npm.ts'
import { packed } from './packed.ts'

/** A ceiling, so that growth is noticed. lru-cache alone is about 6 KB of it. */
const limit = 38.5 * 1024

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
    write: false,
    bundle: true,
    minify: true,
    metafile: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    external: [framework],
    plugins: [dynamicImportsStayOut],
  })
  const parts = Object.keys(metafile.inputs).join('\n')
  expect(parts).toMatch(/node_modules\/onbehalf\//)
  expect(parts).not.toMatch(/node_modules\/(zod|jose|kysely)\//)
  return gzipSync(outputFiles[0]?.contents ?? '', { level: 9 }).length
}

const dynamicImportsStayOut: Plugin = {
  name: 'dynamic imports stay out',
  setup(build) {
    build.onResolve({ filter: /./ }, ({ kind, path }) =>
      kind === 'dynamic-import' ? { path, external: true } : undefined,
    )
  },
}

it.each(['express', 'fastify', 'hono'])('onbehalf with onbehalf/%s is small', async (framework) => {
  const adapter = `export { impersonate } from 'onbehalf/${framework}'`
  const engine = `export { createImpersonation, ImpersonationError } from 'onbehalf'`
  const used = await size(`size-${framework}`, `${engine}\n${adapter}`, framework)
  const whole = await size(`whole-${framework}`, `export * from 'onbehalf'\n${adapter}`, framework)
  console.log(
    `onbehalf and onbehalf/${framework}, gzip: engine and adapter ${kib(used)}, with every export ${kib(whole)}`,
  )
  expect(used).toBeGreaterThan(1024)
  expect(used, 'bytes, gzip').toBeLessThanOrEqual(limit)
})

it('onbehalf/client is small, and takes nothing of Node or of the engine into a browser', async () => {
  const { project } = packed()
  await write(project, { 'size-client.mjs': `export * from 'onbehalf/client'` })
  const { outputFiles, metafile } = await build({
    absWorkingDir: project,
    entryPoints: ['size-client.mjs'],
    write: false,
    bundle: true,
    minify: true,
    metafile: true,
    format: 'esm',
    platform: 'browser',
  })
  const parts = Object.keys(metafile.inputs).filter((name) => name.includes('node_modules'))
  // A chunk holds what the build itself adds to every file.
  expect(parts.filter((part) => !/onbehalf\/dist\/(client|chunk-\w+)\.js$/.test(part))).toEqual([])
  const bytes = gzipSync(outputFiles[0]?.contents ?? '', { level: 9 }).length
  console.log(`onbehalf/client, gzip: ${kib(bytes)}`)
  expect(bytes, 'bytes, gzip').toBeLessThanOrEqual(3.2 * 1024)
})

function kib(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KB`
}
