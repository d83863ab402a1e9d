/** Engines that seal: 500 of them killed per SQL store, eight at once, and 10,000 random operations. */
process.env.KILLS ??= '500'
process.env.SEALING_ROUNDS ??= '50'
process.env.OPERATIONS ??= '10000'
await import('../audit/kills.test.ts')
await import('../audit/writers.test.ts')
await import('../audit/random.test.ts')
