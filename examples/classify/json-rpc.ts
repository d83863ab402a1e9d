import type { Classification, ClassifyRequest, Guardrail } from 'onbehalf'

/*
 * JSON-RPC 2.0: the body names the methods, one or a batch of them, notifications included. Those on
 * the list read, those in the record are guarded, and every other one is taken for a write.
 */

export interface JsonRpcOptions {
  /** The methods that only read. */
  readonly reads: readonly string[]
  /** The guarded ones: `{ 'billing.pay': 'payment' }`. */
  readonly guarded: Readonly<Record<string, Guardrail>>
  /** Where the server is mounted, as the client sees it. @default '/rpc' */
  readonly path?: `/${string}`
}

export function jsonRpcClassifier({ reads, guarded, path = '/rpc' }: JsonRpcOptions) {
  const reading = new Set(reads)
  const guards = new Map(Object.entries(guarded))

  return function classifyJsonRpc(
    request: ClassifyRequest,
  ): Classification | Promise<Classification> {
    // Everything below it too: `app.use('/rpc', …)` serves that as well.
    if (!request.mayBe(`* ${path}/*`) || request.method === 'OPTIONS') return undefined
    return request.is(`POST ${path}`) ? ofBody(request) : 'unknown'
  }

  async function ofBody(request: ClassifyRequest): Promise<Classification> {
    // Throws where the body can't be told, which refuses the request.
    const body = await request.body()
    const calls: unknown[] = Array.isArray(body) ? body : [body]
    const methods = calls.map((call) => {
      const { jsonrpc, method } = (call ?? {}) as { jsonrpc?: unknown; method?: unknown }
      return jsonrpc === '2.0' && typeof method === 'string' ? method : undefined
    })
    const guard = methods.map((method) => guards.get(method ?? '')).find(Boolean)
    if (guard) return { guard }
    if (methods.length === 0 || methods.includes(undefined)) return 'unknown'
    return methods.every((method) => reading.has(method ?? '')) ? 'read' : 'write'
  }
}
