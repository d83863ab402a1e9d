import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { root } from '../repo/files.ts'

export interface Example {
  readonly url: string
  /** What it has printed so far. */
  readonly printed: () => string
  /** Ends it as Ctrl-C does, and gives its exit code: 0 when it let go of everything. */
  end(): Promise<number | null>
}

/** Starts a file of `examples/` as its command does: from the sources, in a process of its own. */
export function startProcess(
  file: string,
  { args = [], env = {}, imports = [] }: Options = {},
): { child: ChildProcess; output: { all: string } } {
  const hooks = [new URL('../../scripts/from-source.mjs', import.meta.url).href, ...imports]
  const child = spawn(
    process.execPath,
    [...hooks.flatMap((hook) => ['--import', hook]), join(root, 'examples', file), ...args],
    { env: { ...process.env, PORT: '0', IMPERSONATION_DB: ':memory:', ...env } },
  )
  const output = { all: '' }
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output.all += text
    })
  }
  return { child, output }
}

interface Options {
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Modules to load first. */
  readonly imports?: readonly string[]
}

/** Starts an example and waits until it prints its address. */
export async function startExample(file: string, options?: Options): Promise<Example> {
  const { child, output } = startProcess(file, options)
  const url = await new Promise<string>((resolve, reject) => {
    const look = () => {
      const found = /[Ll]istening on (http:\/\/[\d.]+:\d+)/.exec(output.all)?.[1]
      if (found) resolve(found)
    }
    child.stdout?.on('data', look)
    child.once('close', () => reject(new Error(`${file} ended:\n${output.all}`)))
    child.once('error', reject)
  })
  return {
    url,
    printed: () => output.all,
    async end() {
      const closed = once(child, 'close')
      child.kill('SIGTERM')
      const [code] = await closed
      return code
    },
  }
}

/** Runs an example to its end. */
export async function runExample(file: string, options?: Options) {
  const { child, output } = startProcess(file, options)
  const [code] = await once(child, 'close')
  return { code: code as number | null, printed: output.all }
}
