import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createTrail, type TrailRequest } from '../../src/audit/trail.ts'
import { type AuditKey, memoryStore, type TrailHead, type TrailSection } from '../../src/index.ts'
import { flushed } from '../../src/stores/flushed.ts'
import type { GuardedStore } from '../../src/stores/guarded.ts'
import { codeOf, noon, worldOf } from '../support/core-world.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

interface Faults {
  /** Called before each append; what it throws is what the store answers with. */
  before?: () => unknown
  /** Called after each append; what it throws loses the answer. */
  after?: () => unknown
}

const settings = { now: () => noon }

function setup(faults: Faults = {}, most?: number) {
  const { trail: section } = memoryStore()
  if (!section) throw new Error('the store has no trail')
  const appended: number[] = []
  const store: TrailSection = {
    ...section,
    async appendTrail(sessionId, make) {
      await faults.before?.()
      const answer = await section.appendTrail(sessionId, make)
      appended.push(make.length)
      await faults.after?.()
      return answer
    },
  }
  const trail = createTrail({ settings, store, ...(most !== undefined && { most }) })
  const request = (path: string, sessionId = 's-1') =>
    ({ ...plain, session: { id: sessionId }, path }) as TrailRequest
  return {
    trail,
    request,
    appended,
    section,
    read: (path: string, sessionId?: string) => trail.reading(request(path, sessionId))(200),
    /** What is stored, each as its path or what it completes. */
    async stored(sessionId = 's-1') {
      const entries = await section.readTrails([sessionId], null, 100_000)
      return entries.map(({ path, completes, status }) => `${path ?? `${completes}:`} ${status}`)
    },
  }
}

const plain = { method: 'GET', route: null, requestId: null }
const down = () => {
  throw new Error('down')
}

describe('reads', () => {
  it('wait a second at most, and go together', async () => {
    const { read, stored, appended } = setup()
    read('/a')
    await vi.advanceTimersByTimeAsync(600)
    read('/b')
    expect(await stored()).toEqual([])
    await vi.advanceTimersByTimeAsync(400)
    expect(await stored()).toEqual(['/a 200', '/b 200'])
    expect(appended).toEqual([2])
  })

  it('do not wait where there are many', async () => {
    const { read, appended } = setup()
    for (let n = 0; n < 199; n++) read(`/${n}`)
    await vi.advanceTimersByTimeAsync(0)
    expect(appended).toEqual([])
    read('/199')
    await vi.advanceTimersByTimeAsync(0)
    expect(appended).toEqual([200])
  })

  it('are stored by a flush, of one session or of all', async () => {
    const { read, stored, trail } = setup()
    read('/a', 's-1')
    read('/b', 's-2')
    await trail.flush('s-2')
    expect([await stored('s-1'), await stored('s-2')]).toEqual([[], ['/b 200']])
    await trail.flush()
    expect(await stored('s-1')).toEqual(['/a 200'])
  })

  it('go on waiting, in order, while the store is down', async () => {
    const faults: Faults = { before: down }
    const { read, stored, trail } = setup(faults)
    read('/a')
    await trail.flush()
    read('/b')
    await vi.advanceTimersByTimeAsync(5000)
    expect(await stored()).toEqual([])
    delete faults.before
    await vi.advanceTimersByTimeAsync(1000)
    expect(await stored()).toEqual(['/a 200', '/b 200'])
  })

  it('are not let in once too much waits, neither are writes; and again when there is room', async () => {
    const faults: Faults = { before: down }
    const { read, trail, request, stored } = setup(faults, 3)
    read('/a')
    await trail.flush()
    const open = trail.reading(request('/b'))
    read('/c')
    const full = { code: 'impersonation_unavailable', status: 503 }
    expect(() => trail.reading(request('/d'))).toThrow(expect.objectContaining(full))
    await expect(trail.before(request('/e'))).rejects.toMatchObject(full)
    open(200)
    delete faults.before
    await trail.flush()
    read('/f')
    await trail.flush()
    expect(await stored()).toEqual(['/a 200', '/c 200', '/b 200', '/f 200'])
  })

  it('are told once, whoever tells twice', async () => {
    const { trail, request, stored } = setup({}, 1)
    const trace = trail.reading(request('/a'))
    trace(200)
    trace(500)
    await trail.flush()
    expect(await stored()).toEqual(['/a 200'])
    // The place that it took is free again, once.
    trail.reading(request('/b'))
    expect(() => trail.reading(request('/c'))).toThrow(/./)
  })
})

describe('writes', () => {
  it('are stored before they run, behind what waits, and completed afterwards', async () => {
    const { read, trail, request, stored } = setup()
    read('/a')
    const trace = await trail.before(request('/b'))
    expect(await stored()).toEqual(['/a 200', '/b null'])
    trace(201)
    await trail.flush()
    expect(await stored()).toEqual(['/a 200', '/b null', '2: 201'])
  })

  it('share a unit where many come at once', async () => {
    const gate = Promise.withResolvers<void>()
    const { trail, request, appended, stored } = setup({ before: () => gate.promise })
    const all = [1, 2, 3, 4].map((n) => trail.before(request(`/${n}`)))
    gate.resolve()
    const traces = await Promise.all(all)
    expect(appended).toEqual([4])
    traces.reverse().forEach((trace, n) => {
      trace(200 + n)
    })
    await trail.flush()
    expect((await stored()).slice(4)).toEqual(['4: 200', '3: 201', '2: 202', '1: 203'])
  })

  it('are refused all together where the store fails, and are not stored later', async () => {
    const faults: Faults = { before: down }
    const { read, trail, request, stored } = setup(faults)
    read('/read')
    const all = [1, 2, 3].map((n) => codeOf(trail.before(request(`/${n}`))))
    expect(await Promise.all(all)).toEqual(['Error: down', 'Error: down', 'Error: down'])
    delete faults.before
    await vi.advanceTimersByTimeAsync(1000)
    expect(await stored()).toEqual(['/read 200'])
  })

  it('that come while a failed attempt ends do not wait for the next second', async () => {
    const faults: Faults = { before: down }
    const { trail, request, stored } = setup(faults)
    const second = trail.before(request('/1')).catch(() => {
      delete faults.before
      return trail.before(request('/2'))
    })
    await second
    expect(await stored()).toEqual(['/2 null'])
  })
})

describe('an answer that is lost', () => {
  it('puts nothing on record twice', async () => {
    const faults: Faults = { after: down }
    const { read, trail, stored } = setup(faults)
    read('/a')
    read('/b')
    await trail.flush()
    delete faults.after
    read('/c')
    await trail.flush()
    expect(await stored()).toEqual(['/a 200', '/b 200', '/c 200'])
  })

  it('loses nothing where the attempt was not made, and another came in its place', async () => {
    const faults: Faults = {}
    const { read, trail, stored, request, section } = setup(faults)
    // The unit was rolled back, and another process has taken the place.
    const { appendTrail } = section
    section.appendTrail = async (_, make) => {
      make.reduce<TrailHead | null>((head, one) => one(head), null)
      section.appendTrail = appendTrail
      throw new Error('rolled back')
    }
    read('/a')
    await trail.flush()
    const other = createTrail({ settings, store: section })
    await other.before(request('/other'))
    await trail.before(request('/b'))
    expect(await stored()).toEqual(['/other null', '/a 200', '/b null'])
  })
})

describe('a trail that hangs', () => {
  it('keeps nobody from stopping and revoking', async () => {
    vi.useRealTimers()
    const { engine, caller, send, start, store } = worldOf({
      audit: { trail: 'all' },
      storeTimeoutMs: 30,
    })
    const { trail } = store
    if (!trail) throw new Error('the store has no trail')
    await start('root', 'alice')
    const { id } = await start('boss', 'bob')
    trail.appendTrail = () => new Promise(() => {})
    for (const who of ['root', 'boss']) await send(who)
    expect((await engine.sessions.stop(caller('root'))).status).toBe('stopped')
    expect((await engine.sessions.revoke(caller('root'), id)).status).toBe('revoked')
    expect((await send('boss', { method: 'POST' })).line).toBe('401 impersonation_revoked')
  })

  it('is waited for no longer than a read of the store', async () => {
    const never = () => new Promise<never>(() => {})
    const done = async () => 'done' as never
    const inner = { endSession: done, claimSession: done, grants: { changeGrant: done } }
    const store = flushed(inner as unknown as GuardedStore, never, 1000)
    const asked = [
      store.endSession('s-1', {} as never, null),
      store.claimSession({} as never),
      store.grants?.changeGrant({} as never, [], {} as never),
    ]
    await vi.advanceTimersByTimeAsync(1000)
    expect(await Promise.all(asked)).toEqual(['done', 'done', 'done'])
  })
})

describe('the key of the trail', () => {
  it('may be rotated in the middle of a session', async () => {
    const [before, after] = ['2030', '2031'].map((id) => ({
      id,
      secret: `${id} of thirty-two characters....`,
    }))
    const world = worldOf({ audit: { key: before as AuditKey, trail: 'all' } })
    const next = world.another({
      audit: { key: after as AuditKey, oldKeys: [before as AuditKey], trail: 'all' },
    })
    const { id } = await world.start('root', 'alice')
    await world.send('root', { path: '/first' })
    await world.engine.close()
    await world.send('root', { path: '/second' }, next)
    await next.sessions.stop(world.caller('root', next))
    const entries = (await world.store.trail?.readTrails([id], null, 9)) ?? []
    expect(entries.map(({ path, keyId }) => [path, keyId])).toEqual([
      ['/first', '2030'],
      ['/second', '2031'],
    ])
    expect(await next.audit.verify()).toEqual({ ok: true, checked: 2 })
    const without = world.another({ audit: { key: after as AuditKey, trail: 'all' } })
    expect(await without.audit.verify()).toMatchObject({ firstBad: { problem: 'key_unknown' } })
  })
})

describe('the engine', () => {
  it('stores what waits when it is closed', async () => {
    const { engine, start, send, store } = worldOf({ audit: { trail: 'all' } })
    const { id } = await start('root', 'alice')
    await send('root')
    expect(await store.trail?.listActions(id, 0, 10)).toEqual([])
    await engine.close()
    expect(await store.trail?.listActions(id, 0, 10)).toMatchObject([
      { path: '/notes', status: 200 },
    ])
  })
})
