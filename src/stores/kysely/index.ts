export { type Dialect, dialects } from './dialect.ts'
export type { ListenClient, ListenMessage } from './listen.ts'
export {
  type ImpersonationMigration,
  type MigrateOptions,
  migrate,
  migrationSql,
  migrations,
} from './migrations.ts'
export { type KyselyStoreOptions, kyselyStore } from './store.ts'
