/** A million mutated tokens of both kinds against running servers, and revocations seen by other processes. */
process.env.MUTATED_TOKENS ??= '1000000'
process.env.ROUNDS ??= '50'
await import('../http/api-token-attacks-mutated.test.ts')
await import('../processes/api-tokens.test.ts')
