import { vi } from 'vitest'

/** Hears whatever is written to a log or warned of, instead of whoever else would. Gives what ends it. */
export function onLogEntry(hear: (entry: unknown) => void): () => Promise<void> {
  const spies = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      hear(String(text))
      return true
    }),
  )
  const words = (['log', 'info', 'warn', 'error', 'debug'] as const).map((method) =>
    vi.spyOn(console, method).mockImplementation((...all) => hear(all.map(String))),
  )
  const warnings = vi
    .spyOn(process, 'emitWarning')
    .mockImplementation((...all) => hear(all.map(String)))
  return async () => {
    for (const spy of [...spies, ...words, warnings]) spy.mockRestore()
  }
}
