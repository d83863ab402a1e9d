import { defineConfig } from 'vitest/config'

const soak = process.env.SOAK === '1'

export default defineConfig({
  // `onbehalf` and its entry points mean the sources here, so that tests and examples share one copy.
  resolve: { tsconfigPaths: true },
  test: {
    pool: 'forks',
    // Half of the time a file waits for databases, servers and processes of its own. By default there is one on two cores.
    maxWorkers: 2,
    setupFiles: ['test/support/contexts.ts'],
    reporters: ['default'],
    allowOnly: false,
    retry: 0,
    testTimeout: soak ? 3_600_000 : 40_000,
    hookTimeout: 60_000,
    coverage: {
      provider: 'v8',
      include: ['src/**', 'adapters/**'],
      reporter: ['text', 'html'],
    },
    projects: [
      {
        extends: true,
        test: {
          name: 'source',
          include: ['test/**/*.test.ts'],
          exclude: ['test/package/**', ...(soak ? [] : ['test/soak/**'])],
        },
      },
      {
        // What npm gets: built, packed and installed once, before these run.
        extends: true,
        test: {
          name: 'package',
          include: ['test/package/**/*.test.ts'],
          globalSetup: 'test/package/setup.ts',
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
})
