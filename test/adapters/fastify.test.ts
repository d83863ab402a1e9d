import { describe, it } from 'vitest'
import { adapterTests } from '../../src/testing/index.ts'
import { nodeRawWays } from './mount-express.ts'
import { mountFastify } from './mount-fastify.ts'

adapterTests({ describe, it }, mountFastify(), { rawWays: nodeRawWays })
