import type http from 'node:http'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { afterEach, describe, expect, it } from 'vitest'
import { impersonate as impersonateExpress } from '../../adapters/express.ts'
import { impersonate as impersonateFastify } from '../../adapters/fastify.ts'
import { impersonate as impersonateHono } from '../../adapters/hono.ts'
import { closeServed, engineOf, served } from '../support/login-faults.ts'

afterEach(closeServed)

type Engine = ReturnType<typeof engineOf>['engine']
type Options = { readonly getActor: () => { id: string } | Promise<never> }

const apps: Record<
  string,
  (engine: Engine, options: Options) => http.RequestListener | Promise<http.RequestListener>
> = {
  Express(engine, options) {
    const app = express()
    app.use(impersonateExpress(engine, options))
    app.all('/me', (_request, response) => void response.end())
    return app
  },
  async Fastify(engine, options) {
    const app = fastify()
    await app.register(impersonateFastify, { impersonation: engine, ...options } as never)
    app.all('/me', async () => ({}))
    await app.ready()
    return (request, response) => app.routing(request, response)
  },
  Hono(engine, options) {
    const app = new Hono()
    app.use(impersonateHono(engine, options))
    app.all('/me', (c) => c.body(null, 200))
    return getRequestListener(app.fetch)
  },
}

describe.each(Object.entries(apps))('getActor on %s', (_, build) => {
  it('is not asked who carries a token: it might verify that as a login', async () => {
    const { engine, mint } = engineOf()
    let asked = 0
    const getActor = () => {
      asked++
      return { id: 'root' }
    }
    const send = await served(await build(engine, { getActor }), engine)
    const token = ['Authorization', `Bearer ${await mint()}`]
    expect(await send(token)).toBe(200)
    expect(await send(token, 'GET', '/impersonation/status')).toBe(200)
    expect(await send(token, 'GET', '/impersonation/sessions')).toBe(409)
    expect(await send(token, 'POST', '/impersonation/stop')).toBe(200)
    expect(await send(token)).toBe(401)
    expect(asked).toBe(0)
    expect(await send(['Authorization', 'Bearer root'])).toBe(200)
    expect(asked).toBe(1)
  })
  it.each([undefined, null, '', 'route', 'router'])(
    'that fails with %o lets nobody pass',
    async (fault) => {
      for (const getActor of [
        () => Promise.reject(fault),
        () => {
          throw fault
        },
      ]) {
        const { engine } = engineOf()
        const send = await served(await build(engine, { getActor }), engine)
        expect(await send(['Authorization', 'Bearer root'])).toBe(500)
      }
    },
  )
})
