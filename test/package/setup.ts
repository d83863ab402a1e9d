import { existsSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { install, npm, root, temporaryFolder, tool } from './npm.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The tarball that `npm publish` would send, and a project into which it is installed. */
    packed: Packed | { failure: string }
  }
}

export interface Packed {
  readonly tarball: string
  /** The names in the tarball. */
  readonly files: readonly string[]
  /** A project with the tarball, express, fastify, hono and the optional peers. */
  readonly project: string
}

const sources = ['package.json', 'tsconfig.json', 'tsup.config.ts', 'src', 'adapters']
const shipped = ['sql', 'README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE']

/**
 * Builds and packs a copy of the sources, so that a `dist` of whatever age has no say in it, and
 * installs the tarball. A failure is left to the tests of the package: the others can run.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const copy = await mkdtemp(join(root, '.package-check-'))
  const folders = [copy]
  try {
    for (const name of [...sources, ...shipped]) {
      if (existsSync(join(root, name))) {
        await cp(join(root, name), join(copy, name), { recursive: true })
      }
    }
    await tool('tsup/dist/cli-default.js', ['--silent'], copy)

    const destination = await temporaryFolder()
    folders.push(destination)
    const [pack] = JSON.parse(
      await npm(['pack', '--json', `--pack-destination=${destination}`], copy),
    )
    const tarball = join(destination, pack.filename)
    const consumer = await install([
      tarball,
      'express@5',
      'fastify@5',
      'hono@4',
      'graphql@17',
      'otpauth@9',
      '@opentelemetry/api@1',
    ])
    folders.push(consumer)
    project.provide('packed', {
      tarball,
      files: pack.files.map((file: { path: string }) => file.path),
      project: consumer,
    })
  } catch (error) {
    project.provide('packed', { failure: error instanceof Error ? error.message : String(error) })
  }
  return async () => {
    for (const folder of folders) await rm(folder, { recursive: true, force: true })
  }
}
