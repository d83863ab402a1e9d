import { describe, expect, it } from 'vitest'
import type { Session } from '../../src/index.ts'
import {
  day,
  hour,
  minute,
  type Outcome,
  type User,
  type World,
  worldOf,
} from '../support/core-world.ts'

/**
 * The rules for pins and lapses, cell by cell. Read a row as: with this pin, where the actor stands
 * like this, the request comes to that. `safe` and `unsafe` are the two kinds of methods.
 *
 * Outcomes: who the handler saw, or the refusal; `cleared` says that the cookie is taken away.
 */
type Standing = 'live' | 'lapsed' | 'nothing'
type By = 'header' | 'cookie'
type Who = 'actor' | 'demoted' | 'ordinary' | 'anonymous'

/** Which session a pin names; the over ones by how they ended. */
const pins = [
  'matching',
  'none',
  'other live',
  'stopped',
  'expired',
  'revoked',
  'replaced',
  'somebody else’s',
  'somebody else’s, over',
  'unknown',
  'malformed',
  'two',
] as const
type PinKind = (typeof pins)[number]

interface Scene {
  readonly world: World
  readonly standing: Standing
  /** The session that is live, if any. */
  readonly live: Session | undefined
  readonly pin: string
  readonly secondPin: string | undefined
}

/**
 * `root` with a past of every ending, each acknowledged, and then the standing wanted. `sup` has a
 * session too; so nothing here depends on there being no others.
 */
async function sceneOf(standing: Standing, kind: PinKind | null): Promise<Scene> {
  const world = worldOf()
  const { engine, clock } = world
  const stop = () => engine.sessions.stop(world.caller('root'))

  const past: Record<string, Session> = {}
  past.stopped = await world.start('root', 'bob')
  await stop()
  past.replaced = await world.start('root', 'bob')
  past.revoked = await world.start('root', 'bob')
  await engine.sessions.revoke(world.caller('boss'), past.revoked.id)
  past.expired = await world.start('root', 'bob', { durationMs: minute })
  clock.tick(minute)
  await engine.reap()
  await stop()
  past['somebody else’s, over'] = await world.start('sup', 'carol')
  past['somebody else’s'] = await world.start('sup', 'carol')

  let live: Session | undefined
  if (standing !== 'nothing') live = await world.start('root', 'alice')
  if (live && standing === 'lapsed') {
    await engine.sessions.revoke(world.caller('boss'), live.id)
    if (kind === 'revoked') past.revoked = live
    live = undefined
  }
  clock.tick(1)

  const named: Record<string, string> = {
    matching: live?.id ?? 'none',
    none: 'none',
    unknown: '00000000-0000-4000-8000-000000000000',
    malformed: 'two words',
    two: 'none',
  }
  const pin = kind === null ? '' : (named[kind] ?? past[kind]?.id ?? '')
  return { world, standing, live, pin, secondPin: kind === 'two' ? past.stopped.id : undefined }
}

interface Cell {
  readonly who: Who
  readonly standing: Standing
  readonly by: By
  readonly kind: PinKind
  readonly method: 'GET' | 'POST'
}

async function request(scene: Scene, cell: Cell): Promise<string> {
  const { world, pin, secondPin } = scene
  const { who, by, method } = cell
  const actors: Record<Who, string | User | null> = {
    actor: 'root',
    demoted: { id: 'root' },
    ordinary: 'mallory',
    anonymous: null,
  }
  const pins =
    by === 'header'
      ? { 'x-impersonation-session': secondPin ? `${pin}, ${secondPin}` : pin }
      : { cookie: `onbehalf=${pin}${secondPin ? `; onbehalf=${secondPin}` : ''}` }
  const outcome = await world.send(actors[who], { method, headers: pins })
  return tell(outcome)
}

const tell = ({ line, setCookie }: Outcome) =>
  setCookie?.startsWith('onbehalf=;') ? `${line}, cleared` : line

const changed = '409 impersonation_state_changed'
const invalid = '400 invalid_request'

/** What the rules say of an over session that a pin names while none is live. */
const lapse: Partial<Record<PinKind, string>> = {
  stopped: '401 impersonation_ended',
  replaced: '401 impersonation_ended',
  revoked: '401 impersonation_revoked',
  expired: '401 impersonation_expired',
}

/** The rules, in the order in which they decide. */
function expected({ who, standing, by, kind, method }: Cell): string {
  const byCookie = by === 'cookie'
  const clearing = (line: string) => (byCookie ? `${line}, cleared` : line)

  if (who === 'anonymous') {
    // A cookie is no matter of a browser where nobody is logged in; a program that pins runs as nobody never.
    if (byCookie) return 'nobody'
    if (kind === 'none' || (kind === 'matching' && standing !== 'live')) return 'nobody'
    return '401 unauthenticated'
  }

  if (kind === 'malformed' || kind === 'two') {
    // "Anything else is dropped and cleared, and the request goes on" for whoever may not start.
    if (who === 'actor') return clearing(invalid)
    return byCookie ? `${nameOf(who)}, cleared` : invalid
  }

  if (who === 'actor') {
    const agrees =
      standing === 'live' ? kind === 'matching' : kind === 'none' || kind === 'matching'
    if (agrees && standing === 'live') return method === 'GET' ? 'alice' : '403 grant_view_only'
    // A pin says that the client knows: no lapse has to be told then.
    if (agrees) return 'root'
    const over = lapse[kind]
    if (over && standing !== 'live') return `${over}, cleared`
    // Somebody else's or nobody's cookie is not this login's: refused once, and gone.
    const foreign = kind === 'unknown' || kind.startsWith('somebody')
    return foreign ? clearing(changed) : changed
  }

  if (kind === 'none' || (kind === 'matching' && standing !== 'live')) return nameOf(who)
  if (who === 'demoted') {
    if (kind === 'matching') return '401 impersonation_revoked, cleared'
    if (lapse[kind]) return `${lapse[kind]}, cleared`
  }
  return byCookie ? `${nameOf(who)}, cleared` : changed
}

const nameOf = (who: Who) => (who === 'demoted' ? 'root' : 'mallory')

const standings = ['live', 'lapsed', 'nothing'] as const
const whos = ['actor', 'demoted', 'ordinary', 'anonymous'] as const
const bys = ['header', 'cookie'] as const
const kinds = pins.filter((kind) => kind !== 'other live')

describe.each(whos)('pins of %s', (who) => {
  describe.each(standings)('with %s', (standing) => {
    const rows = bys.flatMap((by) =>
      kinds.flatMap((kind) =>
        (['GET', 'POST'] as const).map((method) => ({ who, standing, by, kind, method })),
      ),
    )
    it.each(rows)('$method pinned by $by to $kind', async (cell) => {
      const scene = await sceneOf(standing, cell.kind)
      // What the store says decides; what an engine remembers must make no difference.
      expect(await request(scene, cell), 'with nothing remembered').toBe(expected(cell))
    })
  })
})

describe('the same with a warm cache', () => {
  const rows = standings.flatMap((standing) =>
    bys.flatMap((by) =>
      kinds.flatMap((kind) =>
        (['GET', 'POST'] as const).map((method) => ({
          who: 'actor' as const,
          standing,
          by,
          kind,
          method,
        })),
      ),
    ),
  )
  it.each(rows)('$standing: $method pinned by $by to $kind', async (cell) => {
    const scene = await sceneOf(cell.standing, cell.kind)
    await scene.world.send('root')
    expect(await request(scene, cell)).toBe(expected(cell))
    expect(await request(scene, cell), 'and again').toBe(expected(cell))
  })
})

describe('without a pin', () => {
  const table: ReadonlyArray<readonly [Who, Standing, string, string]> = [
    ['actor', 'live', 'alice', '403 grant_view_only'],
    ['actor', 'lapsed', 'root, told revoked', '401 impersonation_revoked'],
    ['actor', 'nothing', 'root', 'root'],
    // Demoted, not cached, not pinned: they run as what they now are; the reaper ends the row.
    ['demoted', 'live', 'root', 'root'],
    ['demoted', 'lapsed', 'root', 'root'],
    ['demoted', 'nothing', 'root', 'root'],
    ['ordinary', 'live', 'mallory', 'mallory'],
    ['ordinary', 'lapsed', 'mallory', 'mallory'],
    ['ordinary', 'nothing', 'mallory', 'mallory'],
    ['anonymous', 'live', 'nobody', 'nobody'],
    ['anonymous', 'lapsed', 'nobody', 'nobody'],
    ['anonymous', 'nothing', 'nobody', 'nobody'],
  ]
  it.each(table)('%s with %s: GET %s, POST %s', async (who, standing, safe, unsafe) => {
    for (const [method, line] of [
      ['GET', safe],
      ['HEAD', safe],
      ['OPTIONS', safe],
      ['POST', unsafe],
      ['PUT', unsafe],
      ['PATCH', unsafe],
      ['DELETE', unsafe],
      ['QUERY', unsafe],
    ] as const) {
      const { world } = await sceneOf(standing, null)
      const user = { actor: 'root', demoted: { id: 'root' }, ordinary: 'mallory', anonymous: null }
      expect(tell(await world.send(user[who], { method })), method).toBe(line)
    }
  })

  it('a demoted actor whose session this process remembers is stopped, and the row ends', async () => {
    const { world, live } = await sceneOf('live', null)
    await world.send('root')
    expect(tell(await world.send({ id: 'root' }))).toBe('401 impersonation_revoked, cleared')
    expect(await world.store.readSession(live?.id ?? '')).toMatchObject({
      status: 'revoked',
      endedReason: 'actor_not_allowed',
      endedBy: null,
    })
    // From now on they are what they are.
    expect((await world.send({ id: 'root' })).line).toBe('root')
  })

  it('the reaper ends the row of a demoted actor whom nobody remembers', async () => {
    const { world, live } = await sceneOf('live', null)
    world.users.set('root', { id: 'root' })
    expect((await world.send('root')).line).toBe('root')
    await world.engine.reap()
    expect((await world.store.readSession(live?.id ?? ''))?.endedReason).toBe('actor_not_allowed')
  })
})

describe('which pin counts', () => {
  it('the header wins over the cookie', async () => {
    const { world, live } = await sceneOf('live', null)
    const pin = live?.id
    expect((await world.send('root', { pin, cookie: 'unknown' })).line).toBe('alice')
    expect((await world.send('root', { pin: 'none', cookie: pin })).line).toBe(changed)
  })

  it('an emptied cookie says nothing', async () => {
    const { world } = await sceneOf('live', null)
    expect((await world.send('root', { cookie: '' })).line).toBe('alice')
  })

  it('a cookie said twice alike is one', async () => {
    const { world, live } = await sceneOf('live', null)
    const cookie = `onbehalf=${live?.id}; onbehalf=${live?.id}`
    expect((await world.send('root', { headers: { cookie } })).line).toBe('alice')
  })

  it.each(['', ' ', 'a b', 'a,b', 'a%2Cb', '%00', '%', 'ö', 'x'.repeat(256)])(
    'a header that is no id is 400 or means nobody’s: %j',
    async (pin) => {
      const { world } = await sceneOf('live', null)
      expect(['400 invalid_request', changed]).toContain((await world.send('root', { pin })).line)
    },
  )

  it('on https the cookie is the one that other hosts can’t plant', async () => {
    const { world, live } = await sceneOf('live', null)
    const headers = { cookie: 'onbehalf=planted' }
    expect((await world.send('root', { headers, secure: true })).line).toBe('alice')
    const own = { cookie: '__Host-onbehalf=unknown; onbehalf=planted' }
    const outcome = await world.send('root', { headers: own, secure: true })
    expect(outcome.line).toBe(changed)
    expect(outcome.setCookie).toMatch(/^__Host-onbehalf=; Path=\/; Max-Age=0;.*Secure/)
    expect(live).toBeDefined()
  })

  it('two Authorization headers are 400 for an actor, whatever else is right', async () => {
    const { world, live } = await sceneOf('live', null)
    expect((await world.send('root', { twoLogins: true, pin: live?.id })).line).toBe(invalid)
    expect(
      (await world.send('root', { twoLogins: true, path: '/impersonation/status' })).line,
    ).toBe(invalid)
  })
})

describe('a pin to another live session of one’s own', () => {
  it('is 409: another page has started anew meanwhile', async () => {
    const world = worldOf()
    const first = await world.start('root', 'alice')
    await world.send('root', { pin: first.id })
    const second = await world.start('root', 'bob', {}, world.another())
    for (const method of ['GET', 'POST']) {
      expect((await world.send('root', { method, pin: second.id })).line).toBe(
        method === 'GET' ? 'bob' : '403 grant_view_only',
      )
      expect((await world.send('root', { method, pin: first.id })).line).toBe(changed)
      expect(tell(await world.send('root', { method, cookie: first.id }))).toBe(changed)
    }
  })
})

describe('the answer to a page', () => {
  it('is a page with a way on; to a program it is the problem document', async () => {
    const { world } = await sceneOf('lapsed', null)
    const page = await world.send('root', { method: 'POST', headers: { accept: 'text/html' } })
    expect(page.status).toBe(401)
    expect(page.answer?.headers.get('content-type')).toContain('text/html')
    expect(page.body).toContain('action="/impersonation/stop"')
    const program = await world.send('root', { method: 'POST' })
    expect(program.answer?.headers.get('content-type')).toContain('application/problem+json')
    for (const { answer } of [page, program]) {
      expect(answer?.headers.get('www-authenticate')).toContain('impersonation_revoked')
    }
  })

  it('names the way on below where we are mounted', async () => {
    const { world } = await sceneOf('lapsed', null)
    const ask = { method: 'POST', headers: { accept: 'text/html' }, mount: '/app' }
    expect((await world.send('root', ask)).body).toContain('action="/app/impersonation/stop"')
  })
})

describe('an unacknowledged lapse', () => {
  const post = { method: 'POST' }

  it('is told until stop, which is 200 and says what ended it', async () => {
    const { world } = await sceneOf('lapsed', null)
    for (let n = 0; n < 3; n++) {
      expect((await world.send('root', post)).line).toBe('401 impersonation_revoked')
      const status = await world.send('root', { path: '/impersonation/status' })
      expect(status.body).toMatchObject({
        is_impersonating: false,
        last_ended: { status: 'revoked', ended_reason: 'revoked' },
      })
    }
    const stop = await world.send('root', { ...post, path: '/impersonation/stop' })
    expect(stop.status).toBe(200)
    expect(stop.body).toMatchObject({ status: 'stopped', ended_reason: 'revoked' })
    expect(stop.setCookie).toMatch(/^onbehalf=; .*Max-Age=0/)
    expect((await world.send('root', post)).line).toBe('root')
    const again = await world.send('root', { ...post, path: '/impersonation/stop' })
    expect(again.line).toBe('404 not_impersonating')
  })

  it('is acknowledged by the next start', async () => {
    const { world } = await sceneOf('lapsed', null)
    const session = await world.start('root', 'bob', { accessLevel: 'full' })
    expect((await world.send('root', post)).line).toBe('bob')
    await world.engine.sessions.stop(world.caller('root'))
    expect((await world.send('root', post)).line).toBe('root')
    expect((await world.send('root', { ...post, pin: session.id })).line).toBe(
      '401 impersonation_ended',
    )
  })

  it('is acknowledged for all engines alike', async () => {
    const { world } = await sceneOf('lapsed', null)
    const other = world.another()
    expect((await world.send('root', post, other)).code).toBe('impersonation_revoked')
    await world.engine.sessions.stop(world.caller('root'))
    world.clock.tick(2000)
    expect((await world.send('root', post, other)).line).toBe('root')
  })

  it('counts for a day, to the millisecond', async () => {
    const { world } = await sceneOf('lapsed', null)
    const endedAt = world.clock.wall - 1
    world.clock.wall = endedAt + day - 1
    expect((await world.send('root', post)).code).toBe('impersonation_revoked')
    expect((await world.send('root')).line).toBe('root, told revoked')
    world.clock.wall = endedAt + day
    expect((await world.send('root', post)).line).toBe('root')
    expect((await world.send('root')).line).toBe('root')
  })

  it('is still a lapse when the wall clock jumps back', async () => {
    const { world } = await sceneOf('lapsed', null)
    world.clock.wall -= hour
    expect((await world.send('root', post)).code).toBe('impersonation_revoked')
    world.clock.wall -= 2 * day
    expect((await world.send('root', post)).code).toBe('impersonation_revoked')
  })

  it('older than a day a pin to it is refused all the same', async () => {
    const { world } = await sceneOf('lapsed', null)
    const { lapse } = await world.store.readStanding('root')
    world.clock.tick(7 * day)
    expect((await world.send('root', { pin: lapse?.id })).line).toBe('401 impersonation_revoked')
  })

  it('a write by an override header or query is a write', async () => {
    const { world } = await sceneOf('lapsed', null)
    for (const ask of [
      { headers: { 'x-http-method-override': 'DELETE' } },
      { headers: { 'x-http-method': 'PUT' } },
      { headers: { 'x-method-override': 'PATCH' } },
      { path: '/notes/1?_method=DELETE' },
      { path: '/notes/1?a=1&_%6dethod=DELETE' },
    ]) {
      expect((await world.send('root', ask)).code, JSON.stringify(ask)).toBe(
        'impersonation_revoked',
      )
    }
  })

  it('after the own stop there is none, but a page pinned by header stays protected', async () => {
    const world = worldOf()
    const session = await world.start('root', 'alice')
    await world.engine.sessions.stop(world.caller('root'))
    expect((await world.send('root', post)).line).toBe('root')
    expect((await world.send('root', { ...post, pin: session.id })).line).toBe(
      '401 impersonation_ended',
    )
  })
})

describe("onLapse: 'pass'", () => {
  it('lets a write without a pin run as the actor, and tells nothing', async () => {
    const world = worldOf({ onLapse: 'pass' })
    const session = await world.start('root', 'alice', { durationMs: minute })
    world.clock.tick(minute)
    expect((await world.send('root', { method: 'POST' })).line).toBe('root')
    expect((await world.send('root')).line).toBe('root')
    // What is pinned is refused as ever.
    expect((await world.send('root', { method: 'POST', pin: session.id })).line).toBe(
      '401 impersonation_expired',
    )
    expect((await world.send('root', { cookie: session.id })).line).toBe(
      '401 impersonation_expired',
    )
  })
})

describe('our own routes', () => {
  it('stop, status, list and revoke do not look at pins', async () => {
    const { world, live } = await sceneOf('live', null)
    const pin = 'made-up'
    const send = (method: string, path: string, body?: unknown) =>
      world.send('root', { method, path: `/impersonation${path}`, body, pin })
    expect((await send('GET', '/status')).status).toBe(200)
    expect((await send('GET', '/sessions')).status).toBe(200)
    expect((await send('GET', `/sessions/${live?.id}`)).status).toBe(200)
    expect((await send('POST', `/sessions/${live?.id}/revoke`, {})).status).toBe(200)
    expect((await send('POST', '/stop')).status).toBe(200)
  })

  it('start and extend with a wrong header pin are 409; a cookie does not matter', async () => {
    const { world, live } = await sceneOf('live', null)
    const ask = (path: string, body: object, pins: object) =>
      world.send('root', { method: 'POST', path: `/impersonation${path}`, body, ...pins })
    for (const pin of ['none', 'made-up']) {
      expect((await ask('/extend', { minutes: 1 }, { pin })).line).toBe(changed)
      expect((await ask('/start', { target_user_id: 'bob', reason: 'x' }, { pin })).line).toBe(
        changed,
      )
    }
    expect((await ask('/extend', { minutes: 1 }, { pin: live?.id })).status).toBe(200)
    expect((await ask('/extend', { minutes: 1 }, { cookie: 'made-up' })).status).toBe(200)
    expect((await ask('', { target_user_id: 'bob', reason: 'x' }, { pin: live?.id })).status).toBe(
      201,
    )
  })

  it('start sets the cookie for the session and a day, extend moves it, stop takes it', async () => {
    const world = worldOf()
    const post = (path: string, body?: object) =>
      world.send('root', { method: 'POST', path: `/impersonation${path}`, body })
    const started = await post('/start', { target_user_id: 'alice', reason: 'x' })
    const { session_id } = started.body as { session_id: string }
    expect(started.setCookie).toBe(
      `onbehalf=${session_id}; Path=/; Max-Age=${(30 * minute + day) / 1000}; HttpOnly; SameSite=Lax`,
    )
    expect(started.answer?.headers.get('clear-site-data')).toBe('"cache"')
    const extended = await post('/extend', { minutes: 5 })
    expect(extended.setCookie).toContain(`Max-Age=${(35 * minute + day) / 1000}`)
    const stopped = await post('/stop')
    expect(stopped.setCookie).toBe('onbehalf=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax')
    expect(stopped.answer?.headers.get('clear-site-data')).toBe('"cache"')
  })

  it('a lapse does not stand in the way of any of them', async () => {
    const { world } = await sceneOf('lapsed', null)
    const post = { method: 'POST', path: '/impersonation/start' }
    const body = { target_user_id: 'bob', reason: 'x' }
    expect((await world.send('root', { ...post, body })).status).toBe(201)
  })
})
