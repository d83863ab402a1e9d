import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { QueueEvents } from 'bullmq'
import express from 'express'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { impersonate } from '../../adapters/express.ts'
import { queueReport, reportsIn, reportWorker } from '../../examples/queue/bullmq.ts'
import { createImpersonation } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { listen } from '../adapters/listen.ts'
import { describeOnRedis, openRedis } from '../support/redis.ts'

interface User {
  readonly id: string
  readonly isAdmin: boolean
}

describeOnRedis('a queue on Redis', () => {
  const users: User[] = [
    { id: 'root', isAdmin: true },
    { id: 'alice', isAdmin: false },
  ]
  const prefix = `onbehalf-test-${process.pid}-${crypto.randomUUID()}`
  const connections = [openRedis(), openRedis(), openRedis()]
  const [forQueue, forWorker, forEvents] = connections as [(typeof connections)[0], never, never]
  let folder: string
  let world: Awaited<ReturnType<typeof build>>

  /** The web process and the worker: an engine each, and nothing in common but the store's file and Redis. */
  async function build(file: string) {
    const engineOf = () =>
      createImpersonation<User>({
        store: sqliteStore({ file }),
        findUser: (id) => users.find((user) => user.id === id),
        can: (user) => user.isAdmin,
      })
    const web = engineOf()
    const worker = engineOf()
    const reports = reportsIn(forQueue, prefix)
    const events = new QueueEvents('reports', { connection: forEvents, prefix })
    await events.waitUntilReady()
    const ran: unknown[] = []
    const working = reportWorker(
      worker,
      async (month) => {
        const now = worker.current()
        ran.push([month, now && [now.actor.id, now.target.id, now.session.accessLevel]])
        if (month === 'a write') worker.requireLevel('interactive')
        return `done as ${now?.target.id ?? 'nobody'}`
      },
      forWorker,
      prefix,
    )
    const app = express()
    app.use((request, _response, next) => {
      const found = users.find(({ id }) => request.headers.authorization === `Bearer ${id}`)
      Object.assign(request, { user: found })
      next()
    })
    app.use(impersonate(web))
    app.get('/report/:month', async (request, response) => {
      const job = await queueReport(reports, web, request.params.month)
      response.json({ id: job.id })
    })
    const { url, close } = await listen(http.createServer(app))
    const call = (path: string, init: RequestInit = {}) =>
      fetch(`${url}${path}`, {
        ...init,
        headers: { Authorization: 'Bearer root', 'Content-Type': 'application/json' },
      })
    return {
      ran,
      reports,
      working,
      call,
      async start(access_level: string) {
        const body = JSON.stringify({ target_user_id: 'alice', reason: 'test', access_level })
        expect((await call('/impersonation/start', { method: 'POST', body })).status).toBe(201)
      },
      stop: () => call('/impersonation/stop', { method: 'POST' }),
      /** Queues by a request; gives what the job came to. */
      async ask(month: string) {
        const { id } = (await (await call(`/report/${month}`)).json()) as { id: string }
        const job = await reports.getJob(id)
        return job?.waitUntilFinished(events).catch((error: Error) => `failed: ${error.message}`)
      },
      async close() {
        await working.close()
        await events.close()
        await reports.obliterate({ force: true })
        await reports.close()
        await close()
        await web.close()
        await worker.close()
      },
    }
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'onbehalf-'))
    world = await build(join(folder, 'impersonation.db'))
  })
  afterAll(async () => {
    await world.close()
    await Promise.all(connections.map((connection) => connection.quit()))
    await rm(folder, { recursive: true })
  })

  it('runs a job of a session as its target, at view, in another engine', async () => {
    await world.start('full')
    expect(await world.ask('May')).toBe('done as alice')
    expect(world.ran.at(-1)).toEqual(['May', ['root', 'alice', 'view']])
    expect(await world.ask('a write')).toMatch(/^failed: This impersonation may look/)
  })

  it('runs nothing of a session that has ended while the job was waiting', async () => {
    await world.start('full')
    await world.working.pause()
    const asked = world.ask('June')
    // The job is in Redis before the session ends.
    while ((await world.reports.getJobCountByTypes('wait')) === 0);
    const before = world.ran.length
    expect((await world.stop()).status).toBe(200)
    world.working.resume()
    expect(await asked).toMatch(/^failed: The impersonation has ended/)
    expect(world.ran).toHaveLength(before)
  })

  it('runs what nobody impersonated asked for as nobody', async () => {
    await world.stop()
    expect(await world.ask('July')).toBe('done as nobody')
    expect(world.ran.at(-1)).toEqual(['July', null])
  })

  it('fails a job that carries no snapshot', async () => {
    const job = await world.reports.add('report', { month: 'August' } as never)
    const before = world.ran.length
    const events = new QueueEvents('reports', { connection: forEvents, prefix })
    await expect(job.waitUntilFinished(events)).rejects.toThrow(/runWith wants/)
    expect(world.ran).toHaveLength(before)
    await events.close()
  })
})
