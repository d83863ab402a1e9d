import { createPublicKey } from 'node:crypto'
import { channel } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { memoryStore, type Session } from '../../src/index.ts'
import { type Framework, frameworks } from '../support/http-apps.ts'
import {
  closeAll,
  minute,
  noon,
  payloadOf,
  sendRaw,
  signedFor,
  tokenWorld,
} from '../support/token-world.ts'
import { anotherKey, encode, forge, header, privateKeys } from '../tokens/fixtures.ts'

afterEach(closeAll)

async function world(framework: Framework, options = {}) {
  const made = await tokenWorld(framework, options)
  const read = async (id: string) => (await made.store.readSession(id)) as Session
  return { ...made, read }
}

const stranger = anotherKey('ES256')
const pem = createPublicKey(privateKeys.RS256).export({ type: 'spki', format: 'pem' }) as string
const far = 'http://keys.example.net'

/** Everything somebody might make of a token, of whom nobody knows the secret, or of what they found lying about. */
const forgeries: Record<string, (session: Session, token: string) => string> = {
  'alg none': (session) => `${encode({ ...header(), alg: 'none' })}.${encode(payloadOf(session))}.`,
  'alg none with its signature': (session, token) =>
    `${encode({ ...header(), alg: 'none' })}.${encode(payloadOf(session))}.${token.split('.')[2]}`,
  'no signature': (_, token) => token.replace(/[^.]*$/, ''),
  'two parts': (_, token) => token.split('.').slice(0, 2).join('.'),
  'four parts': (_, token) => `${token}.${token.split('.')[2]}`,
  'another secret': (session) => forge(header(), payloadOf(session), 'HS256', 'x'.repeat(32)),
  'a public key for a secret': (session) => forge(header(), payloadOf(session), 'HS256', pem),
  'a foreign kid': (session) => forge(header('HS256', 'other'), payloadOf(session)),
  'a kid that is a path': (session) => forge(header('HS256', '../../dev/null'), payloadOf(session)),
  'another algorithm': (session) =>
    forge(header('ES256'), payloadOf(session), 'ES256', privateKeys.ES256),
  ...Object.fromEntries(
    Object.entries({
      jwk: createPublicKey(stranger).export({ format: 'jwk' }),
      jku: `${far}/jwks.json`,
      x5u: `${far}/chain.pem`,
      x5c: ['MIIB'],
    }).flatMap(([name, value]) => [
      [
        `an embedded ${name}`,
        (session: Session) =>
          forge({ ...header('ES256'), [name]: value }, payloadOf(session), 'ES256', stranger),
      ],
      [
        `an embedded ${name} beside the right signature`,
        (session: Session) => forge({ ...header(), [name]: value }, payloadOf(session)),
      ],
    ]),
  ),
  'another audience': (session) => signedFor(session, { aud: 'https://other.example.com' }),
  'audiences in a list': (session) => signedFor(session, { aud: [payloadOf(session).aud] }),
  'another issuer': (session) => signedFor(session, { iss: 'https://other.example.com' }),
  'typ in capitals': (session) => forge({ ...header(), typ: 'IMP+JWT' }, payloadOf(session)),
  'the whole media type': (session) =>
    forge({ ...header(), typ: 'application/imp+jwt' }, payloadOf(session)),
  'its payload changed': (session, token) =>
    token.replace(/\.[^.]*\./, `.${encode({ ...payloadOf(session), sub: 'root' })}.`),
  padding: (_, token) => `${token}=`,
  'its last letter changed': (_, token) => {
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const at = letters.indexOf(token.at(-1) ?? '')
    // The same bytes in another spelling: 32 of them leave two bits.
    return `${token.slice(0, -1)}${letters[at ^ 1]}`
  },
  'the claim of another target': (session) => signedFor(session, { sub: 'bob' }),
  'the claim of another actor': (session) => signedFor(session, { act: { sub: 'boss' } }),
  'an actor within the actor': (session) =>
    signedFor(session, { act: { sub: 'root', act: { sub: 'boss' } } }),
  'the claim of a higher level': (session) => signedFor(session, { access_level: 'full' }),
  'an unknown level': (session) => signedFor(session, { access_level: 'everything' }),
  'the claim of another organisation': (session) => signedFor(session, { org_id: 'rivals' }),
  'the claim of a grant': (session) => signedFor(session, { grant_id: 'g-1' }),
  'the claim of a client': (session) => signedFor(session, { client_id: 'cli' }),
  'a later end': (session) => signedFor(session, { exp: session.expiresAt / 1000 + 3600 }),
  'an end that is a text': (session) => signedFor(session, { exp: `${session.expiresAt / 1000}` }),
  'a beginning in the future': (session) => signedFor(session, { iat: noon / 1000 + 60 }),
  'a session that is none': (session) => signedFor(session, { jti: crypto.randomUUID() }),
  'one claim more': (session) => signedFor(session, { scope: '*' }),
  ...Object.fromEntries(
    ['iss', 'aud', 'sub', 'act', 'jti', 'iat', 'exp', 'access_level'].map((claim) => [
      `no ${claim}`,
      (session: Session) => signedFor(session, { [claim]: undefined }),
    ]),
  ),
}

describe.each(frameworks)('tokens that are none on %s', (framework) => {
  it('are refused, end nothing, and make nobody ask elsewhere', async () => {
    const { mint, by, read, url } = await world(framework)
    const { token, session } = await mint()
    const row = await read(session)
    expect(signedFor(row), 'the forger knows how it is done').toBe(token)
    const opened = new Set<string>()
    const note = (message: unknown) => {
      const { socket } = message as { socket: Socket }
      socket.once('connect', () => opened.add(`${socket.remotePort}`))
      socket.once('error', () => opened.add('elsewhere'))
    }
    channel('net.client.socket').subscribe(note)
    try {
      for (const [name, make] of Object.entries(forgeries)) {
        const forged = make(row, token)
        const answers = [
          await by(forged, 'GET /whoami'),
          await by(forged, 'POST /stop'),
          await by(forged, 'GET /status'),
          await by(forged, 'POST /start', { target_user_id: 'bob', reason: 'more' }),
        ]
        expect([name, ...answers.map(({ status, json }) => `${status} ${json.code}`)]).toEqual([
          name,
          ...answers.map(() => '401 token_invalid'),
        ])
      }
    } finally {
      channel('net.client.socket').unsubscribe(note)
    }
    expect([...opened].filter((port) => port !== new URL(url).port)).toEqual([])
    expect((await by(token, 'GET /whoami')).json).toBe('alice')
  })

  it('are those whose row says something else', async () => {
    const inner = memoryStore()
    let changes: Partial<Session> = {}
    const store = {
      ...inner,
      readSession: async (id: string) => {
        const row = await inner.readSession(id)
        return row && { ...row, ...changes }
      },
    }
    const { mint, by, clock } = await world(framework, { store })
    const { token } = await mint({ client_id: 'importer' })
    const others: Partial<Session>[] = [
      { actorId: 'boss' },
      { targetUserId: 'bob' },
      { targetOrgId: null, targetUserId: 'mallory' },
      { accessLevel: 'full' },
      { grantId: 'g-1' },
      { clientId: null },
      { clientId: 'another' },
      { expiresAt: noon + 31 * minute },
      { expiresAt: noon + 29 * minute },
      { transport: 'session' },
    ]
    for (const other of others) {
      changes = other
      // What was known of it is too old.
      clock.now += 2000
      const answers = [
        await by(token, 'GET /whoami'),
        await by(token, 'GET /status'),
        await by(token, 'POST /stop'),
      ]
      expect([other, ...answers.map(({ json }) => json.code)]).toEqual([
        other,
        ...answers.map(() => 'token_invalid'),
      ])
    }
    // A store that answers with another row than was asked for is out of order.
    changes = { id: crypto.randomUUID() }
    clock.now += 2000
    expect((await by(token, 'GET /whoami')).json.code).toBe('impersonation_unavailable')
    changes = {}
    clock.now += 2000
    expect((await by(token, 'GET /whoami')).json).toBe('alice')
    expect(await inner.listEvents({ action: 'impersonation.revoked' }, { limit: 9 })).toEqual([])
  })

  it('are those signed for a session that the login carries; it goes on undisturbed', async () => {
    const { call, by, signals, read } = await world(framework)
    const started = await call('root', 'POST /start', { target_user_id: 'alice', reason: 'r' })
    const row = await read(started.json.session_id)
    const forged = signedFor(row)
    expect((await call('root', 'GET /app/signal')).json).toBe(row.id)
    for (const route of ['GET /whoami', 'GET /status', 'POST /stop'])
      expect((await by(forged, route)).json.code).toBe('token_invalid')
    expect(signals.map(({ aborted }) => aborted)).toEqual([false])
    expect((await call('root', 'GET /whoami')).json).toBe('alice')
  })

  it('are those that come anywhere but in the Authorization header', async () => {
    const { call, mint, store } = await world(framework)
    const { token } = await mint()
    for (const who of ['', 'root', 'mallory']) {
      const seen = who || 'null'
      const query = `?access_token=${token}&token=${token}&authorization=Bearer%20${token}`
      expect((await call(who, `GET /app/two${query}`)).json).toEqual([null, null])
      for (const headers of [
        { Cookie: `access_token=${token}; token=${token}` },
        { 'X-Access-Token': token, 'X-Authorization': `Bearer ${token}` },
        {
          'Proxy-Authorization': `Bearer ${token}`,
          'X-Forwarded-Authorization': `Bearer ${token}`,
        },
      ]) {
        const answer = await call(who, 'GET /whoami', undefined, headers)
        expect(answer.json).toBe(seen)
      }
      const body = { access_token: token, token }
      expect((await call(who, 'POST /whoami', body)).json).toBe(seen)
    }
    expect((await call('', 'POST /stop', { access_token: token })).status).toBe(401)
    expect(await store.listSessions({ status: 'active' }, { limit: 9 })).toHaveLength(1)
  })

  it('are those beside a second Authorization header, whichever comes first', async () => {
    const { mint, url, store } = await world(framework)
    const { token } = await mint()
    const ours = `Bearer ${token}`
    for (const [one, two] of [
      [ours, ours],
      [ours, 'Bearer root'],
      [ours, 'Bearer mallory'],
      [ours, 'Basic eDp5'],
      ['Bearer root', ours],
      ['Bearer mallory', ours],
      ['Basic eDp5', ours],
      ['', ours],
    ] as const) {
      const headers = ['authorization', one, 'Sec-Fetch-Site', 'same-origin', 'Authorization', two]
      for (const [path, method] of [
        ['/whoami', 'GET'],
        ['/impersonation/status', 'GET'],
        ['/impersonation/stop', 'POST'],
      ] as const) {
        const { status, text } = await sendRaw(url + path, headers, { method })
        expect([one, two, path, status]).toEqual([one, two, path, 400])
        expect(JSON.parse(text).code).toBe('invalid_request')
      }
    }
    expect(await store.listSessions({ status: 'active' }, { limit: 9 })).toHaveLength(1)
  })

  it('may open, list and end nothing of ours, and that is on record', async () => {
    const { mint, by, call, engine } = await world(framework, {
      consent: () => false,
      breakGlass: { verifySecondFactor: () => true },
      approvals: { levels: ['full'] },
      sandbox: { provision: () => ({ id: 'tester', may: [] }), dispose: () => {} },
    })
    const { token, session } = await mint()
    const { json: document } = await call('', 'GET /openapi.json')
    const routes = Object.entries(document.paths as Record<string, object>).flatMap(
      ([path, methods]) =>
        Object.keys(methods).map((method) => [method.toUpperCase(), path] as const),
    )
    expect(routes.length).toBeGreaterThan(28)
    const answered = []
    for (const [method, path] of routes) {
      const below = path.slice('/impersonation'.length).replace('{id}', session) || '/'
      if (/^\/(stop|status|jwks\.json|openapi\.json)$/.test(below)) continue
      const answer = await by(token, `${method} ${below}`, method === 'POST' ? {} : undefined)
      expect([method, path, answer.status, answer.json.code]).toEqual([
        method,
        path,
        409,
        'nested_impersonation',
      ])
      answered.push(path)
    }
    const refused = (await call('root', 'GET /audit?action=impersonation.refused')).json.items
    // What would give powers is on record: starts, grants, break-glass and approvals.
    expect(refused).toHaveLength(7)
    for (const event of refused)
      expect(event).toMatchObject({ code: 'nested_impersonation', actor_id: 'root' })
    expect((await by(token, 'GET /whoami')).json).toBe('alice')
    expect(await engine.endFor('root')).toBe(1)
  })
})
