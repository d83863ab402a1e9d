import net from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { makeApiToken } from '../../src/api-tokens/format.ts'
import { closeAll, tokenApp } from '../support/api-token-apps.ts'
import { madeUp, prefix } from '../support/api-tokens.ts'
import { frameworks } from '../support/http-apps.ts'
import { sendRaw } from '../support/token-world.ts'
import { encode, forge, header, payload } from '../tokens/fixtures.ts'

afterEach(closeAll)

const start = { target_user_id: 'bob', reason: 'ticket 7' }
/** Who may be logged in beside a token: nobody, an admin, a user, the owner. */
const logins = ['', 'root', 'mallory', 'alice']

/** Sends bytes as they are, and gives what comes back. */
function sendBytes(url: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(new URL(url).port), '127.0.0.1', () =>
      socket.end(Buffer.from(text, 'latin1')),
    )
    let answer = ''
    socket.on('data', (part) => {
      answer += part.toString('latin1')
    })
    socket.on('end', () => resolve(answer))
    socket.on('error', reject)
  })
}

describe.each(frameworks)('API tokens on %s', (framework) => {
  it('are taken from the Authorization header, and from nowhere else', async () => {
    const { call, issue, seen } = await tokenApp(framework)
    const { token } = await issue()
    for (const as of logins) {
      const expected = { user: as || null, token: null, impersonated: null }
      const query = `?access_token=${token}&token=${token}&api_key=${token}&authorization=Bearer%20${token}`
      for (const [route, sent] of [
        [`GET /seen${query}`, {}],
        ['GET /seen', { headers: { Cookie: `sid=${as}; token=${token}; access_token=${token}` } }],
        ['GET /seen', { headers: { 'X-Api-Key': token, 'X-Access-Token': token } }],
        ['GET /seen', { headers: { 'Proxy-Authorization': `Bearer ${token}` } }],
        ['GET /seen', { headers: { 'X-Authorization': `Bearer ${token}` } }],
        ['GET /seen', { headers: { 'X-Forwarded-Authorization': `Bearer ${token}` } }],
        ['GET /seen', { headers: { 'Sec-WebSocket-Protocol': `bearer, ${token}` } }],
        ['POST /seen', { body: { access_token: token, token } }],
        ['POST /seen', { body: `access_token=${token}&token=${token}` }],
      ] as const) {
        const { json } = await call(route, { as, ...sent })
        expect([route, sent, json]).toEqual([route, sent, expected])
      }
    }
    expect(seen.length).toBe(logins.length * 9)
    // The routes take none from there either.
    const more = { access_token: token, token }
    expect((await call('GET /me/tokens', { headers: { 'X-Api-Key': token } })).status).toBe(401)
    expect((await call(`GET /me/tokens?access_token=${token}`)).status).toBe(401)
    expect((await call('POST /stop', { body: more })).status).toBe(401)
  })

  it('are refused in every other spelling, and nobody runs', async () => {
    const { issue, url, seen } = await tokenApp(framework)
    const { token } = await issue()
    const { token: other } = await issue('bob')
    const unknown = madeUp()
    const spellings = [
      ...['bearer', 'BEARER', 'bEaReR'].map((scheme) => `${scheme} ${unknown}`),
      `Bearer ${prefix}`,
      prefix,
      token,
      `Bearer\t${token}`,
      `Bearer \t ${token}`,
      `Bearer ${token},`,
      `Bearer ,${token}`,
      `Bearer ${token} ${token}`,
      `Bearer ${token},${other}`,
      `Bearer root ${token}`,
      `Bearer "${token}"`,
      `Bearer token="${token}"`,
      `Bearer: ${token}`,
      `Bearer=${token}`,
      `Basic ${token}`,
      `Token ${token}`,
      `token token=${token}`,
      `DPoP ${token}`,
      `Digest username="${token}", realm="x"`,
      `Bearer ${token}%00`,
      `Bearer ${token}\u00a0`,
      `Bearer\u00a0${token}`,
      `Bearer ${token}\u00ad`,
      `Bearer ${token.slice(0, -1)}`,
      `Bearer ${token}0`,
      `Bearer ${token}=`,
      `Bearer ${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`,
      `Bearer ${prefix}${token.slice(prefix.length).toUpperCase()}`,
      `Bearer ${prefix}${other.slice(prefix.length, -6)}${token.slice(-6)}`,
      `Bearer ${makeApiToken('pv_live_').replace('pv_live_', prefix)}`,
    ]
    for (const as of logins) {
      for (const spelling of spellings) {
        for (const path of ['/seen', '/impersonation/status', '/impersonation/me/tokens']) {
          const { status, text } = await sendRaw(url + path, [
            ...['Authorization', spelling],
            ...['Cookie', `sid=${as}`, 'Sec-Fetch-Site', 'same-origin'],
          ])
          // Where the headers come joined only, a comma may be a second login.
          const isTwo = status === 400 && spelling.includes(',')
          expect([as, spelling, path, status, JSON.parse(text).code]).toEqual(
            isTwo
              ? [as, spelling, path, 400, 'invalid_request']
              : [as, spelling, path, 401, 'token_invalid'],
          )
        }
      }
    }
    expect(seen).toEqual([])
  })

  it('are taken with a scheme in any case and several blanks', async () => {
    const { issue, url, seen } = await tokenApp(framework)
    const { token, id } = await issue()
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR', 'Bearer    ']) {
      // Blanks around the value belong to the header, not to it.
      for (const value of [`${scheme} ${token}`, `  ${scheme} ${token}  \t`])
        expect((await sendRaw(`${url}/seen`, ['Authorization', value])).status).toBe(200)
    }
    expect(new Set(seen.map((one) => JSON.stringify(one)))).toEqual(
      new Set([JSON.stringify({ user: 'alice', token: id, impersonated: null })]),
    )
  })

  it('let no line break, folding or control character in', async () => {
    const { issue, url, seen } = await tokenApp(framework)
    const { token } = await issue()
    for (const value of [
      `Bearer ${token}\r\n x`,
      `Bearer\r\n ${token}`,
      `Bearer ${token.slice(0, 20)}\r\n ${token.slice(20)}`,
      `Bearer ${token}\n`,
      `Bearer ${token}\rX: y`,
      `Bearer ${token}\0`,
      `Bearer ${token.slice(0, 20)}\0${token.slice(20)}`,
      `Bearer ${token}\x7f`,
      `Bearer ${token}\x0b`,
      `Bearer ${token}\u00ff`,
    ]) {
      const answer = await sendBytes(
        url,
        `GET /seen HTTP/1.1\r\nHost: app\r\nCookie: sid=root\r\nAuthorization: ${value}\r\nConnection: close\r\n\r\n`,
      )
      // A bare line break ends the line as the parser has it; then what stands before it is the whole token.
      const isWhole = value === `Bearer ${token}\n`
      if (!isWhole)
        expect([value, answer.slice(0, 12)]).toEqual([
          value,
          expect.stringMatching(/^(HTTP\/1\.1 40[01]|$)/),
        ])
    }
    expect(seen.filter((one) => (one as { user: string }).user === 'root')).toEqual([])
  })

  it('beside a second Authorization header are refused, whichever comes first', async () => {
    const { issue, url, seen } = await tokenApp(framework)
    const { token } = await issue()
    const { token: other } = await issue('bob')
    const ours = `Bearer ${token}`
    for (const [one, two] of [
      [ours, ours],
      [ours, `Bearer ${other}`],
      [ours, 'Bearer root'],
      ['Bearer root', ours],
      [ours, 'Basic eDp5'],
      ['Basic eDp5', ours],
      ['', ours],
      [ours, ''],
    ] as const) {
      for (const as of logins) {
        const headers = ['authorization', one, 'AUTHORIZATION', two, 'Cookie', `sid=${as}`]
        for (const path of ['/seen', '/impersonation/status', '/impersonation/me/tokens']) {
          const { status, text } = await sendRaw(url + path, [...headers, 'Sec-Fetch-Site', 'none'])
          expect([one, two, as, path, status]).toEqual([one, two, as, path, 400])
          expect(JSON.parse(text).code).toBe('invalid_request')
        }
      }
    }
    expect(seen).toEqual([])
  })

  it('beside an impersonation token are refused, in one header and in two', async () => {
    const { call, issue, url, seen } = await tokenApp(framework)
    const { token } = await issue()
    const minted = await call('POST /start', { as: 'root', body: { ...start, transport: 'token' } })
    const jwt = minted.json.access_token as string
    for (const value of [
      `Bearer ${token}, Bearer ${jwt}`,
      `Bearer ${jwt}, Bearer ${token}`,
      `Bearer ${token} ${jwt}`,
      `Bearer ${jwt} ${token}`,
      `Bearer ${jwt},${token}`,
      `Bearer ${token}.${jwt}`,
      `Bearer ${jwt}.${token}`,
    ]) {
      const { status } = await sendRaw(`${url}/seen`, [
        'Authorization',
        value,
        'Cookie',
        'sid=root',
      ])
      expect([value, [400, 401].includes(status)]).toEqual([value, true])
    }
    for (const [one, two] of [
      [token, jwt],
      [jwt, token],
    ]) {
      const { status } = await sendRaw(`${url}/seen`, [
        ...['Authorization', `Bearer ${one}`],
        ...['Authorization', `Bearer ${two}`],
      ])
      expect(status).toBe(400)
    }
    expect(seen).toEqual([])
    expect((await call('GET /seen', { token: jwt })).json.user).toBe('bob')
    expect((await call('GET /seen', { token })).json.user).toBe('alice')
  })

  it('of another prefix, or within a JWT, are none of ours: the login counts', async () => {
    const { call, issue } = await tokenApp(framework)
    const { token } = await issue()
    const jwts = [
      forge({ alg: 'HS256', typ: 'JWT' }, { ...payload, note: token }),
      `${encode({ alg: 'HS256', typ: 'JWT' })}.${token}.${token}`,
      `eyJ${token}`,
    ]
    for (const other of [...jwts, makeApiToken('pv_live_'), token.toUpperCase(), `x${token}`]) {
      for (const as of logins) {
        const expected = { user: as || null, token: null, impersonated: null }
        const { json } = await call('GET /seen', { as, token: other })
        expect([other, as, json]).toEqual([other, as, expected])
      }
    }
    // Unless it calls itself an impersonation token.
    const named = forge(header(), { ...payload, jti: token })
    expect((await call('GET /seen', { as: 'root', token: named })).json.code).toBe('token_invalid')
  })
})
