import { connect } from 'node:http2'
import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import { expect, it } from 'vitest'
import { impersonate } from '../../adapters/fastify.ts'
import { createImpersonation, memoryStore } from '../../src/index.ts'

it('holds over HTTP/2 as well', async () => {
  const users = [
    { id: 'root', isAdmin: true },
    { id: 'alice', isAdmin: false },
  ]
  const impersonation = createImpersonation({
    store: memoryStore(),
    findUser: (id) => users.find((user) => user.id === id),
    can: (user) => user.isAdmin,
  })
  const app = fastify({ http2: true })
  app.addHook('onRequest', async (request) => {
    const id = request.headers.authorization?.slice(7)
    Object.assign(request, { user: users.find((user) => user.id === id) })
  })
  await app.register(impersonate, { impersonation })
  app.get('/me', async (request) => ({
    user: (request as never as { user: unknown }).user,
    forged: request.headers['x-impersonating'] ?? null,
  }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const client = connect(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)

  const call = (method: string, path: string, body?: object) =>
    new Promise<{ headers: Record<string, unknown>; json: unknown }>((resolve, reject) => {
      const stream = client.request({
        ':method': method,
        ':path': path,
        authorization: 'Bearer root',
        'x-impersonating': 'forged',
        ...(body && { 'content-type': 'application/json' }),
      })
      let headers: Record<string, unknown> = {}
      let text = ''
      stream.on('response', (given) => {
        headers = given as never
      })
      stream.on('data', (piece) => {
        text += piece
      })
      stream.on('end', () => resolve({ headers, json: text === '' ? null : JSON.parse(text) }))
      stream.on('error', reject)
      stream.end(body && JSON.stringify(body))
    })

  const before = await call('GET', '/me')
  expect(before.json).toEqual({ user: users[0], forged: null })
  const started = await call('POST', '/impersonation', {
    target_user_id: 'alice',
    reason: 'a test',
  })
  expect(started.headers[':status']).toBe(201)
  const during = await call('GET', '/me')
  expect(during.json).toEqual({ user: users[1], forged: null })
  expect(during.headers).toMatchObject({
    'x-impersonating': 'true',
    'cache-control': 'no-store, private',
  })
  client.close()
  await app.close()
})
