import { defineConfig } from 'vitest/config'
import base from '../../vitest.config.ts'

/** The tests that are to notice a mutant: quick ones, since they run for each of them. `TESTS` names fewer. */
export default defineConfig({
  resolve: base.resolve ?? {},
  test: {
    include: process.env.TESTS?.split(',') ?? [
      'test/core/{patterns,levels,context,who,carry,known-routes,start,lapses,edges,grants}.test.ts',
      'test/sql/{judge,guard,kysely,stamp}.test.ts',
    ],
  },
})
