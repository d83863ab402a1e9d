import { refuseWords } from './args.ts'
import { type Check, checksAfter, reachable } from './checks.ts'
import type { Command } from './command.ts'
import { exits } from './faults.ts'
import { harmless } from './output.ts'

export const doctorCommand: Command<null> = {
  usage: '[--database <url>]',
  about: `Looks for faults in the database and around it, changes nothing, and says what to do.
A warning leaves the exit code at 0, a failure makes it 1.`,
  options: {},
  opening: 'unproven',

  read(given) {
    refuseWords(given)
    return null
  },

  async run(tools) {
    const { out, json } = tools
    const checks: Check[] = []
    async function tell(check: Check): Promise<void> {
      checks.push(check)
      if (!json) await out.write(lineOf(check))
    }
    const first = await reachable(tools)
    await tell(first)
    if (first.status === 'ok') for await (const check of checksAfter(tools)) await tell(check)

    const ok = checks.every(({ status }) => status !== 'fail')
    if (json) await out.write(`${JSON.stringify({ ok, checks })}\n`)
    return ok ? exits.done : exits.fault
  },
}

function lineOf({ status, name, found, todo }: Check): string {
  const advice = todo === undefined ? '' : ` ${todo}`
  return `${status.padEnd(4)}  ${name}: ${harmless(found + advice)}\n`
}
