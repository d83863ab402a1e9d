const headers = ['x-http-method-override', 'x-http-method', 'x-method-override']

/**
 * The method that a request asks to be taken for, as layers like `method-override` find it. What a body
 * of JSON says goes for POST only: such layers ask no other method by default.
 */
export function overrideOf(
  sent: string,
  header: (name: string) => string | undefined,
  query: unknown,
  body: unknown,
): string | undefined {
  const isJson = /json/i.test(header('content-type') ?? '')
  const heeded = isJson && sent !== 'POST' ? undefined : memberOf(body)
  for (const value of [...headers.map(header), memberOf(query), heeded]) {
    const method = value?.split(',')[0]?.trim().toUpperCase()
    if (method && /^[A-Z]+$/.test(method)) return method
  }
  return undefined
}

function memberOf(from: unknown): string | undefined {
  if (typeof from === 'string') return /name="_method"\r\n\r\n([^\r]*)/.exec(from)?.[1]
  if (typeof from !== 'object' || from === null) return undefined
  const value = (from as Record<string, unknown>)._method
  return value === undefined ? undefined : String(value)
}
