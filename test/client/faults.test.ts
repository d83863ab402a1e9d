import http from 'node:http'
import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/index.ts'
import { listen } from '../adapters/listen.ts'
import { asAlice, refusal, world } from './world.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

type Fault = 'before' | 'after' | (() => Response)

/** A fetch in which the next request to a path fails: before it is sent, after it is done, or by another answer. */
function faulty() {
  const faults: { path: string; fault: Fault }[] = []
  return {
    next: (path: string, fault: Fault) => void faults.push({ path, fault }),
    fetch: async (input: string | URL | Request, init?: RequestInit) => {
      const at = faults.findIndex(({ path }) => String(input).endsWith(path))
      const [found] = at < 0 ? [] : faults.splice(at, 1)
      if (found?.fault === 'before') throw new TypeError('fetch failed')
      const response = await fetch(input, init)
      if (found?.fault === 'after') throw new TypeError('fetch failed')
      return typeof found?.fault === 'function' ? found.fault() : response
    },
  }
}

const json = { 'Content-Type': 'application/json' }
const problem = { 'Content-Type': 'application/problem+json' }
const broken: [string, number, () => Response][] = [
  ['a page of a proxy', 502, () => new Response('<h1>Bad Gateway</h1>', { status: 502 })],
  [
    'half a document',
    201,
    () => new Response('{"session_id":"s1","ac', { status: 201, headers: json }),
  ],
  ['nothing', 204, () => new Response(null, { status: 204 })],
  ['a page of the app', 200, () => new Response('<html></html>')],
  ['another document', 200, () => new Response('{"ok":true}', { headers: json })],
  ['no object', 200, () => new Response('["s1"]', { headers: json })],
  ['what only looks like one', 403, () => Response.json({ code: 'not_allowed' }, { status: 403 })],
  ['half a problem', 403, () => new Response('{"code":"not_a', { status: 403, headers: problem })],
  [
    'a problem of no code',
    403,
    () => new Response('{"status":403}', { status: 403, headers: problem }),
  ],
]

describe('a broken answer', () => {
  it.each(broken)('%s (%i) is no answer to any verb', async (_what, status, answer) => {
    const { client } = await world('Express')
    const fault = faulty()
    const page = client({ fetch: fault.fetch })
    const verbs = {
      '/start': () => page.start(asAlice),
      '/status': () => page.status(),
      '/extend': () => page.extend(5),
      '/stop': () => page.stop(),
    }
    for (const [path, verb] of Object.entries(verbs)) {
      fault.next(path, answer)
      expect(await refusal(verb())).toMatchObject({ code: 'unexpected_answer', status })
    }
    fault.next('/start', answer)
    expect(await refusal(page.impersonate('bob', { reason: 'ticket 7' }))).toMatchObject({ status })
    expect(page.ended).toEqual([])
  })

  it('quotes no token in its error', async () => {
    const { client } = await world('Express')
    const fault = faulty()
    const page = client({ fetch: fault.fetch })
    const token = 'eyJhbGciOiJIUzI1NiJ9.secret.secret'
    for (const text of [
      `{"access_token":"${token}"`,
      JSON.stringify({ access_token: token, session_id: 's1' }),
      // No header could hold it, and the header's own error would quote it.
      JSON.stringify({
        access_token: `${token}\n`,
        expires_in: 60,
        session_id: 's1',
        target_user: { id: 'alice' },
        access_level: 'view',
        expires_at: '2030-06-01T12:00:00.000Z',
      }),
    ]) {
      fault.next('/start', () => new Response(text, { status: 201, headers: json }))
      const error = await refusal(page.impersonate('alice'))
      expect(error.code).toBe('unexpected_answer')
      expect(inspect(error, { depth: 20, showHidden: true })).not.toContain('secret')
    }
  })
})

describe('after a start that nobody knows the outcome of', () => {
  it.each<[string, Fault]>([
    ['was not sent', 'before'],
    ['was not answered', 'after'],
    ['was half answered', () => new Response('{"sess', { status: 201, headers: json })],
    ['was answered by a proxy', () => new Response('Bad Gateway', { status: 502 })],
    [
      'could not be told',
      () => new Response('{"code":"impersonation_unavailable"}', { status: 503, headers: problem }),
    ],
  ])('nothing runs unpinned: it %s', async (_how, fault) => {
    const { client, written } = await world('Express')
    const faults = faulty()
    const page = client({ fetch: faults.fetch })
    faults.next('/start', fault)
    await refusal(page.start({ ...asAlice, accessLevel: 'full' }))
    const answer = await page.fetch('/app/notes', { method: 'POST' })
    expect(page.pin()).toBe('none')
    if (fault === 'before') expect(written).toEqual(['oneself'])
    else expect([answer.status, written]).toEqual([409, []])
  })

  it('the pin of a page that had one stays', async () => {
    const { client } = await world('Express')
    const faults = faulty()
    const page = client({ fetch: faults.fetch })
    const { sessionId } = await page.start(asAlice)
    faults.next('/start', 'after')
    await refusal(page.start({ ...asAlice, targetUserId: 'bob' }))
    expect((await page.fetch('/whoami')).status).toBe(409)
    expect(page.pin()).toBe(sessionId)
  })
})

describe('a stop that fails', () => {
  it.each<Fault>(['before', 'after'])('leaves the pin where it is (%s)', async (fault) => {
    const { client, written } = await world('Express')
    const faults = faulty()
    const page = client({ fetch: faults.fetch })
    await page.start({ ...asAlice, accessLevel: 'full' })
    faults.next('/stop', fault)
    await expect(page.stop()).rejects.toThrow('fetch failed')
    await page.fetch('/app/notes', { method: 'POST' })
    expect(written).toEqual(fault === 'before' ? ['alice'] : [])
    expect(await page.stop()).toEqual(fault === 'before' ? expect.anything() : null)
  })

  it.each<Fault>(['before', 'after'])(
    'of a token lets nothing out, and can be tried again (%s)',
    async (fault) => {
      const { client, call } = await world('Express')
      const faults = faulty()
      const script = client({ fetch: faults.fetch })
      const alice = await script.impersonate('alice', { reason: 'ticket 7' })
      faults.next('/stop', fault)
      await expect(alice.stop()).rejects.toThrow('fetch failed')
      expect((await refusal(alice.fetch('/whoami'))).code).toBe('impersonation_ended')
      await alice.stop()
      const { json } = await call('boss', `GET /sessions/${alice.sessionId}`)
      expect(json.status).toBe('stopped')
    },
  )
})

it('a fetch that fails rejects as fetch does, and changes nothing', async () => {
  const { client } = await world('Express')
  const fault = faulty()
  const page = client({ fetch: fault.fetch })
  const { sessionId } = await page.start(asAlice)
  fault.next('/whoami', 'after')
  await expect(page.fetch('/whoami')).rejects.toThrow('fetch failed')
  // Half a refusal refuses, and tells nothing.
  fault.next('/whoami', () => new Response('{"code":"imp', { status: 401, headers: problem }))
  expect((await page.fetch('/whoami')).status).toBe(401)
  expect(page.ended).toEqual([])
  expect(await (await page.fetch('/whoami')).json()).toBe('alice')
  expect(page.pin()).toBe(sessionId)
  const alice = await page.impersonate('bob', { reason: 'ticket 7' })
  fault.next('/whoami', () => new Response('{"title":"log in"}', { status: 401, headers: json }))
  expect((await alice.fetch('/whoami')).status).toBe(401)
  expect((await alice.fetch('/whoami')).status).toBe(200)
})

it('gives up where the signal says so', async () => {
  const { client } = await world('Express')
  const page = client()
  const signal = AbortSignal.abort(new Error('enough'))
  const alice = await page.impersonate('alice', { reason: 'ticket 7' })
  for (const call of [
    () => page.start({ ...asAlice, signal }),
    () => page.impersonate('bob', { reason: 'ticket 7', signal }),
    () => page.status({ signal }),
    () => page.extend(5, { signal }),
    () => page.stop({ signal }),
    () => page.fetch('/whoami', { signal }),
    () => alice.fetch('/whoami', { signal }),
    () => alice.status({ signal }),
    () => alice.stop({ signal }),
  ])
    await expect(call()).rejects.toThrow('enough')
  await alice.stop()
})

describe('another origin', () => {
  /** A server elsewhere that writes down what reaches it. */
  async function elsewhere() {
    const heard: http.IncomingHttpHeaders[] = []
    const { url, close } = await listen(
      http.createServer((request, response) => {
        heard.push(request.headers)
        response.end('{}')
      }),
    )
    open.push(close)
    return { url, heard }
  }

  it('gets neither pin nor login nor token by a URL, however it is spelled', async () => {
    const { client } = await world('Express')
    const { url, heard } = await elsewhere()
    const page = client()
    await page.start(asAlice)
    const bob = await page.impersonate('bob', { reason: 'ticket 7' })
    const before = page.sent.length
    const { host, port } = new URL(url)
    const inputs = [
      url,
      new URL(url),
      new Request(url),
      `//${host}/`,
      `\\\\${host}/`,
      `/\\${host}/`,
      ` \t//${host}/`,
      `http:\n//${host}`,
      page.sent[0]?.url.replace(/^http/, 'https') ?? '',
      `http://localhost:${port}/`,
      `http://user@${host}/`,
      `blob:${page.sent[0]?.url}`,
      'data:,x',
    ]
    for (const input of inputs) {
      for (const send of [page.fetch, bob.fetch])
        await expect(send(input), String(input)).rejects.toThrow(TypeError)
    }
    expect([heard, page.sent.length]).toEqual([[], before])
  })

  it('gets nothing by a redirect, and neither does the same one', async () => {
    const { url, heard } = await elsewhere()
    const away = http.createServer((request, response) => {
      const to = request.url === '/near' ? '/far' : url
      response.writeHead(307, { Location: to }).end()
    })
    const app = await listen(away)
    open.push(app.close)
    const page = createClient({ baseUrl: app.url, headers: { 'X-Login': 'root' } })
    for (const path of ['/near', '/far']) {
      await expect(page.fetch(path, { redirect: 'follow' })).rejects.toThrow(TypeError)
      await expect(page.fetch(new Request(`${app.url}${path}`))).rejects.toThrow(TypeError)
      expect((await page.fetch(path, { redirect: 'manual' })).status).toBe(307)
    }
    await expect(page.status()).rejects.toThrow(TypeError)
    await expect(page.start(asAlice)).rejects.toThrow(TypeError)
    expect(heard).toEqual([])
  })

  it('gets no token by a redirect', async () => {
    const { url, heard } = await elsewhere()
    const { client } = await world('Express')
    // The app answers every path but our own by a redirect.
    const script = client({
      fetch: async (input, init) => {
        const mine = String(input).includes('/impersonation/')
        const app = await listen(
          http.createServer((_, response) => void response.writeHead(307, { Location: url }).end()),
        )
        open.push(app.close)
        return fetch(mine ? input : app.url, init)
      },
    })
    const alice = await script.impersonate('alice', { reason: 'ticket 7' })
    await expect(alice.fetch('/notes')).rejects.toThrow(TypeError)
    expect(heard).toEqual([])
  })

  it('no-cors, which drops headers, is refused', async () => {
    const { client } = await world('Express')
    const page = client()
    const { sessionId } = await page.start(asAlice)
    const { url } = page.sent[0] ?? { url: '' }
    await expect(page.fetch('/whoami', { mode: 'no-cors' })).rejects.toThrow('no-cors')
    await expect(page.fetch(new Request(url, { mode: 'no-cors' }))).rejects.toThrow('no-cors')
    expect([page.sent.length, sessionId]).toEqual([1, sessionId])
  })
})
