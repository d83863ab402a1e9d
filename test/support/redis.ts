import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'

export const redisServer = { host: '127.0.0.1', port: 6379 } as const

/** A connection as BullMQ wants it: its workers wait as long as it takes. */
export const openRedis = () => new Redis({ ...redisServer, maxRetriesPerRequest: null })

const up = await isUp()

/** `describe` for tests that need Redis; see `describeOn`. */
export function describeOnRedis(name: string, define: () => void): void {
  if (up) {
    describe(name, define)
  } else if (process.env.CI) {
    it(name, () => expect.fail(`no Redis at ${redisServer.host}:${redisServer.port}`))
  } else {
    console.warn(`SKIPPED for want of Redis: ${name}`)
    describe.skip(name, define)
  }
}

async function isUp(): Promise<boolean> {
  const redis = new Redis({ ...redisServer, lazyConnect: true, retryStrategy: () => null })
  redis.on('error', () => {})
  try {
    await redis.connect()
    return true
  } catch {
    return false
  } finally {
    redis.disconnect()
  }
}
