import express from 'express'
import { expressVariant } from './express.ts'
import { fuzz } from './run.ts'

fuzz([
  expressVariant(express, { version: 5 }),
  expressVariant(express, { version: 5, style: 'route', settings: { 'query parser': 'extended' } }),
  expressVariant(express, {
    version: 5,
    settings: { 'case sensitive routing': true, 'strict routing': true },
  }),
  expressVariant(express, {
    version: 5,
    style: 'router',
    settings: { 'query parser': 'extended' },
  }),
  expressVariant(express, { version: 5, style: 'router', layer: 'router' }),
  expressVariant(express, { version: 5, style: 'app' }),
  expressVariant(express, { version: 5, style: 'merged' }),
  expressVariant(express, { version: 5, style: 'expressions' }),
])
