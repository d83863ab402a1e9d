import http from 'node:http'
import { getRequestListener as listener2 } from '@hono/node-server'
import express from 'express'
import express4 from 'express4'
import { getRequestListener as listener1 } from 'hono-node-server1'
import { describe, expect, it } from 'vitest'
import { accessLevels, type Guardrail, guardrailKinds } from '../../src/index.ts'
import type { WorldOptions } from '../../src/testing/adapter/world.ts'
import { createWorld } from '../../src/testing/adapter/world.ts'
import type { Mount, TestRoute } from '../../src/testing/index.ts'
import { listen } from '../adapters/listen.ts'
import { mountExpress } from '../adapters/mount-express.ts'
import { mountFastify } from '../adapters/mount-fastify.ts'
import { mountHono } from '../adapters/mount-hono.ts'
import { noGuardrails } from './app.ts'

const frameworks: Record<string, Mount> = {
  'Express 4': mountExpress(express4),
  'Express 5': mountExpress(express),
  Fastify: mountFastify(),
  'Hono on node-server 1': mountHono((app) => listen(http.createServer(listener1(app.fetch)))),
  'Hono on node-server 2': mountHono((app) => listen(http.createServer(listener2(app.fetch)))),
}

/** A path that the catalogue knows for each kind, and one without a meaning. */
const known: Readonly<Record<Guardrail, string>> = {
  password: '/password',
  mfa: '/two-factor',
  email: '/me/email',
  recovery_code: '/recovery-codes',
  role_grant: '/users/1/roles',
  payment: '/payments',
  legal_acceptance: '/terms',
  account_deletion: '/me/deactivate',
  credential: '/api-keys',
}
const unknown = '/things'

type Method = 'GET' | 'POST'

interface Way {
  readonly methods: readonly Method[]
  path(kind: Guardrail): string
  engine(kind: Guardrail): WorldOptions['engine']
  /** What else the route says. */
  readonly route?: (kind: Guardrail) => Partial<TestRoute>
  /** Whether the handler asks `guard()` itself. */
  readonly inCode?: true
}

/** How a guardrail can be put up; a new way is a new entry. */
const ways: Record<string, Way> = {
  'the host’s own pattern': {
    methods: ['GET', 'POST'],
    path: () => unknown,
    engine: (kind) => ({ guardrails: { ...noGuardrails(), [kind]: [`* ${unknown}`] } }),
  },
  'the catalogue': {
    methods: ['POST'],
    path: (kind) => known[kind],
    engine: () => ({}),
  },
  'a mark at the route': {
    // A POST is refused at `view` before its mark is asked.
    methods: ['GET'],
    path: () => unknown,
    engine: () => ({ guardrails: noGuardrails() }),
    route: (kind) => ({ guard: kind }),
  },
  'guard() in code': {
    methods: ['GET', 'POST'],
    path: () => unknown,
    engine: () => ({ guardrails: noGuardrails() }),
    inCode: true,
  },
}

describe.each(Object.entries(frameworks))('on %s', (_, mount) => {
  for (const [name, way] of Object.entries(ways))
    it.each(guardrailKinds)(`${name} holds for %s at every level`, async (kind) => {
      const path = way.path(kind)
      const done: string[] = []
      const world = await createWorld(mount, {
        engine: way.engine(kind) ?? {},
        routes: ({ engine }) =>
          way.methods.map((method) => ({
            method,
            path,
            ...way.route?.(kind),
            handle: ({ user }) => {
              if (way.inCode) engine.guard(kind)
              done.push(`${method} by ${(user as { id: string }).id}`)
              return { body: 'done' }
            },
          })),
      })
      try {
        // Without a session it is a route like any other.
        for (const method of way.methods) expect((await world.send(method, path)).text).toBe('done')
        expect(done.splice(0)).toEqual(way.methods.map((method) => `${method} by root`))
        for (const level of accessLevels) {
          await world.start('alice', { access_level: level })
          for (const method of way.methods) {
            const reply = await world.send(method, path)
            expect(reply.status, `${method} at ${level}`).toBe(403)
            // How an app shows what its handlers throw is its own affair.
            if (!way.inCode)
              expect(reply.json).toMatchObject({
                code: 'impersonation_write_blocked',
                guardrail: kind,
              })
          }
        }
        expect(done).toEqual([])
      } finally {
        await world.close()
      }
    })
})
