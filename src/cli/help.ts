import type { Options } from './args.ts'
import type { Command } from './command.ts'
import { commands } from './commands.ts'

/** What every command takes. */
export const commonOptions: Options = {
  database: {
    value: 'url',
    help: 'postgres://… mysql://… mariadb://… sqlite:<path> or file:<path>; default $ONBEHALF_DATABASE_URL, then $DATABASE_URL',
  },
  json: { help: 'write JSON: one document, or one a line for lists' },
  help: { help: 'tell what there is' },
  version: { help: 'tell the version' },
}

export function overview(): string {
  const lines = Object.entries(commands).map(([name, { summary }]) => [name, summary] as const)
  return `onbehalf: look after user impersonation from the command line

Usage: onbehalf <command> [options]

${columns(lines)}
onbehalf <command> --help tells the options of a command.
Exit codes: 0 done, 1 the command found or met a fault, 2 wrong usage.
`
}

export function helpOf(name: string, { usage, about, options }: Command<unknown>): string {
  const lines = Object.entries({ ...options, ...commonOptions }).map(
    ([option, { value, help }]) =>
      [value === undefined ? `--${option}` : `--${option} <${value}>`, help] as const,
  )
  return `Usage: onbehalf ${name} ${usage}\n\n${about}\n\n${columns(lines)}`
}

function columns(lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(...lines.map(([left]) => left.length))
  return lines.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('')
}
