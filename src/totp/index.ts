export { type TotpAlgorithm, type TotpOptions, totp, totpAlgorithms } from './totp.ts'
