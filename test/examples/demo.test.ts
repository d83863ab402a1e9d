import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { story } from '../../examples/express/story.ts'
import { runExample, startExample } from './processes.ts'

const execute = promisify(execFile)

/** The lines that the demo says can be pasted. */
const pasteable = (printed: string) => printed.split('\n').filter((line) => /^[A-Za-z]/.test(line))

describe('npm run demo', () => {
  it('ends with 0 after the story when told to, and leaves nothing behind', async () => {
    const telling = "process.on('exit', () => console.log('  DB', process.env.IMPERSONATION_DB))"
    const { code, printed } = await runExample('express/demo.ts', {
      args: ['--once'],
      imports: [`data:text/javascript,${encodeURIComponent(telling)}`],
    })
    expect(code, printed).toBe(0)
    const file = /^ {2}DB (.+)$/m.exec(printed)?.[1] ?? ''
    expect(file).toMatch(/impersonation\.db$/)
    expect(existsSync(file)).toBe(false)
    expect(pasteable(printed)).toHaveLength(story.length + 3)
    expect(printed).toContain('  X-Impersonated-User-Id: alice')
    expect(printed).toContain('"impersonated_by": "root"')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
    expect(printed).not.toMatch(/\u001b/)
  })

  it('stays up, and its lines work when they are pasted into a shell', async () => {
    const demo = await startExample('express/demo.ts')
    try {
      const lines = pasteable(demo.printed())
      const { stdout } = await execute('sh', ['-c', ['set -e', ...lines].join('\n')])
      const statuses = [...stdout.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))
      expect(statuses).toEqual(story.map(({ status }) => status))
      expect(stdout).toMatch(/X-Impersonating: true/i)
      expect(stdout).toContain('"status":"replaced"')
    } finally {
      expect(await demo.end()).toBe(0)
    }
  })

  it('takes another port where its own is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const PORT = String((server.address() as AddressInfo).port)
      const { code, printed } = await runExample('express/demo.ts', {
        args: ['--once'],
        env: { PORT },
      })
      expect(code, printed).toBe(0)
      expect(printed).toContain(`Port ${PORT} is taken`)
      expect(printed).not.toContain(`:${PORT}\n`)
    } finally {
      server.close()
    }
  })

  it('ends with 1 and says which answer was not the one it promised', async () => {
    const tampered = `
      const { fetch: real } = globalThis
      globalThis.fetch = async (url, init) => {
        const response = await real(url, init)
        if (!url.endsWith('/account/password')) return response
        return new Response('{"changed":"alice"}', { headers: response.headers })
      }`
    const { code, printed } = await runExample('express/demo.ts', {
      args: ['--once'],
      imports: [`data:text/javascript,${encodeURIComponent(tampered)}`],
    })
    expect(code).toBe(1)
    expect(printed).toContain('Unexpected answer to POST /account/password by ADMIN')
    expect(printed).toMatch(/expected: 403.*\ngot: +200/)
  })
})
