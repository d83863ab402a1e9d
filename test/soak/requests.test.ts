/** A million interleaved requests of several admins per framework, and a million mutated tokens. */
process.env.ONBEHALF_REQUESTS ??= '1000000'
process.env.JWT_MUTATIONS ??= '1000000'
await import('../adapters/express5.test.ts')
await import('../adapters/fastify.test.ts')
await import('../adapters/hono-node2.test.ts')
await import('../jwt/spelling.test.ts')
