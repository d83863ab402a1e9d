import { createServer, type Server, request as send } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isImpersonationError } from '../../src/errors.ts'
import { jwtActor } from '../../src/jwt/index.ts'
import { audience, bearer, claims, issuer, noon, secret, signHs256 } from './fixtures.ts'

const getActor = jwtActor({ secret, issuer, audience, now: () => noon })
const token = signHs256(claims)

/** What a host would make of it: the user's id, nobody, or the refusal's code. */
async function outcome(request: unknown): Promise<string> {
  try {
    return (await getActor(request))?.id ?? 'nobody'
  } catch (error) {
    if (isImpersonationError(error)) return `${error.status} ${error.code}`
    throw error
  }
}

const express4 = createRequire(import.meta.url)('express4') as typeof express

const expressHost = (framework: typeof express) => async () => {
  const app = framework()
  app.use(async (req, res) => {
    res.send(await outcome(req))
  })
  return createServer(app).listen(0)
}

const hosts: Record<string, () => Promise<Server>> = {
  node: async () => createServer(async (req, res) => res.end(await outcome(req))).listen(0),
  'express 5': expressHost(express),
  'express 4': expressHost(express4),
  fastify: async () => {
    const app = Fastify({ forceCloseConnections: true })
    app.get('/', (request) => outcome(request))
    await app.listen({ port: 0 })
    return app.server
  },
  hono: async () => {
    const app = new Hono()
    app.get('/', async (c) => c.text(await outcome(c)))
    return new Promise((done) => {
      const server = serve({ fetch: app.fetch, port: 0 }, () => done(server as Server))
    })
  },
  'hono, its request': async () => {
    const app = new Hono()
    app.get('/', async (c) => c.text(await outcome(c.req.raw)))
    return new Promise((done) => {
      const server = serve({ fetch: app.fetch, port: 0 }, () => done(server as Server))
    })
  },
}

function get(server: Server, ...authorizations: string[]): Promise<string> {
  const { port } = server.address() as AddressInfo
  const headers = ['Host', 'localhost', ...authorizations.flatMap((one) => ['AuthorizatioN', one])]
  return new Promise((done, fail) => {
    send({ port, headers, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('end', () => done(body))
    })
      .on('error', fail)
      .end()
  })
}

for (const [name, start] of Object.entries(hosts)) {
  describe(name, () => {
    let server: Server
    beforeAll(async () => {
      server = await start()
    })
    afterAll(() => {
      server.closeAllConnections()
      server.close()
    })

    it('finds the bearer token', async () => {
      for (const header of [`Bearer ${token}`, `bearer ${token}`, `BEARER   ${token}`]) {
        expect(await get(server, header)).toBe('ada')
      }
    })

    it('finds nobody without one', async () => {
      expect(await get(server)).toBe('nobody')
      for (const header of [
        '',
        'Bearer',
        'Bearer ',
        token,
        `Bearer${token}`,
        `Bearer\t${token}`,
        `Bearer ${token} x`,
        `Bearer ${token},`,
        `Bearer "${token}"`,
        `Basic ${token}`,
        `JWT ${token}`,
        'Digest username="ada", realm="a, b c", uri="/x y", nc=00000001, qop=auth',
      ]) {
        expect([header, await get(server, header)]).toEqual([header, 'nobody'])
      }
    })

    it('refuses two Authorization headers, whatever they say', async () => {
      const good = `Bearer ${token}`
      for (const pair of [
        [good, good],
        [good, 'Bearer x'],
        ['Bearer x', good],
        ['Basic YTpi', good],
        [good, 'Basic YTpi'],
        ['Basic YTpi', 'Basic YTpj'],
        [good, 'Digest username="ada", realm="x"'],
      ]) {
        expect([pair, await get(server, ...pair)]).toEqual([pair, '400 invalid_request'])
      }
      expect(await get(server, `${good}, ${good}`)).toBe('400 invalid_request')
      expect(await get(server, `${good},Bearer x`)).toBe('400 invalid_request')
    })
  })
}

describe('requests made by hand', () => {
  it('work with plain headers, a web Request, and a context with header() only', async () => {
    const { headers } = bearer(token)
    expect(await outcome({ headers })).toBe('ada')
    expect(await outcome(new Request('http://localhost', { headers }))).toBe('ada')
    expect(await outcome({ req: { header: () => headers.authorization } })).toBe('ada')
    expect(await outcome({ headers: { authorization: [headers.authorization] } })).toBe('ada')
    expect(await outcome({ headers: {} })).toBe('nobody')
  })

  it('show two headers by a list or by headersDistinct', async () => {
    const { headers } = bearer(token)
    const two = [headers.authorization, 'Bearer x']
    const refused = '400 invalid_request'
    expect(await outcome({ headers: { authorization: two } })).toBe(refused)
    expect(await outcome({ headers, headersDistinct: { authorization: two } })).toBe(refused)
    expect(await outcome({ headers, raw: { headersDistinct: { authorization: two } } })).toBe(
      refused,
    )
  })

  it('are refused loudly when they are no request', () => {
    for (const wrong of [undefined, null, {}, 'Bearer x', { req: {} }]) {
      expect(() => getActor(wrong)).toThrow(TypeError)
    }
  })
})

describe('getToken', () => {
  const base = { secret, issuer, audience, now: () => noon }

  it('takes the token from elsewhere, and the header no more', async () => {
    const fromCookie = jwtActor({
      ...base,
      getToken: (request: { cookies: { login?: string } }) => request.cookies.login,
    })
    expect(await fromCookie({ cookies: { login: token } })).toMatchObject({ id: 'ada' })
    expect(fromCookie({ cookies: { login: token } })).not.toBeInstanceOf(Promise)
    const both = { cookies: {}, ...bearer(token) }
    expect(fromCookie(both)).toBeNull()
  })

  it('may give a promise, and nothing but text is a token', async () => {
    const getLater = jwtActor({ ...base, getToken: async () => token })
    expect(await getLater({})).toMatchObject({ id: 'ada' })
    for (const none of [null, undefined, 1, {}, [token], true]) {
      expect(jwtActor({ ...base, getToken: () => none as string })({})).toBeNull()
    }
  })
})
