import { defineConfig } from 'tsup'

/** Every public entry point: its name under `onbehalf/` (index is `onbehalf` itself) and its source. */
export const entry = {
  index: 'src/index.ts',
  express: 'adapters/express.ts',
  fastify: 'adapters/fastify.ts',
  hono: 'adapters/hono.ts',
  kysely: 'src/stores/kysely/index.ts',
  sqlite: 'src/stores/sqlite.ts',
  sql: 'src/sql/index.ts',
  jwt: 'src/jwt/index.ts',
  totp: 'src/totp/index.ts',
  graphql: 'src/graphql/index.ts',
  notify: 'src/notify/index.ts',
  opentelemetry: 'src/opentelemetry/index.ts',
  client: 'src/client/index.ts',
  testing: 'src/testing/index.ts',
}

/** Built beside them for `bin`: a program, which nobody imports. */
const program = { cli: 'src/cli/main.ts' }

export default defineConfig({
  entry: { ...entry, ...program },
  format: 'esm',
  target: 'node22',
  // One copy of whatever two entries share: one AsyncLocalStorage, one error class, and what is
  // imported dynamically stays in a chunk of its own.
  splitting: true,
  // `node:sqlite` exists under no other name.
  removeNodeProtocol: false,
  dts: { entry },
  sourcemap: true,
  clean: true,
})
