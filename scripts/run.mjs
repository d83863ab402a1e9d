// Runs a tool of this repository on the Node it is pinned to (the npm package `node`), and first
// installs what package-lock.json says, if need be. So `npm test` works in a fresh clone with
// nothing but npm and any Node from 20 on: this file has to run there, before anything is installed.
//
//   node scripts/run.mjs <task> [arguments for the tool]

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { basename, delimiter, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const modules = join(root, 'node_modules')

/** What vitest, tsup and running `.ts` files as they are need, where the pinned Node is missing. */
const oldestNode = [22, 18]

const tasks = {
  /** Only the installation that every task begins with. */
  setup: () => [],
  test: (args) => [vitest(['run', ...args])],
  'test:package': (args) => [vitest(['run', '--project', 'package', ...args])],
  'test:soak': (args) => [
    vitest(['run', ...(args.some((arg) => !arg.startsWith('-')) ? [] : ['test/soak']), ...args], {
      SOAK: '1',
    }),
  ],
  lint: (args) => [{ tool: ['@biomejs/biome', 'biome'], args: ['ci', ...args] }],
  'lint:fix': (args) => [
    { tool: ['@biomejs/biome', 'biome'], args: ['check', '--write', ...args] },
  ],
  types: (args) => [{ tool: ['typescript', 'tsc'], args }],
  build: (args) => [build(args)],
  bench: (args) => [{ file: 'test/bench/run.ts', args }],
  mutants: (args) => [
    {
      tool: ['@stryker-mutator/core', 'stryker'],
      args: ['run', 'test/mutants/stryker.config.mjs', ...args],
    },
  ],
  example: ([file = '', ...args]) => [{ file: `examples/${file}`, args, fromSource: true }],
  demo: (args) => [{ file: 'examples/express/demo.ts', args, fromSource: true }],
}

const [task, ...rest] = process.argv.slice(2)
if (!Object.hasOwn(tasks, task ?? '')) {
  fail(`Say which task to run: ${Object.keys(tasks).join(', ')}.`)
}
if (!isInstalled()) await install()
const node = pickNode()
for (const { tool, file, args, env, fromSource } of tasks[task](rest)) {
  const script = tool ? binOf(...tool) : join(root, file)
  const hook = fromSource ? ['--import', new URL('from-source.mjs', import.meta.url).href] : []
  await run(node, [...hook, script, ...args], env)
}

function vitest(args, env) {
  return { tool: ['vitest', 'vitest'], args, env }
}

function build(args) {
  return { tool: ['tsup', 'tsup'], args }
}

/** Whether node_modules holds exactly what the lock file says; npm writes down there what it installed. */
function isInstalled() {
  const installed = packagesIn(join(modules, '.package-lock.json'))
  if (!installed) return false
  return Object.entries(packagesIn(join(root, 'package-lock.json')) ?? {}).every(
    ([path, wanted]) =>
      path === '' ||
      (installed[path]
        ? installed[path].version === wanted.version
        : wanted.optional || wanted.peer || wanted.devOptional),
  )
}

function packagesIn(lockFile) {
  return existsSync(lockFile) ? JSON.parse(readFileSync(lockFile, 'utf8')).packages : undefined
}

async function install() {
  console.log(
    'Installing the packages that package-lock.json names (npm ci); once, about a minute.',
  )
  const args = ['ci', '--include=dev', '--engine-strict=false', '--loglevel=error']
  const npm = process.env.npm_execpath ?? ''
  await (basename(npm) === 'npm-cli.js'
    ? run(process.execPath, [npm, ...args])
    : run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args))
}

/** The pinned Node; without it (npm may be told to run no install scripts) this one, if it will do. */
function pickNode() {
  const pinned = join(modules, 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  if (spawnSync(pinned, ['--version']).status === 0) return pinned
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [oldestMajor, oldestMinor] = oldestNode
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor))
    return process.execPath
  return fail(
    `This is Node ${process.versions.node}, and the newer one that this repository pins is not in
node_modules: npm was probably told to run no install scripts (ignore-scripts). Either allow this one:

  npm rebuild node node22 node26 --ignore-scripts=false

or run it again with Node ${oldestNode.join('.')} or newer.`,
  )
}

function binOf(name, command) {
  const folder = join(modules, name)
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return join(folder, typeof bin === 'string' ? bin : bin[command])
}

/** Runs a program to its end. Its exit code or signal becomes ours, unless all went well. */
async function run(command, args, env) {
  const child = spawn(command, args, {
    cwd: root,
    stdio: 'inherit',
    shell: command.endsWith('.cmd'),
    env: { ...process.env, ...env, PATH: join(modules, '.bin') + delimiter + process.env.PATH },
  })
  const forward = (signal) => {
    // A Ctrl-C reaches the whole foreground group of a terminal; twice would mean "at once".
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, forward)
  const { code, signal } = await new Promise((done) => {
    child.on('error', (error) => fail(`Could not run ${command}: ${error.message}`))
    child.on('exit', (code, signal) => done({ code, signal }))
  })
  for (const signal of signals) process.off(signal, forward)
  if (code === 0) return
  if (signal) {
    process.kill(process.pid, signal)
    await new Promise((later) => setTimeout(later, 1000))
  }
  process.exit(code ?? 128 + constants.signals[signal])
}

function fail(sentence) {
  console.error(sentence)
  process.exit(1)
}
