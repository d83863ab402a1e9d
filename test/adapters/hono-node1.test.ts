import http from 'node:http'
import { getRequestListener } from 'hono-node-server1'
import { describe, it } from 'vitest'
import { adapterTests } from '../../src/testing/index.ts'
import { listen } from './listen.ts'
import { honoRawWays, mountHono } from './mount-hono.ts'

adapterTests(
  { describe, it },
  mountHono((app) => listen(http.createServer(getRequestListener(app.fetch)))),
  { rawWays: honoRawWays },
)
