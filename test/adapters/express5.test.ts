import express from 'express'
import { describe, it } from 'vitest'
import { adapterTests } from '../../src/testing/index.ts'
import { expressRawWays, mountExpress } from './mount-express.ts'

adapterTests({ describe, it }, mountExpress(express), { rawWays: expressRawWays })
