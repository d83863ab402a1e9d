import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { memoryStore } from '../../src/index.ts'
import { instrument } from '../../src/opentelemetry/index.ts'
import { faultyStore } from '../../src/testing/index.ts'
import { codeOf, hour, worldOf } from '../support/core-world.ts'

const spans = new InMemorySpanExporter()
const tracers = new TracerProvider({
  spanProcessors: [new SimpleSpanProcessor({ exporter: spans })],
})
const points = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({
  exporter: points,
  exportIntervalMillis: 2 ** 30,
})
const meterProvider = new MeterProvider({ readers: [reader] })
let stop: () => void

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  stop = instrument({ meterProvider })
})
afterAll(async () => {
  stop()
  context.disable()
  await meterProvider.shutdown()
})

/** Does something inside a span, as an instrumented server does with each request, and gives its attributes. */
async function attributesOf(work: () => Promise<unknown>): Promise<object> {
  spans.reset()
  await tracers.getTracer('server').startActiveSpan('GET /notes', async (span) => {
    await work()
    span.end()
  })
  const [span] = spans.getFinishedSpans()
  if (!span) throw new Error('no span was exported')
  return span.attributes
}

/** What was measured: by name, by labels. */
async function measured(): Promise<Record<string, Record<string, unknown>>> {
  points.reset()
  await reader.forceFlush()
  const metrics = points.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics)
  return Object.fromEntries(
    metrics
      .flatMap(({ metrics: each }) => each)
      .map(({ descriptor, dataPoints }) => [
        descriptor.name,
        Object.fromEntries(
          dataPoints.map(({ attributes, value }) => [Object.values(attributes).join(' '), value]),
        ),
      ]),
  )
}

describe('spans', () => {
  it('tell both people while impersonating, and nothing otherwise', async () => {
    const world = worldOf()
    expect(await attributesOf(() => world.send('root'))).toEqual({})
    const session = await world.start('root', 'alice', { accessLevel: 'interactive' })
    expect(await attributesOf(() => world.send('root'))).toEqual({
      'enduser.id': 'alice',
      'onbehalf.actor.id': 'root',
      'onbehalf.session.id': session.id,
      'onbehalf.access_level': 'interactive',
      'onbehalf.break_glass': false,
    })
    expect(await attributesOf(() => world.send('alice'))).toEqual({})
  })
})

describe('metrics', () => {
  it('count starts, ends, refusals, lookups and verbs, and name nobody', async () => {
    const world = worldOf({}, faultyStore(memoryStore(), { acknowledgeLapses: 'before' }))
    await world.start('root', 'alice')
    await world.start('root', 'bob')
    await world.start('sup', 'alice')
    await world.send('root')
    await world.send('root')
    await world.send('root', { method: 'POST' })
    expect(await codeOf(world.start('mallory', 'alice'))).toBe('not_allowed')
    await world.engine.reap()
    const active = (await measured())['onbehalf.sessions.active']
    expect(active).toEqual({ '': 2 })
    world.clock.tick(2 * hour)
    await world.engine.reap()
    const told = await measured()
    expect(told['onbehalf.starts']).toMatchObject({ false: 3 + 1 })
    expect(told['onbehalf.ends']).toEqual({ 'false replaced': 1, 'false expired': 2 })
    expect(told['onbehalf.refusals']).toEqual({ grant_view_only: 1, not_allowed: 1 })
    expect(told['onbehalf.cache.lookups']).toMatchObject({ true: expect.any(Number) })
    const verbs = Object.keys(told['onbehalf.store.duration'] ?? {})
    expect(verbs).toEqual(expect.arrayContaining(['memory claimSession false']))
    expect(JSON.stringify(told)).not.toMatch(/alice|bob|root|sup/)
  })

  it('and spans stop when told to', async () => {
    stop()
    const world = worldOf()
    await world.start('root', 'alice')
    expect(await attributesOf(() => world.send('root'))).toEqual({})
    expect((await measured())['onbehalf.starts']).toEqual({ false: 3 + 1 })
    stop = instrument({ meterProvider })
  })

  it('go nowhere, and cost no error, where nobody set up the SDK', () => {
    expect(() => instrument()()).not.toThrow()
    expect(trace.getActiveSpan()).toBeUndefined()
  })
})
