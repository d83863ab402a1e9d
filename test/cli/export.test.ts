import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { exportCommand } from '../../src/cli/export.ts'
import type { Page } from '../../src/stores/store.ts'
import { eventOf, sessionOf, t0 } from '../../src/testing/store/fixtures.ts'
import type { AuditEvent } from '../../src/types.ts'
import { cli, type Desk, jsonLines, openDesk, paper, program } from './desk.ts'

let desk: Desk
let folder: string
const total = 20_000
const event = (n: number): AuditEvent => ({
  ...eventOf(n % 2 ? 'impersonation.started' : 'grant.used', sessionOf()),
  id: `event-${String(n).padStart(5, '0')}`,
  at: t0 + Math.floor(n / 3),
  actorId: n % 4 ? 'root' : 'boss',
})

beforeAll(async () => {
  desk = await openDesk()
  for (let n = 0; n < total; n += 1000)
    await desk.store.appendEvents(Array.from({ length: 1000 }, (_, i) => event(n + i)))
})
afterAll(() => desk.close())
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onbehalf-export-'))
})
afterEach(() => rm(folder, { recursive: true }))

const args = { filter: {}, format: 'jsonl' as const, file: undefined, source: 'x', quiet: true }

describe('20,000 events', () => {
  it('come page by page, each once, and no page is asked before the last was written', async () => {
    const asked: Page[] = []
    let written = 0
    let most = 0
    const pages: string[] = []
    const store = {
      ...desk.store,
      async listEvents(...[filter, page]: Parameters<typeof desk.store.listEvents>) {
        // What was asked for and is not written yet: one page at most is in memory.
        most = Math.max(most, asked.length - written)
        asked.push(page)
        return desk.store.listEvents(filter, page)
      },
    }
    const out = {
      closed: false,
      isTTY: false,
      async write(text: string) {
        await new Promise((later) => setImmediate(later))
        if (text === '') return
        pages.push(text)
        written++
      },
    }
    await desk.call(exportCommand, args, { store, out })
    expect(asked).toHaveLength(41)
    expect(asked.every(({ limit }) => limit === 500)).toBe(true)
    expect(most).toBe(0)
    const ids = jsonLines(pages.join('')).map(({ id }) => id)
    expect(ids).toEqual(Array.from({ length: total }, (_, n) => event(total - 1 - n).id))
  })

  it('stop being read once nobody listens', async () => {
    let asked = 0
    const store = {
      ...desk.store,
      async listEvents(...given: Parameters<typeof desk.store.listEvents>) {
        asked++
        return desk.store.listEvents(...given)
      },
    }
    const out = { closed: true, isTTY: false, write: async () => {} }
    const { code } = await desk.call(exportCommand, args, { store, out })
    expect({ code, asked }).toEqual({ code: 0, asked: 1 })
  })

  it('end quietly in a pipe whose reader has gone', async () => {
    const script = `"$0" "$1" "$2" export --database "$3" | head -n 1; exit "\${PIPESTATUS[0]}"`
    const child = spawn('bash', ['-c', script, process.execPath, ...program, desk.url])
    let [out, err] = ['', '']
    child.stdout.on('data', (chunk) => (out += chunk))
    child.stderr.on('data', (chunk) => (err += chunk))
    const [code] = await once(child, 'close')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(jsonLines(out)).toHaveLength(1)
  })
})

describe('filters', () => {
  it.each([
    [['--action', 'grant.*'], 10_000],
    [['--action', 'impersonation.started'], 10_000],
    [['--actor', 'boss'], 5_000],
    [['--target', 'nobody'], 0],
    [['--session', 'none'], 0],
    [['--from', String(t0 + 10), '--to', '2030-01-01T00:00:00.012Z'], 6],
    [['--from', '2030-01-02'], 0],
  ])('%j', async (options, events) => {
    const file = join(folder, 'events')
    const { out } = await desk.cli(['export', ...options, '--out', file, '--json'])
    expect(JSON.parse(out)).toEqual({ events, format: 'jsonl', file })
  })
})

describe('a file', () => {
  it('takes the place of the old one at the end, and is its owner’s', async () => {
    const file = join(folder, 'events.jsonl')
    await writeFile(file, 'old')
    const { code, err } = await desk.cli(['export', '--out', file])
    expect({ code, err }).toEqual({ code: 0, err: '20,000 events written.\n' })
    expect(jsonLines(await readFile(file, 'utf8'))).toHaveLength(total)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['events.jsonl'])
  })

  it('stays as it was when the database fails halfway, and nothing is left behind', async () => {
    const file = join(folder, 'events.jsonl')
    await writeFile(file, 'old')
    let pages = 0
    const store = {
      ...desk.store,
      async listEvents(...given: Parameters<typeof desk.store.listEvents>) {
        if (++pages === 3) throw new Error('gone')
        return desk.store.listEvents(...given)
      },
    }
    await expect(desk.call(exportCommand, { ...args, file }, { store })).rejects.toThrow('gone')
    expect(await readFile(file, 'utf8')).toBe('old')
    expect(await readdir(folder)).toEqual(['events.jsonl'])
  })

  it('is not half there when the process is told to stop', async () => {
    const file = join(folder, 'events.jsonl')
    const argv = ['export', '--database', desk.url, '--out', file]
    const child = spawn(process.execPath, [...program, ...argv])
    const exit = once(child, 'exit')
    while ((await readdir(folder)).length === 0 && child.exitCode === null)
      await new Promise((later) => setTimeout(later, 2))
    child.kill('SIGTERM')
    expect(await exit).toEqual([143, null])
    expect(await readdir(folder)).toEqual([])
  })

  it.each([
    ['in a folder that is not there', 'none/events', /Could not write .*ENOENT/],
    ['that is a folder', '.', /Could not write .*it is a folder/],
  ])('%s is a fault', async (_what, path, message) => {
    const { code, err } = await desk.cli(['export', '--out', join(folder, path)])
    expect(code).toBe(1)
    expect(err).toMatch(message)
  })
})

describe('progress', () => {
  it('is shown on a terminal, unless it shall be quiet', async () => {
    const seen = async (argv: string[], tty: { out: boolean; err: boolean }) => {
      const [out, err] = [paper(tty.out), paper(tty.err)]
      await cli(['export', '--database', desk.url, ...argv], { out, err })
      return err.text
    }
    expect(await seen([], { out: false, err: true })).toMatch(
      /^\r500 events\r1,000 events[\s\S]*\r.\[K$/,
    )
    expect(await seen([], { out: true, err: true })).toBe('')
    expect(await seen(['--quiet'], { out: false, err: true })).toBe('')
    expect(await seen([], { out: false, err: false })).toBe('')
  })
})

it.each(['jsonl', 'csv', 'cloudevents'])('%s holds hostile text on one line', async (format) => {
  const hostile = await openDesk()
  try {
    const text = '=1+1\n\u001b[2J\u2028"x",\r\n;=2'
    await hostile.store.appendEvents([{ ...event(1), reason: text, userAgent: text }])
    const { out } = await hostile.cli(['export', '--format', format])
    expect(out.split(/\r\n|[\n\r\u2028\u2029\u0085]/).filter(Boolean)).toHaveLength(
      format === 'csv' ? 2 : 1,
    )
    expect(out.replace(/\r?\n/g, '')).not.toMatch(/\p{Cc}/u)
    if (format === 'jsonl') expect(JSON.parse(out).reason).toBe(text)
  } finally {
    await hostile.close()
  }
})
