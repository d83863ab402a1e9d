export type { ActingClient } from './acting.ts'
export {
  type CallOptions,
  type Client,
  createClient,
  type ImpersonateOptions,
  type StartOptions,
} from './client.ts'
export { ClientError, type ClientErrorCode, isClientError, problemOf } from './error.ts'
export type { ClientOptions, Fetch, LoginHeaders } from './options.ts'
export type { Started, Status, Stopped, TargetUser } from './wire.ts'
