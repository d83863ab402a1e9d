import { once } from 'node:events'
import net from 'node:net'
import { loadavg } from 'node:os'
import { expect, it } from 'vitest'
import { isApiToken } from '../../src/api-tokens/format.ts'
import { startWorker } from '../support/crew.ts'
import { frameworks } from '../support/http-apps.ts'
import type { MutatedReport, MutatedServer } from '../support/mutated-worker.ts'
import { mutations, withChecksum } from '../support/mutations.ts'
import { audience, issuer, secret } from '../tokens/fixtures.ts'

/** `MUTATED_TOKENS=1000000` says how many all three servers get together, `SEED` which ones. */
const count = Number(process.env.MUTATED_TOKENS ?? 6000)
const seed = Number(process.env.SEED ?? 20_261_121)
const connections = 8
const prefix = 'pv_test_'

/** A connection that is kept; gives the status of one answer after the other. */
async function connect(url: string) {
  const socket = net.connect(Number(new URL(url).port), '127.0.0.1').setNoDelay()
  await once(socket, 'connect')
  let text = ''
  let answered = (_status: number) => {}
  socket.on('data', (part) => {
    text += part.toString('latin1')
    const end = text.indexOf('\r\n\r\n')
    if (end < 0) return
    const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end + 2))?.[1]
    const isWhole =
      length === undefined
        ? text.endsWith('\r\n0\r\n\r\n')
        : text.length >= end + 4 + Number(length)
    if (!isWhole) return
    const status = Number(text.slice(9, 12))
    text = ''
    answered(status)
  })
  // An answer that never comes is a fault of its own, and is told as one.
  socket.on('close', () => answered(0))
  socket.on('error', () => answered(0))
  return {
    get: (authorization: string) =>
      new Promise<number>((resolve) => {
        answered = resolve
        const head = `GET /seen HTTP/1.1\r\nHost: app\r\nAuthorization: ${authorization}\r\n\r\n`
        socket.write(head, 'latin1')
      }),
    close: () => socket.destroy(),
  }
}

it('the checksum that is put right here is the right one', () => {
  const token = 'pv_test_0000000000000000000000000000000000000000000000000'
  expect(isApiToken(token, prefix)).toBe(false)
  expect(isApiToken(withChecksum(token), prefix)).toBe(true)
})

it.each(frameworks)(
  `on %s, of ${Math.ceil(count / 3)} mutated tokens none lets anybody in, and none is a fault`,
  async (framework) => {
    const worker = startWorker('mutated-worker.ts')
    await once(worker, 'message')
    const started = once(worker, 'message')
    worker.send({ framework, prefix, each: 40, tokens: { issuer, audience, secret } })
    const [server] = (await started) as [MutatedServer]
    const lines = await Promise.all(Array.from({ length: connections }, () => connect(server.url)))
    const next = mutations(seed, { prefix, ...server })
    const reported = async () => {
      const told = once(worker, 'message')
      worker.send('report')
      return (await told)[0] as MutatedReport
    }

    const statuses = new Map<number, number>()
    const faults: string[] = []
    const wanted = Math.ceil(count / 3)
    let sent = 0
    /** A good one now and then, and all of them at the start: they are good all the time. */
    const checkGood = async () => {
      for (const [n, token] of server.good.entries())
        expect(await lines[n % connections]?.get(`Bearer ${token}`)).toBe(200)
    }
    await checkGood()
    await reported()
    const before = loadavg()
    const began = performance.now()
    await Promise.all(
      lines.map(async (line) => {
        while (sent < wanted && faults.length < 20) {
          sent++
          const authorization = next()
          const status = await line.get(authorization)
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
          if (status !== 401 && status !== 400) faults.push(`${status}: ${authorization}`)
        }
      }),
    )
    const seconds = (performance.now() - began) / 1000
    const report = await reported()
    await checkGood()
    for (const line of lines) line.close()
    const gone = once(worker, 'exit')
    worker.disconnect()
    await gone

    if (process.env.MUTATED_TOKENS)
      console.log(
        `${framework}: ${JSON.stringify({
          ...{ seed, sent, seconds: Math.round(seconds), statuses: Object.fromEntries(statuses) },
          ...report,
          load: [before, loadavg()].map(([minute]) => minute),
        })}`,
      )
    expect(faults, `seed ${seed}`).toEqual([])
    expect(report).toMatchObject({ served: wanted, handled: 0 })
    // Much of it looks as good as what is: nothing but the store can tell.
    expect(report.asked.tokens).toBeGreaterThan(wanted / 10)
    expect(report.asked.sessions).toBeGreaterThan(wanted / 50)
    expect(statuses.get(400) ?? 0).toBeLessThan(wanted / 10)
  },
  7_200_000,
)
