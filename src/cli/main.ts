#!/usr/bin/env node
import process from 'node:process'
import { sinkOf } from './output.ts'
import { run } from './run.ts'

// Node calls its SQLite experimental in every process that opens a file.
const { emitWarning } = process
process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
  if (/^SQLite is an experimental/.test(String(warning))) return
  Reflect.apply(emitWarning, process, [warning, ...rest])
}

// By `exit`, so that a file half written is removed.
for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const])
  process.once(signal, () => process.exit(code))

async function confirm(question: string): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  // Ctrl-C at a question is a no to everything.
  terminal.once('SIGINT', () => process.exit(130))
  const ended = new Promise<string>((resolve) => terminal.once('close', () => resolve('')))
  const answer = await Promise.race([terminal.question(`${question} [y/N] `), ended])
  terminal.close()
  return /^y(es)?$/i.test(answer.trim())
}

process.exitCode = await run(process.argv.slice(2), {
  env: process.env,
  folder: process.cwd(),
  out: sinkOf(process.stdout),
  err: sinkOf(process.stderr),
  now: Date.now,
  confirm: process.stdin.isTTY && process.stderr.isTTY ? confirm : undefined,
})
// A connection that does not answer must not keep the process.
setTimeout(() => process.exit(), 500).unref()
