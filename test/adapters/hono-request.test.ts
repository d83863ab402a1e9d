import { describe, it } from 'vitest'
import { adapterTests } from '../../src/testing/index.ts'
import { honoRawWays, mountHono } from './mount-hono.ts'

adapterTests(
  { describe, it },
  mountHono((app) => ({
    url: 'http://localhost',
    fetch: (request) => app.request(request),
    close: () => undefined,
  })),
  { rawWays: honoRawWays, sockets: false },
)
