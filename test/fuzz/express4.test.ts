import express4 from 'express4'
import { expressVariant } from './express.ts'
import { fuzz } from './run.ts'

fuzz([
  expressVariant(express4, { version: 4 }),
  expressVariant(express4, { version: 4, style: 'route', settings: { 'query parser': 'simple' } }),
  expressVariant(express4, { version: 4, style: 'router' }),
  expressVariant(express4, { version: 4, style: 'app' }),
  expressVariant(express4, {
    version: 4,
    style: 'merged',
    settings: { 'case sensitive routing': true, 'strict routing': true },
  }),
  expressVariant(express4, { version: 4, style: 'expressions' }),
])
