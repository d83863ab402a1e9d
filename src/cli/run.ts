import { createRequire } from 'node:module'
import { parse } from './args.ts'
import { chainKeysOf } from './chain-keys.ts'
import type { Command, Tools } from './command.ts'
import { commands } from './commands.ts'
import { type Exit, exits, UsageError } from './faults.ts'
import { commonOptions, helpOf, overview } from './help.ts'
import { harmless, type Sink } from './output.ts'

/** The world around a run, so that a test can bring its own. */
export interface World {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where the user's project is: its drivers are used, and paths begin there. */
  readonly folder: string
  readonly out: Sink
  readonly err: Sink
  readonly now: () => number
  readonly confirm?: Tools['confirm']
}

/** Runs one command line. Never rejects: whatever goes wrong is a sentence on `err`. */
export async function run(argv: readonly string[], world: World): Promise<Exit> {
  const { out, err } = world
  const [name = '', ...rest] = argv
  if (name === '--version') return say(out, `${version()}\n`)
  if (['--help', '-h', 'help'].includes(name)) return say(out, overview())
  if (!Object.hasOwn(commands, name)) {
    const found = name === '' ? 'Say which command.' : 'There is no such command.'
    await err.write(`onbehalf: ${found}\n\n${overview()}`)
    return exits.usage
  }
  try {
    const command = (await commands[name]?.load()) as Command<unknown>
    const given = parse(
      rest.map((word) => (word === '-h' ? '--help' : word)),
      { ...command.options, ...commonOptions },
    )
    if (given.has('help')) return await say(out, helpOf(name, command))
    if (given.has('version')) return await say(out, `${version()}\n`)
    const args = command.read(given)
    return await carryOut(command, args, given.text('database'), given.has('json'), world)
  } catch (error) {
    const usage = error instanceof UsageError
    const message = error instanceof Error ? error.message : String(error)
    const more = usage ? `See: onbehalf ${name} --help\n` : ''
    await err.write(`onbehalf ${name}: ${harmless(message)}\n${more}`)
    return usage ? exits.usage : exits.fault
  }
}

async function carryOut(
  command: Command<unknown>,
  args: unknown,
  url: string | undefined,
  json: boolean,
  { env, folder, out, err, now, confirm }: World,
): Promise<Exit> {
  const alone = command.alone?.(args, out)
  if (alone) return alone
  const { opening = 'proven' } = command
  const { openDatabase } = await import('./database.ts')
  const database = await openDatabase(url ?? env.ONBEHALF_DATABASE_URL ?? env.DATABASE_URL, {
    folder,
    make: opening === 'made',
  })
  try {
    if (opening !== 'unproven') await database.reach()
    const chainKeys = () => chainKeysOf(env, database.store)
    return await command.run({ ...database, chainKeys, out, err, now, json, confirm }, args)
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new Error(database.sentence(error))
  } finally {
    await database.close()
  }
}

async function say(out: Sink, text: string): Promise<Exit> {
  await out.write(text)
  return exits.done
}

/** By the package's own name, so that it is found from the sources and from what is built of them. */
function version(): string {
  return createRequire(import.meta.url)('onbehalf/package.json').version
}
