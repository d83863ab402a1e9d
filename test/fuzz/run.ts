import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { engineOf, type Hit, modes, type Variant } from './app.ts'
import { type Line, lineOf } from './lines.ts'
import { sendAll } from './wire.ts'

const seed = Number(process.env.SEED ?? 20260)
const requests = Number(process.env.ONBEHALF_FUZZ ?? 1200)

/** Requests of one connection, sent without waiting for answers. */
const pipelined = 8
const connections = 6

interface Served {
  readonly port: number
  readonly hits: Map<number, Hit[]>
  close(): Promise<void>
}

/**
 * The same made-up requests for the bare app and for the one with us in it: what the bare app takes for
 * a guarded route must not reach its handler, however it is spelled.
 *
 * `ONBEHALF_FUZZ` says how many requests each app gets, `SEED` which ones.
 */
export function fuzz(variants: readonly Variant[]): void {
  for (const variant of variants)
    it(`${variant.name}: no spelling reaches a guarded handler`, async () => {
      await run(variant)
    }, 7_200_000)
}

async function run(variant: Variant): Promise<void> {
  const { name, base = '', patternBase = base, reach } = variant
  const bare = await serve(variant, null)
  const guarded = await Promise.all(
    modes.map(async (mode) => {
      const engine = await engineOf(mode, patternBase)
      return { mode, engine, app: await serve(variant, engine) }
    }),
  )
  const faults: string[] = []
  const spellings = new Set<string>()
  let hits = 0

  async function check(from: number): Promise<void> {
    const batch = batchOf(from, base)
    const plain = await sendAll(bare.port, 'alice', batch)
    for (const { mode, app } of guarded.filter(
      (_, index) => index === turns[(from / pipelined) % turns.length],
    )) {
      const statuses = await sendAll(app.port, 'root', batch)
      for (const { id, line } of batch) {
        const reached = app.hits.get(id) ?? []
        app.hits.delete(id)
        hits += reached.length
        for (const hit of reached) {
          if (mode.forbids(hit))
            faults.push(`${mode.name}: ${told(id, line)} reached ${hit.method} ${hit.route.path}`)
          if (hit.user !== 'alice')
            faults.push(`${mode.name}: ${told(id, line)} ran as ${hit.user}`)
        }
        const [ours = 0, theirs = 0] = [statuses.get(id), plain.get(id)]
        if (ours >= 500 && theirs < 500)
          faults.push(`${mode.name}: ${told(id, line)} answered ${ours}, the bare app ${theirs}`)
        if ((ours === 0) !== (theirs === 0))
          faults.push(`${mode.name}: ${told(id, line)} answered ${ours}, the bare app ${theirs}`)
      }
    }
    for (const { id, line } of batch) {
      for (const hit of bare.hits.get(id) ?? [])
        if (modes.some((mode) => mode.forbids(hit))) spellings.add(`${line.method} ${line.target}`)
      bare.hits.delete(id)
    }
  }

  let next = 0
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (next < requests && faults.length < 25) {
        const from = next
        next += pipelined
        await check(from)
      }
    }),
  )
  // The sessions were there all the time: otherwise nothing above has proved anything.
  const standing = await Promise.all(
    guarded.map(async ({ app }) => {
      const line = { method: 'GET', target: `${base}/me`, headers: [], body: '', alone: true }
      await sendAll(app.port, 'root', [{ id: -1, line }])
      return app.hits
        .get(-1)
        ?.map(({ user }) => user)
        .join()
    }),
  )
  await Promise.all([bare, ...guarded.map(({ app }) => app)].map((app) => app.close()))
  await Promise.all(guarded.map(({ engine }) => engine.close()))

  if (process.env.ONBEHALF_FUZZ)
    console.log(
      `${name}: ${requests} requests, ${spellings.size} spellings of guarded routes reach the bare app, ${hits} open ones ours, ${faults.length} faults`,
    )
  expect(faults, `seed ${seed}`).toEqual([])
  expect(hits, 'what is not guarded is reached').toBeGreaterThan(0)
  expect(standing.slice(0, 3), 'a plain read runs as the target').toEqual([
    'alice',
    'alice',
    'alice',
  ])
  expect(spellings.size, 'spellings that reach the bare app').toBeGreaterThanOrEqual(
    Math.floor((reach * Math.min(requests, 2000)) / 1000),
  )
}

/** How often each mode has its turn. */
const turns = [0, 1, 0, 2, 0, 1, 2, 0, 3, 2]

function batchOf(from: number, base: string): { id: number; line: Line }[] {
  return Array.from({ length: pipelined }, (_, index) => ({
    id: from + index,
    line: lineOf(seed, from + index, base),
  }))
}

function told(id: number, { method, target, headers, body }: Line): string {
  const path = target.length > 300 ? `${target.slice(0, 300)}… (${target.length})` : target
  const more = [headers.length > 0 && headers, body !== '' && body].filter(Boolean)
  return [`#${id}`, ...[`${method} ${path}`, ...more].map((each) => JSON.stringify(each))].join(' ')
}

async function serve(
  variant: Variant,
  engine: Parameters<Variant['build']>[0]['engine'],
): Promise<Served> {
  const hits = new Map<number, Hit[]>()
  const server: Server = await variant.build({
    engine,
    hit(line, hit) {
      const id = Number(line)
      const list = hits.get(id)
      if (list) list.push(hit)
      else hits.set(id, [hit])
    },
  })
  if (!server.listening)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    hits,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
