export type { JwtActor } from './actor.ts'
export { jwtActor } from './actor.ts'
export {
  type PublicAlgorithm,
  publicAlgorithms,
  type SecretAlgorithm,
  secretAlgorithms,
} from './algorithms.ts'
export type { JwtActorOptions, JwtKeyOptions, JwtSettings } from './options.ts'
export { allowPlainHttp } from './options.ts'
export type { TokenUser, VerifiedClaims } from './user.ts'
