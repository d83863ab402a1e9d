import express4 from 'express4'
import { describe, it } from 'vitest'
import { adapterTests } from '../../src/testing/index.ts'
import { expressRawWays, mountExpress } from './mount-express.ts'

adapterTests({ describe, it }, mountExpress(express4), { rawWays: expressRawWays })
