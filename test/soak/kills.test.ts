/** 500 processes ended in the middle of a change, per SQL store: row and event agree. */
process.env.KILLS ??= '500'
await import('../stores/crash.test.ts')
