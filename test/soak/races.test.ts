/** The races of `npm test`, a thousand rounds of each: eight processes, every SQL store. */
process.env.ROUNDS ??= '1000'
await import('../stores/races.test.ts')
await import('../stores/consent-races.test.ts')
await import('../stores/request-races.test.ts')
await import('../stores/outbox-races.test.ts')
await import('../processes/http.test.ts')
