/**
 * What the middleware costs, as ratios side by side: `npm run bench`. One fresh process per variant and
 * round, rounds shuffled, CPU time of the server process per request. Differences under half a
 * microsecond are noise.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'

const all = ['express', 'fastify', 'hono']
const frameworks = all.filter(
  (name) => process.argv.includes(name) || !all.some((each) => process.argv.includes(each)),
)
const variants = [
  ...['bare', 'empty', 'handwritten', 'user', 'admin'],
  ...['impersonating', 'recorded', 'sealed', 'token'],
] as const
const rounds = Number(process.env.ROUNDS ?? 7)
const requests = Number(process.env.REQUESTS ?? 20_000)
const warmUp = Math.floor(requests / 4)

const messages = async (child: ChildProcess) => (await once(child, 'message'))[0]

/** Sends the same request `count` times over a few keep-alive connections, one after the other on each. */
async function drive(port: number, token: string, count: number): Promise<void> {
  const request = `GET /me HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n`
  const connections = 8
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      for (let sent = 0; sent < count / connections; sent++) {
        socket.write(request)
        let answer = ''
        while (!answer.endsWith('}') && !answer.endsWith('0\r\n\r\n'))
          answer += String((await once(socket, 'data'))[0])
        if (!answer.startsWith('HTTP/1.1 200')) throw new Error(answer)
      }
      socket.destroy()
    }),
  )
}

/** One core for the server and another for us, where the system can: otherwise it is noisier. */
function pin(pid: number | undefined, core: number): void {
  try {
    execFileSync('taskset', ['-cp', String(core), String(pid)], { stdio: 'ignore' })
  } catch {
    // No taskset here.
  }
}
pin(process.pid, 0)

async function measure(framework: string, variant: string): Promise<number> {
  const child = fork(new URL('./server.ts', import.meta.url), [framework, variant], {
    execArgv: ['--single-threaded-gc'],
  })
  pin(child.pid, 1)
  const { port, token } = await messages(child)
  const cpu = async () => {
    const answer = messages(child)
    child.send('cpu')
    return (await answer).cpuMicros as number
  }
  await drive(port, token, warmUp)
  const before = await cpu()
  await drive(port, token, requests)
  const micros = ((await cpu()) - before) / requests
  child.kill()
  return micros
}

const median = (values: number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number

async function requestsPerFramework(): Promise<void> {
  for (const framework of frameworks) {
    const results = new Map<string, number[]>(variants.map((variant) => [variant, []]))
    for (let round = 0; round < rounds; round++) {
      for (const variant of variants.toSorted(() => Math.random() - 0.5)) {
        results.get(variant)?.push(await measure(framework, variant))
      }
    }
    const of = (variant: string) => results.get(variant) as number[]
    const over = (variant: string, base: string) =>
      median(of(variant).map((micros, n) => micros - (of(base)[n] as number)))
    console.log(`\n${framework}, Node ${process.version}, ${rounds} rounds of ${requests} requests`)
    for (const variant of variants) {
      const ratio = median(of(variant).map((micros, n) => micros / (of('empty')[n] as number)))
      console.log(
        `  ${variant.padEnd(14)} ${median(of(variant)).toFixed(2).padStart(7)} µs/request  ${ratio.toFixed(3)} × empty  ${over(variant, 'bare').toFixed(2).padStart(6)} µs over bare`,
      )
    }
    for (const variant of ['impersonating', 'recorded', 'sealed', 'token']) {
      const ratio = over(variant, 'bare') / over('handwritten', 'bare')
      console.log(`  ${variant} / handwritten, overhead over bare: ${ratio.toFixed(2)}`)
    }
  }
}

if (process.argv.includes('lookup')) await import('./lookup.ts')
else await requestsPerFramework()
