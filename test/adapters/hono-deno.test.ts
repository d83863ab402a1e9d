import { runOn } from './runtime.ts'

runOn('deno', ['run', '--allow-all', '--no-check', '--node-modules-dir=manual', '--quiet'])
