import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** The checkout. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

const execute = promisify(execFile)

/** Runs a program to its end and gives its standard output; all it wrote is in the error if it fails. */
export async function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<string> {
  try {
    const { stdout } = await execute(command, args, {
      cwd: options.cwd ?? root,
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0', ...options.env },
      maxBuffer: 64 * 1024 * 1024,
    })
    return stdout
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`${basename(command)} ${args.join(' ')} failed\n${stdout}${stderr}`)
  }
}

/** Runs a tool that this repository has installed, on the Node that runs the tests. */
export function tool(script: string, args: readonly string[], cwd?: string): Promise<string> {
  return run(
    process.execPath,
    [join(root, 'node_modules', script), ...args],
    cwd === undefined ? {} : { cwd },
  )
}

export function npm(args: readonly string[], cwd: string): Promise<string> {
  const quiet = [...args, '--loglevel=error', '--no-audit', '--no-fund', '--ignore-scripts']
  const cli = process.env.npm_execpath ?? ''
  return basename(cli) === 'npm-cli.js'
    ? run(process.execPath, [cli, ...quiet], { cwd })
    : run('npm', quiet, { cwd })
}

/** A folder that a test makes for itself, far from this repository's node_modules. */
export async function temporaryFolder(): Promise<string> {
  return mkdtemp(join(await realpath(tmpdir()), 'onbehalf-'))
}

export async function write(folder: string, files: Record<string, string>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content)
  }
}

/** A project that has nothing but these packages, got from npm as anybody would. */
export async function install(packages: readonly string[]): Promise<string> {
  const folder = await temporaryFolder()
  await write(folder, { 'package.json': '{ "private": true, "type": "module" }' })
  try {
    await npm(['install', '--prefer-offline', ...packages], folder)
    return folder
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}
