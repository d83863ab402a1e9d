import { runOn } from './runtime.ts'

runOn('bun', ['run'])
